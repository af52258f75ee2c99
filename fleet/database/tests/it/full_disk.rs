//! A disk that is full: errors, nothing half written, and a process that lives, also one that starts there.

use std::{
    fs::{self, File},
    io::Write,
    path::Path,
    process::Command,
};

use database::{Database, Engine, Error, Outage, params};
use tempfile::TempDir;
use testkit::store::Store;

use crate::{Scratch, unwritable, writable};

async fn limit_pages(scratch: &Scratch, pages: i64) {
    let Engine::Sqlite(sqlite) = scratch.database.engine() else {
        panic!("no file");
    };
    let outcome: Result<(), Error> = sqlite
        .write(move |connection| {
            let set = format!("PRAGMA max_page_count = {pages}");
            connection
                .query_row(&set, [], |row| row.get::<_, i64>(0))
                .map_err(Error::from)?;
            Ok(())
        })
        .await;
    outcome.unwrap();
}

async fn add_ten(scratch: &Scratch, from: i64) -> Result<(), Error> {
    scratch
        .database
        .transaction(move |tx| {
            Box::pin(async move {
                for id in from..from + 10 {
                    let body = vec![7u8; 20_000];
                    tx.execute("INSERT INTO note (id, body) VALUES ($1, $2)", params![id, body])
                        .await?;
                }
                Ok(())
            })
        })
        .await
}

#[tokio::test]
async fn a_full_disk_refuses_whole_transactions_and_is_got_over() {
    let scratch = Scratch::open(Store::Sqlite).await;
    scratch
        .run(&["CREATE TABLE note (id BIGINT NOT NULL PRIMARY KEY, body BYTEA NOT NULL)"])
        .await;
    limit_pages(&scratch, 200).await;
    let mut done = 0;
    let error = loop {
        assert!(done < 100, "the limit does not bite");
        match add_ten(&scratch, done).await {
            Ok(()) => done += 10,
            Err(error) => break error,
        }
    };
    assert!(matches!(&error, Error::Full(_)), "{error}");
    assert!(matches!(
        scratch.database.is_writable().await,
        Err(Error::Full(_))
    ));
    assert_eq!(scratch.number("SELECT count(*) FROM note").await, done);
    limit_pages(&scratch, 1_000_000).await;
    crate::writable(&scratch.database).await;
    add_ten(&scratch, done).await.unwrap();
    let scratch = scratch.reopen().await;
    assert_eq!(scratch.number("SELECT count(*) FROM note").await, done + 10);
    assert_eq!(
        scratch
            .number("SELECT count(*) FROM pragma_integrity_check WHERE integrity_check = 'ok'")
            .await,
        1
    );
}

/// A small file system of its own.
struct SmallDisk(TempDir);

impl SmallDisk {
    /// None where this user may not mount one.
    fn mount() -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=4m", "tmpfs"])
            .arg(folder.path())
            .output();
        let is_mounted = mounted.is_ok_and(|output| output.status.success());
        if !is_mounted {
            eprintln!("not tested: this user may not mount a file system");
        }
        is_mounted.then_some(Self(folder))
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    /// Takes all room that is left.
    fn fill(&self) {
        let mut filler = File::options()
            .create(true)
            .append(true)
            .open(self.path().join("filler"))
            .unwrap();
        while filler.write_all(&[7; 4096]).is_ok() {}
        while filler.write_all(&[7]).is_ok() {}
    }

    fn empty(&self) {
        fs::remove_file(self.path().join("filler")).unwrap();
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(self.path()).status();
    }
}

const ADD: &str = "INSERT INTO note (id, body) VALUES ($1, $2)";

pub(crate) async fn add(database: &Database, id: i64, bytes: usize) -> Result<u64, Error> {
    let work = database
        .transaction(move |tx| Box::pin(async move { tx.execute(ADD, params![id, vec![7u8; bytes]]).await }));
    work.await
}

pub(crate) async fn count(database: &Database) -> i64 {
    let counted = database.query_first("SELECT count(*) FROM note", vec![]).await;
    counted.unwrap().unwrap().get(0).unwrap()
}

pub(crate) async fn with_notes(url: &str) -> Database {
    let database = Database::open(url).await.unwrap();
    let made = database.transaction(|tx| {
        Box::pin(async move {
            let sql = "CREATE TABLE note (id BIGINT NOT NULL PRIMARY KEY, body BYTEA NOT NULL)";
            tx.execute(sql, vec![]).await
        })
    });
    made.await.unwrap();
    database
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disk_that_fills_up_is_read_from_and_goes_on_when_there_is_room() {
    let Some(disk) = SmallDisk::mount() else { return };
    let url = format!("sqlite://{}/test.db", disk.path().display());
    let database = with_notes(&url).await;
    writable(&database).await;
    disk.fill();
    let mut written = 0;
    let error = loop {
        match add(&database, written, 30_000).await {
            Ok(_) => written += 1,
            Err(error) => break error,
        }
    };
    assert_eq!(error.outage(), Some(Outage::Full), "{error}");
    assert_eq!(unwritable(&database).await.outage(), Some(Outage::Full));
    assert_eq!(count(&database).await, written);
    disk.empty();
    writable(&database).await;
    add(&database, written, 30_000).await.unwrap();
    database.close().await;
}

/// After a stop in order and after a crash: what was committed is read, nothing is lost, and writes go once there is room.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_on_a_full_disk_opens_for_reading_and_is_written_once_there_is_room() {
    let Some(disk) = SmallDisk::mount() else { return };
    for is_crash in [false, true] {
        let folder = disk.path().join(format!("crash {is_crash}?#%"));
        fs::create_dir(&folder).unwrap();
        let file = folder.join("test.db");
        let live = if is_crash {
            folder.join("live")
        } else {
            folder.clone()
        };
        fs::create_dir_all(&live).unwrap();
        let database = with_notes(&format!("sqlite://{}/test.db", live.display())).await;
        for id in 0..5 {
            add(&database, id, 2_000).await.unwrap();
        }
        if is_crash {
            // As after a crash: the log is not moved.
            for end in ["", "-wal", "-mark"] {
                let name = format!("test.db{end}");
                fs::copy(live.join(&name), folder.join(&name)).unwrap();
            }
        }
        database.close().await;
        if is_crash {
            fs::remove_dir_all(&live).unwrap();
        }
        disk.fill();
        let url = format!("sqlite://{}", file.display());
        let database = Database::open(&url).await.unwrap();
        assert_eq!(count(&database).await, 5);
        assert_eq!(unwritable(&database).await.outage(), Some(Outage::Full));
        assert_eq!(
            add(&database, 5, 2_000).await.unwrap_err().outage(),
            Some(Outage::Full)
        );
        assert_eq!(count(&database).await, 5);
        // Another start finds the same.
        database.close().await;
        let database = Database::open(&url).await.unwrap();
        assert_eq!(count(&database).await, 5);
        disk.empty();
        writable(&database).await;
        add(&database, 5, 2_000).await.unwrap();
        assert_eq!(count(&database).await, 6);
        database.close().await;
        let database = Database::open(&url).await.unwrap();
        assert_eq!(count(&database).await, 6);
        database.close().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_is_not_there_is_not_made_on_a_full_disk() {
    let Some(disk) = SmallDisk::mount() else { return };
    disk.fill();
    let opened = Database::open(&format!("sqlite://{}/test.db", disk.path().display())).await;
    assert_eq!(opened.err().unwrap().outage(), Some(Outage::Full));
    assert!(!disk.path().join("test.db").exists());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_another_program_has_locked_is_busy_until_it_lets_it_go() {
    let scratch = Scratch::open(Store::Sqlite).await;
    let database = &scratch.database;
    writable(database).await;
    let holder = rusqlite::Connection::open(scratch.place.folder().join("test.db")).unwrap();
    holder.execute_batch("BEGIN IMMEDIATE").unwrap();
    assert_eq!(unwritable(database).await.outage(), Some(Outage::Busy));
    holder.execute_batch("ROLLBACK").unwrap();
    writable(database).await;
}

/// A server's disk is full when a table cannot grow.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_on_a_full_disk_is_read_from_and_goes_on_when_there_is_room() {
    use std::os::unix::fs::PermissionsExt;

    use testkit::postgres::{Options, Postgres};

    let Some(disk) = SmallDisk::mount() else { return };
    fs::set_permissions(disk.path(), fs::Permissions::from_mode(0o777)).unwrap();
    let server = Postgres::start(Options::default()).unwrap();
    let space = disk.path().join("space");
    server.own_folder(&space).unwrap();
    let make = format!("CREATE TABLESPACE small LOCATION '{}'", space.display());
    server.psql("postgres", &make).unwrap();
    server.create_database("huizhen", None).unwrap();
    let url = server.url("huizhen");
    let database = with_notes(&url).await;
    let settle = "ALTER TABLE note SET TABLESPACE small; ALTER TABLE note ALTER body SET STORAGE EXTERNAL;
        ALTER DATABASE huizhen SET temp_tablespaces = 'small'";
    tokio::task::block_in_place(|| server.psql("huizhen", settle)).unwrap();
    writable(&database).await;
    disk.fill();
    let mut written = 0;
    let error = loop {
        match add(&database, written, 30_000).await {
            Ok(_) => written += 1,
            Err(error) => break error,
        }
    };
    assert_eq!(error.outage(), Some(Outage::Full), "{error}");
    assert_eq!(unwritable(&database).await.outage(), Some(Outage::Full));
    assert_eq!(count(&database).await, written);
    // It opens for reading, too.
    let fresh = Database::open(&url).await.unwrap();
    assert_eq!(count(&fresh).await, written);
    disk.empty();
    writable(&database).await;
    add(&database, written, 30_000).await.unwrap();
    database.close().await;
    fresh.close().await;
    server.stop().unwrap();
}
