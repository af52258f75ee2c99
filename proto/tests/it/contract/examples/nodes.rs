//! Frames from nodes.

use bytes::Bytes;
use proto::wire::{
    Bye, ByeReason, CallSignal, CallSignalKind, Conversation, ConversationKind, Deadline, DeadlineEvent,
    Entry, EntryKind, Error, ErrorCode, Hidden, HistoryPage, LoginOk, Mark, Marks, Participant,
    ParticipantEvent, Platform, Pong, PresenceState, RecallOk, RefundEvent, RenewOk, Role, SendOk,
    StatusEvent, SyncDone, Typing, UserPresence, VasEvent, entry, server_frame,
};

use super::{CONVERSATION, DOCTOR, Example, NOW_MS, PATIENT, event, server, text};

pub(crate) fn from_nodes() -> Vec<Example> {
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
                    ..ParticipantEvent::default()
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
                    ..StatusEvent::default()
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
            "entry.status_changed.earned",
            "In a team with a price: the consult was finished, and the team has earned what the patient paid.",
            0,
            Body::Entry(event(
                12,
                EntryKind::StatusChanged,
                entry::Event::Status(StatusEvent {
                    status: "finished".into(),
                    open: false,
                    price_fen: 2000,
                    charge_state: "earned".into(),
                    ..StatusEvent::default()
                }),
            )),
        ),
        server(
            "entry.refunded",
            "The team's owner gave half of the price of service 88 back.",
            0,
            Body::Entry(event(
                13,
                EntryKind::Refunded,
                entry::Event::Refund(RefundEvent {
                    refund_id: 5,
                    vas_id: 88,
                    amount_fen: 4950,
                }),
            )),
        ),
        server(
            "entry.participant_joined.history",
            "A doctor was brought in, and reads the conversation from its first entry.",
            0,
            Body::Entry(event(
                16,
                EntryKind::ParticipantJoined,
                entry::Event::Participant(ParticipantEvent {
                    user_id: DOCTOR,
                    role: Role::Doctor.into(),
                    name: "李医生".into(),
                    title: "主治医师".into(),
                    photo: "media:57".into(),
                    sees_from_seq: 1,
                }),
            )),
        ),
        server(
            "entry.deadline",
            "A doctor has answered in time.",
            0,
            Body::Entry(event(
                14,
                EntryKind::Deadline,
                entry::Event::Deadline(DeadlineEvent {
                    kind: "first_answer".into(),
                    due_ms: NOW_MS + 600_000,
                    state: "met".into(),
                }),
            )),
        ),
        server(
            "entry.status_changed.silence",
            "Nothing was written for days: the consult has ended by itself.",
            0,
            Body::Entry(event(
                15,
                EntryKind::StatusChanged,
                entry::Event::Status(StatusEvent {
                    status: "finished".into(),
                    open: false,
                    cause: "silence".into(),
                    ..StatusEvent::default()
                }),
            )),
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
                        ..Participant::default()
                    },
                    Participant {
                        user_id: DOCTOR,
                        role: Role::Doctor.into(),
                        ..Participant::default()
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
                deadline: None,
            }),
        ),
        server(
            "conversation.deadline",
            "A conversation with the names of its participants, which ends by itself when nothing is written.",
            0,
            Body::Conversation(Conversation {
                conversation_id: CONVERSATION,
                epoch: 1,
                kind: ConversationKind::Consult.into(),
                title: "产科团队".into(),
                participants: vec![Participant {
                    user_id: DOCTOR,
                    role: Role::Doctor.into(),
                    name: "李医生".into(),
                    title: "主治医师".into(),
                    photo: "media:57".into(),
                }],
                participant_count: 1,
                last_seq: 9,
                read_seq: 9,
                open: true,
                consultation_id: CONVERSATION,
                deadline: Some(Deadline {
                    kind: "silence_end".into(),
                    due_ms: NOW_MS + 172_800_000,
                }),
                ..Conversation::default()
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
            "hidden",
            "The user has taken a conversation off their lists, on another device; an entry after 9 brings it back.",
            0,
            Body::Hidden(Hidden {
                conversation_id: CONVERSATION,
                through_seq: 9,
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
