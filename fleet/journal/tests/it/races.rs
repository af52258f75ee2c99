//! Writes between two statements of one reader.

use std::{future::Future, pin::pin, sync::Arc, task::Poll};

use database::Engine;
use journal::{history::Direction, record::Event};
use proto::{Seq, wire::Role};
use testkit::store::Store;

use crate::world::{World, text, user};

/// More than there are readers, so that each of them is held.
const READS: usize = 16;

/// Polls a future once while every reader of the database is busy, and then waits until each of them has done what it was
/// asked for so far: the future has its first answer and has not seen it yet.
async fn begin<F: Future + Unpin>(world: &World, future: &mut F) {
    let Engine::Sqlite(sqlite) = world.journal.database().engine() else {
        panic!("no file");
    };
    let gate = Arc::new(std::sync::RwLock::new(()));
    let shut = gate.clone();
    let (shutting, opening) = (tokio::sync::oneshot::channel(), std::sync::mpsc::sync_channel(1));
    let (is_shut, open) = (shutting.0, opening.1);
    let holder = tokio::task::spawn_blocking(move || {
        let held = shut.write();
        is_shut.send(()).unwrap();
        let _ = open.recv();
        drop(held);
    });
    shutting.1.await.unwrap();
    let mut held: Vec<_> = (0..READS)
        .map(|_| {
            let gate = gate.clone();
            Box::pin(sqlite.read(move |_| {
                drop(gate.read());
                Ok(())
            }))
        })
        .collect();
    std::future::poll_fn(|context| {
        for held in &mut held {
            assert!(held.as_mut().poll(context).is_pending());
        }
        assert!(std::pin::Pin::new(&mut *future).poll(context).is_pending());
        Poll::Ready(())
    })
    .await;
    opening.0.send(()).unwrap();
    holder.await.unwrap();
    for held in held {
        held.await.unwrap();
    }
    for _ in 0..READS {
        world.journal.database().query("SELECT 1", vec![]).await.unwrap();
    }
}

#[tokio::test]
async fn i5_a_user_removed_during_a_read_sees_no_later_entry() {
    let world = World::new(Store::Sqlite).await;
    let id = world.conversation(&[(1, Role::Patient), (2, Role::Doctor)]).await;
    world.send(text(id, 1, "a", "for both")).await.unwrap();
    for direction in [
        Direction::After(Seq::ZERO),
        Direction::Before(Seq::from_database(99)),
    ] {
        let mut reading = pin!(world.journal.history(id, user(2), direction, 100));
        begin(&world, &mut reading).await;
        world.record(id, Event::Left(user(2))).await.unwrap();
        world.send(text(id, 1, "b", "not for them")).await.unwrap();
        let last_visible = world.journal.spans(id, user(2)).await.unwrap();
        let last_visible = last_visible.last().unwrap().to.unwrap();
        let page = reading.await.unwrap();
        let newest = page.entries.last().unwrap();
        assert!(
            newest.seq <= last_visible,
            "{:?} after {last_visible}",
            newest.seq
        );
        let rejoined = Event::Joined(crate::world::participant(2, Role::Doctor));
        world.record(id, rejoined).await.unwrap();
    }
}

async fn i5_unread_counts_nothing_that_came_after_the_overview(store: Store) {
    let world = World::new(store).await;
    let id = world.conversation(&[(1, Role::Patient), (2, Role::Doctor)]).await;
    world.send(text(id, 1, "a", "for both")).await.unwrap();
    let overview = world.journal.overview(user(2), id).await.unwrap().unwrap();
    world.record(id, Event::Left(user(2))).await.unwrap();
    world.send(text(id, 1, "b", "not for them")).await.unwrap();
    assert_eq!(world.journal.unread(user(2), &overview).await.unwrap(), 1);
    let overview = world.journal.overview(user(2), id).await.unwrap().unwrap();
    assert_eq!(world.journal.unread(user(2), &overview).await.unwrap(), 1);
}

/// I1, I4: a sender that missed an answer gets the same one by a resend.
async fn i1_i4_a_missed_answer_is_repeated(store: Store) {
    let world = World::new(store).await;
    let id = world.conversation(&[(1, Role::Patient)]).await;
    let (answer, answered) = tokio::sync::oneshot::channel();
    world
        .appender
        .submit(text(id, 1, "a", "x"), answer)
        .await
        .unwrap();
    drop(answered);
    let again = world.send(text(id, 1, "a", "x")).await.unwrap();
    assert_eq!((again.seq.get(), again.duplicate), (2, true));
    assert_eq!(world.all(id).await.len(), 2);
}

testkit::on_both!(
    i5_unread_counts_nothing_that_came_after_the_overview,
    i1_i4_a_missed_answer_is_repeated,
);
