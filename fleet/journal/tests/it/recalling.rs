//! Taking back: who may, until when, and that nothing of it is shown again while the row keeps it (I8).

use journal::{
    Error,
    history::Direction,
    record::{Event, NewParticipant, Shown},
};
use proto::{
    ConversationId, Seq,
    wire::{EntryKind, Role},
};
use testkit::store::Store;

use crate::world::{World, card, now_ms, seq, status, text, user};

const SECRET: &str = "a recalled secret";
const LATE_MS: i64 = journal::recall::SENDER_LIMIT_MS + 60_000;

/// Person 1 a patient, 2 a doctor, 3 an assistant; entry 4 is the patient's.
async fn world(store: Store) -> (World, ConversationId) {
    let world = World::new(store).await;
    let people = [(1, Role::Patient), (2, Role::Doctor), (3, Role::Assistant)];
    let id = world.conversation(&people).await;
    world.send(text(id, 1, "a", SECRET)).await.unwrap();
    (world, id)
}

async fn recall(world: &World, id: ConversationId, by: i64, about: i64, now_ms: i64) -> Result<Seq, Error> {
    let (first, unpublished) = world.journal.recall(id, user(by), seq(about), now_ms).await?;
    world.journal.publish(unpublished);
    Ok(first)
}

async fn i8_a_recalled_body_is_nowhere_in_history_and_stays_in_its_row(store: Store) {
    let (world, id) = world(store).await;
    assert_eq!(recall(&world, id, 1, 4, now_ms()).await.unwrap().get(), 5);
    for person in 1..=3 {
        for direction in [Direction::After(Seq::ZERO), Direction::Before(seq(99))] {
            let page = world
                .journal
                .history(id, user(person), direction, 100)
                .await
                .unwrap();
            for entry in page.entries {
                let shown = entry.into_wire();
                assert!(!shown.body.windows(4).any(|part| part == b"must"));
                if shown.seq == 4 {
                    assert!(shown.recalled && shown.mime_type.is_empty());
                }
                if shown.seq == 5 {
                    assert_eq!((shown.kind, shown.corrects_seq), (EntryKind::Recalled as i32, 4));
                }
            }
        }
    }
    let row = world
        .journal
        .database()
        .query_first(
            "SELECT body FROM entry WHERE conversation_id = $1 AND seq = 4",
            database::params![id.get()],
        )
        .await
        .unwrap()
        .unwrap();
    assert_eq!(row.get::<bytes::Bytes>(0).unwrap(), SECRET);
}

async fn i4_recalling_twice_is_recalling_once(store: Store) {
    let (world, id) = world(store).await;
    for by in [1, 1, 3, 1] {
        assert_eq!(recall(&world, id, by, 4, now_ms()).await.unwrap().get(), 5);
    }
    // Also when it would be too late for a first time, and after the consult was closed.
    assert_eq!(
        recall(&world, id, 1, 4, now_ms() + LATE_MS).await.unwrap().get(),
        5
    );
    world.record(id, status(false)).await.unwrap();
    assert_eq!(recall(&world, id, 1, 4, now_ms()).await.unwrap().get(), 5);
    assert_eq!(world.all(id).await.len(), 6);
    // The answer to a user without the right does not depend on an earlier recall.
    assert!(matches!(
        recall(&world, id, 2, 4, now_ms()).await,
        Err(Error::Forbidden { .. })
    ));
}

async fn others_late_senders_strangers_and_events_are_refused(store: Store) {
    let (world, id) = world(store).await;
    let other = world.conversation(&[(8, Role::Patient)]).await;
    let none = ConversationId::from_database(999_999);
    let now = now_ms();
    assert!(matches!(
        recall(&world, id, 2, 4, now).await,
        Err(Error::Forbidden { .. })
    ));
    assert!(matches!(
        recall(&world, id, 1, 4, now + LATE_MS).await,
        Err(Error::Forbidden { .. })
    ));
    for (conversation, by, about) in [(id, 9, 4), (id, 9, 99), (none, 1, 4), (other, 1, 1)] {
        assert!(matches!(
            recall(&world, conversation, by, about, now).await,
            Err(Error::NoAccess)
        ));
    }
    // Beyond the newest entry, and before the first one: the seq is at fault, and not for being late.
    for (by, about, expected) in [
        (1, 99, "the newest entry is 4"),
        (1, 5, "the newest entry is 4"),
        (1, 0, "may not see"),
    ] {
        let refused = recall(&world, id, by, about, now + LATE_MS).await;
        assert!(
            matches!(&refused, Err(Error::Invalid { field: "seq", message }) if message.to_string().contains(expected)),
            "{by} {about}: {refused:?}"
        );
    }
    world.record(id, card()).await.unwrap();
    for by in 1..=3 {
        let event = recall(&world, id, by, 5, now).await;
        assert!(
            matches!(event, Err(Error::Invalid { field: "seq", .. })),
            "{event:?}"
        );
    }
    assert_eq!(world.all(id).await.len(), 5);
    // The assistant may, at any time.
    assert_eq!(recall(&world, id, 3, 4, now + LATE_MS).await.unwrap().get(), 6);
}

async fn i5_what_one_may_not_see_one_may_not_take_back(store: Store) {
    let (world, id) = world(store).await;
    world.record(id, Event::Left(user(1))).await.unwrap();
    assert!(matches!(
        recall(&world, id, 1, 4, now_ms()).await,
        Err(Error::NoAccess)
    ));
    let back = Event::Joined(crate::world::participant(1, Role::Patient));
    world.record(id, back).await.unwrap();
    assert_eq!(recall(&world, id, 1, 4, now_ms()).await.unwrap().get(), 7);
    // An assistant who sees what comes from now on does not see it, so it is not there.
    world.send(text(id, 2, "b", "x")).await.unwrap();
    let later = NewParticipant {
        history: Shown::FromNow,
        ..crate::world::participant(5, Role::Assistant)
    };
    world.record(id, Event::Joined(later)).await.unwrap();
    assert!(matches!(
        recall(&world, id, 5, 8, now_ms()).await,
        Err(Error::Invalid { field: "seq", .. })
    ));
    // One who sees the whole case takes it back.
    let later = Event::Joined(crate::world::participant(6, Role::Assistant));
    world.record(id, later).await.unwrap();
    recall(&world, id, 6, 8, now_ms()).await.unwrap();
}

async fn a_closed_conversation_stays_as_it_is(store: Store) {
    let (world, id) = world(store).await;
    world.record(id, status(false)).await.unwrap();
    for by in [1, 3] {
        assert!(matches!(
            recall(&world, id, by, 4, now_ms()).await,
            Err(Error::Closed)
        ));
    }
}

async fn i4_a_resend_of_what_was_recalled_is_answered_and_shows_nothing(store: Store) {
    let (world, id) = world(store).await;
    recall(&world, id, 1, 4, now_ms()).await.unwrap();
    let again = world.send(text(id, 1, "a", SECRET)).await.unwrap();
    assert_eq!((again.seq.get(), again.duplicate), (4, true));
    let published = world.ledger.published.lock().len();
    assert_eq!(published, 1, "the resend was published");
    assert!(matches!(
        world.send(text(id, 1, "a", "other")).await,
        Err(Error::Conflict { field: "body" })
    ));
}

/// A recalled message is not unread.
async fn a_recalled_message_is_not_unread(store: Store) {
    let (world, id) = world(store).await;
    let unread = async || {
        let overview = world.journal.overview(user(2), id).await.unwrap().unwrap();
        world.journal.unread(user(2), &overview).await.unwrap()
    };
    assert_eq!(unread().await, 1);
    recall(&world, id, 1, 4, now_ms()).await.unwrap();
    assert_eq!(unread().await, 0);
}

/// Two apps recall the same message at once: one RECALLED entry, and both get its seq.
async fn i4_recalling_at_once_is_recalling_once(store: Store) {
    let (world, id) = world(store).await;
    for about in 0..10 {
        let sent = world.send(text(id, 1, &format!("m{about}"), "x")).await.unwrap();
        let recalls = (0..6).map(|at| {
            recall(
                &world,
                id,
                if at % 2 == 0 { 1 } else { 3 },
                sent.seq.get(),
                now_ms(),
            )
        });
        for outcome in futures_util::future::join_all(recalls).await {
            assert_eq!(outcome.unwrap(), sent.seq.next());
        }
    }
    assert_eq!(world.all(id).await.len(), 4 + 20);
}

testkit::on_both!(
    i4_recalling_at_once_is_recalling_once,
    i8_a_recalled_body_is_nowhere_in_history_and_stays_in_its_row,
    i4_recalling_twice_is_recalling_once,
    others_late_senders_strangers_and_events_are_refused,
    i5_what_one_may_not_see_one_may_not_take_back,
    a_closed_conversation_stays_as_it_is,
    i4_a_resend_of_what_was_recalled_is_answered_and_shows_nothing,
    a_recalled_message_is_not_unread,
);
