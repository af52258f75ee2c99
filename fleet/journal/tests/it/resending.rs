//! Resends (I4): the first send's answer, wherever the first message is stored.

use std::collections::{BTreeMap, BTreeSet};

use journal::{Error, Journal};
use proto::wire::Role;
use testkit::store::Store;

use crate::world::{PAIR, World, card, duplicate_of, record, seq, text};

async fn i4_a_resend_with_other_content_names_the_field_and_changes_nothing(store: Store) {
    let world = World::new(store).await;
    let id = world.conversation(&PAIR).await;
    let first = text(id, 1, "a", "hello");
    world.send(first.clone()).await.unwrap();
    let mut others = Vec::new();
    for field in ["mime_type", "body", "reply_to_seq", "mentions"] {
        let mut other = first.clone();
        match field {
            "mime_type" => other.mime_type = "text/markdown".into(),
            "body" => other.body = "hello!".into(),
            "reply_to_seq" => other.reply_to_seq = seq(1),
            _ => other.mentions = vec![2],
        }
        others.push((field, other));
    }
    for (wanted, other) in others {
        let outcome = world.send(other).await;
        assert!(
            matches!(outcome, Err(Error::Conflict { field }) if field == wanted),
            "{wanted}: {outcome:?}"
        );
    }
    duplicate_of(world.send(first).await, 3);
    assert_eq!(world.all(id).await.len(), 3);
}

async fn i4_the_same_id_twice_in_one_batch_is_one_entry(store: Store) {
    let world = World::new(store).await;
    let id = world.conversation(&PAIR).await;
    let outcomes = world
        .send_all(vec![
            text(id, 1, "a", "x"),
            text(id, 1, "a", "x"),
            text(id, 1, "a", "other"),
            text(id, 2, "a", "another user's a"),
            text(id, 1, "b", "y"),
            text(id, 1, "a", "x"),
        ])
        .await;
    let mut outcomes = outcomes.into_iter();
    let first = outcomes.next().unwrap().unwrap();
    assert_eq!((first.seq.get(), first.duplicate), (3, false));
    let again = outcomes.next().unwrap().unwrap();
    assert_eq!((again.seq, again.duplicate), (first.seq, true));
    assert_eq!(again.created_ms, first.created_ms);
    assert!(matches!(
        outcomes.next(),
        Some(Err(Error::Conflict { field: "body" }))
    ));
    assert_eq!(outcomes.next().unwrap().unwrap().seq.get(), 4);
    assert_eq!(outcomes.next().unwrap().unwrap().seq.get(), 5);
    duplicate_of(outcomes.next().unwrap(), 3);
    assert_eq!(world.all(id).await.len(), 5);
}

async fn i4_an_id_counts_for_one_sender_in_one_conversation(store: Store) {
    let world = World::new(store).await;
    let one = world.conversation(&PAIR).await;
    let two = world.conversation(&PAIR).await;
    for (id, sender) in [(one, 1), (one, 2), (two, 1), (two, 2)] {
        let accepted = world.send(text(id, sender, "a", "x")).await.unwrap();
        assert!(!accepted.duplicate);
    }
}

/// I4: messages are indexed some at a time; a resend finds indexed and unindexed ones, whichever handle wrote them.
async fn i4_a_resend_is_found_wherever_the_index_stands(store: Store) {
    let mut world = World::new(store).await;
    let id = world.conversation(&PAIR).await;
    let other = Journal::new(
        world.journal.database().clone(),
        world.journal.backplane().clone(),
    );
    record(&other, id, card()).await.unwrap();
    for at in 0..70i64 {
        let first = world
            .send(text(id, 1 + at % 2, &format!("m{at}"), "x"))
            .await
            .unwrap();
        assert!(!first.duplicate);
        if at % 11 == 5 {
            world.record(id, card()).await.unwrap();
        }
        if at % 23 == 7 {
            world = world.reopen().await;
        }
        if at % 7 == 3 {
            for earlier in 0..=at {
                let message = text(id, 1 + earlier % 2, &format!("m{earlier}"), "x");
                assert!(world.send(message).await.unwrap().duplicate, "{earlier} of {at}");
                let conflict = text(id, 1 + earlier % 2, &format!("m{earlier}"), "y");
                assert!(matches!(
                    world.send(conflict).await,
                    Err(Error::Conflict { field: "body" })
                ));
            }
        }
    }
    // On SQLite some are indexed, and not all.
    let row = world.journal.database().query_first(
        "SELECT claimed_seq, last_seq, (SELECT count(*) FROM sent), (SELECT count(*) FROM entry WHERE kind = 1) FROM conversation",
        vec![],
    );
    let row = row.await.unwrap().unwrap();
    let [indexed, last, sent, messages] = [0, 1, 2, 3].map(|at| row.get::<i64>(at).unwrap());
    if store == Store::Sqlite {
        assert!(0 < indexed && indexed < last, "{indexed} of {last}");
        assert!(0 < sent && sent < messages, "{sent} of {messages}");
    } else {
        assert_eq!(sent, messages);
    }
    assert_eq!(messages, 70);
    assert_eq!(world.all(id).await.len() as i64, last);
}

/// I4: each handle indexes messages that the other one has cached as unindexed.
async fn i4_two_handles_that_index_by_turns_find_each_others_messages(store: Store) {
    let world = World::new(store).await;
    let id = world.conversation(&PAIR).await;
    let journal = Journal::new(
        world.journal.database().clone(),
        world.journal.backplane().clone(),
    );
    let ledger = crate::world::Ledger::default();
    let appender = journal::append::Appender::start(&journal, ledger);
    let other = async |message| {
        let (answer, answered) = tokio::sync::oneshot::channel();
        appender.submit(message, answer).await.unwrap();
        answered.await.unwrap()
    };
    let mut seq = 2;
    for at in 0..120i64 {
        let message = text(id, 1, &format!("m{at}"), "x");
        let first = if at / 5 % 2 == 0 {
            world.send(message).await.unwrap()
        } else {
            other(message).await.unwrap()
        };
        seq += 1;
        assert_eq!((first.seq.get(), first.duplicate), (seq, false));
        for earlier in [0, at / 2, at] {
            let message = text(id, 1, &format!("m{earlier}"), "x");
            duplicate_of(world.send(message.clone()).await, 3 + earlier);
            duplicate_of(other(message).await, 3 + earlier);
        }
    }
    assert_eq!(world.all(id).await.len(), 122);
}

/// I2, I4: 64 senders, 8 conversations, everything sent three times over, from independent tasks.
async fn i2_i4_a_rush_of_senders_who_resend_everything_makes_one_entry_each(store: Store) {
    const MESSAGES: i64 = 25;
    let world = World::new(store).await;
    let mut ids = Vec::new();
    for at in 0..8 {
        let people: Vec<_> = (0..8)
            .map(|person| (100 + at * 8 + person, Role::Doctor))
            .collect();
        ids.push(world.conversation(&people).await);
    }
    let mut tasks = Vec::new();
    for person in 0..64i64 {
        let id = ids[(person / 8) as usize];
        // One app on three devices that send the same messages.
        for device in 0..3 {
            let appender = world.appender.clone();
            tasks.push(tokio::spawn(async move {
                let mut got = Vec::new();
                for at in 0..MESSAGES {
                    let (answer, answered) = tokio::sync::oneshot::channel();
                    let client_msg_id = format!("m{at}");
                    let message = text(id, 100 + person, &client_msg_id, &format!("{person} {at}"));
                    appender.submit(message, answer).await.unwrap();
                    if device == 0 {
                        tokio::task::yield_now().await;
                    }
                    let accepted = answered.await.unwrap().unwrap();
                    got.push(((id, 100 + person, client_msg_id), accepted));
                }
                got
            }));
        }
    }
    let mut seqs: BTreeMap<_, BTreeSet<i64>> = BTreeMap::new();
    let mut firsts = 0;
    for task in tasks {
        for (message, accepted) in task.await.unwrap() {
            seqs.entry(message).or_default().insert(accepted.seq.get());
            firsts += i64::from(!accepted.duplicate);
        }
    }
    assert_eq!(firsts, 64 * MESSAGES);
    assert!(
        seqs.values().all(|seqs| seqs.len() == 1),
        "one seq for each message"
    );
    for id in ids {
        let entries = world.all(id).await;
        assert_eq!(entries.len() as i64, 8 + 8 * MESSAGES);
        // A sender who waits for each answer is in order.
        for person in 0..8 {
            let of_one: Vec<_> = entries
                .iter()
                .filter(|entry| entry.sender.get() == entries[8].sender.get() + person)
                .filter(|entry| !entry.client_msg_id.is_empty())
                .map(|entry| entry.client_msg_id.clone())
                .collect();
            let wanted: Vec<_> = (0..MESSAGES).map(|at| format!("m{at}")).collect();
            assert!(of_one.is_empty() || of_one == wanted);
        }
    }
}

testkit::on_both!(
    i4_a_resend_with_other_content_names_the_field_and_changes_nothing,
    i4_the_same_id_twice_in_one_batch_is_one_entry,
    i4_an_id_counts_for_one_sender_in_one_conversation,
    i4_a_resend_is_found_wherever_the_index_stands,
    i4_two_handles_that_index_by_turns_find_each_others_messages,
    i2_i4_a_rush_of_senders_who_resend_everything_makes_one_entry_each,
);
