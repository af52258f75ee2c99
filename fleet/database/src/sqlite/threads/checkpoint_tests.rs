use super::*;

/// Under constant load, commit after commit, with a reader all the time.
#[test]
fn the_log_stays_bounded_and_everything_is_there_after_reopening() {
    const LIMITS: Limits = Limits {
        checkpoint_pages: 200,
        restart_pages: 800,
        left_pages: 20,
        longest_pages: 1_600,
    };
    const COMMITS: i64 = 2_000;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("test.db");
    let log = folder.path().join("test.db-wal");
    let mut writer = Layer::Sums.open(&path, OpenFlags::default()).unwrap();
    writer
        .execute_batch(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;
             CREATE TABLE note (id INTEGER PRIMARY KEY, body BLOB)",
        )
        .unwrap();
    let reader = Connection::open(&path).unwrap();
    let checkpointer = Checkpointer::start(&path, &mut writer, LIMITS, Layer::Sums).unwrap();
    let mut longest = 0;
    for id in 1..=COMMITS {
        writer
            .execute("INSERT INTO note VALUES (?1, zeroblob(12000))", [id])
            .unwrap();
        checkpointer.after_job(&writer);
        let seen: i64 = reader
            .query_row("SELECT max(id) FROM note", [], |row| row.get(0))
            .unwrap();
        assert_eq!(seen, id);
        longest = longest.max(std::fs::metadata(&log).unwrap().len());
    }
    // The thread works while the writer goes on; what it may get behind depends on the machine, so there is room.
    let bound = 4 * LIMITS.restart_pages as u64 * 4_120;
    assert!(longest < bound, "the log grew to {longest} bytes");
    assert!(
        longest > LIMITS.checkpoint_pages as u64 * 4_096,
        "nothing was tested: {longest} bytes"
    );
    drop((checkpointer, reader, writer));
    let reopened = Connection::open(&path).unwrap();
    let (rows, last): (i64, i64) = reopened
        .query_row("SELECT count(*), max(id) FROM note", [], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })
        .unwrap();
    assert_eq!((rows, last), (COMMITS, COMMITS));
}

/// A reader that keeps its snapshot holds the log; once it ends, the log restarts.
#[test]
fn a_slow_reader_holds_the_log_up_only_while_it_reads() {
    const LIMITS: Limits = Limits {
        checkpoint_pages: 50,
        restart_pages: 100,
        left_pages: 10,
        longest_pages: 200,
    };
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("test.db");
    let log = folder.path().join("test.db-wal");
    let mut writer = Layer::Sums.open(&path, OpenFlags::default()).unwrap();
    writer
        .execute_batch(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;
             CREATE TABLE note (id INTEGER PRIMARY KEY, body BLOB); INSERT INTO note VALUES (0, NULL)",
        )
        .unwrap();
    let reader = Connection::open(&path).unwrap();
    let checkpointer = Checkpointer::start(&path, &mut writer, LIMITS, Layer::Sums).unwrap();
    let write = |from: i64| {
        let mut waits = 0;
        for id in from..from + 200 {
            let started = std::time::Instant::now();
            writer
                .execute("INSERT INTO note VALUES (?1, zeroblob(12000))", [id])
                .unwrap();
            checkpointer.after_job(&writer);
            // SQLite would wait 5 s for a reader, and do so again and again; a disk that is slow is so now and then.
            waits += usize::from(started.elapsed().as_millis() > 4_500);
            assert!(waits < 3, "the writer waits for the reader");
        }
    };
    reader.execute_batch("BEGIN; SELECT count(*) FROM note").unwrap();
    write(1);
    let held = std::fs::metadata(&log).unwrap().len();
    assert!(held > 200 * 12_000, "{held}");
    reader.execute_batch("COMMIT").unwrap();
    for round in 1..10 {
        write(1 + 200 * round);
    }
    let after = std::fs::metadata(&log).unwrap().len();
    assert!(after < 5 * held, "the log goes on growing: {held}, then {after}");
}
