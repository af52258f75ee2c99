//! Doctors who are brought in while their apps listen, or are away: they read the case, and no entry is lost or doubled.

use proto::wire::{
    ErrorCode, History, Role, Sync, SyncItem, client_frame::Body as Request, entry::Event, server_frame::Body,
};

use super::{app::App, fleet::Fleet};

/// The next frame, which announces a conversation.
async fn announced(app: &mut App) -> proto::wire::Conversation {
    loop {
        if let Some(Body::Conversation(conversation)) = app.next().await.body {
            return conversation;
        }
    }
}

fn item(conversation_id: i64, have_seq: i64) -> SyncItem {
    SyncItem {
        conversation_id,
        epoch: 1,
        have_seq,
    }
}

async fn older(app: &mut App, conversation_id: i64, before_seq: i64) -> Vec<i64> {
    let history = History {
        conversation_id,
        before_seq,
        after_seq: 0,
        limit: 200,
    };
    let Body::HistoryPage(page) = app.ask(Request::History(history)).await else {
        panic!()
    };
    page.entries.iter().map(|entry| entry.seq).collect()
}

// protocol: "entries begin at the joining, or at the newest 50 if those begin earlier"
// protocol: "are those of the moment they joined"
// protocol: "A live session learns by a Conversation frame that its user was brought in"
// protocol: "Older ones are there for History, as after a Sync"
#[tokio::test(flavor = "multi_thread")]
async fn i5_a_doctor_who_is_brought_in_reads_the_case() {
    let fleet = Fleet::start().await;
    let consult = fleet.conversation(&[(1, Role::Patient)]).await;
    let (mut patient, mut doctor) = (fleet.app(1, "phone").await, fleet.app(3, "pad").await);
    for at in 2..=60 {
        let sent = patient.say(consult, &format!("p{at}"), "hello").await.unwrap();
        assert_eq!(sent.seq, at);
    }
    assert_eq!(fleet.bring_in(consult, 3).await, 61);
    let conversation = announced(&mut doctor).await;
    assert_eq!((conversation.from_seq, conversation.reset), (12, false));
    let colleague = &conversation.participants[1];
    let names = (
        colleague.name.as_str(),
        colleague.title.as_str(),
        colleague.photo.as_str(),
    );
    assert_eq!(names, ("person 3", "主治医师", "media:57"));
    assert_eq!(doctor.seqs(50).await, (12..=61).collect::<Vec<_>>());
    assert_eq!(older(&mut doctor, consult, 12).await, (1..12).collect::<Vec<_>>());
    let answer = proto::wire::Send {
        reply_to_seq: 2,
        ..super::app::message(consult, "d", "I have read it")
    };
    assert_eq!(doctor.say_as(answer).await.unwrap().seq, 62);
}

// protocol: "Your copy ends with the leaving: entries continue at have_seq + 1"
#[tokio::test(flavor = "multi_thread")]
async fn i3_who_comes_back_gets_the_absence_live_and_by_sync() {
    let fleet = Fleet::start().await;
    let consult = fleet.conversation(&[(1, Role::Patient)]).await;
    let (mut patient, mut doctor) = (fleet.app(1, "phone").await, fleet.app(3, "pad").await);
    fleet.bring_in(consult, 3).await;
    assert_eq!(doctor.seqs(2).await, [1, 2]);
    assert_eq!(fleet.leave(consult, 3).await, 3);
    assert_eq!(doctor.seqs(1).await, [3]);
    patient.say(consult, "a", "while they are out").await.unwrap();
    assert_eq!(doctor.say(consult, "x", "out").await, Err(ErrorCode::NoAccess));
    assert_eq!(fleet.bring_in(consult, 3).await, 5);
    let conversation = announced(&mut doctor).await;
    assert_eq!((conversation.from_seq, conversation.reset), (4, false));
    assert_eq!(doctor.seqs(2).await, [4, 5]);
    // Another device was away all the while, with a copy up to the leaving.
    let mut pad = fleet.log_in(3, "phone").await;
    let (conversations, _) = pad
        .sync(Sync {
            items: vec![item(consult, 3)],
            ..Sync::default()
        })
        .await;
    assert_eq!((conversations[0].from_seq, conversations[0].reset), (4, false));
    assert_eq!(pad.seqs(2).await, [4, 5]);
    doctor.nothing_came().await;
}

// protocol: "comes, live or in a Sync, when your user was brought in again"
// protocol: "Entries that you got in this session do not come again"
#[tokio::test(flavor = "multi_thread")]
async fn i3_a_copy_with_a_hole_is_dropped_and_nothing_comes_twice() {
    let fleet = Fleet::start().await;
    let consult = fleet.conversation(&[(1, Role::Patient)]).await;
    let (mut patient, mut doctor) = (fleet.app(1, "phone").await, fleet.app(3, "pad").await);
    patient.say(consult, "a", "before").await.unwrap();
    assert_eq!(fleet.join(consult, 3, Role::Doctor).await, 3);
    assert_eq!(doctor.seqs(1).await, [3]);
    assert_eq!(older(&mut doctor, consult, 3).await, [0_i64; 0]);
    fleet.leave(consult, 3).await;
    assert_eq!(doctor.seqs(1).await, [4]);
    patient.say(consult, "b", "while they are out").await.unwrap();
    assert_eq!(fleet.bring_in(consult, 3).await, 6);
    let conversation = announced(&mut doctor).await;
    assert_eq!((conversation.from_seq, conversation.reset), (5, true));
    assert_eq!(doctor.seqs(2).await, [5, 6]);
    assert_eq!(older(&mut doctor, consult, 5).await, [1, 2, 3, 4]);
    // The copy of another device is the same; one that went on from the reset is whole.
    for (have, reset, rest) in [(4, true, vec![5, 6]), (5, false, vec![6])] {
        let mut pad = fleet.log_in(3, "phone").await;
        let (conversations, _) = pad
            .sync(Sync {
                items: vec![item(consult, have)],
                ..Sync::default()
            })
            .await;
        assert_eq!(conversations[0].reset, reset);
        assert_eq!(pad.seqs(rest.len()).await, rest);
    }
    doctor.nothing_came().await;
}

// protocol: "sees_from_seq of PARTICIPANT_JOINED says which"
#[tokio::test(flavor = "multi_thread")]
async fn the_entry_of_a_joining_says_what_they_see() {
    let fleet = Fleet::start().await;
    let consult = fleet.conversation(&[(1, Role::Patient)]).await;
    let mut patient = fleet.app(1, "phone").await;
    fleet.bring_in(consult, 3).await;
    let came = fleet.join(consult, 4, Role::Doctor).await;
    fleet.leave(consult, 3).await;
    let mut said = Vec::new();
    for _ in 1..=4 {
        if let Some(Event::Participant(event)) = patient.entry().await.event {
            said.push((event.user_id, event.sees_from_seq, event.title));
        }
    }
    let title = "主治医师".to_owned();
    assert_eq!(
        said[1..],
        [(3, 1, title.clone()), (4, came, String::new()), (3, 0, title)]
    );
}
