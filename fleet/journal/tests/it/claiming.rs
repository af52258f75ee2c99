//! Where entries lie: a file puts them into its indexes some at a time, and nobody may see a difference, wherever that
//! stands.

use fleet_local::store::Store;
use journal::history::Direction;
use proto::{ConversationId, Seq, wire::Role};

use crate::world::{World, card, now_ms, seq, text, user};

const PEOPLE: [(i64, Role); 3] = [(1, Role::Patient), (2, Role::Doctor), (3, Role::Assistant)];
/// More than is ever left unclaimed by one who writes entries one by one.
const MANY: i64 = 40;

async fn history(world: &World, id: ConversationId, direction: Direction, limit: usize) -> Vec<i64> {
    let page = world
        .journal
        .history(id, user(1), direction, limit)
        .await
        .unwrap();
    page.entries.iter().map(|entry| entry.seq.get()).collect()
}

async fn entries_are_claimed_whoever_writes_them(store: Store) {
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
        let (claimed, unclaimed) = world.claims(id).await;
        assert_eq!(claimed + unclaimed, 3 * MANY + 3);
        assert!(unclaimed < MANY, "{unclaimed}");
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

async fn what_is_unread_is_counted_wherever_it_lies(store: Store) {
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

/// What a node does not know of a conversation it reads from the chain; a resend is found there as elsewhere.
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

/// One batch with more messages of a conversation than are ever left unclaimed.
async fn a_batch_of_one_conversation_is_claimed_as_a_whole(store: Store) {
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
        let (_, unclaimed) = world.claims(id).await;
        assert!(unclaimed < MANY, "{unclaimed}");
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

fleet_local::on_both!(
    entries_are_claimed_whoever_writes_them,
    a_page_is_the_same_wherever_it_begins_and_ends,
    what_is_unread_is_counted_wherever_it_lies,
    each_message_is_recalled_once_wherever_it_lies,
    a_restart_goes_on_in_the_middle_of_a_chain,
    a_batch_of_one_conversation_is_claimed_as_a_whole,
    a_resend_is_found_in_a_conversation_of_any_length,
);
