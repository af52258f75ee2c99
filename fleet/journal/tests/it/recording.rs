//! Records of REST: entries in the record's own transaction.

use journal::{Error, marks::Mark, order::Horizon, overview::UNREAD_CAP, record::Event};
use proto::{ConversationId, wire::Role};
use testkit::store::Store;

use crate::world::{World, card, now_ms, participant, seq, status, text, user};

async fn i2_a_transaction_that_fails_leaves_no_gap_and_no_participant(store: Store) {
    let world = World::new(store).await;
    let id = world.conversation(&[(1, Role::Patient)]).await;
    world.send(text(id, 1, "a", "x")).await.unwrap();
    let journal = world.journal.clone();
    let outcome: Result<(), Error> = world
        .journal
        .database()
        .transaction(move |tx| {
            Box::pin(async move {
                let joined = Event::Joined(participant(2, Role::Doctor));
                let unpublished = journal.record(tx, id, user(1), joined, now_ms()).await?;
                assert_eq!(unpublished.last_seq(), Some(seq(3)));
                Err(Error::Closed)
            })
        })
        .await;
    assert!(matches!(outcome, Err(Error::Closed)));
    assert!(matches!(
        world.send(text(id, 2, "a", "x")).await,
        Err(Error::NoAccess)
    ));
    assert_eq!(world.send(text(id, 1, "b", "x")).await.unwrap().seq.get(), 3);
    assert_eq!(world.all(id).await.len(), 3);
}

/// A caller may ignore "already in" and "not in" and go on in the same transaction.
async fn i2_a_refusal_that_the_caller_ignores_leaves_no_gap(store: Store) {
    let world = World::new(store).await;
    let id = world.conversation(&[(1, Role::Patient)]).await;
    let journal = world.journal.clone();
    world
        .journal
        .database()
        .transaction(move |tx| {
            Box::pin(async move {
                let again = Event::Joined(participant(1, Role::Patient));
                let refused = journal.record(tx, id, user(1), again, now_ms()).await;
                assert!(matches!(refused, Err(Error::AlreadyIn)));
                let refused = journal
                    .record(tx, id, user(1), Event::Left(user(7)), now_ms())
                    .await;
                assert!(matches!(refused, Err(Error::NoAccess)));
                Ok::<_, Error>(())
            })
        })
        .await
        .unwrap();
    assert_eq!(world.send(text(id, 1, "a", "x")).await.unwrap().seq.get(), 2);
    assert_eq!(world.all(id).await.len(), 2);
}

async fn a_record_of_a_missing_conversation_is_refused(store: Store) {
    let world = World::new(store).await;
    let none = ConversationId::from_database(77);
    for event in [
        card(),
        status(true),
        Event::Joined(participant(1, Role::Doctor)),
        Event::Left(user(1)),
    ] {
        assert!(matches!(world.record(none, event).await, Err(Error::NoAccess)));
    }
    assert_eq!(world.journal.conversation(none).await.unwrap(), None);
    assert_eq!(world.journal.participants(none).await.unwrap(), []);
}

async fn i2_several_records_of_one_transaction_follow_each_other(store: Store) {
    let world = World::new(store).await;
    let id = world.conversation(&[(1, Role::Patient)]).await;
    let journal = world.journal.clone();
    let unpublished = world
        .journal
        .database()
        .transaction(move |tx| {
            Box::pin(async move {
                let joined = Event::Joined(participant(2, Role::Doctor));
                let mut unpublished = journal.record(tx, id, user(1), joined, now_ms()).await?;
                unpublished.extend(journal.record(tx, id, user(1), status(false), now_ms()).await?);
                let left = Event::Left(user(2));
                unpublished.extend(journal.record(tx, id, user(1), left, now_ms()).await?);
                Ok::<_, Error>(unpublished)
            })
        })
        .await
        .unwrap();
    assert_eq!(unpublished.last_seq(), Some(seq(4)));
    world.journal.publish(unpublished);
    assert_eq!(world.seen_by(id, 2).await, [1, 2, 3, 4]);
    assert!(!world.journal.conversation(id).await.unwrap().unwrap().open);
}

/// The horizon once it is past all changes: transactions in other databases of the server hold it back.
async fn horizon(world: &World) -> Horizon {
    testkit::eventually("the horizon is past all changes", async || {
        let horizon = world.journal.horizon().await.unwrap();
        let later = world.journal.changes_since(horizon.number, 1).await;
        later.unwrap().is_empty()
    })
    .await;
    world.journal.horizon().await.unwrap()
}

async fn changes_since_are_of_those_who_came_and_of_those_who_left(store: Store) {
    let world = World::new(store).await;
    let before = horizon(&world).await;
    let id = world.conversation(&[(1, Role::Patient), (2, Role::Doctor)]).await;
    let between = horizon(&world).await;
    world.record(id, Event::Left(user(2))).await.unwrap();
    let after = horizon(&world).await;
    let changes = world.journal.changes_since(before.number, 100).await.unwrap();
    let mut users: Vec<_> = changes
        .iter()
        .filter(|change| change.conversation == id)
        .map(|change| change.user.get())
        .collect();
    users.sort_unstable();
    assert_eq!(users, [1, 2]);
    assert!(changes.is_sorted_by_key(|change| change.number));
    assert_eq!(
        world.journal.changes_since(before.number, 1).await.unwrap(),
        changes[..1]
    );
    let left = world.journal.changes_since(between.number, 100).await.unwrap();
    let left: Vec<_> = left
        .iter()
        .filter(|change| change.conversation == id)
        .map(|change| change.user.get())
        .collect();
    assert_eq!(left, [2]);
    assert_eq!(world.journal.changes_since(after.number, 100).await.unwrap(), []);
    let overview = world.journal.overview(user(2), id).await.unwrap().unwrap();
    assert_eq!(overview.changed_since(between.number), Some(0));
    assert_eq!(overview.changed_since(after.number), None);
    assert!((between.number..after.number).contains(&overview.changed_no));
}

/// An entry advances the number of the participants, and not of users who left.
async fn an_entry_changes_the_overview_of_those_who_are_in(store: Store) {
    let world = World::new(store).await;
    let id = world.conversation(&[(1, Role::Patient), (2, Role::Doctor)]).await;
    world.record(id, Event::Left(user(2))).await.unwrap();
    let numbers = async || {
        let staying = world.journal.overview(user(1), id).await.unwrap().unwrap();
        let left = world.journal.overview(user(2), id).await.unwrap().unwrap();
        (staying.changed_no, left.changed_no)
    };
    let (mut staying, left) = numbers().await;
    for at in 0..70 {
        let message = text(id, 1, &format!("message {at}"), "x");
        world.send(message).await.unwrap();
        let now = numbers().await;
        assert!(now.0 > staying, "{at}");
        assert_eq!(now.1, left, "{at}");
        staying = now.0;
    }
}

async fn i5_sharing_counts_those_who_are_in_together_now(store: Store) {
    let world = World::new(store).await;
    let id = world.conversation(&[(1, Role::Patient), (2, Role::Doctor)]).await;
    world.conversation(&[(2, Role::Doctor), (3, Role::Patient)]).await;
    let others = [user(2), user(3), user(9)];
    let sharing = world
        .journal
        .sharing_a_conversation(user(1), &others)
        .await
        .unwrap();
    assert_eq!(sharing, [user(2)]);
    world.record(id, Event::Left(user(2))).await.unwrap();
    let sharing = world
        .journal
        .sharing_a_conversation(user(1), &others)
        .await
        .unwrap();
    assert_eq!(sharing, []);
}

async fn i5_marks_of_strangers_are_not_kept_and_none_passes_what_one_sees(store: Store) {
    let world = World::new(store).await;
    let id = world.conversation(&[(1, Role::Patient), (2, Role::Doctor)]).await;
    let mark = |conversation, person, received, read| Mark {
        conversation,
        user: user(person),
        received_seq: seq(received),
        read_seq: seq(read),
    };
    let none = ConversationId::from_database(77);
    let refused = vec![mark(id, 9, 1, 1), mark(none, 1, 1, 1)];
    assert_eq!(world.journal.save_marks(refused).await.unwrap(), []);
    let far = vec![mark(id, 1, i64::MAX, i64::MAX)];
    assert_eq!(world.journal.save_marks(far).await.unwrap(), [mark(id, 1, 2, 2)]);
    // Back never, and reading is receiving.
    let back = vec![mark(id, 1, 0, 1), mark(id, 2, 0, 2)];
    assert_eq!(
        world.journal.save_marks(back).await.unwrap(),
        [mark(id, 1, 2, 2), mark(id, 2, 2, 2)]
    );
    world.record(id, Event::Left(user(2))).await.unwrap();
    world.send(text(id, 1, "a", "x")).await.unwrap();
    let far = vec![mark(id, 2, 99, 99)];
    assert_eq!(world.journal.save_marks(far).await.unwrap(), [mark(id, 2, 3, 3)]);
}

async fn unread_stops_counting_at_its_cap(store: Store) {
    let world = World::new(store).await;
    let id = world.conversation(&[(1, Role::Patient), (2, Role::Doctor)]).await;
    let messages = (0..UNREAD_CAP + 20).map(|at| text(id, 1, &format!("m{at}"), "x"));
    for outcome in world.send_all(messages.collect()).await {
        outcome.unwrap();
    }
    let overview = world.journal.overview(user(2), id).await.unwrap().unwrap();
    assert_eq!(
        world.journal.unread(user(2), &overview).await.unwrap(),
        UNREAD_CAP
    );
}

testkit::on_both!(
    i2_a_transaction_that_fails_leaves_no_gap_and_no_participant,
    i2_a_refusal_that_the_caller_ignores_leaves_no_gap,
    a_record_of_a_missing_conversation_is_refused,
    i2_several_records_of_one_transaction_follow_each_other,
    changes_since_are_of_those_who_came_and_of_those_who_left,
    an_entry_changes_the_overview_of_those_who_are_in,
    i5_sharing_counts_those_who_are_in_together_now,
    i5_marks_of_strangers_are_not_kept_and_none_passes_what_one_sees,
    unread_stops_counting_at_its_cap,
);
