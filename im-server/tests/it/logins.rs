//! Login, Renew, Logout and what ends a session.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use futures_util::{StreamExt, stream::FuturesUnordered};
use journal::UserNotice;
use proto::{
    UserId,
    wire::{
        ByeReason, ErrorCode, Login, Logout, Ping, Renew, client_frame::Body as Request, server_frame::Body,
    },
};
use testkit::eventually;

use super::{
    app::{App, login, message},
    fleet::{Fleet, now_ms},
};

/// A node rounds to milliseconds, and follows the wall clock slowly.
fn lasts_a_minute(expires_at_ms: i64, before_ms: i64) {
    let begun_ms = expires_at_ms - 60_000;
    assert!(
        (before_ms - 1_000..=now_ms() + 1_000).contains(&begun_ms),
        "{begun_ms}"
    );
}

async fn bye_to(fleet: &Fleet, login: Login) -> ByeReason {
    let mut app = fleet.connect().await;
    app.send(Request::Login(login)).await;
    app.bye().await.reason()
}

// protocol: "Login | INVALID | login"
// protocol: "The answer is LoginOk, or a Bye"
#[tokio::test(flavor = "multi_thread")]
async fn a_login_is_told_what_it_needs_to_know() {
    let fleet = Fleet::start().await;
    let before_ms = now_ms();
    let password = fleet.password_for(1, "phone", 60_000).await;
    let mut app = fleet.connect().await;
    let ok = app.log_in(1, "phone", &password).await;
    assert_eq!((ok.heartbeat_s, ok.max_frame_bytes), (30, 65_536));
    lasts_a_minute(ok.expires_at_ms, before_ms);
    assert!(ok.session_id < 1 << 53 && (now_ms() - ok.server_time_ms).abs() < 60_000);
    assert_eq!(fleet.nodes[0].0.sessions(), 1);
    let again = app.refused(Request::Login(login(1, "phone", &password))).await;
    assert_eq!(again.0, ErrorCode::Invalid);
}

// protocol: "Only a wrong user, device or password is AUTH_FAILED"
#[tokio::test(flavor = "multi_thread")]
async fn wrong_users_wrong_passwords_and_those_of_others_look_the_same() {
    let fleet = Fleet::start().await;
    let password = fleet.password(1, "phone").await;
    let expired = fleet.password_for(1, "pad", -1).await;
    let mut details = Vec::new();
    for (user, device, password) in [
        (2, "phone", password.as_str()),
        (1, "pad", &password),
        (1, "pad", &expired),
        (1, "phone", "wrong"),
        (i64::MAX >> 10, "phone", &password),
    ] {
        let mut app = fleet.connect().await;
        app.send(Request::Login(login(user, device, password))).await;
        let bye = app.bye().await;
        assert_eq!(bye.reason(), ByeReason::AuthFailed);
        details.push(bye.detail);
    }
    details.dedup();
    assert_eq!(details.len(), 1);
    assert_eq!(fleet.nodes[0].0.sessions(), 0);
}

// protocol: "Login | LoginOk, or Bye"
#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_login_is_sent_away() {
    let fleet = Fleet::start().await;
    let mut app = fleet.connect().await;
    app.send(Request::Ping(Ping {})).await;
    assert_eq!(app.bye().await.reason(), ByeReason::NotLoggedIn);
    let password = fleet.password(1, "phone").await;
    let other_version = Login {
        protocol_version: 2,
        ..login(1, "phone", &password)
    };
    assert_eq!(bye_to(&fleet, other_version).await, ByeReason::UnsupportedVersion);
}

/// Limits are in bytes, as in REST. Many users share an address: an invalid Login that is not a guess locks none of
/// them out.
// protocol: "A malformed Login (a field too long, no device_id) gets INVALID_LOGIN"
// protocol: "device_id | 1 to 64 bytes"
// protocol: "password | 1 to 128 bytes"
// protocol: "app_version | 32 bytes"
#[tokio::test(flavor = "multi_thread")]
async fn a_login_that_cannot_be_good_is_told_its_field_and_is_no_guess() {
    let fleet = Fleet::start_with(&["--failed-logins-per-minute", "1"], 1).await;
    let (longest, too_long) = ("设".repeat(21) + "x", "设".repeat(22));
    assert_eq!((longest.len(), too_long.len()), (64, 66));
    let password = fleet.password(1, &too_long).await;
    let good = login(1, "phone", &fleet.password(1, "phone").await);
    for (field, told, bad) in [
        ("user_id", "user_id", login(0, "phone", &password)),
        ("user_id", "user_id", login(-1, "phone", &password)),
        ("user_id", "user_id", login(1 << 53, "phone", &password)),
        ("password", "1 to 128 bytes long, not 0", login(1, "phone", "")),
        ("password", "not 129", login(1, "phone", &"x".repeat(129))),
        ("device_id", "1 to 64 bytes long, not 0", login(1, "", &password)),
        ("device_id", "not 65", login(1, &"x".repeat(65), &password)),
        ("device_id", "not 66", login(1, &too_long, &password)),
        (
            "app_version",
            "0 to 32 bytes long, not 33",
            Login {
                app_version: "版".repeat(11),
                ..good.clone()
            },
        ),
    ] {
        let mut app = fleet.connect().await;
        app.send(Request::Login(bad)).await;
        let bye = app.bye().await;
        assert_eq!(
            (bye.reason(), bye.field.as_str()),
            (ByeReason::InvalidLogin, field)
        );
        assert!(bye.detail.contains(told), "{}", bye.detail);
        // Steps of an app that are older than the reason.
        assert_eq!(proto::bye::advice(bye.reason), proto::bye::Advice::StayAway);
    }
    let at_the_limit = Login {
        app_version: "x".repeat(32),
        ..login(1, &longest, &fleet.password(1, &longest).await)
    };
    for good in [good, at_the_limit] {
        assert_eq!(bye_or_ok(&fleet, good).await, None);
    }
}

// protocol: "are in the language of Login.language"
// protocol: "An app that names no language gets English"
#[tokio::test(flavor = "multi_thread")]
async fn sentences_are_in_the_language_of_the_session() {
    let fleet = Fleet::start().await;
    let is_chinese = |text: &str| text.chars().any(|c| ('\u{4e00}'..='\u{9fff}').contains(&c));
    for (language, chinese) in [("", false), ("en", false), ("zh-CN", true), ("ZH-Hant", true)] {
        let named = |password: &str| Login {
            language: language.into(),
            ..login(1, "phone", password)
        };
        let mut refused = fleet.connect().await;
        refused.send(Request::Login(named("wrong"))).await;
        assert_eq!(is_chinese(&refused.bye().await.detail), chinese, "{language}");

        let password = fleet.password(1, "phone").await;
        let mut app = fleet.connect().await;
        assert!(matches!(
            app.ask(Request::Login(named(&password))).await,
            Body::LoginOk(_)
        ));
        let send = message(1, "a", "hello");
        for request in [
            Request::Send(send.clone()),
            Request::Send(proto::wire::Send {
                mime_type: "text".into(),
                ..send.clone()
            }),
            Request::Send(proto::wire::Send {
                body: bytes::Bytes::new(),
                ..send
            }),
            Request::Renew(Renew {
                password: "wrong".into(),
            }),
            Request::History(proto::wire::History::default()),
        ] {
            let Body::Error(error) = app.ask(request).await else {
                panic!()
            };
            assert_eq!(
                is_chinese(&error.message),
                chinese,
                "{language}: {}",
                error.message
            );
        }
        let mut newer = fleet.connect().await;
        newer.log_in(1, "phone", &password).await;
        let bye = app.bye().await;
        assert_eq!(bye.reason(), ByeReason::Replaced);
        assert_eq!(is_chinese(&bye.detail), chinese, "{}", bye.detail);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_fails_too_often_must_wait() {
    let fleet = Fleet::start_with(&["--failed-logins-per-minute", "3"], 1).await;
    let password = fleet.password(1, "phone").await;
    // A minute may end in between, which begins the count anew.
    eventually("the address is blocked", async || {
        bye_to(&fleet, login(1, "phone", "wrong")).await == ByeReason::TooManyAttempts
    })
    .await;
    let good = bye_or_ok(&fleet, login(1, "phone", &password)).await;
    assert!(good == Some(ByeReason::TooManyAttempts) || good.is_none());
}

/// A node that restarts without Redis has lost all passwords: every user of a hospital returns at once.
#[tokio::test(flavor = "multi_thread")]
async fn the_first_failure_of_each_user_is_no_guess() {
    let fleet = Fleet::start_with(&["--failed-logins-per-minute", "3"], 1).await;
    for user in 1..=60 {
        let bye = bye_to(&fleet, login(user, "phone", "forgotten")).await;
        assert_eq!(bye, ByeReason::AuthFailed, "user {user}");
    }
    // Continued failures count as guesses. A minute may end in between, which restarts the count.
    eventually("the address has to wait", async || {
        bye_to(&fleet, login(7, "phone", "guess")).await == ByeReason::TooManyAttempts
    })
    .await;
}

async fn bye_or_ok(fleet: &Fleet, login: Login) -> Option<ByeReason> {
    let mut app = fleet.connect().await;
    match app.ask_any(Request::Login(login)).await {
        Body::Bye(bye) => Some(bye.reason()),
        _ => None,
    }
}

impl App {
    /// Sends a frame and returns the next one.
    async fn ask_any(&mut self, body: Request) -> Body {
        self.send(body).await;
        self.next().await.body.unwrap()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_newer_login_of_a_device_replaces_the_older_on_whatever_node() {
    let fleet = Fleet::start_with(&[], 2).await;
    let mut first = fleet.log_in_on(0, 1, "phone").await;
    let mut other_device = fleet.log_in_on(0, 1, "pad").await;
    let mut second = fleet.log_in_on(1, 1, "phone").await;
    assert_eq!(first.bye().await.reason(), ByeReason::Replaced);
    let mut third = fleet.log_in_on(1, 1, "phone").await;
    assert_eq!(second.bye().await.reason(), ByeReason::Replaced);
    third.nothing_came().await;
    other_device.nothing_came().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_logout_ends_the_devices_sessions_at_once_and_disabling_all() {
    let fleet = Fleet::start().await;
    let (mut phone, mut pad) = (fleet.app(1, "phone").await, fleet.app(1, "pad").await);
    let user = UserId::from_database(1);
    let logged_out = UserNotice::LoggedOut {
        device_id: "phone".into(),
        generation: fleet
            .backplane
            .revoke_im_passwords(user, "phone")
            .await
            .unwrap()
            .0,
    };
    fleet.journal.notify(user, &logged_out);
    assert_eq!(phone.bye().await.reason(), ByeReason::LoggedOut);
    pad.nothing_came().await;
    let disabled = UserNotice::Disabled {
        generation: fleet.backplane.next_generation(user).await.unwrap().0,
    };
    fleet.journal.notify(user, &disabled);
    assert_eq!(pad.bye().await.reason(), ByeReason::Disabled);
    // A repeated notice does not end a later login.
    let (mut phone, mut pad) = (fleet.app(1, "phone").await, fleet.app(1, "pad").await);
    for notice in [&logged_out, &disabled] {
        fleet.journal.notify(user, notice);
    }
    phone.nothing_came().await;
    pad.nothing_came().await;
}

// protocol: "To leave, send Logout"
// protocol: "Logout | Bye LOGGED_OUT"
#[tokio::test(flavor = "multi_thread")]
async fn logout_is_answered_and_frees_the_place() {
    let fleet = Fleet::start_with(&["--max-sessions", "1"], 1).await;
    let mut app = fleet.app(1, "phone").await;
    let password = fleet.password(2, "phone").await;
    assert_eq!(
        bye_to(&fleet, login(2, "phone", &password)).await,
        ByeReason::Overloaded
    );
    app.send(Request::Logout(Logout {})).await;
    assert_eq!(app.bye().await.reason(), ByeReason::LoggedOut);
    eventually("the place is free", async || {
        bye_or_ok(&fleet, login(2, "phone", &password)).await.is_none()
    })
    .await;
}

// protocol: "get a new password and send Renew on the same connection"
// protocol: "Renew | RenewOk"
// protocol: "Renew | AUTH_FAILED | password"
#[tokio::test(flavor = "multi_thread")]
async fn a_renewed_session_outlives_its_first_password_and_others_do_not() {
    let fleet = Fleet::start().await;
    let soon_ms = 2_500;
    let (mut kept, mut lost) = (fleet.connect().await, fleet.connect().await);
    let password = fleet.password_for(1, "kept", soon_ms).await;
    kept.log_in(1, "kept", &password).await;
    let password = fleet.password_for(1, "lost", soon_ms).await;
    lost.log_in(1, "lost", &password).await;
    let wrong = Request::Renew(Renew {
        password: "wrong".into(),
    });
    assert_eq!(
        kept.refused(wrong).await,
        (ErrorCode::AuthFailed, "password".into())
    );
    let before_ms = now_ms();
    let password = fleet.password_for(1, "kept", 60_000).await;
    let Body::RenewOk(ok) = kept.ask(Request::Renew(Renew { password })).await else {
        panic!()
    };
    lasts_a_minute(ok.expires_at_ms, before_ms);
    assert_eq!(lost.bye().await.reason(), ByeReason::Expired);
    kept.nothing_came().await;
}

// protocol: "Send something at least every heartbeat_s"
// protocol: "Ping | Pong | none"
#[tokio::test(flavor = "multi_thread")]
async fn silence_ends_a_session_and_pings_keep_it() {
    let fleet = Fleet::start_with(&["--heartbeat-s", "2"], 1).await;
    // The one that says something is the older one.
    let mut alive = fleet.log_in(1, "alive").await;
    let mut silent = fleet.log_in(1, "silent").await;
    let has_ended = AtomicBool::new(false);
    let ending = async {
        let bye = silent.bye().await;
        has_ended.store(true, Ordering::Relaxed);
        bye.reason()
    };
    let pinging = async {
        while !has_ended.load(Ordering::Relaxed) {
            alive.nothing_came().await;
            tokio::time::sleep(Duration::from_millis(300)).await;
        }
        alive.nothing_came().await;
    };
    let (reason, ()) = tokio::join!(ending, pinging);
    assert_eq!(reason, ByeReason::Idle);
}

#[tokio::test(flavor = "multi_thread")]
async fn too_many_logins_or_connections_get_a_spread_time_to_return() {
    let fleet = Fleet::start_with(&["--logins-per-s", "1", "--connections-per-address", "3"], 1).await;
    let _first = fleet.log_in(1, "phone").await;
    let password = fleet.password(2, "phone").await;
    // On a slow machine a second may have passed since.
    eventually("one login a second is let in", async || {
        let mut app = fleet.connect().await;
        match app.ask(Request::Login(login(2, "phone", &password))).await {
            Body::Bye(bye) => {
                assert_eq!(bye.reason(), ByeReason::Overloaded);
                assert!(bye.retry_after_ms >= 1_000);
                true
            }
            _ => false,
        }
    })
    .await;
    // All but three are turned away, and those who have logged in are none of the three.
    let mut apps = Vec::new();
    for _ in 0..10 {
        apps.push(fleet.connect().await);
    }
    let mut turned_away: FuturesUnordered<_> = apps.iter_mut().map(App::bye).collect();
    for _ in 0..7 {
        let bye = turned_away.next().await.unwrap();
        assert_eq!(bye.reason(), ByeReason::Overloaded);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn while_the_backplane_is_away_nobody_is_let_in_unchecked_and_sessions_go_on() {
    let fleet = Fleet::start().await;
    let consult = fleet.consult().await;
    let password = fleet.password(2, "pad").await;
    let (mut patient, mut phone) = (fleet.app(1, "phone").await, fleet.app(1, "other").await);
    let backplane::Backplane::Memory(memory) = &fleet.backplane else {
        panic!("not in memory")
    };
    memory.set_away(true);
    assert_eq!(
        bye_to(&fleet, login(2, "pad", &password)).await,
        ByeReason::Unavailable
    );
    patient.say(consult, "a", "hello").await.unwrap();
    assert_eq!(phone.seqs(3).await, [1, 2, 3]);
    memory.set_away(false);
    assert_eq!(bye_or_ok(&fleet, login(2, "pad", &password)).await, None);
}
