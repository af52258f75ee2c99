//! Stale state and failed batches: what the cache holds is wrong, or the batch is rolled back.

use journal::{Error, Journal, record::Event};
use proto::wire::Role;
use testkit::store::Store;

use crate::world::{PAIR, World, card, participant, record, status, text, user};

/// After a write of another handle the cache is stale: the compare-and-set refuses it (I2), and a refusal is checked by the
/// current state (I5).
async fn i2_i5_stale_state_decides_nothing(store: Store) {
    let world = World::new(store).await;
    let id = world.conversation(&PAIR).await;
    let other = Journal::new(
        world.journal.database().clone(),
        world.journal.backplane().clone(),
    );
    world.send(text(id, 1, "a", "x")).await.unwrap();
    // Another entry has the next seq.
    record(&other, id, card()).await.unwrap();
    assert_eq!(world.send(text(id, 1, "b", "x")).await.unwrap().seq.get(), 5);
    // Closed by the other handle.
    record(&other, id, status(false)).await.unwrap();
    assert!(matches!(
        world.send(text(id, 1, "c", "x")).await,
        Err(Error::Closed)
    ));
    // Opened again: a refusal is not cached.
    record(&other, id, status(true)).await.unwrap();
    assert_eq!(world.send(text(id, 1, "c", "x")).await.unwrap().seq.get(), 8);
    // A refused stranger joins.
    assert!(matches!(
        world.send(text(id, 9, "a", "x")).await,
        Err(Error::NoAccess)
    ));
    let joined = Event::Joined(participant(9, Role::Doctor));
    record(&other, id, joined).await.unwrap();
    assert_eq!(world.send(text(id, 9, "a", "x")).await.unwrap().seq.get(), 10);
    // An accepted participant is removed.
    record(&other, id, Event::Left(user(9))).await.unwrap();
    assert!(matches!(
        world.send(text(id, 9, "b", "x")).await,
        Err(Error::NoAccess)
    ));
    assert_eq!(world.all(id).await.len(), 11);
}

/// One stale conversation makes SQLite retry the whole batch; the others must not be written twice.
async fn i4_a_batch_that_is_retried_writes_each_message_once(store: Store) {
    let world = World::new(store).await;
    let mut ids = Vec::new();
    for _ in 0..6 {
        let id = world.conversation(&PAIR).await;
        world.send(text(id, 1, "warm", "x")).await.unwrap();
        ids.push(id);
    }
    let other = Journal::new(
        world.journal.database().clone(),
        world.journal.backplane().clone(),
    );
    for stale in [ids[0], ids[5], ids[3]] {
        record(&other, stale, card()).await.unwrap();
        let round = stale.get();
        let messages = ids.iter().flat_map(|id| {
            [
                text(*id, 1, &format!("{round}"), "x"),
                text(*id, 2, &format!("{round}"), "x"),
            ]
        });
        for outcome in world.send_all(messages.collect()).await {
            assert!(!outcome.unwrap().duplicate);
        }
    }
    for id in ids {
        let extra = i64::from([0, 3, 5].contains(&(id.get() - 1)));
        assert_eq!(world.all(id).await.len() as i64, 3 + 6 + extra);
    }
}

/// The database refuses a row: its senders are answered, and the next batch is right.
async fn i2_a_batch_that_the_database_refuses_leaves_nothing(store: Store) {
    let world = World::new(store).await;
    let id = world.conversation(&PAIR).await;
    world.send(text(id, 1, "a", "x")).await.unwrap();
    world
        .execute(
            "CREATE TRIGGER planted BEFORE INSERT ON entry WHEN NEW.client_msg_id = 'bad'
             BEGIN SELECT RAISE(ABORT, 'planted'); END",
            "CREATE FUNCTION planted() RETURNS trigger LANGUAGE plpgsql AS
               $$ BEGIN RAISE EXCEPTION 'planted'; END $$;
             CREATE TRIGGER planted BEFORE INSERT ON entry FOR EACH ROW WHEN (NEW.client_msg_id = 'bad')
               EXECUTE FUNCTION planted()",
        )
        .await;
    let outcomes = world
        .send_all(vec![
            text(id, 1, "b", "x"),
            text(id, 1, "bad", "x"),
            text(id, 1, "c", "x"),
        ])
        .await;
    assert!(outcomes.iter().any(Result::is_err));
    for outcome in outcomes {
        match outcome {
            Ok(_) | Err(Error::Database(_)) => {}
            Err(error) => panic!("{error}"),
        }
    }
    world
        .execute("DROP TRIGGER planted", "DROP TRIGGER planted ON entry")
        .await;
    for client_msg_id in ["b", "bad", "c", "a"] {
        world.send(text(id, 1, client_msg_id, "x")).await.unwrap();
    }
    assert_eq!(world.all(id).await.len(), 6);
}

/// The commit itself is refused: its senders are answered, and the seqs of the batch are used again (I2).
async fn i1_i2_a_failed_commit_acknowledges_nothing_and_leaves_no_gap(store: Store) {
    let world = World::new(store).await;
    let id = world.conversation(&PAIR).await;
    world.send(text(id, 1, "a", "x")).await.unwrap();
    world
        .execute(
            "CREATE TABLE planted_parent (id INTEGER PRIMARY KEY);
             CREATE TABLE planted (id INTEGER REFERENCES planted_parent (id) DEFERRABLE INITIALLY DEFERRED);
             CREATE TRIGGER planted_trigger AFTER INSERT ON entry BEGIN INSERT INTO planted VALUES (1); END",
            "CREATE FUNCTION planted() RETURNS trigger LANGUAGE plpgsql AS
               $$ BEGIN RAISE EXCEPTION 'planted'; END $$;
             CREATE CONSTRAINT TRIGGER planted_trigger AFTER INSERT ON entry DEFERRABLE INITIALLY DEFERRED
               FOR EACH ROW EXECUTE FUNCTION planted()",
        )
        .await;
    let outcome = world.send(text(id, 1, "b", "x")).await;
    assert!(matches!(outcome, Err(Error::Database(_))), "{outcome:?}");
    assert_eq!(world.last_seq(id).await, 3);
    assert_eq!(world.ledger.published.lock().len(), 1);
    world
        .execute(
            "DROP TRIGGER planted_trigger",
            "DROP TRIGGER planted_trigger ON entry",
        )
        .await;
    let accepted = world.send(text(id, 1, "b", "x")).await.unwrap();
    assert_eq!((accepted.seq.get(), accepted.duplicate), (4, false));
    world.all(id).await;
}

/// The database was restored to an earlier moment behind the cache.
async fn i2_a_cache_ahead_of_the_database_leaves_no_gap(store: Store) {
    let world = World::new(store).await;
    let id = world.conversation(&PAIR).await;
    world.send(text(id, 1, "a", "x")).await.unwrap();
    let in_file = "UPDATE conversation SET last_seq = 2,
          unclaimed_entry_id = (SELECT previous_id FROM entry WHERE id = unclaimed_entry_id);
        DELETE FROM entry WHERE seq = 3";
    let on_server = "DELETE FROM entry WHERE seq = 3; DELETE FROM sent; UPDATE conversation SET last_seq = 2";
    world.execute(in_file, on_server).await;
    assert_eq!(world.send(text(id, 1, "b", "x")).await.unwrap().seq.get(), 3);
    assert_eq!(world.send(text(id, 1, "a", "x")).await.unwrap().seq.get(), 4);
    world.all(id).await;
}

/// The same, and the cached id has been allocated again to a message of another conversation.
async fn i4_a_message_of_another_conversation_answers_no_resend(store: Store) {
    let world = World::new(store).await;
    let (id, other) = (world.conversation(&PAIR).await, world.conversation(&PAIR).await);
    world.send(text(id, 1, "a", "x")).await.unwrap();
    let in_file = "UPDATE conversation SET last_seq = 2,
          unclaimed_entry_id = (SELECT previous_id FROM entry WHERE id = unclaimed_entry_id)
          WHERE id = (SELECT min(id) FROM conversation);
        DELETE FROM entry WHERE seq = 3";
    let on_server = "DELETE FROM entry WHERE seq = 3; DELETE FROM sent; UPDATE conversation SET last_seq = 2";
    world.execute(in_file, on_server).await;
    for conversation in [other, id] {
        let accepted = world.send(text(conversation, 1, "a", "x")).await.unwrap();
        assert_eq!((accepted.seq.get(), accepted.duplicate), (3, false));
        world.all(conversation).await;
    }
}

testkit::on_both!(
    i2_i5_stale_state_decides_nothing,
    i4_a_batch_that_is_retried_writes_each_message_once,
    i2_a_batch_that_the_database_refuses_leaves_nothing,
    i1_i2_a_failed_commit_acknowledges_nothing_and_leaves_no_gap,
    i2_a_cache_ahead_of_the_database_leaves_no_gap,
    i4_a_message_of_another_conversation_answers_no_resend,
);
