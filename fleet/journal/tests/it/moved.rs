//! Journals whose rows came from a file, or from the past.

use database::{Database, copy::copy};
use proto::{ConversationId, wire::Role};
use testkit::store::Store;

use crate::world::{World, card, distributed, migrated, text, user};

/// A file has the newest messages of a conversation nowhere but among its entries.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copied_journal_is_the_same_and_knows_every_resend() {
    let file = World::new(Store::Sqlite).await;
    let mut conversations = Vec::new();
    for messages in [0, 1, 15, 16, 40] {
        let conversation = file.conversation(&[(1, Role::Doctor), (2, Role::Patient)]).await;
        for at in 0..messages {
            file.send(text(conversation, 1 + at % 2, &format!("m{at}"), "hello"))
                .await
                .unwrap();
            if at % 7 == 3 {
                file.record(conversation, card()).await.unwrap();
            }
        }
        conversations.push((conversation, messages, file.all(conversation).await));
    }
    let file = file.end().await;
    let place = Store::Postgres.place(migrated).await;
    let source = Database::open_as_it_is(file.url()).await.unwrap();
    let target = Database::open(place.url()).await.unwrap();
    let copied = copy(&source, &target, journal::moved::AFTER_COPY, |_| {})
        .await
        .unwrap();
    assert!(copied.iter().all(|table| table.is_same()));
    source.close().await;
    target.close().await;

    let server = World::on(place).await;
    for (conversation, messages, entries) in conversations {
        assert_eq!(server.all(conversation).await, entries);
        let epoch = server
            .journal
            .conversation(conversation)
            .await
            .unwrap()
            .unwrap()
            .epoch;
        assert_eq!(epoch, 1, "it is the same history");
        for at in 0..messages {
            let again = text(conversation, 1 + at % 2, &format!("m{at}"), "hello");
            assert!(server.send(again).await.unwrap().duplicate, "m{at} of {messages}");
        }
        let next = server.send(text(conversation, 1, "new", "hello")).await.unwrap();
        assert_eq!(next.seq.get(), entries.len() as i64 + 1);
    }
    // Ids go on.
    server.conversation(&[(1, Role::Doctor)]).await;
    server.end().await;
}

/// On one machine no table says which conversations a user is in: their rows do.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn users_find_what_was_copied_to_several_machines() {
    let file = World::new(Store::Sqlite).await;
    let mut conversations = Vec::new();
    for _ in 0..3 {
        conversations.push(file.conversation(&[(1, Role::Doctor), (2, Role::Patient)]).await);
    }
    let file = file.end().await;
    let place = distributed(Store::Postgres.place(migrated).await.url());
    let source = Database::open_as_it_is(file.url()).await.unwrap();
    let target = Database::open(place.url()).await.unwrap();
    copy(&source, &target, journal::moved::AFTER_COPY, |_| {})
        .await
        .unwrap();
    source.close().await;
    target.close().await;

    let machines = World::on(place).await;
    let all = ConversationId::from_database(i64::MAX);
    let none = ConversationId::from_database(0);
    let overviews = machines
        .journal
        .overviews(user(2), all, none)
        .await
        .unwrap()
        .overviews;
    let found: Vec<_> = overviews
        .iter()
        .rev()
        .map(|overview| overview.conversation.id)
        .collect();
    assert_eq!(found, conversations);
    machines.end().await;
}

async fn a_restored_journal_is_another_history_with_the_same_entries(store: Store) {
    let world = World::new(store).await;
    let conversation = world.conversation(&[(1, Role::Doctor), (2, Role::Patient)]).await;
    world.send(text(conversation, 1, "a", "hello")).await.unwrap();
    let before = world.all(conversation).await;
    let mut epochs = vec![1];
    // Twice in one millisecond is two histories as well.
    for now_ms in [1_800_000_000_000, 1_800_000_000_000, 1_900_000_000_000] {
        for sql in journal::moved::after_restore(now_ms) {
            world
                .journal
                .database()
                .transaction(move |tx| Box::pin(async move { tx.execute(sql, vec![]).await }))
                .await
                .unwrap();
        }
        let conversation = world.journal.conversation(conversation).await.unwrap();
        epochs.push(conversation.unwrap().epoch);
    }
    assert!(epochs.is_sorted_by(|a, b| a < b), "{epochs:?}");
    let world = world.reopen().await;
    assert_eq!(world.all(conversation).await, before);
    let next = world.send(text(conversation, 2, "b", "hello")).await.unwrap();
    assert_eq!(next.seq.get(), before.len() as i64 + 1);
    assert!(
        world
            .send(text(conversation, 1, "a", "hello"))
            .await
            .unwrap()
            .duplicate
    );
    let later = world.conversation(&[(1, Role::Doctor)]).await;
    assert!(later.get() > journal::moved::SEQUENCE_GAP, "{later}");
    world.end().await;
}

testkit::on_both!(a_restored_journal_is_another_history_with_the_same_entries);
