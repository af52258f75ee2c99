#![allow(clippy::unwrap_used, reason = "a test that fails says where")]

use std::{fs, path::Path};

use rusqlite::{Connection, OpenFlags};

use super::*;
use crate::{
    Error,
    sqlite::vfs::{
        Layer,
        faults::mock::{self, Memory},
        gather,
    },
};

fn open(path: &Path) -> Connection {
    let connection = Layer::Sums.open(path, OpenFlags::default()).unwrap();
    connection
        .execute_batch(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 0;
             CREATE TABLE IF NOT EXISTS t (id INTEGER PRIMARY KEY, b BLOB)",
        )
        .unwrap();
    gather(&connection).unwrap();
    connection
}

fn insert(connection: &Connection, ids: std::ops::Range<i64>, bytes: i64) -> rusqlite::Result<()> {
    connection.execute_batch("BEGIN")?;
    for id in ids {
        connection.execute("INSERT INTO t VALUES (?1, randomblob(?2))", [id, bytes])?;
    }
    connection.execute_batch("COMMIT")
}

fn writes() -> u32 {
    mock::counts(|counts| counts.writes.asked)
}

/// The state by another program, through SQLite alone: the number of rows, and whether the file is whole.
fn found(path: &Path) -> (i64, String) {
    let reader = Layer::Plain.open(path, OpenFlags::default()).unwrap();
    let rows = reader.query_row("SELECT count(*) FROM t", [], |row| row.get(0));
    let check = reader.query_row("PRAGMA integrity_check", [], |row| row.get(0));
    (rows.unwrap(), check.unwrap())
}

#[test]
fn a_commit_is_one_piece_and_others_see_it_whole() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.db");
    let writer = open(&path);
    for commit in 0..5 {
        let before = writes();
        insert(&writer, commit * 8..(commit + 1) * 8, 3_000).unwrap();
        assert_eq!(writes() - before, 1);
        assert_eq!(found(&path), ((commit + 1) * 8, "ok".into()));
    }
    drop(writer);
    assert_eq!(found(&path), (40, "ok".into()));
}

/// More than the page cache holds goes to the log before the commit, is read from there, written over there, and is
/// rolled back there.
#[test]
fn a_transaction_that_spills_is_as_whole_as_any() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.db");
    let writer = open(&path);
    writer.pragma_update(None, "cache_size", 20).unwrap();
    let before = writes();
    for round in 0..6 {
        writer.execute_batch("BEGIN").unwrap();
        for id in 0..300 {
            writer
                .execute("INSERT OR REPLACE INTO t VALUES (?1, randomblob(5000))", [id])
                .unwrap();
        }
        let length = "SELECT sum(length(b)) FROM t";
        let length: i64 = writer.query_row(length, [], |row| row.get(0)).unwrap();
        assert_eq!(length, 300 * 5_000);
        writer
            .execute_batch("SAVEPOINT s; DELETE FROM t; ROLLBACK TO s")
            .unwrap();
        writer
            .execute("UPDATE t SET b = randomblob(5000) WHERE id % 3 = 0", [])
            .unwrap();
        let gives_up = round % 2 == 1;
        writer
            .execute_batch(if gives_up { "ROLLBACK" } else { "COMMIT" })
            .unwrap();
        assert_eq!(found(&path), (300, "ok".into()));
        // Our own reading of the log.
        let reader = Layer::Sums.open(&path, OpenFlags::default()).unwrap();
        let check: String = reader
            .query_row("PRAGMA integrity_check", [], |row| row.get(0))
            .unwrap();
        assert_eq!(check, "ok");
    }
    assert!(writes() - before > 20, "nothing was spilled");
}

/// The rest of a transaction that was rolled back must not overwrite later commits of another program.
#[test]
fn the_rest_of_a_rollback_is_dropped_before_another_program_writes() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.db");
    let writer = open(&path);
    writer.pragma_update(None, "cache_size", 20).unwrap();
    let shared = gather(&writer).unwrap();
    for round in 0..4 {
        writer.execute_batch("BEGIN IMMEDIATE").unwrap();
        for id in 0..100 + round {
            writer
                .execute("INSERT INTO t VALUES (?1, randomblob(5000))", [1_000 + id])
                .unwrap();
        }
        writer.execute_batch("ROLLBACK").unwrap();
        shared.drop_gathered();
        assert!(shared.gathered.lock().as_ref().unwrap().bytes.is_empty());
        let other = Layer::Sums.open(&path, OpenFlags::default()).unwrap();
        insert(&other, round * 200..(round + 1) * 200, 2_000).unwrap();
        let rows = "SELECT count(*) FROM t";
        let rows: i64 = writer.query_row(rows, [], |row| row.get(0)).unwrap();
        assert_eq!(rows, (round + 1) * 200);
        assert_eq!(found(&path), (rows, "ok".into()));
    }
}

#[test]
fn the_log_can_be_moved_and_begun_anew() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.db");
    let writer = open(&path);
    for (round, mode) in ["PASSIVE", "RESTART", "TRUNCATE", "PASSIVE"]
        .into_iter()
        .enumerate()
    {
        let from = round as i64 * 50;
        insert(&writer, from..from + 50, 2_000).unwrap();
        let busy: i64 = writer
            .query_row(&format!("PRAGMA wal_checkpoint({mode})"), [], |row| row.get(0))
            .unwrap();
        assert_eq!(busy, 0);
        assert_eq!(found(&path), (from + 50, "ok".into()));
    }
}

/// A disk that fails, or is full, when what was gathered is written: the commit says so, and nothing of it is there.
#[test]
fn what_cannot_be_written_is_not_committed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.db");
    let writer = open(&path);
    insert(&writer, 0..10, 3_000).unwrap();
    for code in [ffi::SQLITE_FULL, ffi::SQLITE_IOERR_WRITE] {
        // In one piece, and in many.
        for rows in [10, 1_000] {
            mock::counts(|counts| counts.writes.fails = Some(Code(code)));
            let error = insert(&writer, 10..10 + rows, 3_000).unwrap_err();
            assert_eq!(error.sqlite_error().map(|error| error.extended_code), Some(code));
            mock::counts(|counts| counts.writes.fails = None);
            if !writer.is_autocommit() {
                writer.execute_batch("ROLLBACK").unwrap();
            }
            assert_eq!(found(&path), (10, "ok".into()));
        }
    }
    insert(&writer, 10..20, 3_000).unwrap();
    assert_eq!(found(&path), (20, "ok".into()));
}

/// Lost while it was asked for something else: the commit that needs it does not go through.
#[test]
fn what_a_read_has_lost_is_told_to_the_next_sync() {
    let shared = Arc::new(Shared::default());
    shared.gather();
    let mut disk = Memory::default();
    let mut log = Log::new("log".into(), shared, disk.characteristics());
    log.write(&mut disk, b"frame", 32).unwrap();
    log.write(&mut disk, b"page", 37).unwrap();
    assert!(disk.bytes.is_empty());
    let failed = Err(Code(ffi::SQLITE_IOERR_WRITE));
    disk.counts.writes.fails = Some(Code(ffi::SQLITE_IOERR_WRITE));
    assert_eq!(log.bytes(&mut disk), Err(Code(ffi::SQLITE_IOERR_WRITE)));
    disk.counts.writes.fails = None;
    log.write(&mut disk, b"more", 41).unwrap();
    assert_eq!(log.sync(&mut disk, 0), failed);
    assert!(disk.bytes.is_empty());
    // Reported once.
    log.write(&mut disk, b"frame", 32).unwrap();
    log.sync(&mut disk, 0).unwrap();
    assert_eq!(&disk.bytes[32..], b"frame");
    assert_eq!(disk.counts.syncs.asked, 1);
}

/// On a disk that spoils what lies beside a write nothing is gathered.
#[test]
fn nothing_is_gathered_without_power_safe_overwrites() {
    let shared = Arc::new(Shared::default());
    shared.gather();
    let mut disk = Memory::default();
    let mut log = Log::new("log".into(), shared, 0);
    log.write(&mut disk, b"frame", 32).unwrap();
    assert_eq!(&disk.bytes[32..], b"frame");
}

/// A bit that flips in the log while a server runs: SQLite alone would serve it, and move it into the database.
#[test]
fn a_page_of_the_log_that_changed_is_not_served_and_not_moved() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.db");
    let writer = open(&path);
    insert(&writer, 0..30, 3_000).unwrap();
    insert(&writer, 30..40, 10_000).unwrap();
    let log = folder.path().join("a.db-wal");
    let whole = fs::read(&log).unwrap();
    let frames = (whole.len() - 32) / (24 + 4096);
    assert!(frames > 40, "{frames}");
    let sum = || -> Result<i64, Error> {
        let reader = Layer::Sums.open(&path, OpenFlags::default())?;
        let sql = "SELECT sum(length(b)) FROM t WHERE b <> x''";
        Ok(reader.query_row(sql, [], |row| row.get(0))?)
    };
    assert_eq!(sum().unwrap(), 30 * 3_000 + 10 * 10_000);
    let mut refused = 0;
    for frame in 0..frames {
        let mut flipped = whole.clone();
        flipped[32 + frame * (24 + 4096) + 24 + frame * 97 % 4096] ^= 1 << (frame % 8);
        fs::write(&log, &flipped).unwrap();
        match sum() {
            // An older copy of a page, which no reader sees.
            Ok(found) => assert_eq!(found, 30 * 3_000 + 10 * 10_000),
            Err(Error::DamagedPage(told)) => {
                refused += 1;
                assert!(told.starts_with(&format!("frame {} (page ", frame + 1)), "{told}");
                let moved =
                    writer.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |row| row.get::<_, i64>(0));
                assert!(crate::sqlite::failure::is_damage(&moved.unwrap_err()));
            }
            Err(other) => panic!("{other}"),
        }
    }
    assert!(refused > 35, "{refused} of {frames}");
    fs::write(&log, &whole).unwrap();
    assert_eq!(sum().unwrap(), 30 * 3_000 + 10 * 10_000);
}
