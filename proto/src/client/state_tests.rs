//! The good client's rules, one by one.

use std::time::Duration;

use bytes::Bytes;

use super::copies::{Copy, Snapshot};
use super::directory::Password;
use super::event::Event;
use super::outbox::Outgoing;
use super::settings::Settings;
use super::state::{Machine, Next};
use crate::bye::Advice;
use crate::wire::{
    self, ByeReason, ClientFrame, ErrorCode, Platform, ServerFrame, client_frame, server_frame,
};

const EPOCH_MS: i64 = 1_700_000_000_000;

pub(super) fn at(seconds: f64) -> Duration {
    Duration::from_secs_f64(seconds)
}

pub(super) fn machine() -> Machine {
    with(Snapshot::default())
}

fn with(snapshot: Snapshot) -> Machine {
    let mut machine = Machine::new(Settings::new(7, "phone", Platform::Android), snapshot);
    machine.password(
        at(0.0),
        Password {
            password: "secret".to_owned(),
            expire_s: 3600,
        },
    );
    machine
}

fn frame(request_id: u64, body: server_frame::Body) -> ServerFrame {
    ServerFrame {
        request_id,
        body: Some(body),
    }
}

fn login_ok(now: Duration, expires_in_s: i64) -> ServerFrame {
    let server_time_ms = EPOCH_MS + i64::try_from(now.as_millis()).unwrap();
    frame(
        0,
        server_frame::Body::LoginOk(wire::LoginOk {
            session_id: 1,
            server_time_ms,
            expires_at_ms: server_time_ms + expires_in_s * 1000,
            heartbeat_s: 30,
            max_frame_bytes: 65536,
        }),
    )
}

/// Connects, logs in and gives the frames that follow LoginOk; the first is the Sync.
pub(super) fn log_in(machine: &mut Machine, now: Duration) -> Vec<ClientFrame> {
    machine.connected(now);
    let login = machine.take_output().frames;
    assert!(
        matches!(&login[..], [ClientFrame { body: Some(client_frame::Body::Login(login)), .. }]
        if login.password == "secret" && login.device_id == "phone" && login.user_id == 7)
    );
    machine.received(now, login_ok(now, 3600));
    machine.take_output().frames
}

pub(super) fn finish_sync(machine: &mut Machine, now: Duration, sync: &ClientFrame) {
    let done = wire::SyncDone {
        more: false,
        synced_ms: 99,
    };
    machine.received(now, frame(sync.request_id, server_frame::Body::SyncDone(done)));
}

pub(super) fn message(id: &str) -> Outgoing {
    Outgoing {
        conversation_id: 4,
        client_msg_id: id.to_owned(),
        mime_type: "text/plain".to_owned(),
        body: Bytes::from_static(b"hello"),
        mentions: Vec::new(),
        reply_to_seq: 0,
    }
}

pub(super) fn sends(frames: &[ClientFrame]) -> Vec<(u64, &str)> {
    frames
        .iter()
        .filter_map(|frame| match &frame.body {
            Some(client_frame::Body::Send(send)) => Some((frame.request_id, send.client_msg_id.as_str())),
            _ => None,
        })
        .collect()
}

pub(super) fn send_ok(request_id: u64, seq: i64, duplicate: bool) -> ServerFrame {
    let ok = wire::SendOk {
        conversation_id: 4,
        seq,
        created_ms: 0,
        duplicate,
    };
    frame(request_id, server_frame::Body::SendOk(ok))
}

pub(super) fn error(request_id: u64, code: ErrorCode, retry_after_ms: u32) -> ServerFrame {
    let error = wire::Error {
        code: code as i32,
        retry_after_ms,
        ..wire::Error::default()
    };
    frame(request_id, server_frame::Body::Error(error))
}

fn bye(reason: ByeReason, retry_after_ms: u32) -> ServerFrame {
    let bye = wire::Bye {
        reason: reason as i32,
        retry_after_ms,
        ..wire::Bye::default()
    };
    frame(0, server_frame::Body::Bye(bye))
}

#[test]
fn syncs_after_login_with_what_the_app_has() {
    let snapshot = Snapshot {
        copies: [(
            4,
            Copy {
                epoch: 2,
                have_seq: 17,
            },
        )]
        .into(),
        synced_ms: 55,
    };
    let mut machine = with(snapshot);
    let frames = log_in(&mut machine, at(1.0));
    let [
        ClientFrame {
            body: Some(client_frame::Body::Sync(sync)),
            ..
        },
    ] = &frames[..]
    else {
        panic!("{frames:?}")
    };
    assert_eq!(sync.updated_since_ms, 55);
    assert_eq!(
        sync.items,
        [wire::SyncItem {
            conversation_id: 4,
            epoch: 2,
            have_seq: 17
        }]
    );
}

#[test]
fn syncs_again_while_there_is_more() {
    let mut machine = machine();
    let frames = log_in(&mut machine, at(1.0));
    let entry = wire::Entry {
        conversation_id: 4,
        seq: 50,
        ..wire::Entry::default()
    };
    machine.received(at(1.0), frame(0, server_frame::Body::Entry(entry)));
    let more = wire::SyncDone {
        more: true,
        synced_ms: 0,
    };
    machine.received(
        at(1.1),
        frame(frames[0].request_id, server_frame::Body::SyncDone(more)),
    );
    let output = machine.take_output();
    let [
        ClientFrame {
            body: Some(client_frame::Body::Sync(sync)),
            ..
        },
    ] = &output.frames[..]
    else {
        panic!("{output:?}")
    };
    assert_eq!(sync.items[0].have_seq, 50);
    assert!(
        !output
            .events
            .iter()
            .any(|event| matches!(event, Event::Synced { .. }))
    );
    finish_sync(&mut machine, at(1.2), &output.frames[0]);
    assert_eq!(machine.take_output().events, [Event::Synced { synced_ms: 99 }]);
}

#[test]
fn drops_what_the_app_has() {
    let mut machine = machine();
    log_in(&mut machine, at(1.0));
    machine.take_output();
    for seq in [1, 2, 2, 1, 3] {
        let entry = wire::Entry {
            conversation_id: 4,
            seq,
            ..wire::Entry::default()
        };
        machine.received(at(1.0), frame(0, server_frame::Body::Entry(entry)));
    }
    let seqs: Vec<i64> = machine
        .take_output()
        .events
        .iter()
        .filter_map(|event| match event {
            Event::Entry(entry) => Some(entry.seq),
            _ => None,
        })
        .collect();
    assert_eq!(seqs, [1, 2, 3]);
}

#[test]
fn resends_what_was_not_acknowledged_under_the_same_name_and_in_order() {
    let mut machine = machine();
    machine.submit(at(0.5), message("a"));
    machine.submit(at(0.5), message("b"));
    machine.submit(at(0.5), message("c"));
    assert!(machine.take_output().frames.is_empty());
    let frames = log_in(&mut machine, at(1.0));
    let first = sends(&frames);
    assert_eq!(
        first.iter().map(|(_, id)| *id).collect::<Vec<_>>(),
        ["a", "b", "c"]
    );
    machine.received(at(1.1), send_ok(first[1].0, 12, false));
    machine.disconnected("cut".to_owned(), 0.5);
    machine.take_output();
    let frames = log_in(&mut machine, at(2.0));
    let again = sends(&frames);
    assert_eq!(again.iter().map(|(_, id)| *id).collect::<Vec<_>>(), ["a", "c"]);
    // An answer to the number of the first attempt means nothing on this connection.
    machine.received(at(2.1), send_ok(first[0].0, 13, false));
    assert!(machine.take_output().events.is_empty());
    machine.received(at(2.1), send_ok(again[0].0, 11, true));
    assert_eq!(
        machine.take_output().events,
        [Event::Sent {
            client_msg_id: "a".to_owned(),
            conversation_id: 4,
            seq: 11,
            created_ms: 0,
            duplicate: true
        }]
    );
}

#[test]
fn tries_again_what_could_not_be_taken_now_and_gives_up_what_is_refused() {
    let mut machine = machine();
    let sync = log_in(&mut machine, at(1.0));
    finish_sync(&mut machine, at(1.0), &sync[0]);
    for id in ["a", "b", "c"] {
        machine.submit(at(1.0), message(id));
    }
    let frames = machine.take_output().frames;
    let numbers = sends(&frames);
    machine.received(at(1.1), error(numbers[0].0, ErrorCode::RateLimited, 700));
    machine.received(at(1.1), error(numbers[1].0, ErrorCode::Unavailable, 0));
    machine.received(at(1.1), error(numbers[2].0, ErrorCode::Closed, 0));
    machine.submit(at(1.2), message("d"));
    let output = machine.take_output();
    assert!(output.frames.is_empty(), "held back, so that the order is kept");
    let told: Vec<(&str, ErrorCode)> = output.events.iter().filter_map(delayed_or_failed).collect();
    assert_eq!(
        told,
        [
            ("a", ErrorCode::RateLimited),
            ("b", ErrorCode::Unavailable),
            ("c", ErrorCode::Closed)
        ]
    );
    assert_eq!(machine.deadline(), Some(at(1.8)));
    machine.tick(at(1.7));
    assert!(machine.take_output().frames.is_empty());
    machine.tick(at(1.8));
    assert_eq!(ids(&machine.take_output().frames), ["a"]);
    assert_eq!(machine.deadline(), Some(at(2.1)));
    machine.tick(at(2.1));
    assert_eq!(ids(&machine.take_output().frames), ["b", "d"]);
}

fn delayed_or_failed(event: &Event) -> Option<(&str, ErrorCode)> {
    match event {
        Event::SendDelayed {
            client_msg_id, error, ..
        } if error.retry_after_ms > 0 || error.code() == ErrorCode::Unavailable => {
            Some((client_msg_id, error.code()))
        }
        Event::SendFailed {
            client_msg_id, error, ..
        } => Some((client_msg_id, error.code())),
        _ => None,
    }
}

pub(super) fn ids(frames: &[ClientFrame]) -> Vec<&str> {
    sends(frames).into_iter().map(|(_, id)| id).collect()
}

#[test]
fn keeps_a_bound_on_what_is_on_its_way_and_on_what_waits() {
    let mut machine = machine();
    let sync = log_in(&mut machine, at(1.0));
    finish_sync(&mut machine, at(1.0), &sync[0]);
    let mut taken = 0;
    while machine.has_room() {
        machine.submit(at(1.0), message(&taken.to_string()));
        taken += 1;
    }
    assert_eq!(taken, super::outbox::CAPACITY);
    let frames = machine.take_output().frames;
    let first = sends(&frames);
    assert_eq!(first.len(), super::outbox::MAX_IN_FLIGHT);
    machine.received(at(1.1), send_ok(first[0].0, 1, false));
    assert!(machine.has_room());
    assert_eq!(sends(&machine.take_output().frames).len(), 1);
}

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

#[test]
fn does_after_a_goodbye_what_its_number_says() {
    for (reason, told_ms, advice, next, fresh) in [
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
        machine.received(at(2.0), bye(reason, told_ms));
        let output = machine.take_output();
        assert!(output.hang_up.is_some());
        assert!(matches!(&output.events[..], [Event::Bye { advice: told, .. }] if *told == advice));
        assert_eq!(machine.disconnected(String::new(), 1.0), next, "{reason:?}");
        assert_eq!(machine.needs_password(at(2.0)), fresh, "{reason:?}");
    }
}

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
