//! Damaged pages of a file: never served, always reported.

use std::{
    fs::{self, File},
    io::Read,
    os::unix::fs::{FileExt, PermissionsExt},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Instant,
};

use database::{
    Database, Engine, Error, params,
    sqlite::{self, Checked, Layer, Seal, back_up},
};
use rusqlite::Connection;
use tempfile::TempDir;
use testkit::Random;

use crate::{PATIENCE, released, url};

const PAGE_BYTES: usize = 4096;

fn file(folder: &TempDir) -> PathBuf {
    folder.path().join("test.db")
}

/// The sum of SQLite's cksumvfs, as its documentation has it.
fn sum(content: &[u8]) -> [u8; 8] {
    let (mut first, mut second) = (0_u32, 0_u32);
    let word = |bytes: &[u8]| u32::from_le_bytes(bytes.try_into().unwrap());
    for pair in content.chunks(8) {
        first = first.wrapping_add(word(&pair[..4])).wrapping_add(second);
        second = second.wrapping_add(word(&pair[4..])).wrapping_add(first);
    }
    let mut sum = [0; 8];
    sum[..4].copy_from_slice(&first.to_le_bytes());
    sum[4..].copy_from_slice(&second.to_le_bytes());
    sum
}

/// Pages of a file that is closed whose sum is not theirs.
fn without_sum(path: &Path) -> Vec<usize> {
    let bytes = fs::read(path).unwrap();
    assert_eq!(bytes.len() % PAGE_BYTES, 0);
    let pages = bytes.chunks(PAGE_BYTES).enumerate();
    pages
        .filter(|(_, page)| sum(&page[..PAGE_BYTES - 8]) != page[PAGE_BYTES - 8..])
        .map(|(at, _)| at + 1)
        .collect()
}

fn reserved(path: &Path) -> u8 {
    let mut header = [0; 100];
    File::open(path).unwrap().read_exact(&mut header).unwrap();
    header[20]
}

/// All rows of all tables, as they are kept, or why they cannot be read.
fn content(database: &[(String, Vec<String>)]) -> String {
    format!("{database:?}")
}

async fn tables(database: &Database) -> Result<Vec<(String, Vec<String>)>, Error> {
    let names = database
        .query(
            "SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name",
            vec![],
        )
        .await?;
    let mut tables = Vec::new();
    for row in names {
        let name: String = row.get(0)?;
        let rows = database.query(format!("SELECT * FROM {name}"), vec![]).await?;
        tables.push((name, rows.iter().map(|row| format!("{row:?}")).collect()));
    }
    Ok(tables)
}

async fn add(database: &Database, ids: std::ops::Range<i64>, bytes: usize) -> Result<(), Error> {
    database
        .transaction(move |tx| {
            Box::pin(async move {
                for id in ids {
                    let body = vec![u8::try_from(id % 251).unwrap(); bytes];
                    tx.execute("INSERT INTO note (id, body) VALUES ($1, $2)", params![id, body])
                        .await?;
                }
                Ok(())
            })
        })
        .await
}

const NOTE: &str = "CREATE TABLE IF NOT EXISTS note (id BIGINT NOT NULL PRIMARY KEY, body BYTEA NOT NULL)";

async fn run(database: &Database, sql: &'static str) {
    database
        .transaction(move |tx| Box::pin(async move { tx.execute(sql, vec![]).await }))
        .await
        .unwrap();
}

async fn notes(database: &Database) -> i64 {
    let sql = "SELECT count(*) FROM note WHERE length(body) > 0";
    let row = database.query_first(sql, vec![]).await.unwrap();
    row.unwrap().get(0).unwrap()
}

async fn checked(folder: &TempDir) -> Checked {
    let database = Database::look(&url(folder)).await.unwrap();
    let Engine::Sqlite(sqlite) = database.engine() else {
        panic!("no file");
    };
    let checked = sqlite.check_pages().await.unwrap();
    database.close().await;
    checked
}

/// A file of an earlier version, with notes of this many bytes each.
async fn earlier(notes: i64, bytes: usize) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let database = Database::open_by(&url(&folder), Layer::Plain).await.unwrap();
    run(&database, NOTE).await;
    for from in (0..notes).step_by(100) {
        add(&database, from..notes.min(from + 100), bytes).await.unwrap();
    }
    database.close().await;
    assert_eq!(reserved(&file(&folder)), 0);
    folder
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_page_of_a_new_file_has_its_sum_and_sqlite_alone_reads_it() {
    let folder = tempfile::tempdir().unwrap();
    let database = Database::open(&url(&folder)).await.unwrap();
    run(&database, NOTE).await;
    add(&database, 0..300, 3_000).await.unwrap();
    add(&database, 300..310, 50_000).await.unwrap();
    run(&database, "DELETE FROM note WHERE id % 3 = 0").await;
    database.close().await;
    assert_eq!(reserved(&file(&folder)), 8);
    assert_eq!(without_sum(&file(&folder)), Vec::<usize>::new());
    let plain = Connection::open(file(&folder)).unwrap();
    let found: (i64, String) = plain
        .query_row(
            "SELECT count(*), (SELECT * FROM pragma_integrity_check) FROM note",
            [],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )
        .unwrap();
    assert_eq!(found, (206, "ok".to_owned()));
    drop(plain);
    assert_eq!(without_sum(&file(&folder)), Vec::<usize>::new());
    // A copy of it is like it.
    back_up(&file(&folder), &folder.path().join("b % ä?.backup")).unwrap();
    let there = folder.path().join("there.db");
    sqlite::restore(&folder.path().join("b % ä?.backup"), &there, &[]).unwrap();
    for path in [folder.path().join("b % ä?.backup"), there] {
        assert_eq!(reserved(&path), 8);
        assert_eq!(without_sum(&path), Vec::<usize>::new());
    }
}

/// Each table of a release has rows; beside them lie the inner pages of a long tree, overflow and free pages.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bit_that_flips_anywhere_is_never_served() {
    const ROUNDS: usize = 2;
    let folder = tempfile::tempdir().unwrap();
    let path = file(&folder);
    released::release(&path);
    let database = Database::open(&url(&folder)).await.unwrap();
    run(&database, NOTE).await;
    add(&database, 0..20, 30).await.unwrap();
    add(&database, 20..24, 15_000).await.unwrap();
    add(&database, 24..28, 15_000).await.unwrap();
    run(&database, "DELETE FROM note WHERE id >= 24").await;
    let before = content(&tables(&database).await.unwrap());
    database.close().await;
    let pages = fs::metadata(&path).unwrap().len() as usize / PAGE_BYTES;
    let plain = Connection::open(&path).unwrap();
    let free: i64 = plain
        .query_row("PRAGMA freelist_count", [], |row| row.get(0))
        .unwrap();
    drop(plain);
    assert!(free > 4 && pages > 60, "{free} of {pages} pages are free");
    let disk = File::options().read(true).write(true).open(&path).unwrap();
    let (mut random, mut refused) = (Random::new(7), 0);
    for page in 0..pages {
        for _ in 0..ROUNDS {
            let (at, bit) = (page * PAGE_BYTES + random.index(PAGE_BYTES), random.index(8));
            let mut byte = [0];
            disk.read_exact_at(&mut byte, at as u64).unwrap();
            disk.write_all_at(&[byte[0] ^ (1 << bit)], at as u64).unwrap();
            let place = format!("byte {} of page {}", at % PAGE_BYTES, page + 1);
            let read = async {
                let database = Database::look(&url(&folder)).await?;
                let read = tables(&database).await;
                let Engine::Sqlite(sqlite) = database.engine() else {
                    panic!("no file");
                };
                let checked = sqlite.check_pages().await;
                database.close().await;
                if at >= 100 {
                    let expected = Checked::WithSums {
                        pages: u32::try_from(pages).unwrap(),
                        damaged: vec![u32::try_from(page).unwrap() + 1],
                    };
                    match page {
                        0 => assert!(checked.is_err(), "{place}: {checked:?}"),
                        _ => assert_eq!(checked.unwrap(), expected, "{place}"),
                    }
                }
                read
            };
            match read.await {
                // No statement read that page.
                Ok(found) => assert_eq!(content(&found), before, "{place}"),
                Err(error) => {
                    refused += 1;
                    let told = error.to_string();
                    assert!(
                        told.contains(&format!("page {} of ", page + 1)) || at < 100,
                        "{place}: {told}"
                    );
                }
            }
            disk.write_all_at(&byte, at as u64).unwrap();
        }
    }
    // Indexes and free pages are not read here.
    assert!(
        refused > pages * ROUNDS / 3,
        "{refused} of {} were met",
        pages * ROUNDS
    );
    let database = Database::look(&url(&folder)).await.unwrap();
    assert_eq!(content(&tables(&database).await.unwrap()), before);
    database.close().await;
}

/// While it is served: what needs the page fails, everything else goes on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_lives_on_with_a_damaged_page() {
    let folder = tempfile::tempdir().unwrap();
    let database = Database::open(&url(&folder)).await.unwrap();
    run(&database, NOTE).await;
    add(&database, 0..400, 3_000).await.unwrap();
    database.close().await;
    let path = file(&folder);
    let bytes = fs::read(&path).unwrap();
    // The middle of a note.
    let at = bytes
        .windows(500)
        .position(|window| window == [200; 500])
        .unwrap();
    let flip = |byte: u8| {
        let disk = File::options().write(true).open(&path).unwrap();
        disk.write_all_at(&[byte], at as u64).unwrap();
    };
    flip(201);
    let database = Database::open(&url(&folder)).await.unwrap();
    let whole = "SELECT sum(length(body)) FROM note WHERE body <> $1";
    let read = async |sql: &'static str| database.query(sql, params![vec![0_u8]]).await;
    let page = format!("page {} of {}", at / PAGE_BYTES + 1, path.display());
    for _ in 0..2 {
        match read(whole).await {
            Err(Error::DamagedPage(told)) => assert!(told.starts_with(&page), "{told}"),
            other => panic!("{other:?}"),
        }
    }
    let written = database
        .transaction(|tx| {
            Box::pin(async {
                tx.execute(
                    "UPDATE note SET body = $1 WHERE id = 200",
                    params![vec![1_u8; 10]],
                )
                .await
            })
        })
        .await;
    assert!(matches!(written, Err(Error::DamagedPage(_))), "{written:?}");
    add(&database, 400..500, 300).await.unwrap();
    let row = database
        .query("SELECT length(body) FROM note WHERE id = 450", vec![])
        .await;
    assert_eq!(row.unwrap()[0].get::<i64>(0).unwrap(), 300);
    database.close().await;
    assert_eq!(
        checked(&folder).await,
        Checked::WithSums {
            pages: u32::try_from(fs::metadata(&path).unwrap().len() as usize / PAGE_BYTES).unwrap(),
            damaged: vec![u32::try_from(at / PAGE_BYTES).unwrap() + 1],
        }
    );
    let told = back_up(&path, &folder.path().join("backup"))
        .unwrap_err()
        .to_string();
    assert!(told.starts_with(&page), "{told}");
    flip(200);
    let database = Database::open(&url(&folder)).await.unwrap();
    assert_eq!(notes(&database).await, 500);
    database.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_of_an_earlier_version_is_written_anew_at_a_start() {
    let folder = earlier(300, 3_000).await;
    let path = file(&folder);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
    fs::write(
        folder.path().join("test.db.sealing"),
        "left by one that was killed",
    )
    .unwrap();
    assert_eq!(checked(&folder).await, Checked::WithoutSums);
    let database = Database::open(&url(&folder)).await.unwrap();
    assert_eq!(notes(&database).await, 300);
    // The lock is on the file that is there now.
    assert!(sqlite::is_served(&path).unwrap());
    fs::remove_file(folder.path().join("test.db.lock")).unwrap();
    let second = Database::open(&url(&folder)).await.err().unwrap().to_string();
    assert!(second.contains("in use by another process"), "{second}");
    database.close().await;
    assert_eq!(reserved(&path), 8);
    assert_eq!(without_sum(&path), Vec::<usize>::new());
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o640);
    assert!(!folder.path().join("test.db.sealing").exists());
    assert!(matches!(checked(&folder).await, Checked::WithSums { damaged, .. } if damaged.is_empty()));
    // Once.
    assert_eq!(sqlite::seal(&path).unwrap(), Seal::Was);
}

/// A process that has the file open would keep the old one, and remove the new one's log when it ends.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_another_program_has_open_is_left_as_it_is() {
    let folder = earlier(30, 3_000).await;
    let other = Connection::open(file(&folder)).unwrap();
    let read: i64 = other
        .query_row("SELECT count(*) FROM note", [], |row| row.get(0))
        .unwrap();
    assert_eq!(read, 30);
    match sqlite::seal(&file(&folder)).unwrap() {
        Seal::Without { reason } => assert!(reason.contains("another program has it open"), "{reason}"),
        other => panic!("{other:?}"),
    }
    let database = Database::open(&url(&folder)).await.unwrap();
    add(&database, 30..40, 3_000).await.unwrap();
    database.close().await;
    drop(other);
    assert_eq!(reserved(&file(&folder)), 0);
    let database = Database::open(&url(&folder)).await.unwrap();
    assert_eq!(notes(&database).await, 40);
    database.close().await;
    assert_eq!(reserved(&file(&folder)), 8);
}

/// A crash of the program of before, and then the new one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_in_the_log_of_an_earlier_version_comes_along() {
    let folder = tempfile::tempdir().unwrap();
    let database = Database::open_by(&url(&folder), Layer::Plain).await.unwrap();
    run(&database, NOTE).await;
    add(&database, 0..100, 3_000).await.unwrap();
    let copy = tempfile::tempdir().unwrap();
    for end in ["", "-wal"] {
        let name = format!("test.db{end}");
        fs::copy(folder.path().join(&name), copy.path().join(&name)).unwrap();
    }
    database.close().await;
    let database = Database::open(&url(&copy)).await.unwrap();
    assert_eq!(notes(&database).await, 100);
    database.close().await;
    assert_eq!(without_sum(&file(&copy)), Vec::<usize>::new());
    assert_eq!(reserved(&file(&copy)), 8);
}

/// The part of a test that runs in a process of its own.
#[test]
#[ignore = "run by the next test"]
fn a_process_that_writes_a_file_anew() {
    let path = std::env::var("FILE_TO_SEAL").unwrap();
    sqlite::seal(Path::new(&path)).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kill_while_a_file_is_written_anew_leaves_it_whole() {
    let folder = earlier(3_000, 3_000).await;
    let path = file(&folder);
    let part = folder.path().join("test.db.sealing");
    let length = fs::metadata(&path).unwrap().len();
    let mut killed = 0;
    for eighth in [0, 1, 4, 7, 8] {
        let mut process = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "pages::a_process_that_writes_a_file_anew", "--ignored"])
            .env("FILE_TO_SEAL", &path)
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let deadline = Instant::now() + PATIENCE;
        let is_far = || fs::metadata(&part).is_ok_and(|found| found.len() >= length * eighth / 9);
        while !is_far() && process.try_wait().unwrap().is_none() {
            assert!(Instant::now() < deadline, "it hangs");
            std::thread::yield_now();
        }
        process.kill().unwrap();
        process.wait().unwrap();
        killed += u32::from(part.exists());
        let database = Database::look(&url(&folder)).await.unwrap();
        assert_eq!(notes(&database).await, 3_000, "{eighth}");
        database.close().await;
    }
    assert!(killed >= 3, "{killed}");
    let database = Database::open(&url(&folder)).await.unwrap();
    assert_eq!(notes(&database).await, 3_000);
    database.close().await;
    assert!(!part.exists());
    assert_eq!(without_sum(&path), Vec::<usize>::new());
}

/// Pages that SQLite alone writes have no sums: the file is marked, and rewritten afterwards.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_goes_back_to_sqlite_alone_and_comes_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = file(&folder);
    let database = Database::open(&url(&folder)).await.unwrap();
    run(&database, NOTE).await;
    add(&database, 0..100, 3_000).await.unwrap();
    database.close().await;
    for crashes in [false, true] {
        let database = Database::open_by(&url(&folder), Layer::Plain).await.unwrap();
        let from = notes(&database).await;
        add(&database, from..from + 50, 3_000).await.unwrap();
        run(&database, "UPDATE note SET body = x'07' WHERE id % 5 = 0").await;
        let copy = tempfile::tempdir().unwrap();
        for end in ["", "-wal"] {
            let name = format!("test.db{end}");
            fs::copy(folder.path().join(&name), copy.path().join(&name)).unwrap();
        }
        database.close().await;
        assert_ne!(without_sum(&path), Vec::<usize>::new());
        assert_eq!(checked(&folder).await, Checked::WithoutSums);
        if crashes {
            for end in ["", "-wal"] {
                let name = format!("test.db{end}");
                fs::copy(copy.path().join(&name), folder.path().join(&name)).unwrap();
            }
        }
        let database = Database::open(&url(&folder)).await.unwrap();
        assert_eq!(notes(&database).await, from + 50);
        database.close().await;
        assert_eq!(without_sum(&path), Vec::<usize>::new());
    }
}

/// Another program's SQLite says nothing in the file: its pages look damaged, until the file went by the way above.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_another_program_writes_looks_like_damage_and_can_be_taken_in() {
    let folder = tempfile::tempdir().unwrap();
    let database = Database::open(&url(&folder)).await.unwrap();
    run(&database, NOTE).await;
    add(&database, 0..100, 3_000).await.unwrap();
    database.close().await;
    let other = Connection::open(file(&folder)).unwrap();
    other
        .execute("UPDATE note SET body = x'01' WHERE id = 50", [])
        .unwrap();
    drop(other);
    let database = Database::open(&url(&folder)).await.unwrap();
    let told = database
        .query("SELECT length(body) FROM note WHERE body <> x''", vec![])
        .await;
    assert!(matches!(told, Err(Error::DamagedPage(_))), "{told:?}");
    database.close().await;
    let plain = Database::open_by(&url(&folder), Layer::Plain).await.unwrap();
    plain.close().await;
    let database = Database::open(&url(&folder)).await.unwrap();
    assert_eq!(notes(&database).await, 100);
    database.close().await;
    assert_eq!(without_sum(&file(&folder)), Vec::<usize>::new());
}
