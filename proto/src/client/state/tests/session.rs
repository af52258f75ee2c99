//! The life of a session: signs of life, passwords, goodbyes, pauses, questions.

use super::*;
use crate::bye::Advice;
use crate::client::state::Next;

// protocol: "If nothing has come from the node within 15 s of a Ping"
#[test]
fn pings_when_it_has_nothing_to_say_and_hangs_up_on_silence() {
    let mut machine = machine();
    let sync = log_in(&mut machine, at(1.0));
    finish_sync(&mut machine, at(1.0), &sync[0]);
    machine.take_output();
    assert_eq!(machine.deadline(), Some(at(31.0)));
    machine.tick(at(31.0));
    let frames = machine.take_output().frames;
    assert!(matches!(frames[0].body, Some(client_frame::Body::Ping(_))));
    let pong = server_frame::Body::Pong(wire::Pong { server_time_ms: 0 });
    machine.received(at(31.5), frame(0, pong));
    machine.tick(at(61.0));
    assert_eq!(machine.take_output().frames.len(), 1);
    assert_eq!(machine.deadline(), Some(at(76.0)));
    machine.tick(at(75.9));
    assert!(machine.take_output().hang_up.is_none());
    machine.tick(at(76.0));
    assert!(machine.take_output().hang_up.is_some());
}

#[test]
fn hangs_up_when_a_login_a_sync_or_a_message_stays_without_answer() {
    let mut machine = machine();
    machine.connected(at(1.0));
    machine.take_output();
    machine.tick(machine.deadline().unwrap());
    assert!(machine.take_output().hang_up.unwrap().contains("login"));

    let mut machine = self::machine();
    let sync = log_in(&mut machine, at(1.0));
    assert_eq!(machine.deadline(), Some(at(16.0)));
    machine.tick(at(16.0));
    assert!(machine.take_output().hang_up.unwrap().contains("Sync"));

    finish_sync(&mut machine, at(16.0), &sync[0]);
    machine.submit(at(16.0), message("a"));
    machine.take_output();
    machine.tick(at(31.0));
    assert!(machine.take_output().hang_up.unwrap().contains("message"));
}

#[test]
fn renews_the_password_in_time_on_the_same_connection() {
    let mut machine = machine();
    let sync = log_in(&mut machine, at(0.0));
    finish_sync(&mut machine, at(0.0), &sync[0]);
    machine.take_output();
    machine.tick(at(2880.0));
    assert!(machine.take_output().fetch_password);
    machine.tick(at(2881.0));
    assert!(!machine.take_output().fetch_password, "asked for once");
    let fresh = Password {
        password: "fresh".to_owned(),
        expire_s: 3600,
    };
    machine.renewed_password(at(2881.0), Some(fresh.clone()));
    let renew = machine.take_output().frames;
    assert!(matches!(&renew[0].body, Some(client_frame::Body::Renew(renew)) if renew.password == "fresh"));
    // Refused: another one is asked for, the session goes on.
    machine.received(at(2881.0), error(renew[0].request_id, ErrorCode::AuthFailed, 0));
    machine.tick(at(2882.0));
    let output = machine.take_output();
    assert!(output.fetch_password && output.hang_up.is_none());
    machine.renewed_password(at(2882.0), Some(fresh));
    let renew = machine.take_output().frames;
    let ok = wire::RenewOk {
        expires_at_ms: EPOCH_MS + (2882 + 3600) * 1000,
    };
    machine.received(
        at(2882.0),
        frame(renew[0].request_id, server_frame::Body::RenewOk(ok)),
    );
    assert!(!machine.needs_password(at(6000.0)), "good for the next login too");
    machine.tick(at(5761.0));
    assert!(!machine.take_output().fetch_password);
    machine.tick(at(5762.0));
    assert!(machine.take_output().fetch_password);
}

#[test]
fn a_directory_that_is_away_does_not_end_the_session() {
    let mut machine = machine();
    let sync = log_in(&mut machine, at(0.0));
    finish_sync(&mut machine, at(0.0), &sync[0]);
    machine.tick(at(2880.0));
    machine.take_output();
    machine.renewed_password(at(2881.0), None);
    machine.tick(at(2891.0));
    let output = machine.take_output();
    assert!(output.fetch_password && output.hang_up.is_none());
}

// protocol: "After a Bye 100–199 continue at 1"
// protocol: "After a Bye 200–299 stay away"
#[test]
fn does_after_a_goodbye_what_its_number_says() {
    for (reason, retry_after_ms, advice, next, fresh) in [
        (
            ByeReason::Draining,
            1500,
            Advice::ComeBack,
            Next::ComeBack(at(1.5)),
            false,
        ),
        (
            ByeReason::Expired,
            0,
            Advice::NewPassword,
            Next::ComeBack(at(0.5)),
            true,
        ),
        (
            ByeReason::TooManyAttempts,
            60_000,
            Advice::NewPassword,
            Next::ComeBack(at(60.0)),
            true,
        ),
        (ByeReason::Replaced, 1500, Advice::StayAway, Next::StayAway, false),
        (ByeReason::BadFrame, 0, Advice::StayAway, Next::StayAway, false),
    ] {
        let mut machine = machine();
        let sync = log_in(&mut machine, at(1.0));
        finish_sync(&mut machine, at(1.0), &sync[0]);
        machine.take_output();
        machine.received(at(2.0), bye(reason, retry_after_ms));
        let output = machine.take_output();
        assert!(output.hang_up.is_some());
        assert!(matches!(&output.events[..], [Event::Bye { advice: found, .. }] if *found == advice));
        assert_eq!(machine.disconnected(String::new(), 1.0), next, "{reason:?}");
        assert_eq!(machine.needs_password(at(2.0)), fresh, "{reason:?}");
    }
}

// protocol: "the next failure counts as the first"
#[test]
fn waits_longer_from_failure_to_failure_until_a_sync_is_complete() {
    let mut machine = machine();
    let mut delays = Vec::new();
    for _ in 0..4 {
        log_in(&mut machine, at(1.0));
        let Next::ComeBack(delay) = machine.disconnected("cut".to_owned(), 1.0) else {
            panic!("stays away")
        };
        delays.push(delay.as_millis());
    }
    assert_eq!(delays, [500, 1000, 2000, 4000]);
    machine.take_output();
    let sync = log_in(&mut machine, at(9.0));
    finish_sync(&mut machine, at(9.0), &sync[0]);
    assert_eq!(
        machine.disconnected("cut".to_owned(), 1.0),
        Next::ComeBack(at(0.5))
    );
}

/// Connects with the password at hand, or with a new one when that is gone; the node answers the login with AUTH_FAILED.
fn refused_login(machine: &mut Machine, now: Duration) -> Next {
    if machine.needs_password(now) {
        let password = "secret".to_owned();
        machine.password(
            now,
            Password {
                password,
                expire_s: 3600,
            },
        );
    }
    machine.connected(now);
    machine.received(now, bye(ByeReason::AuthFailed, 0));
    machine.disconnected(String::new(), 1.0)
}

// protocol: "So get a new password and try again at once"
// protocol: "Bye AUTH_FAILED to a password that was accepted before"
// protocol: "AUTH_FAILED to a password that a node has accepted before"
#[test]
fn fetches_a_forgotten_password_anew_and_tries_at_once_but_only_once() {
    let mut machine = machine();
    let sync = log_in(&mut machine, at(1.0));
    finish_sync(&mut machine, at(1.0), &sync[0]);
    assert_eq!(
        machine.disconnected("cut".to_owned(), 1.0),
        Next::ComeBack(at(0.5))
    );
    assert_eq!(
        machine.disconnected("refused".to_owned(), 1.0),
        Next::ComeBack(at(1.0)),
        "nobody listens"
    );
    assert!(!machine.needs_password(at(3.0)));
    assert_eq!(
        refused_login(&mut machine, at(3.0)),
        Next::ComeBack(Duration::ZERO)
    );
    assert!(machine.needs_password(at(3.0)));
    assert_eq!(refused_login(&mut machine, at(3.0)), Next::ComeBack(at(2.0)));
    assert_eq!(refused_login(&mut machine, at(5.0)), Next::ComeBack(at(4.0)));
    // Once a node has accepted a password, the next restart is met at once again.
    refused_login(&mut machine, at(9.0));
    machine.password(
        at(20.0),
        Password {
            password: "secret".to_owned(),
            expire_s: 3600,
        },
    );
    machine.take_output();
    let sync = log_in(&mut machine, at(20.0));
    finish_sync(&mut machine, at(20.0), &sync[0]);
    assert_eq!(
        refused_login(&mut machine, at(30.0)),
        Next::ComeBack(Duration::ZERO)
    );
}

#[test]
fn a_password_that_no_node_ever_took_is_not_tried_again_at_once() {
    let mut machine = machine();
    assert_eq!(refused_login(&mut machine, at(1.0)), Next::ComeBack(at(0.5)));
    assert_eq!(refused_login(&mut machine, at(2.0)), Next::ComeBack(at(1.0)));
}

#[test]
fn a_question_is_answered_once_or_fails_with_its_connection() {
    let mut machine = machine();
    let question = || client_frame::Body::History(wire::History::default());
    assert!(machine.ask(at(0.0), question()).is_none(), "not connected");
    log_in(&mut machine, at(1.0));
    let first = machine.ask(at(1.0), question()).unwrap();
    let second = machine.ask(at(1.0), question()).unwrap();
    let third = machine.ask(at(1.0), question()).unwrap();
    let page = server_frame::Body::HistoryPage(wire::HistoryPage::default());
    machine.received(at(1.1), frame(first, page.clone()));
    machine.received(at(1.1), frame(first, page));
    machine.received(at(1.1), error(second, ErrorCode::NoAccess, 0));
    machine.disconnected("cut".to_owned(), 0.0);
    let answers = machine.take_output().answers;
    assert_eq!(
        answers.iter().map(|(id, _)| *id).collect::<Vec<_>>(),
        [first, second, third]
    );
    assert!(answers[0].1.is_ok() && answers[1].1.is_err() && answers[2].1.is_err());
}

#[test]
fn logging_out_tells_the_node_and_stays_away() {
    let mut machine = machine();
    log_in(&mut machine, at(1.0));
    assert!(machine.leave());
    assert!(matches!(
        machine.take_output().frames[0].body,
        Some(client_frame::Body::Logout(_))
    ));
    machine.received(at(1.1), bye(ByeReason::LoggedOut, 0));
    let output = machine.take_output();
    assert!(output.hang_up.is_some());
    assert!(output.events.is_empty(), "it is no news");
    assert_eq!(machine.disconnected("closed".to_owned(), 0.0), Next::StayAway);
    assert!(!machine.leave(), "nobody to tell");
}

#[test]
fn a_password_about_to_expire_is_not_used() {
    let machine = machine();
    assert!(!machine.needs_password(at(3580.0)));
    assert!(machine.needs_password(at(3595.0)));
}

// protocol: "A Sync that fails (Error UNAVAILABLE) is repeated"
#[test]
fn a_sync_that_fails_is_repeated_after_the_pause_that_the_node_asks_for() {
    let mut machine = machine();
    let syncs = |frames: &[ClientFrame]| {
        let is_sync = |frame: &&ClientFrame| matches!(frame.body, Some(client_frame::Body::Sync(_)));
        frames.iter().filter(is_sync).count()
    };
    let frames = log_in(&mut machine, at(1.0));
    machine.received(at(2.0), error(frames[0].request_id, ErrorCode::Unavailable, 700));
    assert_eq!(machine.deadline(), Some(at(2.7)));
    machine.tick(at(2.69));
    assert_eq!(syncs(&machine.take_output().frames), 0);
    machine.tick(at(2.7));
    let again = machine.take_output().frames;
    assert_eq!(syncs(&again), 1);
    finish_sync(&mut machine, at(3.0), &again[0]);
    assert_eq!(machine.take_output().events, [Event::Synced { synced_ms: 99 }]);
}

// protocol: "Store the synced_ms of the first part when the last one is complete"
#[test]
fn the_mark_of_a_sync_in_parts_is_that_of_its_first_part() {
    let copies = (1..=4_000).map(|id| {
        (
            id,
            Copy {
                epoch: 1,
                have_seq: 1,
            },
        )
    });
    let mut machine = with(Snapshot {
        copies: copies.collect(),
        synced_ms: 5,
    });
    let mut frames = log_in(&mut machine, at(1.0));
    let mut parts = 0;
    while let Some(ClientFrame {
        request_id,
        body: Some(client_frame::Body::Sync(sync)),
    }) = frames.first()
    {
        assert_eq!(sync.updated_since_ms, 5, "until the last part is complete");
        parts += 1;
        let done = wire::SyncDone {
            more: false,
            synced_ms: 100 * parts,
        };
        machine.received(at(2.0), frame(*request_id, server_frame::Body::SyncDone(done)));
        let output = machine.take_output();
        let synced = [Event::Synced { synced_ms: 100 }];
        assert_eq!(output.events, synced[..usize::from(output.frames.is_empty())]);
        frames = output.frames;
    }
    assert_eq!(parts, 3);
}
