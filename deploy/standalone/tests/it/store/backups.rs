//! Backup, restore and copy as an operator does them, with people who talk before and after.

use std::path::Path;

use serde_json::Value;
use testkit::postgres::Postgres;

use crate::process::{Places, Running, huizhen, run, text};

pub(crate) fn done(folder: &Path, arguments: &[&str]) -> String {
    let output = run(huizhen(folder, arguments), "");
    let lines = text(&output.stdout) + &text(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{arguments:?}: {lines}");
    lines
}

pub(crate) fn refused(folder: &Path, arguments: &[&str], status: i32) -> String {
    let output = run(huizhen(folder, arguments), "");
    let lines = text(&output.stdout) + &text(&output.stderr);
    assert_eq!(output.status.code(), Some(status), "{arguments:?}: {lines}");
    lines
}

/// A user at their terminal.
pub(crate) fn chat(folder: &Path, who: &str) -> Running {
    let mut chat = Running::start(huizhen(
        folder,
        &["chat", &format!("data/demo/{who}.token"), "--json"],
    ));
    chat.wait_for_event("synced", |event| event["event"] == "synced");
    chat
}

pub(crate) fn say(chat: &mut Running, text: &str) -> Value {
    chat.type_line(text);
    chat.wait_for_event("sent", |event| event["event"] == "sent")
}

fn entry(text: &str) -> impl Fn(&Value) -> bool {
    move |event| event["event"] == "entry" && event["text"] == text
}

#[test]
fn after_a_restore_everybody_has_exactly_what_was_restored_and_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let places = Places::take();
    let mut demo = Running::start(places.on(huizhen(folder, &["demo"])));
    demo.wait_for("doctor.token");
    let (mut patient, mut doctor) = (chat(folder, "patient"), chat(folder, "doctor"));
    let kept = say(&mut patient, "kept");
    doctor.wait_for_event("what is kept", entry("kept"));

    // While it serves.
    let made = done(folder, &["backup", "--data", "data/demo", "--to", "b.backup"]);
    assert!(made.contains("b.backup: ") && made.contains("checked"), "{made}");
    let again = refused(folder, &["backup", "--data", "data/demo", "--to", "b.backup"], 1);
    assert!(again.contains("overwrites nothing"), "{again}");
    for lost in ["lost one", "lost two", "lost three"] {
        say(&mut patient, lost);
        doctor.wait_for_event(lost, entry(lost));
    }
    let in_use = refused(
        folder,
        &["restore", "--from", "b.backup", "--data", "data/demo"],
        1,
    );
    assert!(in_use.contains("in use by another process"), "{in_use}");
    demo.signal("TERM");
    assert_eq!(demo.end(), Some(0));
    let taken = refused(
        folder,
        &["restore", "--from", "b.backup", "--data", "data/demo"],
        1,
    );
    assert!(taken.contains("overwrites nothing"), "{taken}");

    done(
        folder,
        &[
            "restore",
            "--from",
            "b.backup",
            "--data",
            "again",
            "--keep-logins",
        ],
    );
    let mut serve = Running::start(places.on(huizhen(folder, &["serve", "--data", "again"])));
    serve.wait_for("listening admin=");

    // Both have seen more than there is now.
    for chat in [&mut patient, &mut doctor] {
        let told = chat.wait_for_event("reset", |event| {
            event["event"] == "conversation" && event["reset"] == true && event["kind"] == "consult"
        });
        assert_eq!(told["last_seq"], kept["seq"], "{told}");
        assert!(told["epoch"].as_i64().unwrap() > 1, "{told}");
        chat.wait_for_event("what is kept, again", entry("kept"));
    }
    let next = say(&mut patient, "after it");
    assert_eq!(next["seq"].as_i64(), kept["seq"].as_i64().map(|seq| seq + 1));
    doctor.wait_for_event("what comes after it", entry("after it"));
    for mut chat in [patient, doctor] {
        chat.end_input();
        assert_eq!(chat.end(), Some(0));
    }
    let late = done(folder, &["chat", "data/demo/doctor.token"]);
    assert!(
        late.contains("kept") && late.contains("after it") && !late.contains("lost"),
        "{late}"
    );
    serve.signal("TERM");
    assert_eq!(serve.end(), Some(0));

    // Without the flag all logins have ended.
    let told = done(folder, &["restore", "--from", "b.backup", "--data", "third"]);
    assert!(told.contains("all logins have ended"), "{told}");
    let mut serve = Running::start(places.on(huizhen(folder, &["serve", "--data", "third"])));
    serve.wait_for("listening admin=");
    let told = refused(folder, &["chat", "data/demo/doctor.token"], 1);
    assert!(!told.contains("kept"), "{told}");
    serve.signal("TERM");
    assert_eq!(serve.end(), Some(0));
}

#[test]
fn a_file_moves_to_a_server_and_the_server_is_set_back_by_its_own_tools() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let url = Postgres::shared().empty_database().unwrap();
    let name = url
        .split('?')
        .next()
        .unwrap()
        .rsplit('/')
        .next()
        .unwrap()
        .to_owned();
    let source = "sqlite://data/demo/huizhen.db";
    let places = Places::take();
    let mut demo = Running::start(places.on(huizhen(folder, &["demo"])));
    demo.wait_for("doctor.token");
    let said = text(
        &run(
            huizhen(folder, &["chat", "data/demo/patient.token", "--json"]),
            "on the file\n",
        )
        .stdout,
    );
    assert!(said.contains("on the file"), "{said}");
    let in_use = refused(folder, &["copy", "--from", source, "--to", &url], 1);
    assert!(in_use.contains("in use by another process"), "{in_use}");
    demo.signal("TERM");
    assert_eq!(demo.end(), Some(0));

    let copied = done(folder, &["copy", "--from", source, "--to", &url]);
    assert!(copied.contains("the same on both sides"), "{copied}");
    for table in ["account", "conversation", "entry", "sequence"] {
        let line = copied
            .lines()
            .find(|line| line.split_whitespace().next() == Some(table));
        assert!(
            line.is_some_and(|line| !line.contains(" 0  ")),
            "{table} in {copied}"
        );
    }
    let again = refused(folder, &["copy", "--from", source, "--to", &url], 1);
    assert!(again.contains("the target is not empty"), "{again}");
    let missing = refused(folder, &["copy", "--from", "sqlite://none.db", "--to", &url], 1);
    assert!(missing.contains("no such file"), "{missing}");

    let serve = || {
        let serve = huizhen(folder, &["serve", "--drain-s", "1", "--database-url", &url]);
        let mut serve = Running::start(places.on(serve));
        serve.wait_for("listening admin=");
        serve
    };
    let running = serve();
    let mut doctor = chat(folder, "doctor");
    say(&mut doctor, "on the server");
    doctor.end_input();
    assert_eq!(doctor.end(), Some(0));
    let late = done(folder, &["chat", "data/demo/patient.token"]);
    assert!(
        late.contains("on the file") && late.contains("on the server"),
        "{late}"
    );

    let own_tools = refused(folder, &["backup", "--to", "x", "--database-url", &url], 2);
    assert!(
        own_tools.contains("pg_dump") && own_tools.contains("pg_basebackup"),
        "{own_tools}"
    );
    let set_back = ["restore", "--after-point-in-time", "--database-url", &url];
    let in_use = refused(folder, &set_back, 1);
    assert!(in_use.contains("the database is in use"), "{in_use}");
    running.signal("TERM");
    assert_eq!(running.end(), Some(0));
    let epochs = || {
        let sql = "SELECT min(epoch) FROM conversation";
        Postgres::shared()
            .psql(&name, sql)
            .unwrap()
            .parse::<i64>()
            .unwrap()
    };
    assert_eq!(epochs(), 1, "a copy is the same history");
    let fleet = || Postgres::shared().psql(&name, "SELECT id FROM fleet").unwrap();
    let before = fleet();
    assert!(
        copied.contains("fleet ") && !before.is_empty(),
        "a copy is the same fleet"
    );
    let told = done(folder, &set_back);
    assert!(
        told.contains("another history") && told.contains("all logins have ended"),
        "{told}"
    );
    let first = epochs();
    assert!(first > 1);
    assert_eq!(fleet(), "", "what was set back may stand beside what it was");
    assert_eq!(
        Postgres::shared()
            .psql(&name, "SELECT count(*) FROM device")
            .unwrap(),
        "0"
    );
    done(folder, &set_back);
    assert!(epochs() > first);
    let running = serve();
    assert!(fleet() != before && !fleet().is_empty());
    running.signal("TERM");
    assert_eq!(running.end(), Some(0));
}

#[test]
fn commands_that_make_no_sense_say_so() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let told = refused(folder, &["restore"], 2);
    assert!(told.contains("--from"), "{told}");
    let told = refused(folder, &["restore", "--after-point-in-time"], 1);
    assert!(told.contains("for PostgreSQL"), "{told}");
    let told = refused(folder, &["backup", "--to", "x"], 1);
    assert!(told.contains("there is no database"), "{told}");
    let told = refused(
        folder,
        &[
            "restore",
            "--from",
            "x",
            "--database-url",
            "postgres://me:geheim@127.0.0.1:1/huizhen",
        ],
        1,
    );
    assert!(told.contains("pg_restore") && !told.contains("geheim"), "{told}");
    let told = refused(folder, &["copy", "--from", "sqlite://data/huizhen.db"], 1);
    assert!(told.contains("HUIZHEN_DATABASE_URL"), "{told}");
    assert!(std::fs::read_dir(folder).unwrap().next().is_none());
}
