//! Damage as an operator meets it: refused with what to do, and the way on.

use std::{fs, path::Path};

use super::backups::{chat, done, refused, say};
use crate::process::{Running, huizhen};

const DATA: &str = "data/demo";

fn flip(path: &Path, at: usize) {
    let mut bytes = fs::read(path).unwrap();
    bytes[at] ^= 4;
    fs::write(path, bytes).unwrap();
}

/// A place in the middle of the log's frames. Frames of an earlier round may follow: they have another salt.
fn middle_of_log(path: &Path) -> usize {
    const HEADER: usize = 32;
    const FRAME: usize = 24 + 4096;
    let bytes = fs::read(path).unwrap();
    let salt = &bytes[16..24];
    let frames = bytes[HEADER..].chunks_exact(FRAME);
    let valid = frames.take_while(|frame| &frame[8..16] == salt).count();
    assert!(valid > 2, "{valid}");
    HEADER + valid / 2 * FRAME + FRAME / 2
}

fn started(folder: &Path) -> Running {
    let mut demo = Running::start(huizhen(folder, &["demo"]));
    demo.wait_for("doctor.token");
    demo
}

#[test]
fn a_log_that_is_damaged_is_refused_and_what_is_before_it_can_be_kept() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let demo = started(folder);
    let mut patient = chat(folder, "patient");
    for words in ["one", "two", "three"] {
        say(&mut patient, words);
    }
    demo.signal("KILL");
    assert_eq!(demo.end(), None);
    drop(patient);
    let (database, log) = (
        folder.join("data/demo/huizhen.db"),
        folder.join("data/demo/huizhen.db-wal"),
    );

    // An empty database beside the log.
    let whole = fs::read(&database).unwrap();
    fs::write(&database, "").unwrap();
    let told = refused(folder, &["serve", "--data", DATA], 1);
    assert!(told.contains("is empty, and its log"), "{told}");
    fs::write(&database, whole).unwrap();

    flip(&log, middle_of_log(&log));
    let damaged = fs::read(&log).unwrap();
    for command in [
        &["serve", "--data", DATA][..],
        &["check", "--deep", "--data", DATA],
        &["backup", "--data", DATA, "--to", "b.backup"],
        &["operator", "list", "--data", DATA],
    ] {
        let told = refused(folder, command, 1);
        assert!(told.contains("restore --before-damage"), "{told}");
        assert_eq!(fs::read(&log).unwrap(), damaged);
    }
    let kept = done(folder, &["restore", "--before-damage", "--data", DATA]);
    assert!(kept.contains("huizhen.db-wal.damaged-"), "{kept}");
    assert!(kept.contains("entries are kept"), "{kept}");
    let again = refused(folder, &["restore", "--before-damage", "--data", DATA], 1);
    assert!(again.contains("is not damaged"), "{again}");
    let checked = done(
        folder,
        &["check", "--deep", "--data", DATA, "--max-sessions", "10"],
    );
    assert!(checked.contains("nothing is damaged"), "{checked}");
    let mut serve = Running::start(huizhen(folder, &["serve", "--data", DATA]));
    serve.wait_for("listening rest=");
    serve.signal("TERM");
    assert_eq!(serve.end(), Some(0));
}

#[test]
fn a_deep_check_names_what_is_damaged_while_the_server_runs() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let demo = started(folder);
    let mut patient = chat(folder, "patient");
    let said = say(&mut patient, "words that will be spoilt");
    // The newest page of entries is read by every start and by every send.
    for _ in 0..30 {
        say(&mut patient, &"x".repeat(400));
    }
    let check = ["check", "--deep", "--data", DATA, "--max-sessions", "10"];
    let checked = done(folder, &check);
    assert!(checked.contains("nothing is damaged"), "{checked}");
    drop(patient);
    demo.signal("TERM");
    assert_eq!(demo.end(), Some(0));
    let database = folder.join("data/demo/huizhen.db");
    let bytes = fs::read(&database).unwrap();
    let words = b"words that will be spoilt";
    // The last place: a page that was split keeps what it held before.
    let at = bytes.windows(words.len()).rposition(|window| window == words);
    flip(&database, at.unwrap());
    // Not the demo, which looks at its own conversation when it starts.
    let mut demo = Running::start(huizhen(folder, &["serve", "--data", DATA]));
    demo.wait_for("listening rest=");
    let told = refused(folder, &check, 1);
    let place = format!(
        "entry {} of conversation {}",
        said["seq"], said["conversation_id"]
    );
    let page = at.unwrap() / 4096 + 1;
    assert!(
        told.contains("fail  deep") && told.contains(&format!("pages are damaged: {page}\n")),
        "{page} in\n{told}"
    );
    let told = refused(folder, &["backup", "--data", DATA, "--to", "b.backup"], 1);
    assert!(
        told.contains(&format!("page {page} of ")) && told.contains("data/demo/huizhen.db is damaged"),
        "{told}"
    );
    assert!(!folder.join("b.backup").exists());
    // Past the checksums of pages the entries have theirs.
    let plain = [&check[..], &["--sqlite-plain"]].concat();
    let told = refused(folder, &plain, 1);
    assert!(told.contains(&place), "{place} in\n{told}");
    // A backup is made all the same, and does not pass for a whole one.
    let plain = ["backup", "--data", DATA, "--to", "b.backup", "--sqlite-plain"];
    let told = refused(folder, &plain, 1);
    assert!(told.contains("1 of its entries are damaged"), "{told}");
    assert!(folder.join("b.backup").exists());
    demo.signal("TERM");
    assert_eq!(demo.end(), Some(0));
}

#[test]
fn a_second_server_is_refused_by_any_door() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let mut serve = Running::start(huizhen(folder, &["serve"]));
    serve.wait_for("listening rest=");
    fs::create_dir(folder.join("other")).unwrap();
    let (database, other) = (folder.join("data/huizhen.db"), folder.join("other/huizhen.db"));
    fs::remove_file(folder.join("data/huizhen.db.lock")).unwrap();
    let told = refused(folder, &["serve"], 1);
    assert!(told.contains("in use by another process (pid "), "{told}");
    std::os::unix::fs::symlink(&database, &other).unwrap();
    let told = refused(folder, &["serve", "--data", "other"], 1);
    assert!(told.contains("in use by another process"), "{told}");
    fs::remove_file(&other).unwrap();
    fs::hard_link(&database, &other).unwrap();
    let told = refused(folder, &["serve", "--data", "other"], 1);
    assert!(told.contains("hard links"), "{told}");
    assert!(!folder.join("other/huizhen.db-wal").exists());
    fs::remove_file(&other).unwrap();
    serve.signal("TERM");
    assert_eq!(serve.end(), Some(0));
}
