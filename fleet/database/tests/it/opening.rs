//! Opening: which URLs, which files, and who is first.

use database::{Database, Error, LATEST_VERSION, MIGRATIONS};

use testkit::store::Store;

use crate::{Scratch, url};

fn message(outcome: Result<Database, Error>) -> String {
    match outcome {
        Ok(_) => panic!("it was opened"),
        Err(error) => error.to_string(),
    }
}

#[tokio::test]
async fn a_url_that_names_no_file_of_ours_is_refused_without_its_password() {
    for url in ["postgre://me:secret@there/db", "data/huizhen.db", "", "mysql://x"] {
        let error = Database::open(url).await.err().unwrap();
        assert!(matches!(error, Error::Url(_)), "{url}: {error}");
        assert!(error.to_string().contains("sqlite://"), "{error}");
        assert!(!error.to_string().contains("secret"), "{error}");
    }
    for url in ["sqlite://", "sqlite://:memory:", "sqlite://file:x?mode=memory"] {
        let error = Database::open(url).await.err().unwrap();
        assert!(matches!(error, Error::Url(_)), "{url}: {error}");
    }
}

#[tokio::test]
async fn a_missing_folder_and_a_folder_in_its_place_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let missing = format!("sqlite://{}/not/there.db", folder.path().display());
    assert!(message(Database::open(&missing).await).contains("does its folder exist"));
    std::fs::create_dir(folder.path().join("test.db")).unwrap();
    assert!(message(Database::open(&url(&folder)).await).contains("test.db"));
}

#[tokio::test]
async fn a_file_that_is_no_database_is_refused_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("test.db");
    let content = "a letter, not a database. ".repeat(1000);
    std::fs::write(&path, &content).unwrap();
    assert!(message(Database::open(&url(&folder)).await).contains("not a database"));
    assert_eq!(std::fs::read_to_string(&path).unwrap(), content);
}

#[tokio::test]
async fn a_second_opener_is_refused_while_the_first_one_lives() {
    let scratch = Scratch::open(Store::Sqlite).await;
    let error = message(Database::open(scratch.place.url()).await);
    assert!(error.contains("in use by another process"), "{error}");
    // The refused one has done no harm to the locks of the first one.
    scratch.run(&["CREATE TABLE note (id BIGINT)"]).await;
    let scratch = scratch.reopen().await;
    assert_eq!(scratch.number("SELECT count(*) FROM note").await, 0);
}

#[tokio::test]
async fn a_handle_that_is_just_being_dropped_is_waited_for() {
    for _ in 0..5 {
        let folder = tempfile::tempdir().unwrap();
        for _ in 0..4 {
            drop(Database::open(&url(&folder)).await.unwrap());
        }
    }
}

#[tokio::test]
async fn closing_leaves_one_file_that_nobody_else_may_read() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let database = Database::open(&url(&folder)).await.unwrap();
    for name in ["test.db", "test.db-wal"] {
        let mode = std::fs::metadata(folder.path().join(name))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
    database.close().await;
    assert!(folder.path().join("test.db").exists());
    assert!(!folder.path().join("test.db-wal").exists());
}

async fn the_schema_is_brought_up_to_date_once(store: Store) {
    let scratch = Scratch::open(store).await;
    assert_eq!(scratch.database.schema_version().await.unwrap(), LATEST_VERSION);
    let scratch = scratch.reopen().await;
    assert_eq!(scratch.database.schema_version().await.unwrap(), LATEST_VERSION);
    assert_eq!(
        scratch
            .number("SELECT count(*) FROM refinery_schema_history")
            .await,
        MIGRATIONS.len() as i64
    );
}

#[tokio::test]
async fn a_newer_schema_is_refused_with_what_to_do() {
    let scratch = Scratch::open(Store::Sqlite).await;
    scratch
        .run(&[
            "INSERT INTO refinery_schema_history (version, name, applied_on, checksum)
                VALUES (9999, 'from_the_future', '2030-01-01T00:00:00Z', '1')",
        ])
        .await;
    scratch.database.close().await;
    let error = message(Database::open(scratch.place.url()).await);
    assert!(
        error.contains("9999") && error.contains("run the newer program"),
        "{error}"
    );
}

async fn a_step_that_was_changed_after_it_ran_is_refused(store: Store) {
    let scratch = Scratch::open(store).await;
    scratch
        .run(&["UPDATE refinery_schema_history SET checksum = '1' WHERE version = 1"])
        .await;
    scratch.database.close().await;
    let error = message(Database::open(scratch.place.url()).await);
    assert!(error.contains("cannot be brought up to date"), "{error}");
}

/// Hole 1 of the design's two: versions before 3.51.3 can corrupt the file.
#[test]
fn the_sqlite_inside_has_no_race_of_its_log() {
    assert!(
        rusqlite::version_number() >= 3_051_003,
        "SQLite {}",
        rusqlite::version()
    );
}

testkit::on_both!(
    the_schema_is_brought_up_to_date_once,
    a_step_that_was_changed_after_it_ran_is_refused,
);
