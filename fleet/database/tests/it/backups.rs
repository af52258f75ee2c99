//! Copies of a file at one moment, and beginning again from one.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicI64, Ordering},
    },
};

use database::{
    Database, Error, LATEST_VERSION, params,
    sqlite::{self, back_up},
};
use testkit::store::Store;

use crate::Scratch;

const ADD: &str = "INSERT INTO sequence (name, next_value) VALUES ($1, $2)";

async fn add(database: &Database, at: i64) {
    database
        .transaction(move |tx| {
            Box::pin(async move {
                tx.execute(ADD, params![format!("a{at}"), at]).await?;
                tx.execute(ADD, params![format!("b{at}"), at]).await
            })
        })
        .await
        .unwrap();
}

fn file(scratch: &Scratch) -> PathBuf {
    scratch.place.folder().join("test.db")
}

fn refusal(outcome: Result<sqlite::Backup, Error>) -> String {
    outcome.unwrap_err().to_string()
}

/// The names in a folder.
fn names(folder: &Path) -> Vec<String> {
    let names = fs::read_dir(folder).unwrap();
    let mut names: Vec<String> = names
        .map(|name| name.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn a_backup_made_under_load_is_one_moment_with_all_that_was_acknowledged() {
    let scratch = Scratch::open(Store::Sqlite).await;
    let (stop, done) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicI64::new(0)));
    let writing = tokio::spawn({
        let (database, stop, done) = (scratch.database.clone(), stop.clone(), done.clone());
        async move {
            let mut at = 0;
            while !stop.load(Ordering::Relaxed) {
                at += 1;
                add(&database, at).await;
                done.store(at, Ordering::Relaxed);
            }
        }
    });
    let folder = tempfile::tempdir().unwrap();
    let mut acknowledged = Vec::new();
    for round in 1..=3 {
        // Something new each time.
        let before = done.load(Ordering::Relaxed);
        while done.load(Ordering::Relaxed) < before + 20 {
            tokio::task::yield_now().await;
        }
        acknowledged.push(done.load(Ordering::Relaxed));
        let (from, to) = (file(&scratch), folder.path().join(format!("{round}.backup")));
        let made = tokio::task::spawn_blocking(move || back_up(&from, &to))
            .await
            .unwrap();
        assert_eq!(made.unwrap().schema_version, LATEST_VERSION);
    }
    stop.store(true, Ordering::Relaxed);
    writing.await.unwrap();
    assert_eq!(names(folder.path()), ["1.backup", "2.backup", "3.backup"]);
    for (at, acknowledged) in acknowledged.iter().enumerate() {
        let backup = folder.path().join(format!("{}.backup", at + 1));
        assert_eq!(fs::metadata(&backup).unwrap().permissions().mode() & 0o777, 0o600);
        let there = folder.path().join(format!("{at}.db"));
        sqlite::restore(&backup, &there, &[]).unwrap();
        let restored = Database::open(&format!("sqlite://{}", there.display()))
            .await
            .unwrap();
        let rows = restored
            .query("SELECT count(*), max(next_value) FROM sequence", vec![])
            .await
            .unwrap();
        let (count, max): (i64, i64) = (rows[0].get(0).unwrap(), rows[0].get(1).unwrap());
        assert!(max >= *acknowledged, "{max} of {acknowledged}");
        assert_eq!(count, 2 * max, "whole transactions, from the first to the last");
        restored.close().await;
    }
    // The served one has suffered nothing.
    add(&scratch.database, -1).await;
    let scratch = scratch.reopen().await;
    assert_eq!(
        scratch.number("SELECT count(*) FROM sequence").await,
        2 * (done.load(Ordering::Relaxed) + 1)
    );
}

#[tokio::test]
async fn a_backup_overwrites_nothing_and_leaves_nothing_when_it_fails() {
    let scratch = Scratch::open(Store::Sqlite).await;
    let folder = tempfile::tempdir().unwrap();
    let to = folder.path().join("there");
    fs::write(&to, "a letter").unwrap();
    let told = refusal(back_up(&file(&scratch), &to));
    assert!(told.contains("there already"), "{told}");
    assert_eq!(fs::read_to_string(&to).unwrap(), "a letter");
    let told = refusal(back_up(&file(&scratch), &folder.path().join("no/folder")));
    assert!(told.contains("no/folder"), "{told}");
    let told = refusal(back_up(&folder.path().join("none.db"), &folder.path().join("x")));
    assert!(told.contains("there is no database"), "{told}");
    // Also of a file that is no database.
    let told = refusal(back_up(&to, &folder.path().join("x")));
    assert!(told.contains("not a database"), "{told}");
    assert_eq!(names(folder.path()), ["there", "there.lock"]);
}

/// Also after a crash, when what was acknowledged last stands in the log alone.
#[tokio::test]
async fn a_file_that_nobody_serves_is_backed_up_with_its_log() {
    let scratch = Scratch::open(Store::Sqlite).await;
    add(&scratch.database, 1).await;
    let folder = tempfile::tempdir().unwrap();
    // As a crash leaves it.
    for end in ["", "-wal"] {
        let from = format!("{}{end}", file(&scratch).display());
        fs::copy(from, folder.path().join(format!("crashed.db{end}"))).unwrap();
    }
    let crashed = folder.path().join("crashed.db");
    let told = refusal(sqlite::restore(&crashed, &folder.path().join("new.db"), &[]));
    assert!(told.contains("has a log beside it"), "{told}");
    back_up(&crashed, &folder.path().join("backup")).unwrap();
    sqlite::restore(&folder.path().join("backup"), &folder.path().join("new.db"), &[]).unwrap();
    let url = format!("sqlite://{}", folder.path().join("new.db").display());
    let restored = Database::open(&url).await.unwrap();
    let rows = restored
        .query("SELECT count(*) FROM sequence", vec![])
        .await
        .unwrap();
    assert_eq!(rows[0].get::<i64>(0).unwrap(), 2);
    restored.close().await;
}

#[tokio::test]
async fn a_restore_runs_its_statements_before_anybody_can_look() {
    let scratch = Scratch::open(Store::Sqlite).await;
    add(&scratch.database, 1).await;
    let folder = tempfile::tempdir().unwrap();
    let (backup, new) = (folder.path().join("backup"), folder.path().join("new.db"));
    back_up(&file(&scratch), &backup).unwrap();
    let told = refusal(sqlite::restore(
        &backup,
        &new,
        &["UPDATE sequence SET next_value = 5".into(), "nonsense".into()],
    ));
    assert!(told.contains("nonsense"), "{told}");
    assert_eq!(names(folder.path()), ["backup", "new.db.lock"]);
    // The rest of a killed restore is no obstacle.
    fs::write(folder.path().join("new.db.restoring"), "half").unwrap();
    let restored = sqlite::restore(&backup, &new, &["UPDATE sequence SET next_value = 5".into()]).unwrap();
    assert_eq!(restored.schema_version, LATEST_VERSION);
    assert_eq!(fs::metadata(&new).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(names(folder.path()), ["backup", "new.db", "new.db.lock"]);
    let database = Database::open(&format!("sqlite://{}", new.display()))
        .await
        .unwrap();
    let rows = database
        .query("SELECT sum(next_value) FROM sequence", vec![])
        .await;
    assert_eq!(rows.unwrap()[0].get::<i64>(0).unwrap(), 10);
    // In use, and when it is not any more.
    let told = refusal(sqlite::restore(&backup, &new, &[]));
    assert!(told.contains("in use by another process"), "{told}");
    database.close().await;
    let told = refusal(sqlite::restore(&backup, &new, &[]));
    assert!(told.contains("there already"), "{told}");
}

#[tokio::test]
async fn what_is_no_whole_backup_of_ours_is_refused_and_nothing_is_made_of_it() {
    let scratch = Scratch::open(Store::Sqlite).await;
    for at in 0..200 {
        add(&scratch.database, at).await;
    }
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let backup = folder.join("backup");
    back_up(&file(&scratch), &backup).unwrap();
    scratch
        .run(&[
            "INSERT INTO refinery_schema_history (version, name, applied_on, checksum)
            VALUES (9999, 'from_the_future', '2030-01-01T00:00:00Z', '1')",
        ])
        .await;
    back_up(&file(&scratch), &folder.join("newer")).unwrap();
    let whole = fs::read(&backup).unwrap();
    let mut damaged = whole.clone();
    for page in damaged.chunks_mut(4096).skip(1) {
        page[..64].fill(0xee);
    }
    fs::write(folder.join("damaged"), damaged).unwrap();
    fs::write(folder.join("cut"), &whole[..whole.len() / 2]).unwrap();
    fs::write(folder.join("empty"), "").unwrap();
    fs::write(folder.join("letter"), "a letter, not a database. ".repeat(1000)).unwrap();
    for (name, told) in [
        ("missing", "no such file"),
        ("damaged", "damaged"),
        ("cut", ""),
        ("empty", "no database of Huizhen"),
        ("letter", "not a database"),
        ("newer", "use the newer program"),
    ] {
        let said = refusal(sqlite::restore(&folder.join(name), &folder.join("new.db"), &[]));
        assert!(said.contains(told) && said.contains(name), "{name}: {said}");
        assert!(
            !names(folder)
                .iter()
                .any(|name| name.starts_with("new.db") && name != "new.db.lock")
        );
    }
}
