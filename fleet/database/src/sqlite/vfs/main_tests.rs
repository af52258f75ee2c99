#![allow(clippy::unwrap_used, reason = "a test that fails says where")]

use rusqlite::{Connection, OpenFlags};

use super::*;
use crate::sqlite::vfs::{
    self, Layer,
    faults::mock::{self, Memory},
};

fn new_file(path: &std::path::Path) -> Connection {
    let connection = Layer::Sums.open(path, OpenFlags::default()).unwrap();
    vfs::reserve(&connection).unwrap();
    connection
}

fn syncs() -> u32 {
    mock::counts(|counts| counts.syncs.asked)
}

#[test]
fn a_checkpoint_syncs_as_it_writes() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.db");
    let writer = new_file(&path);
    writer
        .execute_batch(
            "PRAGMA journal_mode = WAL; PRAGMA wal_autocheckpoint = 0; CREATE TABLE t (b BLOB);
             INSERT INTO t VALUES (zeroblob(2097152))",
        )
        .unwrap();
    let connection = Layer::Sums.open(&path, OpenFlags::default()).unwrap();
    connection.pragma_update(None, "synchronous", "NORMAL").unwrap();
    vfs::pace(&connection).unwrap();
    let before = syncs();
    let (busy, log, moved): (i64, i64, i64) = connection
        .query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?))
        })
        .unwrap();
    assert_eq!((busy, moved), (0, log));
    // 2 MiB in eighths, the log, and the database's end.
    assert!((8..=12).contains(&(syncs() - before)), "{}", syncs() - before);
    let before = syncs();
    vfs::sync_paced(&connection).unwrap();
    assert_eq!(syncs(), before + 1);
    // By SQLite alone the file is like any other.
    drop((connection, writer));
    let reader = Layer::Plain.open(&path, OpenFlags::default()).unwrap();
    let length: i64 = reader
        .query_row("SELECT length(b) FROM t", [], |row| row.get(0))
        .unwrap();
    assert_eq!(length, 2_097_152);
}

#[test]
fn a_sync_that_failed_in_between_is_told_once() {
    let mut disk = Memory::default();
    let mut main = Main::new("file".into(), true);
    main.answer(&mut disk, &mut Question::Pace).unwrap();
    disk.counts.syncs.fails = Some(Code(ffi::SQLITE_IOERR_FSYNC));
    let pages = PACE_BYTES / 4096;
    for page in 0..pages {
        let written = main.write(&mut disk, &[7; 4096], page * 4096);
        assert_eq!(written.is_err(), page == pages - 1, "{page}");
    }
    disk.counts.syncs.fails = None;
    main.answer(&mut disk, &mut Question::SyncPaced).unwrap_err();
    main.answer(&mut disk, &mut Question::SyncPaced).unwrap();
}

/// A page of a database of its own: the header of one with sums.
fn first_page() -> Vec<u8> {
    let mut page = vec![3; 4096];
    page[..16].copy_from_slice(b"SQLite format 3\0");
    page[header::RESERVED_AT] = RESERVED_BYTES;
    page
}

#[test]
fn each_bit_of_each_page_is_seen() {
    let mut disk = Memory::default();
    let mut main = Main::new("file".into(), true);
    main.write(&mut disk, &first_page(), 0).unwrap();
    main.write(&mut disk, &[9; 4096], 4096).unwrap();
    let read = |disk: &mut Memory, at: i64| {
        let mut main = Main::new("file".into(), false);
        let mut page = vec![0; 4096];
        // As SQLite begins.
        main.read(disk, &mut page[..100], 0).unwrap();
        main.read(disk, &mut page, at).map(|()| page)
    };
    let damaged = Err(Code(ffi::SQLITE_IOERR_DATA));
    assert_eq!(read(&mut disk, 4096).unwrap()[..4088], [9; 4088]);
    assert_eq!(read(&mut disk, 0).unwrap()[..4088], first_page()[..4088]);
    for at in 0..2 * 4096_usize {
        // Without its magic a file is none of SQLite's, which says so itself.
        if at < 16 {
            continue;
        }
        for bit in 0..8 {
            disk.bytes[at] ^= 1 << bit;
            assert_eq!(
                read(&mut disk, if at < 4096 { 0 } else { 4096 }),
                damaged,
                "{at} {bit}"
            );
            disk.bytes[at] ^= 1 << bit;
        }
    }
}

#[test]
fn a_page_that_was_cut_off_is_damaged_and_one_that_is_not_there_is_none() {
    let mut disk = Memory::default();
    let mut main = Main::new("file".into(), true);
    main.write(&mut disk, &first_page(), 0).unwrap();
    main.write(&mut disk, &[9; 4096], 4096).unwrap();
    let mut page = [1; 4096];
    let short = Err(Code(ffi::SQLITE_IOERR_SHORT_READ));
    assert_eq!(main.read(&mut disk, &mut page, 8192), short);
    assert_eq!(page, [0; 4096]);
    disk.bytes.truncate(8000);
    assert_eq!(
        main.read(&mut disk, &mut page, 4096),
        Err(Code(ffi::SQLITE_IOERR_DATA))
    );
    disk.counts.reads.fails = Some(Code(ffi::SQLITE_IOERR_READ));
    assert_eq!(
        main.read(&mut disk, &mut page, 4096),
        Err(Code(ffi::SQLITE_IOERR_READ))
    );
}

#[test]
fn pages_without_room_for_sums_are_left_alone() {
    let mut disk = Memory::default();
    let mut main = Main::new("file".into(), false);
    let mut page = first_page();
    page[header::RESERVED_AT] = 0;
    main.write(&mut disk, &page, 0).unwrap();
    main.write(&mut disk, &[9; 4096], 4096).unwrap();
    assert_eq!(disk.bytes[..4096], page);
    assert_eq!(disk.bytes[4096..], [9; 4096]);
    assert_ne!(
        main.characteristics(&mut disk) & ffi::SQLITE_IOCAP_SUBPAGE_READ,
        0
    );
    // Nor those that SQLite alone has written to since.
    let mut page = first_page();
    page[68..72].copy_from_slice(&header::WRITTEN_PLAIN.to_be_bytes());
    disk.bytes[..4096].copy_from_slice(&page);
    let mut main = Main::new("file".into(), false);
    main.read(&mut disk, &mut page, 0).unwrap();
    main.read(&mut disk, &mut page, 4096).unwrap();
    // A whole page that came before it was known is refused, never left without a sum.
    let mut main = Main::new("file".into(), false);
    main.write(&mut disk, &[9; 4096], 4096).unwrap();
    main.write(&mut disk, &first_page(), 0).unwrap_err();
    let main = &mut Main::new("file".into(), true);
    assert_eq!(
        main.characteristics(&mut disk) & ffi::SQLITE_IOCAP_SUBPAGE_READ,
        0
    );
}
