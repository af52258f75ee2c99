//! Work that comes due: the newest message, the first one of a role, the next deadline.

use database::Transaction;
use journal::{Error, conversation::Deadline, history::written::Written, record::Event};
use proto::{
    ConversationId,
    wire::{DeadlineEvent, EntryKind, Role, entry},
};
use testkit::store::Store;

use crate::world::{World, card, now_ms, participant, status, text, user};

async fn last_message(world: &World, id: ConversationId) -> Option<i64> {
    let journal = world.journal.clone();
    let read = world
        .journal
        .database()
        .transaction(move |tx: &mut Transaction<'_>| {
            Box::pin(async move { journal.last_message(tx, id).await })
        });
    read.await.unwrap().map(|message| message.seq.get())
}

async fn first_of(world: &World, id: ConversationId, role: Role) -> Option<Written> {
    let journal = world.journal.clone();
    let read = world
        .journal
        .database()
        .transaction(move |tx: &mut Transaction<'_>| {
            Box::pin(async move { journal.first_message_of(tx, id, role).await })
        });
    read.await.unwrap()
}

async fn the_newest_message_is_found_behind_any_number_of_events(store: Store) {
    let world = World::new(store).await;
    let id = world.conversation(&[(1, Role::Patient)]).await;
    assert_eq!(last_message(&world, id).await, None);
    assert_eq!(
        last_message(&world, ConversationId::from_database(999)).await,
        None
    );
    world.send(text(id, 1, "a", "x")).await.unwrap();
    let last = world.send(text(id, 1, "b", "x")).await.unwrap().seq.get();
    assert_eq!(last_message(&world, id).await, Some(last));
    for _ in 0..70 {
        world.record(id, card()).await.unwrap();
    }
    assert_eq!(last_message(&world, id).await, Some(last));
}

async fn the_first_message_of_a_role_is_found_also_after_its_user_left(store: Store) {
    let world = World::new(store).await;
    let id = world
        .conversation(&[(1, Role::Patient), (2, Role::Assistant)])
        .await;
    assert_eq!(first_of(&world, id, Role::Doctor).await, None, "no doctor");
    world
        .record(id, Event::Joined(participant(3, Role::Doctor)))
        .await
        .unwrap();
    let crowd = (0..70).map(|at| text(id, 1 + at % 2, &format!("m{at}"), "x"));
    for outcome in world.send_all(crowd.collect()).await {
        outcome.unwrap();
    }
    assert_eq!(
        first_of(&world, id, Role::Doctor).await,
        None,
        "no message of one"
    );
    let first = world.send(text(id, 3, "a", "x")).await.unwrap();
    world.send(text(id, 3, "b", "x")).await.unwrap();
    world.record(id, Event::Left(user(3))).await.unwrap();
    let found = first_of(&world, id, Role::Doctor).await.unwrap();
    assert_eq!(
        (found.seq, found.sender, found.created_ms),
        (first.seq, user(3), first.created_ms)
    );
    assert_eq!(first_of(&world, id, Role::Patient).await.unwrap().sender, user(1));
}

async fn a_deadline_is_shown_until_the_conversation_closes(store: Store) {
    let world = World::new(store).await;
    let id = world.conversation(&[(1, Role::Patient)]).await;
    let shown = async || world.journal.conversation(id).await.unwrap().unwrap().deadline;
    assert_eq!(shown().await, None);
    let deadline = Deadline {
        kind: "first_answer".into(),
        due_ms: 7,
    };
    let event = DeadlineEvent {
        kind: "first_answer".into(),
        due_ms: 7,
        state: "set".into(),
    };
    let (journal, due, recorded) = (world.journal.clone(), deadline.clone(), event.clone());
    let set = world.journal.database().transaction(move |tx| {
        Box::pin(async move {
            let set = journal
                .record(tx, id, user(1), Event::Deadline(recorded), now_ms())
                .await?;
            journal.set_deadline(tx, id, Some(due)).await?;
            Ok::<_, Error>(set)
        })
    });
    world.journal.publish(set.await.unwrap());
    assert_eq!(shown().await, Some(deadline.clone()));
    let entry = world.all(id).await.pop().unwrap();
    assert_eq!(entry.kind, EntryKind::Deadline);
    assert_eq!(entry.event, Some(entry::Event::Deadline(event)));
    world.record(id, status(true)).await.unwrap();
    assert_eq!(shown().await, Some(deadline));
    world.record(id, status(false)).await.unwrap();
    assert_eq!(shown().await, None);
}

testkit::on_both!(
    the_newest_message_is_found_behind_any_number_of_events,
    the_first_message_of_a_role_is_found_also_after_its_user_left,
    a_deadline_is_shown_until_the_conversation_closes,
);
