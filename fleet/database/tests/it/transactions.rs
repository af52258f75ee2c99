//! Transactions are whole or nothing, take turns, and end with the handle.

use std::sync::Arc;

use database::{Error, params};

use testkit::store::Store;

use crate::Scratch;

const ADD: &str = "INSERT INTO note (id) VALUES ($1)";

async fn scratch(store: Store) -> Scratch {
    let scratch = Scratch::open(store).await;
    scratch
        .run(&["CREATE TABLE note (id BIGINT NOT NULL PRIMARY KEY)"])
        .await;
    scratch
}

async fn add(scratch: &Scratch, id: i64) -> Result<u64, Error> {
    scratch
        .database
        .transaction(move |tx| Box::pin(async move { tx.execute(ADD, params![id]).await }))
        .await
}

async fn a_transaction_that_gives_an_error_leaves_nothing(store: Store) {
    let scratch = scratch(store).await;
    let outcome: Result<(), Error> = scratch
        .database
        .transaction(|tx| {
            Box::pin(async move {
                tx.execute(ADD, params![1]).await?;
                Err(Error::Closed)
            })
        })
        .await;
    assert!(matches!(outcome, Err(Error::Closed)));
    assert_eq!(scratch.number("SELECT count(*) FROM note").await, 0);
    assert_eq!(add(&scratch, 1).await.unwrap(), 1);
}

/// PostgreSQL accepts no more statements then; SQLite would, and a program written on it would break there.
async fn a_refused_statement_ends_the_transaction(store: Store) {
    let scratch = scratch(store).await;
    let outcome = scratch
        .database
        .transaction(|tx| {
            Box::pin(async move {
                tx.execute(ADD, params![1]).await?;
                let again = tx.execute(ADD, params![1]).await;
                assert_eq!(again.unwrap_err().constraint(), Some("note_pkey"));
                let next = tx.execute(ADD, params![2]).await;
                assert!(matches!(next, Err(Error::Refused)));
                assert!(matches!(tx.query("SELECT 1", vec![]).await, Err(Error::Refused)));
                Ok::<_, Error>(())
            })
        })
        .await;
    assert!(matches!(outcome, Err(Error::Refused)), "{outcome:?}");
    assert_eq!(scratch.number("SELECT count(*) FROM note").await, 0);
    // A statement that is refused without an error lets it go on.
    let added = scratch
        .database
        .transaction(|tx| {
            Box::pin(async move {
                tx.execute(ADD, params![1]).await?;
                let gentle = "INSERT INTO note (id) VALUES ($1) ON CONFLICT DO NOTHING";
                Ok::<_, Error>(tx.execute(gentle, params![1]).await? + tx.execute(gentle, params![2]).await?)
            })
        })
        .await;
    assert_eq!(added.unwrap(), 1);
    assert_eq!(scratch.number("SELECT count(*) FROM note").await, 2);
}

async fn a_panic_leaves_nothing_and_the_thread_alive(store: Store) {
    let scratch = scratch(store).await;
    let outcome: Result<(), Error> = scratch
        .database
        .transaction(|tx| {
            Box::pin(async move {
                tx.execute(ADD, params![1]).await?;
                panic!("planted")
            })
        })
        .await;
    assert!(matches!(outcome, Err(Error::Panicked)));
    assert_eq!(scratch.number("SELECT count(*) FROM note").await, 0);
    assert_eq!(add(&scratch, 1).await.unwrap(), 1);
}

async fn a_transaction_that_waits_for_something_else_leaves_nothing(store: Store) {
    let scratch = scratch(store).await;
    let outcome: Result<(), Error> = scratch
        .database
        .transaction(|tx| {
            Box::pin(async move {
                tx.execute(ADD, params![1]).await?;
                tokio::task::yield_now().await;
                Ok(())
            })
        })
        .await;
    assert!(matches!(outcome, Err(Error::Suspended)));
    assert_eq!(scratch.number("SELECT count(*) FROM note").await, 0);
}

/// The inner one would be queued behind the outer one and run after that was rolled back.
async fn a_transaction_within_a_transaction_is_refused_and_never_runs(store: Store) {
    let scratch = scratch(store).await;
    let database = scratch.database.clone();
    let outcome = scratch
        .database
        .transaction(move |tx| {
            Box::pin(async move {
                tx.execute(ADD, params![1]).await?;
                database
                    .transaction(|tx| Box::pin(async move { tx.execute(ADD, params![2]).await }))
                    .await
            })
        })
        .await;
    assert!(matches!(outcome, Err(Error::Suspended)));
    // A queued job would have run before this one.
    add(&scratch, 3).await.unwrap();
    assert_eq!(scratch.number("SELECT count(*) FROM note").await, 1);
}

async fn a_transaction_runs_to_its_end_when_its_future_is_dropped(store: Store) {
    let scratch = scratch(store).await;
    let (begun, begins) = std::sync::mpsc::sync_channel(1);
    let (go, goes) = std::sync::mpsc::sync_channel::<()>(1);
    let database = scratch.database.clone();
    let task = tokio::spawn(async move {
        database
            .transaction(move |tx| {
                Box::pin(async move {
                    begun.send(()).unwrap();
                    goes.recv().unwrap();
                    tx.execute(ADD, params![1]).await
                })
            })
            .await
    });
    tokio::task::spawn_blocking(move || begins.recv().unwrap())
        .await
        .unwrap();
    task.abort();
    assert!(task.await.unwrap_err().is_cancelled());
    go.send(()).unwrap();
    add(&scratch, 2).await.unwrap();
    scratch.eventually("SELECT count(*) FROM note", 2).await;
}

#[tokio::test]
async fn transactions_take_turns_in_the_order_of_asking() {
    let scratch = scratch(Store::Sqlite).await;
    let order = Arc::new(parking_lot::Mutex::new(Vec::new()));
    // Fewer than Tokio lets one task do at a stretch, of two things each.
    let waiting: Vec<_> = (0..50)
        .map(|id| {
            let order = order.clone();
            scratch.database.transaction(move |tx| {
                Box::pin(async move {
                    tx.execute(ADD, params![id]).await?;
                    order.lock().push(id);
                    Ok::<_, Error>(())
                })
            })
        })
        .collect();
    for outcome in futures_util::future::join_all(waiting).await {
        outcome.unwrap();
    }
    assert_eq!(*order.lock(), (0..50).collect::<Vec<_>>());
}

async fn reads_see_nothing_of_a_transaction_before_its_commit(store: Store) {
    let scratch = scratch(store).await;
    let (begun, begins) = std::sync::mpsc::sync_channel(1);
    let (go, goes) = std::sync::mpsc::sync_channel::<()>(1);
    let write = scratch.database.transaction(move |tx| {
        Box::pin(async move {
            tx.execute(ADD, params![1]).await?;
            begun.send(()).unwrap();
            goes.recv().unwrap();
            Ok::<_, Error>(())
        })
    });
    let read = async {
        tokio::task::spawn_blocking(move || begins.recv().unwrap())
            .await
            .unwrap();
        let before = scratch.number("SELECT count(*) FROM note").await;
        go.send(()).unwrap();
        before
    };
    let (written, before) = tokio::join!(write, read);
    written.unwrap();
    assert_eq!(before, 0);
    assert_eq!(scratch.number("SELECT count(*) FROM note").await, 1);
}

async fn after_close_everything_is_refused_and_what_was_queued_is_done(store: Store) {
    let scratch = scratch(store).await;
    let queued: Vec<_> = (0..50)
        .map(|id| {
            let database = scratch.database.clone();
            tokio::spawn(async move {
                database
                    .transaction(move |tx| Box::pin(async move { tx.execute(ADD, params![id]).await }))
                    .await
            })
        })
        .collect();
    tokio::task::yield_now().await;
    tokio::time::timeout(crate::PATIENCE, scratch.database.close())
        .await
        .unwrap();
    let mut done = 0;
    for task in queued {
        match task.await.unwrap() {
            Ok(_) => done += 1,
            Err(error) => assert!(matches!(error, Error::Closed), "{error}"),
        }
    }
    assert!(matches!(add(&scratch, 99).await, Err(Error::Closed)));
    assert!(matches!(
        scratch.database.query("SELECT 1", vec![]).await,
        Err(Error::Closed)
    ));
    // A second close is none.
    scratch.database.close().await;
    let scratch = scratch.reopen().await;
    assert_eq!(scratch.number("SELECT count(*) FROM note").await, done);
}

testkit::on_both!(
    a_transaction_that_gives_an_error_leaves_nothing,
    a_refused_statement_ends_the_transaction,
    a_panic_leaves_nothing_and_the_thread_alive,
    a_transaction_that_waits_for_something_else_leaves_nothing,
    a_transaction_within_a_transaction_is_refused_and_never_runs,
    a_transaction_runs_to_its_end_when_its_future_is_dropped,
    reads_see_nothing_of_a_transaction_before_its_commit,
    after_close_everything_is_refused_and_what_was_queued_is_done,
);
