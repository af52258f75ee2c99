//! The good client's rules, one by one; here what it syncs.

mod order;
mod sending;
mod session;

use std::time::Duration;

use bytes::Bytes;

use super::{Copy, Machine, Outgoing, Snapshot};
use crate::client::directory::Password;
use crate::client::event::Event;
use crate::client::settings::Settings;
use crate::wire::{
    self, ByeReason, ClientFrame, ErrorCode, Platform, ServerFrame, client_frame, server_frame,
};

const EPOCH_MS: i64 = 1_700_000_000_000;

fn at(seconds: f64) -> Duration {
    Duration::from_secs_f64(seconds)
}

fn machine() -> Machine {
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

/// Connects and logs in; returns the frames that follow LoginOk. The first is the Sync.
fn log_in(machine: &mut Machine, now: Duration) -> Vec<ClientFrame> {
    machine.connected(now);
    let login = machine.take_output().frames;
    assert!(
        matches!(&login[..], [ClientFrame { body: Some(client_frame::Body::Login(login)), .. }]
        if login.password == "secret" && login.device_id == "phone" && login.user_id == 7)
    );
    machine.received(now, login_ok(now, 3600));
    machine.take_output().frames
}

fn finish_sync(machine: &mut Machine, now: Duration, sync: &ClientFrame) {
    let done = wire::SyncDone {
        more: false,
        synced_ms: 99,
    };
    machine.received(now, frame(sync.request_id, server_frame::Body::SyncDone(done)));
}

fn message(id: &str) -> Outgoing {
    Outgoing {
        conversation_id: 4,
        client_msg_id: id.to_owned(),
        mime_type: "text/plain".to_owned(),
        body: Bytes::from_static(b"hello"),
        mentions: Vec::new(),
        reply_to_seq: 0,
        corrects_seq: 0,
    }
}

fn sends(frames: &[ClientFrame]) -> Vec<(u64, &str)> {
    frames
        .iter()
        .filter_map(|frame| match &frame.body {
            Some(client_frame::Body::Send(send)) => Some((frame.request_id, send.client_msg_id.as_str())),
            _ => None,
        })
        .collect()
}

fn send_ok(request_id: u64, seq: i64, duplicate: bool) -> ServerFrame {
    let ok = wire::SendOk {
        conversation_id: 4,
        seq,
        created_ms: 0,
        duplicate,
    };
    frame(request_id, server_frame::Body::SendOk(ok))
}

fn error(request_id: u64, code: ErrorCode, retry_after_ms: u32) -> ServerFrame {
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

fn ids(frames: &[ClientFrame]) -> Vec<&str> {
    sends(frames).into_iter().map(|(_, id)| id).collect()
}

// protocol: "Send Sync with an item"
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
