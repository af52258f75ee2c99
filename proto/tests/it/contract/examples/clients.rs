//! Frames from apps.

use bytes::Bytes;
use proto::wire::{
    CallSignal, CallSignalKind, History, Login, Logout, Ping, Platform, PresenceQuery, Read, Recall,
    Received, Renew, Send, Sync, SyncItem, Typing, client_frame,
};

use super::{CLIENT_MSG_ID, CONVERSATION, DOCTOR, Example, NOW_MS, PASSWORD, PATIENT, client};

pub(crate) fn from_clients() -> Vec<Example> {
    use client_frame::Body;
    vec![
        client(
            "login",
            "The first frame of a connection.",
            1,
            Body::Login(Login {
                protocol_version: proto::PROTOCOL_VERSION,
                user_id: PATIENT,
                password: PASSWORD.into(),
                device_id: "phone-1".into(),
                platform: Platform::Android.into(),
                app_version: "2.4.0".into(),
                language: "zh-CN".into(),
            }),
        ),
        client(
            "renew",
            "A new password, before the old one expires.",
            2,
            Body::Renew(Renew {
                password: PASSWORD.into(),
            }),
        ),
        client("ping", "A sign of life.", 3, Body::Ping(Ping {})),
        client("logout", "The end of the session.", 4, Body::Logout(Logout {})),
        client(
            "send",
            "A text message that answers entry 7 and calls a doctor by name.",
            5,
            Body::Send(Send {
                conversation_id: CONVERSATION,
                client_msg_id: CLIENT_MSG_ID.into(),
                mime_type: "text/plain".into(),
                body: Bytes::from_static("你好，医生".as_bytes()),
                mentions: vec![DOCTOR],
                reply_to_seq: 7,
                corrects_seq: 0,
            }),
        ),
        client(
            "send.correction",
            "A message that corrects message 8.",
            15,
            Body::Send(Send {
                conversation_id: CONVERSATION,
                client_msg_id: CLIENT_MSG_ID.into(),
                mime_type: "text/plain".into(),
                body: Bytes::from_static("一天两次，不是三次".as_bytes()),
                corrects_seq: 8,
                ..Send::default()
            }),
        ),
        client(
            "recall",
            "Takes message 8 back.",
            6,
            Body::Recall(Recall {
                conversation_id: CONVERSATION,
                seq: 8,
            }),
        ),
        client(
            "sync",
            "After login: the app has entries up to 7 of one conversation.",
            7,
            Body::Sync(Sync {
                items: vec![SyncItem {
                    conversation_id: CONVERSATION,
                    epoch: 1,
                    have_seq: 7,
                }],
                updated_since_ms: NOW_MS,
                limit: 100,
                ..Default::default()
            }),
        ),
        client(
            "sync.part",
            "The second part of a Sync: the app's conversations with 1001 <= id < 9005.",
            7,
            Body::Sync(Sync {
                items: vec![SyncItem {
                    conversation_id: CONVERSATION,
                    epoch: 1,
                    have_seq: 7,
                }],
                before_conversation_id: 9005,
                from_conversation_id: CONVERSATION,
                ..Default::default()
            }),
        ),
        client(
            "history",
            "The 20 entries before entry 41.",
            8,
            Body::History(History {
                conversation_id: CONVERSATION,
                before_seq: 41,
                after_seq: 0,
                limit: 20,
            }),
        ),
        client(
            "received",
            "The app has everything up to 8; no answer is awaited.",
            0,
            Body::Received(Received {
                conversation_id: CONVERSATION,
                seq: 8,
            }),
        ),
        client(
            "read",
            "The user has read everything up to 8.",
            0,
            Body::Read(Read {
                conversation_id: CONVERSATION,
                seq: 8,
            }),
        ),
        client(
            "typing",
            "The user is typing.",
            0,
            Body::Typing(Typing {
                conversation_id: CONVERSATION,
                user_id: 0,
            }),
        ),
        client(
            "presence",
            "Who of these two is there?",
            9,
            Body::Presence(PresenceQuery {
                user_ids: vec![DOCTOR, 24],
            }),
        ),
        client(
            "call_signal",
            "Accepts a call.",
            10,
            Body::CallSignal(CallSignal {
                call_id: 301,
                kind: CallSignalKind::Accept.into(),
                payload: Bytes::from_static(b"v=0"),
                user_id: 0,
            }),
        ),
    ]
}
