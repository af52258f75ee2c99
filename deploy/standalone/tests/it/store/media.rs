//! Media beside the database: backed up, restored, counted, and proved.

use std::{
    fs,
    path::{Path, PathBuf},
};

use database::{Database, params};
use futures_util::stream;
use media::{Announced, Key, MimeType, Store, finish};
use testkit::postgres::Postgres;

use super::backups::{done, refused};

/// Files of 1 to `count` bytes with their rows, in the store and the database of `data`.
async fn planted(folder: &Path, count: u8) -> Vec<Key> {
    let data = folder.join("data");
    fs::create_dir_all(&data).unwrap();
    let store = Store::folder(&data.join("media")).await.unwrap();
    let url = format!("sqlite://{}", data.join("huizhen.db").display());
    let database = Database::open(&url).await.unwrap();
    let mut keys = Vec::new();
    for id in 1..=count {
        let content = vec![id; id.into()];
        let key = Key::random();
        let announced = Announced::of(MimeType::File, &content);
        let pieces = stream::iter([Ok(content.into())]);
        store
            .append(&key, 0, announced.bytes, Box::pin(pieces))
            .await
            .unwrap();
        finish(&store, &key, &announced).await.unwrap();
        let sha256 = announced.sha256.to_vec();
        let row = params![i64::from(id), i64::from(id), sha256, key.as_str().to_owned()];
        let written: Result<(), database::Error> = database
            .transaction(move |tx| {
                Box::pin(async move {
                    let sql = "INSERT INTO media (id, owner_id, purpose, mime_type, bytes, sha256, file_name, store_key, state,
                            created_ms) VALUES ($1, 1, 'message', 'application/octet-stream', $2, $3, '', $4, 'finished', 0)";
                    tx.execute(sql, row).await?;
                    Ok(())
                })
            })
            .await;
        written.unwrap();
        keys.push(key);
    }
    database.close().await;
    keys
}

/// Where a folder of media has a key.
fn path(media: &Path, key: &Key) -> PathBuf {
    let key = key.as_str();
    media.join("kept").join(&key[..2]).join(&key[2..4]).join(key)
}

/// The lines of `check` about media, whatever its other lines say.
fn checked(folder: &Path, arguments: &[&str]) -> String {
    let arguments = [&["check"][..], arguments].concat();
    let output = crate::process::run(crate::process::huizhen(folder, &arguments), "");
    let lines = crate::process::text(&output.stdout);
    let of_media = lines.lines().filter(|line| line.contains(" media "));
    of_media.collect::<Vec<_>>().join("\n")
}

#[tokio::test]
async fn a_backup_has_the_media_and_a_restore_brings_them_back() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let keys = planted(folder, 3).await;
    let made = done(folder, &["backup", "--data", "data", "--to", "b.backup"]);
    assert!(
        made.contains("b.backup.media: 3 files copied with 6 bytes"),
        "{made}"
    );
    assert!(made.contains("3 media, each has its bytes"), "{made}");
    let beside = folder.join("b.backup.media");
    assert_eq!(fs::read(path(&beside, &keys[2])).unwrap(), [3; 3]);
    // Another backup has all of them, too.
    let again = done(folder, &["backup", "--data", "data", "--to", "c.backup"]);
    assert!(again.contains("c.backup.media: 3 files copied"), "{again}");

    let made = done(folder, &["restore", "--from", "b.backup", "--data", "restored"]);
    assert!(
        made.contains("3 files copied with 6 bytes, 0 were there"),
        "{made}"
    );
    let restored = folder.join("restored/media");
    assert_eq!(fs::read(path(&restored, &keys[0])).unwrap(), [1]);
    let line = checked(folder, &["--deep", "--data", "restored"]);
    assert!(
        line.contains("3 media with 6 bytes, each has its bytes; 0 without a row"),
        "{line}"
    );
}

#[tokio::test]
async fn missing_bytes_fail_backup_restore_and_check() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let keys = planted(folder, 4).await;
    let whole = checked(folder, &["--data", "data"]);
    assert!(
        whole.starts_with("ok") && whole.contains("can be listed"),
        "{whole}"
    );
    fs::remove_file(path(&folder.join("data/media"), &keys[1])).unwrap();
    fs::write(path(&folder.join("data/media"), &keys[2]), b"xyz").unwrap();
    let line = checked(folder, &["--deep", "--data", "data"]);
    assert!(
        line.contains("fail") && line.contains("of 4 media, 1 have no bytes and 1 have others"),
        "{line}"
    );
    assert!(
        line.contains("2 (missing)") && line.contains("3 (different)"),
        "{line}"
    );

    // A backup compares sizes.
    let made = refused(folder, &["backup", "--data", "data", "--to", "b.backup"], 1);
    assert!(
        made.contains("of 4 media, 1 have no bytes and 0 have others: 2 (missing)"),
        "{made}"
    );
    let made = refused(
        folder,
        &["restore", "--from", "b.backup", "--data", "restored"],
        1,
    );
    assert!(made.contains("2 (missing)"), "{made}");
    // Without the folder beside the backup nothing is there.
    fs::remove_dir_all(folder.join("b.backup.media")).unwrap();
    let made = refused(folder, &["restore", "--from", "b.backup", "--data", "third"], 1);
    assert!(made.contains("of 4 media, 4 have no bytes"), "{made}");
    let made = done(
        folder,
        &[
            "restore",
            "--from",
            "b.backup",
            "--data",
            "fourth",
            "--media-store",
            "none",
        ],
    );
    assert!(!made.contains("media,"), "{made}");
}

#[tokio::test]
async fn a_copy_says_what_must_go_with_it() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    planted(folder, 2).await;
    let url = Postgres::shared().empty_database().unwrap();
    let made = done(
        folder,
        &["copy", "--from", "sqlite://data/huizhen.db", "--to", &url],
    );
    assert!(
        made.contains("2 media with 3 bytes are not in the database"),
        "{made}"
    );
    let deep = checked(folder, &["--deep", "--data", "data", "--database-url", &url]);
    assert!(
        deep.contains("2 media with 3 bytes, each has its bytes"),
        "{deep}"
    );
}

#[tokio::test]
async fn a_bucket_that_cannot_be_used_fails_the_check() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let check = |config: Option<&str>| {
        let mut arguments = vec!["check", "--media-store", "s3://clinic-media/a"];
        if let Some(config) = config {
            arguments.extend(["--media-config", config]);
        }
        refused(folder, &arguments, 1)
    };
    assert!(check(None).contains("needs --media-config"));
    let write = |mode, text: &str| {
        use std::os::unix::fs::PermissionsExt;
        let file = folder.join("s3.toml");
        fs::write(&file, text).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
    };
    let settings = "endpoint = \"http://127.0.0.1:9\"\nregion = \"r\"\naccess_key_id = \"AKID\"\n\
                    secret_access_key = \"s3cret\"\n";
    write(0o644, settings);
    assert!(check(Some("s3.toml")).contains("chmod 600 s3.toml"));
    write(0o600, &settings.replace("region", "regoin"));
    assert!(check(Some("s3.toml")).contains("line 2"));
    write(0o600, settings);
    let down = check(Some("s3.toml"));
    assert!(
        down.contains("s3://clinic-media/a: the media store is down"),
        "{down}"
    );
    assert!(!down.contains("s3cret"), "{down}");
    let bad = crate::process::run(
        crate::process::huizhen(folder, &["check", "--media-store", "/srv/media"]),
        "",
    );
    assert_eq!(bad.status.code(), Some(2));
}
