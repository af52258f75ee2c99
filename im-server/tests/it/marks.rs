//! Received, Read, Typing, Presence.

use proto::wire::{
    ErrorCode, Platform, PresenceQuery, Read, Received, Role, Sync, SyncItem, Typing,
    client_frame::Body as Request, server_frame::Body,
};

use super::fleet::Fleet;

// protocol: "Received, Read | none; the others get Marks"
// protocol: "Each is cumulative"
#[tokio::test(flavor = "multi_thread")]
async fn marks_reach_the_others_and_the_own_devices_and_clear_unread() {
    let fleet = Fleet::start_with(&[], 2).await;
    let consult = fleet.consult().await;
    let mut patient = fleet.app_on(0, 1, "phone").await;
    let (mut pad, mut phone) = (fleet.app_on(1, 2, "pad").await, fleet.app_on(0, 2, "phone").await);
    patient.say(consult, "a", "hello").await.unwrap();
    patient.say(consult, "b", "hello").await.unwrap();
    // A node accepts no mark beyond the entries that it has.
    assert_eq!(pad.seqs(3).await, [2, 3, 4]);
    const TOLD: usize = 40;
    for at in 0..TOLD {
        let seq = if at < TOLD / 2 { 2 } else { 3 };
        pad.send(Request::Received(Received {
            conversation_id: consult,
            seq: seq + 1,
        }))
        .await;
        pad.send(Request::Read(Read {
            conversation_id: consult,
            seq,
        }))
        .await;
    }
    for app in [&mut patient, &mut pad, &mut phone] {
        // They are passed on once a second, which may be in the middle of it.
        for frames in 1.. {
            let Some(Body::Marks(marks)) = app.next().await.body else {
                panic!()
            };
            assert_eq!((marks.conversation_id, marks.marks.len()), (consult, 1));
            let mark = &marks.marks[0];
            assert_eq!(mark.user_id, 2);
            if (mark.received_seq, mark.read_seq) == (4, 3) {
                assert!(frames < TOLD / 2, "merged into {frames}");
                break;
            }
        }
    }
    let copy = SyncItem {
        conversation_id: consult,
        epoch: 1,
        have_seq: 2,
    };
    let mut later = fleet.log_in(2, "new").await;
    let (conversations, _) = later
        .sync(Sync {
            items: vec![copy],
            ..Default::default()
        })
        .await;
    assert_eq!((conversations[0].read_seq, conversations[0].unread), (3, 1));
}

// protocol: "Received, Read | INVALID | seq"
#[tokio::test(flavor = "multi_thread")]
async fn a_mark_beyond_the_end_is_refused() {
    let fleet = Fleet::start().await;
    let consult = fleet.consult().await;
    let mut app = fleet.app(1, "phone").await;
    let read = |seq| {
        Request::Read(Read {
            conversation_id: consult,
            seq,
        })
    };
    assert_eq!(app.refused(read(3)).await, (ErrorCode::Invalid, "seq".into()));
    assert_eq!(app.refused(read(-1)).await, (ErrorCode::Invalid, "seq".into()));
}

// protocol: "Frames that the node sends unasked carry 0"
// protocol: "Typing | none; the others get Typing"
#[tokio::test(flavor = "multi_thread")]
async fn typing_goes_to_the_others_only() {
    let fleet = Fleet::start_with(&[], 2).await;
    let consult = fleet.consult().await;
    let (mut patient, mut own) = (fleet.app_on(0, 1, "phone").await, fleet.app_on(0, 1, "pad").await);
    let mut doctor = fleet.app_on(1, 2, "pad").await;
    patient
        .send(Request::Typing(Typing {
            conversation_id: consult,
            user_id: 99,
        }))
        .await;
    let Some(Body::Typing(typing)) = doctor.next().await.body else {
        panic!()
    };
    assert_eq!((typing.conversation_id, typing.user_id), (consult, 1));
    own.seqs(2).await;
    own.nothing_came().await;
}

/// A session that has not synced is in no room; its user is in the conversation all the same.
// protocol: "Typing | none; the others get Typing"
#[tokio::test(flavor = "multi_thread")]
async fn typing_before_the_first_sync_reaches_the_others_of_each_node() {
    let fleet = Fleet::start_with(&[], 2).await;
    let consult = fleet.consult().await;
    let empty = fleet.conversation(&[(1, Role::Patient), (3, Role::Doctor)]).await;
    let typing = |conversation_id| {
        Request::Typing(Typing {
            conversation_id,
            user_id: 0,
        })
    };
    let mut doctor = fleet.app_on(1, 2, "pad").await;
    for node in 0..2 {
        let mut patient = fleet.log_in_on(node, 1, &format!("phone {node}")).await;
        patient.send(typing(consult)).await;
        let Some(Body::Typing(typed)) = doctor.next().await.body else {
            panic!()
        };
        assert_eq!((typed.conversation_id, typed.user_id), (consult, 1));
        patient.send(typing(empty)).await;
        patient.nothing_came().await;
    }
    let mut stranger = fleet.log_in(4, "phone").await;
    for conversation in [consult, consult + 100] {
        let refused = stranger.refused(typing(conversation)).await;
        assert_eq!(refused, (ErrorCode::NoAccess, "conversation_id".into()));
    }
    fleet.leave(consult, 1).await;
    let mut former = fleet.log_in(1, "watch").await;
    assert_eq!(former.refused(typing(consult)).await.0, ErrorCode::NoAccess);
    assert_eq!(doctor.seqs(2).await, [2, 3]);
    doctor.nothing_came().await;
}

// protocol: "PresenceQuery | INVALID | user_ids"
// protocol: "users in a PresenceQuery | 100"
// protocol: "PresenceQuery | Presence"
#[tokio::test(flavor = "multi_thread")]
async fn presence_is_told_of_people_one_shares_a_conversation_with() {
    let fleet = Fleet::start().await;
    fleet.consult().await;
    let (mut patient, _doctor) = (fleet.app(1, "phone").await, fleet.app(2, "pad").await);
    let _stranger = fleet.app(3, "phone").await;
    let query = Request::Presence(PresenceQuery {
        user_ids: vec![2, 3, 0, -5, 2, 2],
    });
    let Body::Presence(state) = patient.ask(query).await else {
        panic!()
    };
    assert_eq!(state.users.len(), 1);
    assert_eq!((state.users[0].user_id, state.users[0].online), (2, true));
    assert_eq!(state.users[0].platforms, [Platform::Android as i32]);
    let many = Request::Presence(PresenceQuery {
        user_ids: vec![2; 101],
    });
    assert_eq!(
        patient.refused(many).await,
        (ErrorCode::Invalid, "user_ids".into())
    );
}
