//! Conversations that users take off their lists: each device hears of it, and entries come as ever.

use std::cell::Cell;

use proto::{
    ConversationId, UserId,
    wire::{Hidden, Sync, SyncItem, server_frame::Body},
};

use testkit::eventually;

use super::{app::App, fleet::Fleet};

/// Hides a conversation or puts it back, without a notice when it is lost.
async fn change(fleet: &Fleet, user: i64, conversation: i64, hides: bool, is_lost: bool) {
    let journal = fleet.journal.clone();
    let (user, ids) = (
        UserId::from_database(user),
        [ConversationId::from_database(conversation)],
    );
    let unpublished = fleet.journal.database().transaction(move |tx| {
        Box::pin(async move {
            match hides {
                true => journal.hide(tx, user, &ids).await,
                false => journal.unhide(tx, user, &ids).await,
            }
        })
    });
    let unpublished: Result<_, database::Error> = unpublished.await;
    let unpublished = unpublished.unwrap();
    match is_lost {
        true => drop(unpublished),
        false => fleet.journal.publish(unpublished),
    }
}

async fn hide(fleet: &Fleet, user: i64, conversation: i64) {
    change(fleet, user, conversation, true, false).await;
}

async fn unhide(fleet: &Fleet, user: i64, conversation: i64) {
    change(fleet, user, conversation, false, false).await;
}

/// The next frame about a hidden conversation; entries are kept, others skipped.
async fn hidden(app: &mut App) -> (i64, i64) {
    loop {
        if let Some(Body::Hidden(hidden)) = app.next().await.body {
            return (hidden.conversation_id, hidden.through_seq);
        }
    }
}

/// The frames of a Sync but for entries, which are kept: hidden conversations, then the announced ones.
async fn synced(app: &mut App, sync: Sync) -> (Vec<(i64, i64)>, Vec<i64>, i64) {
    app.send(proto::wire::client_frame::Body::Sync(sync)).await;
    let (mut hidden, mut announced) = (Vec::new(), Vec::new());
    loop {
        match app.next().await.body.unwrap() {
            Body::Hidden(Hidden {
                conversation_id,
                through_seq,
            }) => {
                assert!(announced.is_empty(), "a list is right from its first row on");
                hidden.push((conversation_id, through_seq));
            }
            Body::Conversation(conversation) => announced.push(conversation.conversation_id),
            Body::SyncDone(done) => return (hidden, announced, done.synced_ms),
            other => panic!("{other:?}"),
        }
    }
}

fn copies(of: &[(i64, i64)], updated_since_ms: i64) -> Sync {
    let item = |(conversation_id, have_seq): &(i64, i64)| SyncItem {
        conversation_id: *conversation_id,
        epoch: 1,
        have_seq: *have_seq,
    };
    Sync {
        items: of.iter().map(item).collect(),
        updated_since_ms,
        ..Sync::default()
    }
}

// protocol: "Hidden says so to all of their devices"
// protocol: "Entries come as ever, live and by Sync"
// protocol: "The newest Hidden of a conversation counts"
// protocol: "A Hidden with through_seq 0 puts it back"
// protocol: "Sync sends Hidden before any Conversation"
// protocol: "A live session gets Hidden when another device hides a conversation"
// protocol: "An entry beyond through_seq brings the conversation back"
#[tokio::test(flavor = "multi_thread")]
async fn each_device_hears_what_is_hidden_and_gets_its_entries() {
    let fleet = Fleet::start().await;
    let (id, shown) = (fleet.consult().await, fleet.consult().await);
    hide(&fleet, 1, id).await;
    let mut doctor = fleet.log_in_on(0, 2, "pad").await;
    let (heard, ..) = synced(&mut doctor, Sync::default()).await;
    assert!(heard.is_empty(), "each user hides for themselves");
    let mut devices = Vec::new();
    for device in ["phone", "tablet"] {
        let mut app = fleet.log_in_on(0, 1, device).await;
        let (heard, announced, _) = synced(&mut app, Sync::default()).await;
        assert_eq!((heard, announced), (vec![(id, 2)], vec![shown, id]));
        assert_eq!(app.entries.len(), 4, "its entries come as ever");
        devices.push(app);
    }
    let sent = doctor.say(id, "a", "hello").await.unwrap().seq;
    for app in &mut devices {
        let Some(Body::Entry(entry)) = app.receive().await.unwrap().body else {
            panic!("an entry of a hidden conversation is live");
        };
        assert_eq!((entry.conversation_id, entry.seq), (id, sent));
    }
    hide(&fleet, 1, id).await;
    for app in &mut devices {
        assert_eq!(hidden(app).await, (id, sent));
    }
    unhide(&fleet, 1, id).await;
    for app in &mut devices {
        assert_eq!(hidden(app).await, (id, 0));
    }
    let mut newest = fleet.log_in_on(0, 1, "watch").await;
    let (heard, ..) = synced(&mut newest, Sync::default()).await;
    assert_eq!(heard, [(id, 0)]);
}

// protocol: "Without such a mark it sends all of them"
// protocol: "It may come twice"
#[tokio::test(flavor = "multi_thread")]
async fn a_device_that_was_away_hears_what_was_hidden_and_put_back() {
    let fleet = Fleet::start().await;
    let (id, other) = (fleet.consult().await, fleet.consult().await);
    let mut doctor = fleet.app(2, "pad").await;
    let mut phone = fleet.log_in_on(0, 1, "phone").await;
    let (_, _, mark) = synced(&mut phone, Sync::default()).await;
    drop(phone);
    let back = async |have: i64, mark: i64| {
        let mut phone = fleet.log_in_on(0, 1, "phone").await;
        synced(&mut phone, copies(&[(other, have), (id, 2)], mark)).await
    };
    hide(&fleet, 1, id).await;
    // Nothing has moved, so that no Conversation comes.
    assert_eq!(back(2, mark).await.0, [(id, 2)]);
    assert_eq!(back(2, mark).await.1, Vec::<i64>::new());
    unhide(&fleet, 1, id).await;
    assert_eq!(back(2, mark).await.0, [(id, 0)]);
    // On SQLite an entry moves the order that marks are of.
    let have = doctor.say(other, "a", "hello").await.unwrap().seq;
    // A node's marks follow its comparisons with the database.
    let mark = Cell::new(mark);
    eventually("a mark is beyond the change", async || {
        let (heard, _, next) = back(have, mark.get()).await;
        mark.set(next);
        heard.is_empty()
    })
    .await;
    assert_eq!(back(have, 0).await.0, [(id, 0)], "an app that has no mark");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_notice_is_late_and_not_lost() {
    let fleet = Fleet::start().await;
    let id = fleet.consult().await;
    let mut phone = fleet.app(1, "phone").await;
    change(&fleet, 1, id, true, true).await;
    assert_eq!(hidden(&mut phone).await, (id, 2));
}

/// A part of a Sync hears of its own conversations.
#[tokio::test(flavor = "multi_thread")]
async fn a_sync_in_parts_hears_each_part_once() {
    let fleet = Fleet::start().await;
    let mut ids = Vec::new();
    for _ in 0..4 {
        let id = fleet.consult().await;
        hide(&fleet, 1, id).await;
        ids.push(id);
    }
    let mut app = fleet.log_in_on(0, 1, "phone").await;
    let first = Sync {
        from_conversation_id: ids[2],
        ..Sync::default()
    };
    assert_eq!(
        synced(&mut app, first.clone()).await.0,
        [(ids[3], 2), (ids[2], 2)]
    );
    assert_eq!(synced(&mut app, first).await.0, [], "this session has heard it");
    let last = Sync {
        before_conversation_id: ids[2],
        ..Sync::default()
    };
    assert_eq!(synced(&mut app, last).await.0, [(ids[1], 2), (ids[0], 2)]);
}
