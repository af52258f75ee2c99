#![allow(clippy::unwrap_used, reason = "a test that fails says where")]

use rusqlite::Connection;

use super::*;

const PAGE_BYTES: usize = 512;
const FRAME_BYTES: usize = FRAME_HEADER_BYTES + PAGE_BYTES;

/// A log of some commits of different lengths, and the number of frames after each.
fn commits() -> (Vec<u8>, Vec<usize>) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.db");
    let connection = Connection::open(&path).unwrap();
    connection
        .execute_batch(
            "PRAGMA page_size = 512; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;
             PRAGMA wal_autocheckpoint = 0; CREATE TABLE t (id INTEGER PRIMARY KEY, b BLOB);
             PRAGMA wal_checkpoint(TRUNCATE)",
        )
        .unwrap();
    let wal = folder.path().join("a.db-wal");
    let mut ends = Vec::new();
    for rows in [1, 3, 1, 6, 2, 1] {
        connection.execute_batch("BEGIN").unwrap();
        for _ in 0..rows {
            connection
                .execute("INSERT INTO t (b) VALUES (randomblob(300))", [])
                .unwrap();
        }
        connection.execute_batch("COMMIT").unwrap();
        let length = std::fs::metadata(&wal).unwrap().len() as usize;
        ends.push((length - HEADER_BYTES) / FRAME_BYTES);
    }
    (std::fs::read(&wal).unwrap(), ends)
}

fn read(log: &[u8]) -> Log {
    Log::read_from(log, PAGE_BYTES).unwrap()
}

fn committed(log: Log) -> u64 {
    match log {
        Log::Whole { committed, .. } => committed,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_whole_log_is_whole_and_a_torn_end_is_not_damage() {
    let (log, ends) = commits();
    let last = *ends.last().unwrap() as u64;
    assert_eq!(committed(read(&log)), last);
    assert_eq!(read(&[]), Log::Empty);
    assert_eq!(read(&log[..20]), Log::Empty);
    // Cut anywhere: SQLite finds the commits before.
    for cut in (HEADER_BYTES..log.len()).step_by(37) {
        let frames = (cut - HEADER_BYTES) / FRAME_BYTES;
        let before = ends.iter().rfind(|end| **end <= frames).copied().unwrap_or(0);
        assert_eq!(committed(read(&log[..cut])), before as u64, "{cut}");
    }
}

/// Every byte, one bit of it: either damage, or in the last commit, which may be one that was never acknowledged.
#[test]
fn a_flipped_bit_in_a_synced_commit_is_damage() {
    let (log, ends) = commits();
    let synced = HEADER_BYTES + ends[ends.len() - 2] * FRAME_BYTES;
    let (mut ambiguous, mut torn) = (0, 0);
    for at in 0..log.len() {
        let mut flipped = log.clone();
        flipped[at] ^= 1 << (at % 8);
        let found = read(&flipped);
        if at < HEADER_BYTES {
            assert_eq!(found, Log::BadHeader, "{at}");
        } else if at < synced {
            // The marker of the last but one commit, made none: both commits then look like one that is torn.
            if matches!(found, Log::Whole { .. }) {
                let frame = (at - HEADER_BYTES) / FRAME_BYTES + 1;
                assert_eq!(frame, ends[ends.len() - 2], "{at}: {found:?}");
                assert!((at - HEADER_BYTES) % FRAME_BYTES < 16, "{at}: {found:?}");
                ambiguous += 1;
            } else {
                assert!(matches!(found, Log::BadFrame { .. }), "{at}: {found:?}");
            }
        } else {
            // A frame that became a marker, or another page's, is no torn one.
            torn += u32::from(matches!(found, Log::Whole { .. }));
        }
    }
    assert!(torn > 0);
    // Both touch the same pages here, which distinguishes them.
    assert!(ambiguous <= 12, "{ambiguous}");
}

/// The disk wrote the end of a commit and not its middle: holes of zeros, and of frames of another time of the log.
#[test]
fn holes_in_the_last_commit_are_not_damage() {
    let (log, ends) = commits();
    // The fourth commit is the longest; what comes after it was never written.
    let (from, to) = (ends[2], ends[3]);
    let log = &log[..HEADER_BYTES + to * FRAME_BYTES];
    for first in from..to {
        for last in first..to {
            for stale in [false, true] {
                let mut torn = log.to_vec();
                let range = HEADER_BYTES + first * FRAME_BYTES..HEADER_BYTES + (last + 1) * FRAME_BYTES;
                torn[range.clone()].fill(0);
                if stale {
                    torn[range].copy_from_slice(
                        &log[HEADER_BYTES + FRAME_BYTES..][..(last + 1 - first) * FRAME_BYTES],
                    );
                    for frame in first..=last {
                        let salts = HEADER_BYTES + frame * FRAME_BYTES + 8;
                        torn[salts] ^= 0x55;
                    }
                }
                assert_eq!(committed(read(&torn)), from as u64, "{first}..={last} {stale}");
            }
        }
    }
}
