//! Files that lost something while no server ran: nothing that was acknowledged is gone without a word.

use std::{
    fs,
    path::{Path, PathBuf},
};

use database::{
    Database, Error, params,
    sqlite::{self, back_up, is_served, restore_before_damage},
};
use tempfile::TempDir;
use testkit::store::Store;

use crate::{Scratch, url};

const HEADER_BYTES: usize = 32;
const FRAME_BYTES: usize = 24 + 4096;
const ROWS: i64 = 12;

/// The files after a kill, with a commit for each row: the database, its log, and the log's mark.
async fn killed() -> TempDir {
    let scratch = Scratch::open(Store::Sqlite).await;
    for at in 0..ROWS {
        add(&scratch.database, at).await.unwrap();
    }
    // A job after the last: the mark is written behind the answer.
    scratch.number("SELECT count(*) FROM sequence").await;
    let _ = add(&scratch.database, 0).await;
    let folder = tempfile::tempdir().unwrap();
    for end in ["", "-wal", "-mark"] {
        let name = format!("test.db{end}");
        fs::copy(scratch.place.folder().join(&name), folder.path().join(&name)).unwrap();
    }
    folder
}

async fn add(database: &Database, at: i64) -> Result<u64, Error> {
    database
        .transaction(move |tx| {
            Box::pin(async move {
                let name = format!("row {at}");
                let sql = "INSERT INTO sequence (name, next_value) VALUES ($1, $2)";
                tx.execute(sql, params![name, at]).await
            })
        })
        .await
}

fn copy_of(folder: &TempDir) -> TempDir {
    let copy = tempfile::tempdir().unwrap();
    for entry in fs::read_dir(folder.path()).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), copy.path().join(entry.file_name())).unwrap();
    }
    copy
}

fn file(folder: &TempDir, end: &str) -> PathBuf {
    folder.path().join(format!("test.db{end}"))
}

/// How many rows there are, or why it was refused.
async fn rows(folder: &TempDir) -> Result<i64, String> {
    let database = Database::open(&url(folder))
        .await
        .map_err(|error| error.to_string())?;
    let found = database
        .query("SELECT count(*) FROM sequence", vec![])
        .await
        .unwrap();
    database.close().await;
    Ok(found[0].get(0).unwrap())
}

fn flip(path: &Path, at: usize, bit: usize) {
    let mut bytes = fs::read(path).unwrap();
    bytes[at] ^= 1 << bit;
    fs::write(path, bytes).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_with_a_flipped_bit_is_refused_wherever_it_is() {
    let killed = killed().await;
    assert_eq!(rows(&copy_of(&killed)).await, Ok(ROWS));
    let length = fs::metadata(file(&killed, "-wal")).unwrap().len() as usize;
    let frames = (length - HEADER_BYTES) / FRAME_BYTES;
    assert!(frames > 12, "{frames}");
    // Each field of the header, each field of a frame's, and its page.
    let mut places: Vec<usize> = (0..HEADER_BYTES).step_by(4).collect();
    for frame in 0..frames {
        let begin = HEADER_BYTES + frame * FRAME_BYTES;
        places.extend([0, 4, 8, 16, 24, 3000].map(|at| begin + at + frame % 4));
    }
    for (nth, at) in places.into_iter().enumerate() {
        let damaged = copy_of(&killed);
        flip(&file(&damaged, "-wal"), at, nth % 8);
        let before = fs::read(file(&damaged, "-wal")).unwrap();
        let told = rows(&damaged).await.unwrap_err();
        assert!(told.contains("restore --before-damage"), "{at}: {told}");
        // Nothing was done to it.
        assert_eq!(fs::read(file(&damaged, "-wal")).unwrap(), before);
        // Without the mark, as a power cut may leave it, at most the last commit may be taken for one that was torn.
        fs::remove_file(file(&damaged, "-mark")).unwrap();
        match rows(&damaged).await {
            Err(told) => assert!(told.contains("acknowledged"), "{at}: {told}"),
            Ok(rows) => assert_eq!(rows, ROWS - 1, "{at}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_that_is_shorter_than_what_was_synced_is_refused() {
    let killed = killed().await;
    let log = fs::read(file(&killed, "-wal")).unwrap();
    let frames = (log.len() - HEADER_BYTES) / FRAME_BYTES;
    for frame in (0..frames).step_by(3) {
        let cut = copy_of(&killed);
        fs::write(file(&cut, "-wal"), &log[..HEADER_BYTES + frame * FRAME_BYTES]).unwrap();
        let told = rows(&cut).await.unwrap_err();
        assert!(told.contains("frames of it were synced"), "{frame}: {told}");
    }
    for empty in [true, false] {
        let gone = copy_of(&killed);
        match empty {
            true => fs::write(file(&gone, "-wal"), "").unwrap(),
            false => fs::remove_file(file(&gone, "-wal")).unwrap(),
        }
        let told = rows(&gone).await.unwrap_err();
        assert!(told.contains("it is gone or empty"), "{told}");
    }
    // Nor is another one taken for it.
    let other = self::killed().await;
    let mixed = copy_of(&killed);
    fs::copy(file(&other, "-wal"), file(&mixed, "-wal")).unwrap();
    let told = rows(&mixed).await.unwrap_err();
    assert!(
        told.contains("it is another one") || told.contains("synced"),
        "{told}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_whose_database_is_gone_is_refused_and_left_alone() {
    let killed = killed().await;
    let whole = fs::read(file(&killed, "")).unwrap();
    let cases: [(&str, Option<&[u8]>); 3] = [
        ("is missing", None),
        ("is empty", Some(&[])),
        ("was cut off", Some(&whole[..100])),
    ];
    for (state, left) in cases {
        let damaged = copy_of(&killed);
        match left {
            None => fs::remove_file(file(&damaged, "")).unwrap(),
            Some(left) => fs::write(file(&damaged, ""), left).unwrap(),
        }
        let log = fs::read(file(&damaged, "-wal")).unwrap();
        let told = rows(&damaged).await.unwrap_err();
        assert!(
            told.contains(state) && told.contains("restore the newest backup"),
            "{told}"
        );
        assert_eq!(fs::read(file(&damaged, "-wal")).unwrap(), log);
        assert_eq!(file(&damaged, "").exists(), left.is_some());
        let backup = damaged.path().join("backup");
        assert!(back_up(&file(&damaged, ""), &backup).is_err());
        assert!(!backup.exists());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_in_order_leaves_no_mark_and_a_start_needs_none() {
    let killed = killed().await;
    assert_eq!(rows(&killed).await, Ok(ROWS));
    assert!(!file(&killed, "-mark").exists());
    assert_eq!(rows(&killed).await, Ok(ROWS));
    // A backup of a damaged log would be one with less.
    let killed = self::killed().await;
    flip(&file(&killed, "-wal"), HEADER_BYTES + 40, 1);
    let told = back_up(&file(&killed, ""), &killed.path().join("backup"))
        .unwrap_err()
        .to_string();
    assert!(told.contains("--before-damage"), "{told}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_before_the_damage_can_be_kept() {
    let killed = killed().await;
    let told = restore_before_damage(&file(&killed, ""), &[], 5)
        .unwrap_err()
        .to_string();
    assert!(told.contains("is not damaged"), "{told}");
    let log = fs::read(file(&killed, "-wal")).unwrap();
    let frames = (log.len() - HEADER_BYTES) / FRAME_BYTES;
    flip(
        &file(&killed, "-wal"),
        HEADER_BYTES + frames / 2 * FRAME_BYTES + 100,
        3,
    );
    let damaged = fs::read(file(&killed, "-wal")).unwrap();
    let statements = ["INSERT INTO sequence (name, next_value) VALUES ('restored', 1)".to_owned()];
    let salvaged = restore_before_damage(&file(&killed, ""), &statements, 5).unwrap();
    assert_eq!(
        salvaged.kept,
        [file(&killed, ".damaged-5"), file(&killed, "-wal.damaged-5")]
    );
    assert_eq!(fs::read(&salvaged.kept[1]).unwrap(), damaged);
    let left = rows(&killed).await.unwrap();
    assert!((2..ROWS).contains(&left), "{left}");
    let names: Vec<String> = fs::read_dir(killed.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.contains("before-damage") || name.contains("without-log"))
        .collect();
    assert!(names.is_empty(), "{names:?}");
}

/// By any name, and whether or not the lock file still exists.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_is_served_once_by_whatever_name() {
    let folder = tempfile::tempdir().unwrap();
    let served = Database::open(&url(&folder)).await.unwrap();
    add(&served, 1).await.unwrap();
    let elsewhere = tempfile::tempdir().unwrap();
    let link = elsewhere.path().join("test.db");
    let refused = async || match Database::open(&url(&elsewhere)).await {
        Ok(_) => panic!("it was opened"),
        Err(error) => error.to_string(),
    };
    std::os::unix::fs::symlink(file(&folder, ""), &link).unwrap();
    assert!(is_served(&link).unwrap());
    let told = refused().await;
    assert!(told.contains("in use by another process (pid "), "{told}");
    fs::remove_file(&link).unwrap();

    fs::remove_file(file(&folder, ".lock")).unwrap();
    let told = Database::open(&url(&folder)).await.err().unwrap().to_string();
    assert!(told.contains("in use by another process"), "{told}");

    fs::hard_link(file(&folder, ""), &link).unwrap();
    let told = refused().await;
    assert!(told.contains("hard links"), "{told}");
    // SQLite's own locks are still there: what looks does not disturb, and the file goes on.
    let look = Database::look(&url(&folder)).await.unwrap();
    assert_eq!(look.query("SELECT 1", vec![]).await.unwrap().len(), 1);
    assert!(add(&look, 3).await.is_err());
    look.close().await;
    add(&served, 2).await.unwrap();
    served.close().await;
    // It is not served now; its log would lie beside one of its names only.
    let told = refused().await;
    assert!(told.contains("hard links"), "{told}");
    fs::remove_file(&link).unwrap();
    assert!(!is_served(&file(&folder, "")).unwrap());
    assert_eq!(rows(&folder).await, Ok(2));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_killed_backup_left_is_removed_by_the_next_and_nothing_else_is() {
    let scratch = Scratch::open(Store::Sqlite).await;
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let gone = "4194305"; // no process has it: above the largest pid
    let ours = path(&format!("monday.{gone}.part"));
    let empty = path(&format!("tuesday.{gone}.part"));
    sqlite::back_up(&scratch.place.folder().join("test.db"), &ours).unwrap();
    fs::write(&empty, "").unwrap();
    let kept = [
        path(&format!("letter.{gone}.part")),
        path(&format!("running.{}.part", std::process::id())),
        path("video.part"),
        path("video.x1.part"),
    ];
    for kept in &kept {
        fs::write(kept, "a letter").unwrap();
    }
    let made = back_up(&scratch.place.folder().join("test.db"), &path("backup")).unwrap();
    let mut removed = made.removed;
    removed.sort();
    assert_eq!(removed, [ours.clone(), empty.clone()]);
    assert!(!ours.exists() && !empty.exists());
    assert!(kept.iter().all(|kept| kept.exists()));
}
