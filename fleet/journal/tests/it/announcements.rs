//! Published entries are those of the database.

use std::sync::Arc;

use backplane::Channel;
use journal::{UserNotice, announcement::ConversationNotice, record::Event};
use parking_lot::Mutex;
use proto::{Seq, wire::Role};
use testkit::store::Store;

use crate::world::{World, participant, seq, text, user};

async fn what_is_published_is_what_the_database_holds(store: Store) {
    let world = World::new(store).await;
    let id = world.conversation(&[(1, Role::Patient)]).await;
    let heard = Arc::new(Mutex::new(Vec::new()));
    let hearing = heard.clone();
    let backplane = world.journal.backplane();
    let subscriber = backplane.join(Arc::new(move |channel, payload| {
        hearing.lock().push((channel, payload));
    }));
    for channel in [Channel::Conversation(id), Channel::User(user(2))] {
        backplane.subscribe(subscriber, channel).await.unwrap();
    }
    let mut message = text(id, 1, "a", "hello");
    message.mentions = vec![1, 1];
    message.reply_to_seq = seq(1);
    world.send(message).await.unwrap();
    let joined = Event::Joined(participant(2, Role::Doctor));
    assert_eq!(world.record(id, joined).await.unwrap(), seq(3));

    let entries = world.journal.entries(id, seq(2), seq(3), 10).await.unwrap();
    let appended = world.ledger.published.lock()[0].clone();
    assert_eq!(appended.decode().unwrap(), entries[0].clone().into_wire());
    let heard = heard.lock().clone();
    let (channel, payload) = &heard[0];
    assert_eq!(*channel, Channel::Conversation(id));
    let Some(ConversationNotice::Entry(published)) = ConversationNotice::decode(payload.clone()) else {
        panic!("no entry");
    };
    assert_eq!((published.conversation, published.seq), (id, seq(3)));
    assert_eq!(published.decode().unwrap(), entries[1].clone().into_wire());
    let (channel, payload) = &heard[1];
    assert_eq!(*channel, Channel::User(user(2)));
    let added = UserNotice::Added {
        conversation: id,
        seq: seq(3),
    };
    assert_eq!(UserNotice::decode(payload), Some(added));
    assert_eq!(heard.len(), 2);
}

/// A rush of batches comes out in the order of seqs, each entry once (I3 begins here).
async fn i3_batches_are_published_in_the_order_of_seqs(store: Store) {
    let world = World::new(store).await;
    let id = world.conversation(&[(1, Role::Patient)]).await;
    let messages = (0..4_000).map(|at| text(id, 1, &format!("m{}", at / 2), "x"));
    for outcome in world.send_all(messages.collect()).await {
        outcome.unwrap();
    }
    let seqs: Vec<Seq> = world
        .ledger
        .published
        .lock()
        .iter()
        .map(|published| published.seq)
        .collect();
    assert_eq!(seqs, (2..2_002).map(seq).collect::<Vec<_>>());
}

testkit::on_both!(
    what_is_published_is_what_the_database_holds,
    i3_batches_are_published_in_the_order_of_seqs,
);
