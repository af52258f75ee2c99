//! Send, Recall and what everybody sees of them.

use bytes::Bytes;
use prost::Message as _;
use proto::wire::{
    EntryKind, ErrorCode, History, Image, Recall, Role, Send, client_frame::Body as Request,
    server_frame::Body,
};

use super::{app::message, fleet::Fleet};

// protocol: "Send | SendOk | NO_ACCESS"
// protocol: "SendOk does not advance have_seq"
#[tokio::test(flavor = "multi_thread")]
async fn both_sides_get_each_entry_once_and_in_order() {
    let fleet = Fleet::start().await;
    let consult = fleet.consult().await;
    let (mut patient, mut doctor) = (fleet.app(1, "phone").await, fleet.app(2, "pad").await);
    assert_eq!(
        (patient.seqs(2).await, doctor.seqs(1).await),
        (vec![1, 2], vec![2])
    );
    for at in 0..50 {
        let ok = patient.say(consult, &format!("p{at}"), "hello").await.unwrap();
        assert_eq!((ok.seq, ok.duplicate), (3 + 2 * at, false));
        assert_eq!(
            doctor
                .say(consult, &format!("d{at}"), "good day")
                .await
                .unwrap()
                .seq,
            4 + 2 * at
        );
    }
    let expected: Vec<i64> = (3..103).collect();
    assert_eq!(patient.seqs(100).await, expected);
    assert_eq!(doctor.seqs(100).await, expected);
    patient.nothing_came().await;
}

/// I4.
// protocol: "A message that is resent becomes one entry"
// protocol: "the answer carries its seq and duplicate = true"
// protocol: "Send | CONFLICT | client_msg_id"
// protocol: "unique for a sender in a conversation"
#[tokio::test(flavor = "multi_thread")]
async fn a_resend_is_answered_with_the_first_seq_and_another_body_with_an_error() {
    let fleet = Fleet::start().await;
    let consult = fleet.consult().await;
    let (mut phone, mut pad) = (fleet.app(1, "phone").await, fleet.app(1, "pad").await);
    let first = phone.say(consult, "a", "hello").await.unwrap();
    for app in [&mut phone, &mut pad] {
        let again = app.say(consult, "a", "hello").await.unwrap();
        assert_eq!(
            (again.seq, again.created_ms, again.duplicate),
            (first.seq, first.created_ms, true)
        );
        assert_eq!(app.say(consult, "a", "other").await, Err(ErrorCode::Conflict));
        assert_eq!(app.seqs(3).await, [1, 2, 3]);
        app.nothing_came().await;
    }
    // Another sender's id is another message.
    let mut doctor = fleet.app(2, "pad").await;
    assert!(!doctor.say(consult, "a", "hello").await.unwrap().duplicate);
}

/// I5: the same answer for what is not there and what is not yours.
// protocol: "all that name a conversation | NO_ACCESS"
#[tokio::test(flavor = "multi_thread")]
async fn strangers_cannot_tell_a_foreign_conversation_from_none() {
    let fleet = Fleet::start().await;
    let consult = fleet.consult().await;
    let mut stranger = fleet.app(3, "phone").await;
    for conversation in [consult, 999, 0, -1, i64::MAX] {
        let ask = |body| async { body };
        let send = ask(Request::Send(message(conversation, "a", "hello"))).await;
        assert_eq!(
            stranger.refused(send).await,
            (ErrorCode::NoAccess, "conversation_id".into()),
            "{conversation}"
        );
        let recall = Request::Recall(Recall {
            conversation_id: conversation,
            seq: 1,
        });
        assert_eq!(stranger.refused(recall).await.0, ErrorCode::NoAccess);
        let history = proto::wire::History {
            conversation_id: conversation,
            after_seq: 0,
            ..Default::default()
        };
        assert_eq!(
            stranger.refused(Request::History(history)).await.0,
            ErrorCode::NoAccess
        );
        let read = proto::wire::Read {
            conversation_id: conversation,
            seq: 1,
        };
        assert_eq!(stranger.refused(Request::Read(read)).await.0, ErrorCode::NoAccess);
        let typing = proto::wire::Typing {
            conversation_id: conversation,
            user_id: 0,
        };
        assert_eq!(
            stranger.refused(Request::Typing(typing)).await.0,
            ErrorCode::NoAccess
        );
    }
    stranger.nothing_came().await;
}

// protocol: "A body that does not match its type is refused with Error INVALID"
// protocol: "Send | INVALID | client_msg_id"
// protocol: "Send | INVALID | mime_type, body"
// protocol: "Send | FORBIDDEN | mime_type"
#[tokio::test(flavor = "multi_thread")]
async fn content_that_is_not_what_it_says_is_refused_with_the_field() {
    let fleet = Fleet::start().await;
    let consult = fleet.consult().await;
    let mut patient = fleet.app(1, "phone").await;
    let good = message(consult, "a", "hello");
    let mut bad = Vec::new();
    let mut add = |field: &str, send: Send| bad.push((field.to_owned(), send));
    add(
        "client_msg_id",
        Send {
            client_msg_id: String::new(),
            ..good.clone()
        },
    );
    add(
        "client_msg_id",
        Send {
            client_msg_id: "x".repeat(65),
            ..good.clone()
        },
    );
    add(
        "client_msg_id",
        Send {
            client_msg_id: "a\0b".into(),
            ..good.clone()
        },
    );
    add(
        "mime_type",
        Send {
            mime_type: "text".into(),
            ..good.clone()
        },
    );
    add(
        "body",
        Send {
            body: Bytes::from_static(b"\xff\xfe"),
            ..good.clone()
        },
    );
    add(
        "body",
        Send {
            body: Bytes::from_static(b"a\0b"),
            ..good.clone()
        },
    );
    add(
        "body",
        Send {
            body: Bytes::new(),
            ..good.clone()
        },
    );
    add(
        "body",
        Send {
            mime_type: "image/png".into(),
            ..good.clone()
        },
    );
    add(
        "mentions",
        Send {
            mentions: vec![1; 51],
            ..good.clone()
        },
    );
    add(
        "mentions",
        Send {
            mentions: vec![-1],
            ..good.clone()
        },
    );
    add(
        "reply_to_seq",
        Send {
            reply_to_seq: -1,
            ..good.clone()
        },
    );
    add(
        "reply_to_seq",
        Send {
            reply_to_seq: 3,
            ..good.clone()
        },
    );
    add(
        "mentions",
        Send {
            mentions: vec![2, 9],
            ..good.clone()
        },
    );
    for (field, send) in bad {
        assert_eq!(
            patient.refused(Request::Send(send)).await,
            (ErrorCode::Invalid, field)
        );
    }
    // Cards stand for records: they cannot be forged.
    for mime_type in ["vas", "advice", "consult", "call", "notice"] {
        let card = Send {
            mime_type: format!("application/vnd.huizhen.{mime_type}"),
            body: Bytes::new(),
            ..good.clone()
        };
        assert_eq!(
            patient.refused(Request::Send(card)).await,
            (ErrorCode::Forbidden, "mime_type".into()),
            "{mime_type}"
        );
    }
    // Nothing of all that was kept, and the session lives.
    assert_eq!(patient.say_as(good).await.unwrap().seq, 3);
    let unknown = Send {
        mime_type: "application/vnd.acme.x".into(),
        ..message(consult, "b", "\0")
    };
    assert_eq!(patient.say_as(unknown).await.unwrap().seq, 4);
}

// protocol: "Send, Recall | CLOSED | conversation_id"
// protocol: "A resend of an accepted message is answered with its SendOk"
#[tokio::test(flavor = "multi_thread")]
async fn a_closed_conversation_is_read_only_but_answers_resends() {
    let fleet = Fleet::start().await;
    let consult = fleet.consult().await;
    let mut patient = fleet.app(1, "phone").await;
    let first = patient.say(consult, "a", "hello").await.unwrap();
    let closed = fleet.close(consult).await;
    assert_eq!(patient.seqs(4).await, [1, 2, 3, closed]);
    assert_eq!(patient.say(consult, "b", "hello").await, Err(ErrorCode::Closed));
    assert_eq!(patient.say(consult, "a", "hello").await.unwrap().seq, first.seq);
}

/// I5: not even in the moment of being removed.
// protocol: "keeps seeing the entries up to their leaving"
#[tokio::test(flavor = "multi_thread")]
async fn who_leaves_sees_the_leaving_and_nothing_after_it() {
    let fleet = Fleet::start_with(&[], 2).await;
    let consult = fleet.consult().await;
    let mut patient = fleet.app(1, "phone").await;
    let (mut here, mut there) = (fleet.app_on(0, 2, "phone").await, fleet.app_on(1, 2, "pad").await);
    patient.say(consult, "a", "before").await.unwrap();
    let left = fleet.leave(consult, 2).await;
    patient.say(consult, "b", "between").await.unwrap();
    for doctor in [&mut here, &mut there] {
        assert_eq!(doctor.seqs(3).await, [2, 3, left]);
        assert_eq!(
            doctor.say(consult, "x", "still here?").await,
            Err(ErrorCode::NoAccess)
        );
    }
    let joined = fleet.join(consult, 2, Role::Doctor).await;
    patient.say(consult, "c", "after").await.unwrap();
    for doctor in [&mut here, &mut there] {
        assert_eq!(doctor.seqs(2).await, [joined, joined + 1]);
        doctor.nothing_came().await;
    }
}

// protocol: "Recall | INVALID | seq"
// protocol: "Recall | RecallOk"
#[tokio::test(flavor = "multi_thread")]
async fn a_recalled_body_is_nowhere_any_more() {
    let fleet = Fleet::start().await;
    let consult = fleet.consult().await;
    let (mut patient, mut doctor) = (fleet.app(1, "phone").await, fleet.app(2, "pad").await);
    let sent = patient.say(consult, "a", "a secret").await.unwrap();
    let recall = Request::Recall(Recall {
        conversation_id: consult,
        seq: sent.seq,
    });
    let refused = doctor.refused(recall.clone()).await;
    assert_eq!(refused, (ErrorCode::Forbidden, "seq".into()));
    let Body::RecallOk(ok) = patient.ask(recall.clone()).await else {
        panic!()
    };
    assert_eq!(ok.seq, sent.seq + 1);
    // Asked again it is the same.
    assert!(matches!(patient.ask(recall).await, Body::RecallOk(again) if again == ok));
    assert_eq!(doctor.seqs(2).await, [2, sent.seq]);
    let told = doctor.entry().await;
    assert_eq!(
        (told.kind(), told.corrects_seq, told.seq),
        (EntryKind::Recalled, sent.seq, ok.seq)
    );
    let mut later = fleet.app(2, "new phone").await;
    for _ in 0..3 {
        let entry = later.entry().await;
        assert!(entry.body.is_empty(), "{entry:?}");
        assert_eq!(entry.recalled, entry.seq == sent.seq);
    }
    // An event, one beyond the newest, none, and one from before the doctor joined.
    for (is_patient, seq) in [(true, 1), (true, 99), (true, 0), (false, 1), (false, 99)] {
        let recall = Request::Recall(Recall {
            conversation_id: consult,
            seq,
        });
        let app = if is_patient { &mut patient } else { &mut doctor };
        assert_eq!(
            app.refused(recall).await,
            (ErrorCode::Invalid, "seq".into()),
            "{seq}"
        );
    }
}

/// I5: a mention is of a participant, a reply to an entry that its sender sees.
// protocol: "Send | INVALID | mentions"
// protocol: "Send | INVALID | reply_to_seq"
// protocol: "50 users, each a participant at that moment"
#[tokio::test(flavor = "multi_thread")]
async fn a_mention_and_a_reply_stay_within_the_conversation() {
    let fleet = Fleet::start_with(&[], 2).await;
    let consult = fleet.consult().await;
    let (mut patient, mut doctor) = (fleet.app_on(0, 1, "phone").await, fleet.app_on(1, 2, "pad").await);
    let before = patient.say(consult, "a", "before").await.unwrap().seq;
    fleet.join(consult, 3, Role::Doctor).await;
    let mut late = fleet.app_on(1, 3, "pad").await;
    let send = |id: &str, mentions: &[i64], reply_to_seq| Send {
        mentions: mentions.to_vec(),
        reply_to_seq,
        ..message(consult, id, "hello")
    };
    patient.say_as(send("b", &[2, 3], before)).await.unwrap();
    let refused = late.refused(Request::Send(send("a", &[], before))).await;
    assert_eq!(refused, (ErrorCode::Invalid, "reply_to_seq".into()));
    late.say_as(send("b", &[1], before + 1)).await.unwrap();
    fleet.leave(consult, 3).await;
    let refused = doctor.refused(Request::Send(send("a", &[3], before))).await;
    assert_eq!(refused, (ErrorCode::Invalid, "mentions".into()));
    doctor.say_as(send("b", &[1], before)).await.unwrap();
    // An accepted message is acknowledged again, even to a sender who has left since.
    assert!(
        patient
            .say_as(send("b", &[2, 3], before))
            .await
            .unwrap()
            .duplicate
    );
}

// protocol: "History | INVALID | before_seq, after_seq, limit"
#[tokio::test(flavor = "multi_thread")]
async fn a_history_that_cannot_be_names_the_field() {
    let fleet = Fleet::start().await;
    let consult = fleet.consult().await;
    let mut patient = fleet.app(1, "phone").await;
    for (field, before_seq, after_seq, limit) in [
        ("before_seq", -1, 0, 0),
        ("after_seq", 0, -1, 0),
        ("before_seq", 2, 1, 0),
        ("limit", 2, 0, 201),
    ] {
        let history = Request::History(History {
            conversation_id: consult,
            before_seq,
            after_seq,
            limit,
        });
        assert_eq!(patient.refused(history).await, (ErrorCode::Invalid, field.into()));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_nodes_deliver_the_same_order_though_announcements_are_lost_doubled_and_swapped() {
    let mut fleet = Fleet::start_with(&["--sends-per-s", "1000"], 2).await;
    let consult = fleet.consult().await;
    let backplane::Backplane::Memory(memory) = &fleet.backplane else {
        panic!("not in memory")
    };
    let (mut count, mut kept) = (0u32, None);
    memory.set_fault(Some(Box::new(move |_, channel, payload| {
        count += 1;
        match count % 5 {
            0 => vec![],
            1 => vec![(channel, payload.clone()), (channel, payload)],
            2 => {
                kept = Some((channel, payload));
                vec![]
            }
            3 => std::iter::once((channel, payload)).chain(kept.take()).collect(),
            _ => vec![(channel, payload)],
        }
    })));
    let (mut patient, mut doctor) = (fleet.app_on(0, 1, "phone").await, fleet.app_on(1, 2, "pad").await);
    for at in 0..200 {
        patient.say(consult, &format!("p{at}"), "hello").await.unwrap();
        doctor.say(consult, &format!("d{at}"), "good day").await.unwrap();
    }
    let expected: Vec<i64> = (2..=402).collect();
    assert_eq!(doctor.seqs(401).await, expected);
    assert_eq!(patient.seqs(402).await[1..], expected);
    fleet.nodes.clear();
}

/// docs/protocol.md, "Media": a uri is opened by other people's apps.
// protocol: "names media of this service: media/ID"
// protocol: "is refused with Error INVALID, in REST with"
#[tokio::test(flavor = "multi_thread")]
async fn media_are_of_this_service() {
    let fleet = Fleet::start().await;
    let consult = fleet.consult().await;
    let (mut patient, mut doctor) = (fleet.app(1, "phone").await, fleet.app(2, "pad").await);
    doctor.seqs(1).await;
    let mut sent = 0;
    for (uri, is_taken) in [
        ("media/7f3a", true),
        ("javascript:alert(1)", false),
        ("data:image/png;base64,AA", false),
        ("file:///etc/passwd", false),
        ("https://evil.example/1.jpg", false),
        ("media/../account", false),
        ("/media/7f3a", true),
    ] {
        let image = Image {
            uri: uri.into(),
            ..Image::default()
        };
        sent += 1;
        let send = Send {
            mime_type: "image/jpeg".into(),
            body: image.encode_to_vec().into(),
            ..message(consult, &format!("m{sent}"), "")
        };
        match (patient.ask(Request::Send(send)).await, is_taken) {
            (Body::SendOk(_), true) => assert_eq!(doctor.seqs(1).await.len(), 1),
            (Body::Error(error), false) => {
                assert_eq!((error.code(), error.field.as_str()), (ErrorCode::Invalid, "body"));
            }
            (answer, _) => panic!("{uri}: {answer:?}"),
        }
    }
    doctor.nothing_came().await;
}
