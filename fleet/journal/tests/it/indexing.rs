//! SQLite indexes entries some at a time: reads and resends are the same for indexed and unindexed ones.

use journal::{Error, Journal, history::Direction};
use proto::{ConversationId, Seq, wire::Role};
use testkit::store::Store;

use crate::world::{World, card, now_ms, record, seq, text, user};

const PEOPLE: [(i64, Role); 3] = [(1, Role::Patient), (2, Role::Doctor), (3, Role::Assistant)];
/// More entries than stay unindexed when they are written one by one.
const MANY: i64 = 40;

async fn history(world: &World, id: ConversationId, direction: Direction, limit: usize) -> Vec<i64> {
    let page = world
        .journal
        .history(id, user(1), direction, limit)
        .await
        .unwrap();
    page.entries.iter().map(|entry| entry.seq.get()).collect()
}

async fn events_and_messages_are_indexed(store: Store) {
    let world = World::new(store).await;
    let (by_events, by_messages) = (
        world.conversation(&PEOPLE).await,
        world.conversation(&PEOPLE).await,
    );
    for at in 0..3 * MANY {
        world.record(by_events, card()).await.unwrap();
        world
            .send(text(by_messages, 1, &at.to_string(), "x"))
            .await
            .unwrap();
    }
    for id in [by_events, by_messages] {
        world.all(id).await;
        let (indexed, unindexed) = world.index_sizes(id).await;
        assert_eq!(indexed + unindexed, 3 * MANY + 3);
        assert!(unindexed < MANY, "{unindexed}");
    }
}

async fn a_page_is_the_same_wherever_it_begins_and_ends(store: Store) {
    let world = World::new(store).await;
    let id = world.conversation(&PEOPLE).await;
    for last in 4..2 * MANY {
        if last % 9 == 0 {
            world.record(id, card()).await.unwrap();
        } else {
            world.send(text(id, 1, &last.to_string(), "x")).await.unwrap();
        }
        if last % 5 != 0 && last < MANY {
            continue;
        }
        for at in (0..=last + 1).step_by(3) {
            for limit in [1, 4, 200] {
                let after: Vec<i64> = (at + 1..=last).take(limit).collect();
                assert_eq!(history(&world, id, Direction::After(seq(at)), limit).await, after);
                let mut before: Vec<i64> = (1..at.min(last + 1)).rev().take(limit).collect();
                before.reverse();
                assert_eq!(
                    history(&world, id, Direction::Before(seq(at)), limit).await,
                    before
                );
            }
        }
    }
    world.all(id).await;
}

async fn unread_messages_are_counted_wherever_they_lie(store: Store) {
    let world = World::new(store).await;
    let id = world.conversation(&PEOPLE).await;
    for at in 1..=3 * MANY {
        world.send(text(id, 1, &at.to_string(), "x")).await.unwrap();
        let overview = world.journal.overview(user(2), id).await.unwrap().unwrap();
        let unread = world.journal.unread(user(2), &overview).await.unwrap();
        assert_eq!(unread, at.min(journal::overview::UNREAD_CAP));
    }
}

async fn each_message_is_recalled_once_wherever_it_lies(store: Store) {
    let world = World::new(store).await;
    let id = world.conversation(&PEOPLE).await;
    let mut recalls = Vec::new();
    for at in 1..=2 * MANY {
        let sent = world.send(text(id, 1, &at.to_string(), "x")).await.unwrap();
        // One that is just there, and one that lies back.
        for about in [sent.seq.get(), sent.seq.get() - 61] {
            if about % 2 == 0 || about < 4 || recalls.iter().any(|(of, _)| *of == about) {
                continue;
            }
            let entries = world
                .journal
                .entries(id, seq(about), seq(about), 1)
                .await
                .unwrap();
            if entries[0].client_msg_id.is_empty() {
                continue;
            }
            let (recalled, unpublished) = world
                .journal
                .recall(id, user(3), seq(about), now_ms())
                .await
                .unwrap();
            world.journal.publish(unpublished);
            recalls.push((about, recalled));
        }
    }
    assert!(recalls.len() > 30, "{}", recalls.len());
    let all = world.all(id).await;
    for entry in &all {
        let recalled = recalls.iter().any(|(of, _)| *of == entry.seq.get());
        assert_eq!(entry.recalled, recalled, "{}", entry.seq);
    }
    for (about, first) in recalls {
        let (again, unpublished) = world
            .journal
            .recall(id, user(3), seq(about), now_ms())
            .await
            .unwrap();
        assert_eq!(unpublished.last_seq(), None);
        assert_eq!(again, first);
        assert_eq!(
            all[again.get() as usize - 1].corrects_seq,
            Seq::from_database(about)
        );
    }
}

/// An uncached conversation is read from its chain, and resends are found there.
async fn a_restart_goes_on_in_the_middle_of_a_chain(store: Store) {
    let mut world = World::new(store).await;
    let id = world.conversation(&PEOPLE).await;
    for at in 0..2 * MANY {
        if at % 6 == 0 {
            world = world.reopen().await;
        }
        let message = text(id, 1, &at.to_string(), "x");
        assert!(!world.send(message.clone()).await.unwrap().duplicate);
        assert!(world.send(message).await.unwrap().duplicate);
        world.all(id).await;
    }
    let world = world.reopen().await;
    for at in 0..2 * MANY {
        let again = world.send(text(id, 1, &at.to_string(), "x")).await.unwrap();
        assert_eq!((again.seq.get(), again.duplicate), (at + 4, true));
    }
}

/// One batch with more messages of a conversation than stay unindexed.
async fn a_batch_of_one_conversation_is_indexed_as_a_whole(store: Store) {
    let world = World::new(store).await;
    let id = world.conversation(&PEOPLE).await;
    for round in 0..3 {
        let messages = (0..10 * MANY)
            .map(|at| text(id, 1 + at % 2, &format!("{round} {at}"), "x"))
            .collect();
        for outcome in world.send_all(messages).await {
            assert!(!outcome.unwrap().duplicate);
        }
        world.all(id).await;
        let (_, unindexed) = world.index_sizes(id).await;
        assert!(unindexed < MANY, "{unindexed}");
    }
}

/// Longer than any conversation that has a filter.
async fn a_resend_is_found_in_a_conversation_of_any_length(store: Store) {
    let world = World::new(store).await;
    let id = world.conversation(&PEOPLE).await;
    let message = |at: i64| text(id, 1 + at % 2, &format!("m{at}"), "x");
    for round in 0..60 {
        let messages = (round * MANY..(round + 1) * MANY).flat_map(|at| [message(at), message(at / 2)]);
        let outcomes = world.send_all(messages.collect()).await;
        for (at, outcome) in outcomes.into_iter().enumerate() {
            assert_eq!(outcome.unwrap().duplicate, at % 2 == 1, "{round} {at}");
        }
    }
    let all = world.all(id).await;
    assert_eq!(all.len() as i64, 60 * MANY + 3);
}

/// A batch fails while it indexes: resends of its messages and of earlier ones are found.
async fn failed_indexing_changes_nothing(store: Store) {
    let world = World::new(store).await;
    let (id, other) = (
        world.conversation(&PEOPLE).await,
        world.conversation(&PEOPLE).await,
    );
    let message = |at: i64| text(id, 1, &at.to_string(), "x");
    world
        .execute(
            "CREATE TRIGGER planted BEFORE INSERT ON sent BEGIN SELECT RAISE(ABORT, 'planted'); END",
            "CREATE FUNCTION planted() RETURNS trigger LANGUAGE plpgsql AS
               $$ BEGIN IF NEW.client_msg_id = '30' THEN RAISE EXCEPTION 'planted'; END IF; RETURN NEW; END $$;
             CREATE TRIGGER planted BEFORE INSERT ON sent FOR EACH ROW EXECUTE FUNCTION planted()",
        )
        .await;
    let mut sent = 0;
    while world.send(message(sent)).await.is_ok() {
        sent += 1;
        assert!(sent < MANY, "nothing was indexed");
    }
    let before = world.index_sizes(id).await;
    // Again and again, and with what belongs to others in the same batch.
    for _ in 0..3 {
        assert!(world.send(message(sent)).await.is_err());
        world
            .send_all(vec![message(sent), text(other, 1, "theirs", "x")])
            .await;
        assert_eq!(world.index_sizes(id).await, before);
    }
    world
        .execute("DROP TRIGGER planted", "DROP TRIGGER planted ON sent")
        .await;
    for at in 0..sent {
        assert!(world.send(message(at)).await.unwrap().duplicate, "{at}");
    }
    let first = world.send(message(sent)).await.unwrap();
    assert_eq!((first.seq.get(), first.duplicate), (sent + 4, false));
    for at in 0..=sent {
        assert!(world.send(message(at)).await.unwrap().duplicate, "{at}");
    }
    world.send(text(other, 1, "theirs", "x")).await.unwrap();
    world.all(id).await;
    assert_eq!(world.all(other).await.len(), 4);
}

/// A batch that indexes one conversation and finds another one stale is retried, and indexes once.
async fn a_retried_batch_indexes_once(store: Store) {
    let world = World::new(store).await;
    let behind = Journal::new(
        world.journal.database().clone(),
        world.journal.backplane().clone(),
    );
    for round in 0..8 {
        let (indexed, moved) = (
            world.conversation(&PEOPLE).await,
            world.conversation(&PEOPLE).await,
        );
        let message = |id, at: i64| text(id, 1, &at.to_string(), "x");
        for at in 0..round + 24 {
            world.send(message(indexed, at)).await.unwrap();
        }
        world.send(message(moved, 0)).await.unwrap();
        record(&behind, moved, card()).await.unwrap();
        let batch = (100..110)
            .map(|at| message(indexed, at))
            .chain([message(moved, 1)]);
        for outcome in world.send_all(batch.clone().collect()).await {
            assert!(!outcome.unwrap().duplicate);
        }
        for outcome in world.send_all(batch.collect()).await {
            assert!(outcome.unwrap().duplicate);
        }
        assert_eq!(world.all(indexed).await.len() as i64, round + 24 + 10 + 3);
        assert_eq!(world.all(moved).await.len(), 6);
    }
}

/// No program of ours writes such a file. Other conversations go on, and the broken one is not written to.
#[tokio::test]
async fn a_conversation_with_a_broken_chain_refuses_messages_alone() {
    let world = World::new(Store::Sqlite).await;
    let (id, other) = (
        world.conversation(&PEOPLE).await,
        world.conversation(&PEOPLE).await,
    );
    for at in 0..3 {
        world.send(text(id, 1, &at.to_string(), "x")).await.unwrap();
        world.send(text(other, 1, &at.to_string(), "x")).await.unwrap();
    }
    // The chain goes on in the other conversation.
    let tear = "UPDATE entry SET previous_id = (SELECT unclaimed_entry_id FROM conversation ORDER BY id DESC LIMIT 1)
        WHERE id = (SELECT unclaimed_entry_id FROM conversation ORDER BY id LIMIT 1)";
    world.execute(tear, "").await;
    let world = world.reopen().await;
    for at in 3..2 * MANY {
        let outcomes = world.send_all(vec![
            text(id, 1, &at.to_string(), "x"),
            text(other, 1, &at.to_string(), "x"),
        ]);
        let outcomes = outcomes.await;
        assert!(matches!(
            outcomes[0],
            Err(Error::Database(database::Error::Damaged(_)))
        ));
        assert!(!outcomes[1].as_ref().unwrap().duplicate);
    }
    world.all(other).await;
    assert_eq!(world.last_seq(id).await, 6);
    // The rest of it has a gap, so it is not served.
    let page = world
        .journal
        .history(id, user(1), Direction::Before(seq(99)), 99)
        .await;
    let missing = match page {
        Err(Error::Database(database::Error::DamagedEntry { seq, .. })) => seq,
        other => panic!("{other:?}"),
    };
    assert_eq!(missing, 5);
    let mut refused = 0;
    for _ in 0..MANY {
        refused += i64::from(world.record(id, card()).await.is_err());
    }
    assert!(refused > 0, "a broken chain is indexed");
}

testkit::on_both!(
    failed_indexing_changes_nothing,
    a_retried_batch_indexes_once,
    events_and_messages_are_indexed,
    a_page_is_the_same_wherever_it_begins_and_ends,
    unread_messages_are_counted_wherever_they_lie,
    each_message_is_recalled_once_wherever_it_lies,
    a_restart_goes_on_in_the_middle_of_a_chain,
    a_batch_of_one_conversation_is_indexed_as_a_whole,
    a_resend_is_found_in_a_conversation_of_any_length,
);
