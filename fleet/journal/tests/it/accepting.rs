//! One send, and batches of them: what is accepted, what is refused, and what a resend gets.

use std::collections::{BTreeMap, BTreeSet};

use journal::{
    Error, Journal,
    append::{Accepted, NewMessage},
    record::Event,
};
use proto::{ConversationId, Seq, wire::Role};
use testkit::store::Store;

use crate::world::{World, card, now_ms, participant, record, seq, status, text, user};

const PAIR: [(i64, Role); 2] = [(1, Role::Patient), (2, Role::Doctor)];

fn duplicate_of(outcome: Result<Accepted, Error>, seq: i64) {
    let accepted = outcome.unwrap();
    assert_eq!((accepted.seq.get(), accepted.duplicate), (seq, true));
}

async fn i5_none_and_not_yours_are_refused_in_the_same_words(store: Store) {
    let world = World::new(store).await;
    let ours = world.conversation(&PAIR).await;
    let none = ConversationId::from_database(999_999);
    let not_yours = world.send(text(ours, 7, "a", "x")).await.unwrap_err();
    let not_there = world.send(text(none, 7, "a", "x")).await.unwrap_err();
    assert!(matches!(not_yours, Error::NoAccess), "{not_yours}");
    assert!(matches!(not_there, Error::NoAccess), "{not_there}");
    assert_eq!(not_yours.to_string(), not_there.to_string());
    assert_eq!(world.last_seq(ours).await, 2);
    let history = |conversation| {
        let direction = journal::history::Direction::After(Seq::ZERO);
        world.journal.history(conversation, user(7), direction, 10)
    };
    assert!(matches!(history(ours).await, Err(Error::NoAccess)));
    assert!(matches!(history(none).await, Err(Error::NoAccess)));
    assert_eq!(world.journal.overview(user(7), ours).await.unwrap(), None);
    assert_eq!(world.journal.overview(user(7), none).await.unwrap(), None);
}

async fn i5_whoever_has_left_sends_no_more_until_they_are_back(store: Store) {
    let world = World::new(store).await;
    let id = world.conversation(&PAIR).await;
    world.send(text(id, 2, "a", "x")).await.unwrap();
    let left = journal::record::Event::Left(user(2));
    assert_eq!(world.record(id, left).await.unwrap().get(), 4);
    assert!(matches!(
        world.send(text(id, 2, "b", "x")).await,
        Err(Error::NoAccess)
    ));
    world.send(text(id, 1, "c", "they have gone")).await.unwrap();
    // What was accepted while they were in is answered still.
    duplicate_of(world.send(text(id, 2, "a", "x")).await, 3);
    let joined = journal::record::Event::Joined(participant(2, Role::Doctor));
    world.record(id, joined).await.unwrap();
    assert_eq!(world.send(text(id, 2, "b", "x")).await.unwrap().seq.get(), 7);
    assert_eq!(world.seen_by(id, 2).await, [2, 3, 4, 6, 7]);
    assert_eq!(world.seen_by(id, 1).await, [1, 2, 3, 4, 5, 6, 7]);
}

async fn a_closed_conversation_takes_no_messages_until_it_is_opened(store: Store) {
    let world = World::new(store).await;
    let id = world.conversation(&PAIR).await;
    world.send(text(id, 1, "a", "x")).await.unwrap();
    world.record(id, status(false)).await.unwrap();
    assert!(matches!(
        world.send(text(id, 1, "b", "x")).await,
        Err(Error::Closed)
    ));
    // A stranger does not learn that it is closed.
    assert!(matches!(
        world.send(text(id, 9, "b", "x")).await,
        Err(Error::NoAccess)
    ));
    duplicate_of(world.send(text(id, 1, "a", "x")).await, 3);
    world.record(id, status(true)).await.unwrap();
    assert_eq!(world.send(text(id, 1, "b", "x")).await.unwrap().seq.get(), 6);
}

async fn cards_are_refused_to_whoever_may_not_send_them(store: Store) {
    let world = World::new(store).await;
    let people = [(1, Role::Patient), (2, Role::Doctor), (3, Role::Assistant)];
    let id = world.conversation(&people).await;
    for (mime_type, senders) in [
        ("application/vnd.huizhen.advice", [false, true, false]),
        ("application/vnd.huizhen.notice", [false, false, true]),
        ("application/vnd.huizhen.vas", [false, false, false]),
        ("application/vnd.huizhen.call", [false, false, false]),
    ] {
        for (sender, may) in (1..).zip(senders) {
            let mut message = text(id, sender, mime_type, "");
            message.mime_type = mime_type.into();
            let outcome = world.send(message).await;
            if may {
                outcome.unwrap();
            } else {
                assert!(
                    matches!(outcome, Err(Error::Forbidden { .. })),
                    "{mime_type} by {sender}"
                );
            }
        }
    }
}

async fn a_reply_to_the_future_is_refused_and_one_to_the_newest_is_not(store: Store) {
    let world = World::new(store).await;
    let id = world.conversation(&PAIR).await;
    let reply = |client_msg_id: &str, to: i64| {
        let mut message = text(id, 1, client_msg_id, "x");
        message.reply_to_seq = seq(to);
        message
    };
    let refused = world.send(reply("a", 3)).await;
    assert!(
        matches!(&refused, Err(Error::Invalid { field: "reply_to_seq", message }) if message.to_string().contains("newest entry is 2")),
        "{refused:?}"
    );
    assert_eq!(world.send(reply("a", 2)).await.unwrap().seq.get(), 3);
    // Within one batch, too: the second one answers the first one.
    let outcomes = world.send_all(vec![reply("b", 3), reply("c", 4)]).await;
    assert!(outcomes.iter().all(Result::is_ok), "{outcomes:?}");
}

/// The field that a refusal names.
fn refused_field(outcome: &Result<Accepted, Error>) -> &'static str {
    match outcome {
        Err(Error::Invalid { field, .. }) => field,
        other => panic!("{other:?}"),
    }
}

/// I5: a reply to an entry outside the sender's spans would show that it is there.
async fn i5_a_reply_answers_an_entry_within_the_senders_spans(store: Store) {
    let world = World::new(store).await;
    let id = world.conversation(&PAIR).await;
    for at in 3..=5 {
        world.send(text(id, 2, &format!("{at}"), "x")).await.unwrap();
    }
    // 3 joins by 6, leaves by 8, joins again by 10.
    let join = || Event::Joined(participant(3, Role::Doctor));
    assert_eq!(world.record(id, join()).await.unwrap().get(), 6);
    world.send(text(id, 2, "7", "x")).await.unwrap();
    world.record(id, Event::Left(user(3))).await.unwrap();
    world.send(text(id, 2, "9", "x")).await.unwrap();
    assert_eq!(world.record(id, join()).await.unwrap().get(), 10);
    let reply = |to: i64| NewMessage {
        reply_to_seq: seq(to),
        ..text(id, 3, &format!("reply to {to}"), "x")
    };
    for to in [1, 5, 9, 99] {
        assert_eq!(
            refused_field(&world.send(reply(to)).await),
            "reply_to_seq",
            "{to}"
        );
    }
    // Together, and each in a batch of its own.
    let mixed = [6, 9, 7, 5, 8].map(reply).to_vec();
    let outcomes = world.send_all(mixed).await;
    let taken: Vec<bool> = outcomes.iter().map(Result::is_ok).collect();
    assert_eq!(taken, [true, false, true, false, true]);
    world.send(reply(10)).await.unwrap();
    world.all(id).await;
}

async fn only_participants_are_mentioned_and_a_resend_is_answered_after_they_left(store: Store) {
    let world = World::new(store).await;
    let people = [(1, Role::Patient), (2, Role::Doctor), (3, Role::Assistant)];
    let id = world.conversation(&people).await;
    let elsewhere = world.conversation(&[(1, Role::Patient), (9, Role::Doctor)]).await;
    let mention = |name: &str, mentions: &[i64]| NewMessage {
        mentions: mentions.to_vec(),
        ..text(id, 1, name, "x")
    };
    let everybody = mention("everybody", &[1, 2, 3, 3]);
    assert_eq!(world.send(everybody.clone()).await.unwrap().seq.get(), 4);
    for strangers in [&[9][..], &[2, 9], &[9, 2], &[12_345]] {
        let outcome = world.send(mention("stranger", strangers)).await;
        assert_eq!(refused_field(&outcome), "mentions", "{strangers:?}");
    }
    world.send(text(elsewhere, 1, "a", "x")).await.unwrap();
    world.record(id, Event::Left(user(3))).await.unwrap();
    assert_eq!(
        refused_field(&world.send(mention("left", &[3])).await),
        "mentions"
    );
    duplicate_of(world.send(everybody).await, 4);
    // Refused ones beside good ones of the same batch.
    let outcomes = world
        .send_all(vec![
            mention("b", &[2]),
            mention("c", &[3]),
            mention("d", &[2, 1]),
        ])
        .await;
    let taken: Vec<bool> = outcomes.iter().map(Result::is_ok).collect();
    assert_eq!(taken, [true, false, true]);
    world.all(id).await;
}

/// The check of mentions and replies costs no statement once the people are known: it passes without their rows.
async fn people_who_are_known_are_not_asked_for_again(store: Store) {
    let world = World::new(store).await;
    let id = world.conversation(&PAIR).await;
    let message = |name: &str| NewMessage {
        mentions: vec![2, 1],
        reply_to_seq: seq(2),
        ..text(id, 1, name, "x")
    };
    // The second attempt finds what the first one left, also where that had to begin again.
    world.send(message("a")).await.unwrap();
    world.send(message("b")).await.unwrap();
    let forget = "DELETE FROM participant";
    world.execute(forget, forget).await;
    world.send(message("c")).await.unwrap();
    assert!(matches!(
        world.send(text(id, 2, "d", "x")).await,
        Ok(accepted) if accepted.seq == seq(6)
    ));
    // And who is not known is asked for.
    assert!(matches!(
        world.send(text(id, 3, "e", "x")).await,
        Err(Error::NoAccess)
    ));
}

/// More than are remembered between batches: all of them count within one.
async fn a_crowd_sends_and_is_mentioned_in_one_batch(store: Store) {
    let world = World::new(store).await;
    let crowd: Vec<(i64, Role)> = (1..=150).map(|person| (person, Role::Doctor)).collect();
    let id = world.conversation(&crowd).await;
    let messages = crowd.iter().map(|(person, _)| NewMessage {
        mentions: (0..50).map(|at| 1 + (person + 3 * at) % 150).collect(),
        ..text(id, *person, "a", "x")
    });
    let outcomes = world.send_all(messages.collect()).await;
    assert!(outcomes.iter().all(Result::is_ok), "{outcomes:?}");
    world.all(id).await;
}

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
            text(id, 2, "a", "another person's a"),
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

async fn i8_bodies_of_any_bytes_come_back_as_they_went(store: Store) {
    const LARGEST_ID: i64 = i64::MAX >> 11;
    let mut world = World::new(store).await;
    let id = world
        .conversation(&[(1, Role::Patient), (LARGEST_ID, Role::Doctor)])
        .await;
    let mut bodies: Vec<Vec<u8>> = vec![vec![], vec![0], (0..=255).collect(), vec![7; 60_000]];
    bodies.push("会诊".as_bytes().to_vec());
    for (at, body) in bodies.iter().enumerate() {
        let mut message = text(id, 1, &format!("m{at}"), "");
        message.mime_type = "application/x-any".into();
        message.body = body.clone().into();
        message.mentions = vec![LARGEST_ID, 1];
        world.send(message).await.unwrap();
    }
    world = world.reopen().await;
    for (entry, body) in world.all(id).await[2..].iter().zip(&bodies) {
        assert_eq!(entry.body, *body);
        assert_eq!(entry.mentions.len(), 2);
    }
}

async fn i2_a_reopened_file_goes_on_at_the_right_seq(store: Store) {
    let mut world = World::new(store).await;
    let id = world.conversation(&PAIR).await;
    for round in 0..4 {
        for at in 0..5 {
            let accepted = world
                .send(text(id, 1, &format!("{round}-{at}"), "x"))
                .await
                .unwrap();
            assert_eq!(accepted.seq.get(), 3 + round * 5 + at);
        }
        duplicate_of(world.send(text(id, 1, "0-0", "x")).await, 3);
        world = world.reopen().await;
    }
    assert_eq!(world.all(id).await.len(), 22);
}

async fn i1_ending_an_appender_settles_everything_submitted(store: Store) {
    let world = World::new(store).await;
    let id = world.conversation(&PAIR).await;
    let mut waiting = Vec::new();
    for at in 0..3_000 {
        let (answer, answered) = tokio::sync::oneshot::channel();
        world
            .appender
            .submit(text(id, 1, &format!("m{at}"), "x"), answer)
            .await
            .unwrap();
        waiting.push(answered);
    }
    world.appender.end().await;
    for mut answered in waiting {
        answered.try_recv().unwrap().unwrap();
    }
    assert_eq!(world.ledger.published.lock().len(), 3_000);
    let conversation = world.journal.conversation(id).await.unwrap().unwrap();
    assert_eq!(conversation.last_seq.get(), 3_002);
}

/// What the cache remembers is wrong once another handle has written; a compare-and-set finds out (I2), and a refusal
/// looks again (I5).
async fn i2_i5_what_another_handle_wrote_is_found_out(store: Store) {
    let world = World::new(store).await;
    let id = world.conversation(&PAIR).await;
    let other = Journal::new(
        world.journal.database().clone(),
        world.journal.backplane().clone(),
    );
    world.send(text(id, 1, "a", "x")).await.unwrap();
    // The seq that the cache would give is taken.
    record(&other, id, card()).await.unwrap();
    assert_eq!(world.send(text(id, 1, "b", "x")).await.unwrap().seq.get(), 5);
    // Closed behind its back.
    record(&other, id, status(false)).await.unwrap();
    assert!(matches!(
        world.send(text(id, 1, "c", "x")).await,
        Err(Error::Closed)
    ));
    // Opened again: a refusal must not be remembered.
    record(&other, id, status(true)).await.unwrap();
    assert_eq!(world.send(text(id, 1, "c", "x")).await.unwrap().seq.get(), 8);
    // A stranger whom it has refused joins.
    assert!(matches!(
        world.send(text(id, 9, "a", "x")).await,
        Err(Error::NoAccess)
    ));
    let joined = journal::record::Event::Joined(participant(9, Role::Doctor));
    record(&other, id, joined).await.unwrap();
    assert_eq!(world.send(text(id, 9, "a", "x")).await.unwrap().seq.get(), 10);
    // Somebody whom it has accepted is removed.
    record(&other, id, journal::record::Event::Left(user(9)))
        .await
        .unwrap();
    assert!(matches!(
        world.send(text(id, 9, "b", "x")).await,
        Err(Error::NoAccess)
    ));
    assert_eq!(world.all(id).await.len(), 11);
}

/// One stale conversation makes a whole batch begin again; the others of it must not be doubled.
async fn i4_a_batch_that_begins_again_writes_each_message_once(store: Store) {
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

/// A row that the batch cannot live with: nothing of the batch is written, its senders are told, and the next one is
/// right.
async fn a_batch_that_the_database_refuses_leaves_nothing_and_harms_nobody_later(store: Store) {
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

/// The commit itself is refused: its senders are told, and the cache's knowledge of seqs that were never there does no
/// harm (I2).
async fn i1_i2_a_commit_that_fails_acknowledges_nothing_and_leaves_no_gap(store: Store) {
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

/// The file holds less than the cache remembers, as when somebody has set it back meanwhile.
async fn i2_a_cache_that_is_ahead_of_the_file_leaves_no_gap(store: Store) {
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

/// The same, and what the cache remembers as the message's place has become that of another conversation's message.
async fn i4_the_same_message_elsewhere_answers_no_resend(store: Store) {
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

/// I4: messages go into the index of client_msg_ids some at a time; wherever that stands, and whoever did it, a resend
/// finds the first one.
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
    // On SQLite something is in it, and not all.
    let claimed = world.journal.database().query_first(
        "SELECT claimed_seq, last_seq, (SELECT count(*) FROM sent), (SELECT count(*) FROM entry WHERE kind = 1) FROM conversation",
        vec![],
    );
    let row = claimed.await.unwrap().unwrap();
    let [claimed, last, sent, messages] = [0, 1, 2, 3].map(|at| row.get::<i64>(at).unwrap());
    if store == Store::Sqlite {
        assert!(0 < claimed && claimed < last, "{claimed} of {last}");
        assert!(0 < sent && sent < messages, "{sent} of {messages}");
    } else {
        assert_eq!(sent, messages);
    }
    assert_eq!(messages, 70);
    assert_eq!(world.all(id).await.len() as i64, last);
}

/// I4: one handle has put messages into the index that the other one remembers as not in it, and the other way round.
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

/// I2, I4: 64 senders, 8 conversations, everything sent three times over, from tasks that know nothing of each other.
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
        // The same app on two devices, and one of them sends everything again at once.
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

async fn the_time_of_an_entry_is_when_it_was_accepted_first(store: Store) {
    let world = World::new(store).await;
    let id = world.conversation(&PAIR).await;
    let before = now_ms();
    let first = world.send(text(id, 1, "a", "x")).await.unwrap();
    assert!((before..=now_ms()).contains(&first.created_ms));
    let again = world.send(text(id, 1, "a", "x")).await.unwrap();
    assert_eq!(again.created_ms, first.created_ms);
    let updated = world.journal.conversation(id).await.unwrap().unwrap().updated_ms;
    assert_eq!(updated, first.created_ms);
}

testkit::on_both!(
    i5_none_and_not_yours_are_refused_in_the_same_words,
    i5_whoever_has_left_sends_no_more_until_they_are_back,
    a_closed_conversation_takes_no_messages_until_it_is_opened,
    cards_are_refused_to_whoever_may_not_send_them,
    a_reply_to_the_future_is_refused_and_one_to_the_newest_is_not,
    i5_a_reply_answers_an_entry_within_the_senders_spans,
    only_participants_are_mentioned_and_a_resend_is_answered_after_they_left,
    people_who_are_known_are_not_asked_for_again,
    a_crowd_sends_and_is_mentioned_in_one_batch,
    i4_a_resend_with_other_content_names_the_field_and_changes_nothing,
    i4_the_same_id_twice_in_one_batch_is_one_entry,
    i4_an_id_counts_for_one_sender_in_one_conversation,
    i8_bodies_of_any_bytes_come_back_as_they_went,
    i2_a_reopened_file_goes_on_at_the_right_seq,
    i1_ending_an_appender_settles_everything_submitted,
    i2_i5_what_another_handle_wrote_is_found_out,
    i4_a_batch_that_begins_again_writes_each_message_once,
    a_batch_that_the_database_refuses_leaves_nothing_and_harms_nobody_later,
    i1_i2_a_commit_that_fails_acknowledges_nothing_and_leaves_no_gap,
    i2_a_cache_that_is_ahead_of_the_file_leaves_no_gap,
    i4_the_same_message_elsewhere_answers_no_resend,
    i4_a_resend_is_found_wherever_the_index_stands,
    i4_two_handles_that_index_by_turns_find_each_others_messages,
    i2_i4_a_rush_of_senders_who_resend_everything_makes_one_entry_each,
    the_time_of_an_entry_is_when_it_was_accepted_first,
);
