//! One send: accepted or refused, and why.

use journal::{Error, append::NewMessage, record::Event};
use proto::{ConversationId, Seq, wire::Role};
use testkit::store::Store;

use crate::world::{PAIR, World, duplicate_of, newcomer, now_ms, refused_field, seq, status, text, user};

async fn i5_a_missing_conversation_and_another_users_get_the_same_answer(store: Store) {
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

async fn i5_a_user_who_left_sends_no_more_until_they_join_again(store: Store) {
    let world = World::new(store).await;
    let id = world.conversation(&PAIR).await;
    world.send(text(id, 2, "a", "x")).await.unwrap();
    let left = Event::Left(user(2));
    assert_eq!(world.record(id, left).await.unwrap().get(), 4);
    assert!(matches!(
        world.send(text(id, 2, "b", "x")).await,
        Err(Error::NoAccess)
    ));
    world.send(text(id, 1, "c", "they have gone")).await.unwrap();
    // The resend of an accepted message is answered.
    duplicate_of(world.send(text(id, 2, "a", "x")).await, 3);
    let joined = Event::Joined(newcomer(2, Role::Doctor));
    world.record(id, joined).await.unwrap();
    assert_eq!(world.send(text(id, 2, "b", "x")).await.unwrap().seq.get(), 7);
    assert_eq!(world.seen_by(id, 2).await, [1, 2, 3, 4, 6, 7]);
    assert_eq!(world.seen_by(id, 1).await, [1, 2, 3, 4, 5, 6, 7]);
}

async fn a_closed_conversation_accepts_no_messages_until_it_is_opened(store: Store) {
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

async fn cards_are_accepted_by_role(store: Store) {
    let world = World::new(store).await;
    let participants = [(1, Role::Patient), (2, Role::Doctor), (3, Role::Assistant)];
    let id = world.conversation(&participants).await;
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

async fn a_reply_reaches_as_far_as_the_newest_entry(store: Store) {
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

/// I5: a reply to an entry outside the sender's spans would show that it is there.
async fn i5_a_reply_is_to_an_entry_within_the_senders_spans(store: Store) {
    let world = World::new(store).await;
    let id = world.conversation(&PAIR).await;
    for at in 3..=5 {
        world.send(text(id, 2, &format!("{at}"), "x")).await.unwrap();
    }
    // 3 joins by 6, leaves by 8, joins again by 10.
    let join = || Event::Joined(newcomer(3, Role::Doctor));
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
    // In one batch, after those that had a batch each.
    let mixed = [6, 9, 7, 5, 8].map(reply).to_vec();
    let outcomes = world.send_all(mixed).await;
    let taken: Vec<bool> = outcomes.iter().map(Result::is_ok).collect();
    assert_eq!(taken, [true, false, true, false, true]);
    world.send(reply(10)).await.unwrap();
    world.all(id).await;
}

async fn i5_only_participants_are_mentioned(store: Store) {
    let world = World::new(store).await;
    let participants = [(1, Role::Patient), (2, Role::Doctor), (3, Role::Assistant)];
    let id = world.conversation(&participants).await;
    let elsewhere = world.conversation(&[(1, Role::Patient), (9, Role::Doctor)]).await;
    let mention = |name: &str, mentions: &[i64]| NewMessage {
        mentions: mentions.to_vec(),
        ..text(id, 1, name, "x")
    };
    let all = mention("all", &[1, 2, 3, 3]);
    assert_eq!(world.send(all.clone()).await.unwrap().seq.get(), 4);
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
    duplicate_of(world.send(all).await, 4);
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

/// The check of mentions and replies needs no statement once the participants are cached: it passes without their rows.
async fn cached_participants_are_not_read_again(store: Store) {
    let world = World::new(store).await;
    let id = world.conversation(&PAIR).await;
    let message = |name: &str| NewMessage {
        mentions: vec![2, 1],
        reply_to_seq: seq(2),
        ..text(id, 1, name, "x")
    };
    world.send(message("a")).await.unwrap();
    world.send(message("b")).await.unwrap();
    let forget = "DELETE FROM participant";
    world.execute(forget, forget).await;
    world.send(message("c")).await.unwrap();
    assert!(matches!(
        world.send(text(id, 2, "d", "x")).await,
        Ok(accepted) if accepted.seq == seq(6)
    ));
    // An uncached participant is read.
    assert!(matches!(
        world.send(text(id, 3, "e", "x")).await,
        Err(Error::NoAccess)
    ));
}

/// More participants than are cached between batches: all of them count within one.
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

async fn i8_bodies_of_any_bytes_are_read_as_written(store: Store) {
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
    i5_a_missing_conversation_and_another_users_get_the_same_answer,
    i5_a_user_who_left_sends_no_more_until_they_join_again,
    a_closed_conversation_accepts_no_messages_until_it_is_opened,
    cards_are_accepted_by_role,
    a_reply_reaches_as_far_as_the_newest_entry,
    i5_a_reply_is_to_an_entry_within_the_senders_spans,
    i5_only_participants_are_mentioned,
    cached_participants_are_not_read_again,
    a_crowd_sends_and_is_mentioned_in_one_batch,
    i8_bodies_of_any_bytes_are_read_as_written,
    i2_a_reopened_file_goes_on_at_the_right_seq,
    i1_ending_an_appender_settles_everything_submitted,
    the_time_of_an_entry_is_when_it_was_accepted_first,
);
