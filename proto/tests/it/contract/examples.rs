//! One example of every frame, and of every structured body.

use bytes::Bytes;
use prost::Message;
use proto::wire::{
    AdviceCard, Audio, Bye, ByeReason, CallCard, CallSignal, CallSignalKind, ClientFrame, ConsultCard,
    Conversation, ConversationKind, Entry, EntryKind, Error, ErrorCode, File, History, HistoryPage, Image,
    Location, Login, LoginOk, Logout, Mark, Marks, Notice, Participant, ParticipantEvent, Ping, Platform,
    Pong, PresenceQuery, PresenceState, Read, Recall, RecallOk, Received, Renew, RenewOk, Role, Send, SendOk,
    ServerFrame, StatusEvent, Sync, SyncDone, SyncItem, Typing, UserPresence, VasCard, VasEvent, Video,
    client_frame, entry, server_frame,
};

use super::reflect::Sender;

/// Nobody's password: the one that the seed document shows.
const PASSWORD: &str = "3dd734329f5abcdf7dde9ba87301bb1f";
const CONVERSATION: i64 = 1001;
const PATIENT: i64 = 17;
const DOCTOR: i64 = 23;
/// 2026-11-24 08:00 in Shanghai.
const NOW_MS: i64 = 1_795_478_400_000;
const CLIENT_MSG_ID: &str = "0193b0c2-7d1e-7c5a-9a41-2f6f0f1d2a3b";

/// One frame.
pub(super) struct Example {
    pub(super) sender: Sender,
    /// Unique; the case of the envelope first.
    pub(super) name: &'static str,
    /// What happens, for people.
    pub(super) about: &'static str,
    /// The frame, without its length.
    pub(super) bytes: Vec<u8>,
}

fn client(name: &'static str, about: &'static str, request_id: u64, body: client_frame::Body) -> Example {
    let frame = ClientFrame {
        request_id,
        body: Some(body),
    };
    Example {
        sender: Sender::Client,
        name,
        about,
        bytes: frame.encode_to_vec(),
    }
}

fn server(name: &'static str, about: &'static str, request_id: u64, body: server_frame::Body) -> Example {
    let frame = ServerFrame {
        request_id,
        body: Some(body),
    };
    Example {
        sender: Sender::Server,
        name,
        about,
        bytes: frame.encode_to_vec(),
    }
}

fn text(seq: i64, sender_id: i64, body: &'static str) -> Entry {
    Entry {
        conversation_id: CONVERSATION,
        seq,
        sender_id,
        kind: EntryKind::Message.into(),
        mime_type: "text/plain".into(),
        body: Bytes::from_static(body.as_bytes()),
        created_ms: NOW_MS + seq * 1000,
        client_msg_id: CLIENT_MSG_ID.into(),
        ..Default::default()
    }
}

fn event(seq: i64, kind: EntryKind, event: entry::Event) -> Entry {
    Entry {
        conversation_id: CONVERSATION,
        seq,
        sender_id: DOCTOR,
        kind: kind.into(),
        created_ms: NOW_MS + seq * 1000,
        event: Some(event),
        ..Default::default()
    }
}

/// What an app sends.
pub(super) fn from_clients() -> Vec<Example> {
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

/// What a node sends.
pub(super) fn from_nodes() -> Vec<Example> {
    use server_frame::Body;
    vec![
        server(
            "login_ok",
            "The login is accepted.",
            1,
            Body::LoginOk(LoginOk {
                session_id: 4_213_009,
                server_time_ms: NOW_MS,
                expires_at_ms: NOW_MS + 3_600_000,
                heartbeat_s: 30,
                max_frame_bytes: 65_536,
            }),
        ),
        server(
            "renew_ok",
            "The session goes on.",
            2,
            Body::RenewOk(RenewOk {
                expires_at_ms: NOW_MS + 7_200_000,
            }),
        ),
        server(
            "pong",
            "The answer to Ping.",
            3,
            Body::Pong(Pong {
                server_time_ms: NOW_MS,
            }),
        ),
        server(
            "bye",
            "The node is being stopped: come back in 1.8 s, to another one.",
            0,
            Body::Bye(Bye {
                reason: ByeReason::Draining.into(),
                retry_after_ms: 1800,
                detail: "服务节点正在停机，请稍后重新连接".into(),
                field: String::new(),
            }),
        ),
        server(
            "error",
            "Request 5 failed.",
            5,
            Body::Error(Error {
                code: ErrorCode::RateLimited.into(),
                field: String::new(),
                message: "too many messages; wait 250 ms".into(),
                retry_after_ms: 250,
            }),
        ),
        server(
            "send_ok",
            "The message is durable as entry 8.",
            5,
            Body::SendOk(SendOk {
                conversation_id: CONVERSATION,
                seq: 8,
                created_ms: NOW_MS,
                duplicate: false,
            }),
        ),
        server(
            "entry",
            "A message.",
            0,
            Body::Entry(Entry {
                mentions: vec![DOCTOR],
                reply_to_seq: 7,
                ..text(8, PATIENT, "你好，医生")
            }),
        ),
        server(
            "entry.participant_joined",
            "A doctor was brought in.",
            0,
            Body::Entry(event(
                2,
                EntryKind::ParticipantJoined,
                entry::Event::Participant(ParticipantEvent {
                    user_id: DOCTOR,
                    role: Role::Doctor.into(),
                    name: "李医生".into(),
                }),
            )),
        ),
        server(
            "entry.status_changed",
            "The consult was finished: no more messages are taken.",
            0,
            Body::Entry(event(
                9,
                EntryKind::StatusChanged,
                entry::Event::Status(StatusEvent {
                    status: "finished".into(),
                    open: false,
                }),
            )),
        ),
        server(
            "entry.vas_proposed",
            "A doctor proposes a value-added service.",
            0,
            Body::Entry(event(
                10,
                EntryKind::VasProposed,
                entry::Event::Vas(VasEvent {
                    vas_id: 88,
                    name: "复诊".into(),
                    price_fen: 9900,
                    state: "proposed".into(),
                    doctor_id: DOCTOR,
                    description: "一次视频复诊".into(),
                }),
            )),
        ),
        server(
            "entry.recalled",
            "Entry 8 was recalled.",
            0,
            Body::Entry(Entry {
                conversation_id: CONVERSATION,
                seq: 11,
                sender_id: PATIENT,
                kind: EntryKind::Recalled.into(),
                created_ms: NOW_MS,
                corrects_seq: 8,
                ..Default::default()
            }),
        ),
        server(
            "recall_ok",
            "The message is withheld; entry 11 says so to everybody.",
            6,
            Body::RecallOk(RecallOk {
                conversation_id: CONVERSATION,
                seq: 11,
            }),
        ),
        server(
            "conversation",
            "A conversation that moved; its entries 8 and 9 follow.",
            0,
            Body::Conversation(Conversation {
                conversation_id: CONVERSATION,
                epoch: 1,
                kind: ConversationKind::Consult.into(),
                title: "产科团队".into(),
                participants: vec![
                    Participant {
                        user_id: PATIENT,
                        role: Role::Patient.into(),
                    },
                    Participant {
                        user_id: DOCTOR,
                        role: Role::Doctor.into(),
                    },
                ],
                participant_count: 2,
                last_seq: 9,
                read_seq: 7,
                unread: 1,
                open: true,
                reset: false,
                from_seq: 8,
                consultation_id: CONVERSATION,
            }),
        ),
        server(
            "sync_done",
            "Everything that Sync asked for has been sent.",
            7,
            Body::SyncDone(SyncDone {
                more: false,
                synced_ms: NOW_MS,
            }),
        ),
        server(
            "history_page",
            "Two entries, and more before them.",
            8,
            Body::HistoryPage(HistoryPage {
                conversation_id: CONVERSATION,
                entries: vec![text(39, PATIENT, "头痛"), text(40, DOCTOR, "多久了？")],
                has_more: true,
            }),
        ),
        server(
            "marks",
            "The doctor has received everything up to 8 and read up to 7.",
            0,
            Body::Marks(Marks {
                conversation_id: CONVERSATION,
                marks: vec![Mark {
                    user_id: DOCTOR,
                    received_seq: 8,
                    read_seq: 7,
                }],
            }),
        ),
        server(
            "typing",
            "The doctor is typing; forget it after 6 s.",
            0,
            Body::Typing(Typing {
                conversation_id: CONVERSATION,
                user_id: DOCTOR,
            }),
        ),
        server(
            "presence",
            "One is there, the other left an hour ago.",
            9,
            Body::Presence(PresenceState {
                users: vec![
                    UserPresence {
                        user_id: DOCTOR,
                        online: true,
                        platforms: vec![Platform::Ios.into(), Platform::Web.into()],
                        last_seen_ms: 0,
                    },
                    UserPresence {
                        user_id: 24,
                        online: false,
                        platforms: vec![],
                        last_seen_ms: NOW_MS - 3_600_000,
                    },
                ],
            }),
        ),
        server(
            "call_signal",
            "Another device of this user took the call.",
            0,
            Body::CallSignal(CallSignal {
                call_id: 301,
                kind: CallSignalKind::AnsweredElsewhere.into(),
                payload: Bytes::new(),
                user_id: PATIENT,
            }),
        ),
    ]
}

/// A structured body of a MIME type.
pub(super) struct Body {
    pub(super) mime_type: &'static str,
    /// The message's name in the .proto files.
    pub(super) message: &'static str,
    pub(super) bytes: Vec<u8>,
}

/// One example of every structured body.
pub(super) fn bodies() -> Vec<Body> {
    fn body(mime_type: &'static str, message: &'static str, content: &impl Message) -> Body {
        Body {
            mime_type,
            message,
            bytes: content.encode_to_vec(),
        }
    }
    let image = Image {
        uri: "media/7f3a".into(),
        width: 1280,
        height: 960,
        bytes: 182_044,
        thumbnail: Bytes::from_static(&[0xff, 0xd8, 0xff]),
    };
    let audio = Audio {
        uri: "media/91bc".into(),
        duration_ms: 4200,
        bytes: 33_600,
    };
    vec![
        body("image/jpeg", "Image", &image),
        body("image/png", "Image", &image),
        body("image/webp", "Image", &image),
        body("audio/aac", "Audio", &audio),
        body("audio/amr", "Audio", &audio),
        body("audio/opus", "Audio", &audio),
        body(
            "video/mp4",
            "Video",
            &Video {
                uri: "media/02dd".into(),
                duration_ms: 15_000,
                cover: "media/02de".into(),
            },
        ),
        body(
            "application/octet-stream",
            "File",
            &File {
                uri: "media/5c01".into(),
                name: "化验单.pdf".into(),
                bytes: 90_112,
                sha256: Bytes::from_static(&[0xab; 32]),
            },
        ),
        body(
            "application/vnd.huizhen.location",
            "Location",
            &Location {
                latitude: 39.9042,
                longitude: 116.4074,
                name: "医院".into(),
                address: "北京".into(),
            },
        ),
        body(
            "application/vnd.huizhen.vas",
            "VasCard",
            &VasCard {
                vas_id: 88,
                name: "复诊".into(),
                description: "一次视频复诊".into(),
                price_fen: 9900,
            },
        ),
        body(
            "application/vnd.huizhen.advice",
            "AdviceCard",
            &AdviceCard {
                title: "医嘱".into(),
                text: "多休息，一周后复查".into(),
                images: vec![],
            },
        ),
        body(
            "application/vnd.huizhen.consult",
            "ConsultCard",
            &ConsultCard {
                consultation_id: CONVERSATION,
                title: "上次的咨询".into(),
            },
        ),
        body(
            "application/vnd.huizhen.call",
            "CallCard",
            &CallCard {
                call_id: 301,
                video: true,
                duration_ms: 61_000,
                outcome: "hung_up".into(),
            },
        ),
        body(
            "application/vnd.huizhen.notice",
            "Notice",
            &Notice {
                title: "通知".into(),
                text: "明天停诊".into(),
            },
        ),
    ]
}

/// Bytes that are no frame, or none that an old program knows.
pub(super) struct Edge {
    pub(super) name: &'static str,
    /// What the receiver does.
    pub(super) outcome: &'static str,
    /// With the length in front.
    pub(super) bytes: Vec<u8>,
}

/// What a program must bear.
pub(super) fn edges() -> Vec<Edge> {
    let ping = ClientFrame {
        request_id: 3,
        body: Some(client_frame::Body::Ping(Ping {})),
    };
    let mut with_unknown_field = ping.encode_to_vec();
    // Field 900, a varint: from a protocol that is newer than this one.
    with_unknown_field.extend([0xa0, 0x38, 0x05]);
    vec![
        Edge {
            name: "empty",
            outcome: "a frame without a body: answered with Error UNSUPPORTED, request_id 0",
            bytes: framed(&[]),
        },
        Edge {
            name: "unknown_field",
            outcome: "the unknown field is skipped: this is a Ping",
            bytes: framed(&with_unknown_field),
        },
        Edge {
            name: "unknown_case",
            outcome: "request_id 3 and a body that is newer than the receiver (field 99): answered with Error UNSUPPORTED under request_id 3",
            bytes: framed(&[0x08, 0x03, 0x9a, 0x06, 0x00]),
        },
        Edge {
            name: "not_protobuf",
            outcome: "a length-delimited field that ends beyond the frame: Bye BAD_FRAME",
            bytes: framed(&[0x32, 0x7f, 0x00]),
        },
        Edge {
            name: "too_long",
            outcome: "the header announces 2 GiB: Bye BAD_FRAME, before anything is reserved or read",
            bytes: vec![0x7f, 0xff, 0xff, 0xff],
        },
    ]
}

/// Bytes with their length in front.
pub(super) fn framed(bytes: &[u8]) -> Vec<u8> {
    let mut frame = u32::try_from(bytes.len()).unwrap().to_be_bytes().to_vec();
    frame.extend_from_slice(bytes);
    frame
}
