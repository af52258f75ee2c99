//! A disk that hangs: readiness reports it in time, and the work in progress ends once the disk answers.

use database::{
    Database, Error,
    sqlite::{Faults, Operation},
};

use crate::{
    eventually,
    full_disk::{add, count, with_notes},
    unwritable, url, writable,
};

/// A database on a disk that the test controls.
async fn open() -> (tempfile::TempDir, Faults, Database) {
    let folder = tempfile::tempdir().unwrap();
    let faults = Faults::on(&folder.path().join("test.db"));
    let database = with_notes(&url(&folder)).await;
    (folder, faults, database)
}

async fn until_it_hangs(faults: &Faults, operation: Operation) {
    eventually("a call hangs", async || faults.hanging(operation) > 0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sync_that_hangs_is_an_outage_and_nothing_is_lost() {
    let (_folder, faults, database) = open().await;
    let hang = faults.hang(Operation::Sync);
    let writing = tokio::spawn({
        let database = database.clone();
        async move { add(&database, 1, 100).await }
    });
    until_it_hangs(&faults, Operation::Sync).await;
    // The last write was a moment ago, and stands for the next one for as long.
    let refusal = unwritable(&database).await;
    assert!(matches!(refusal, Error::Unavailable(_)), "{refusal}");
    let refusal = database.is_ready().await.unwrap_err();
    assert!(refusal.contains("does not answer"), "{refusal}");
    // Reading goes on, and shows no commit that is not synced (I1).
    assert_eq!(count(&database).await, 0);
    assert!(!writing.is_finished());
    drop(hang);
    assert_eq!(writing.await.unwrap().unwrap(), 1);
    writable(&database).await;
    assert_eq!(count(&database).await, 1);
    database.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_read_that_hangs_leaves_readiness_with_an_answer() {
    let (folder, faults, database) = open().await;
    // A reader that has just begun has an empty page cache.
    database.close().await;
    let database = Database::open(&url(&folder)).await.unwrap();
    let hang = faults.hang(Operation::Read);
    let refusal = database.is_ready().await.unwrap_err();
    assert!(refusal.contains("does not answer"), "{refusal}");
    drop(hang);
    writable(&database).await;
    database.close().await;
}
