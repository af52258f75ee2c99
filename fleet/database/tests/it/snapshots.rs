//! A snapshot shows one moment, whatever is written meanwhile, and leaves nothing behind.

use database::{Error, Snapshot, params};
use testkit::store::Store;

use crate::Scratch;

async fn scratch(store: Store) -> Scratch {
    let scratch = Scratch::open(store).await;
    scratch
        .run(&[
            "CREATE TABLE note (id BIGINT NOT NULL PRIMARY KEY)",
            "INSERT INTO note (id) VALUES (1)",
        ])
        .await;
    scratch
}

async fn count(snapshot: &Snapshot) -> i64 {
    let rows = snapshot
        .query("SELECT count(*) FROM note WHERE id > $1", params![0])
        .await;
    rows.unwrap()[0].get(0).unwrap()
}

testkit::on_both!(
    a_snapshot_shows_one_moment,
    a_snapshot_only_reads,
    a_snapshot_leaves_nothing_behind,
);

async fn a_snapshot_shows_one_moment(store: Store) {
    let scratch = scratch(store).await;
    let first = scratch.database.snapshot().await.unwrap();
    // Before its first statement, too.
    scratch.run(&["INSERT INTO note (id) VALUES (2)"]).await;
    assert_eq!(count(&first).await, 1);
    let second = scratch.database.snapshot().await.unwrap();
    scratch
        .run(&["DELETE FROM note", "INSERT INTO note (id) VALUES (3)"])
        .await;
    assert_eq!((count(&first).await, count(&second).await), (1, 2));
    assert_eq!(scratch.number("SELECT count(*) FROM note").await, 1);
    assert_eq!(first.is_of_file(), store == Store::Sqlite);
    first.end().await;
    assert_eq!(count(&second).await, 2);
    second.end().await;
    scratch.database.close().await;
}

async fn a_snapshot_only_reads(store: Store) {
    let scratch = scratch(store).await;
    let snapshot = scratch.database.snapshot().await.unwrap();
    let refused = snapshot.query("DELETE FROM note", params![]).await;
    assert!(matches!(refused, Err(Error::ReadOnly(_))), "{refused:?}");
    snapshot.end().await;
    assert_eq!(scratch.number("SELECT count(*) FROM note").await, 1);
    let closed = scratch.database.clone();
    closed.close().await;
    assert!(scratch.database.snapshot().await.is_err());
}

/// The file can be opened again, and the server has no connection more.
async fn a_snapshot_leaves_nothing_behind(store: Store) {
    let scratch = scratch(store).await;
    for _ in 0..30 {
        scratch.database.snapshot().await.unwrap().end().await;
    }
    if store == Store::Postgres {
        drop(scratch.database.snapshot().await.unwrap());
        let open = "SELECT count(*) FROM pg_stat_activity WHERE state = 'idle in transaction'
            AND datname = current_database()";
        scratch.eventually(open, 0).await;
    }
    let kept = scratch.database.snapshot().await.unwrap();
    kept.end().await;
    let scratch = scratch.reopen().await;
    assert_eq!(scratch.number("SELECT count(*) FROM note").await, 1);
    scratch.database.close().await;
}
