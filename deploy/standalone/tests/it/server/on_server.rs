//! On PostgreSQL, as on a file: check, migrate, serve; and the log while the server is away.

use testkit::postgres::{Options, Postgres};

use crate::process::{PATIENCE, Running, huizhen, run, text};

#[test]
fn check_migrate_and_serve_on_a_server() {
    let postgres = Postgres::start(Options {
        password: Some("geheim".into()),
        ..Options::default()
    })
    .unwrap();
    postgres.create_database("huizhen", None).unwrap();
    let url = format!("postgres://postgres:geheim@127.0.0.1:{}/huizhen", postgres.port());
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let command = |arguments: &[&str]| {
        let mut command = huizhen(folder, arguments);
        command.env("HUIZHEN_DATABASE_URL", &url);
        command
    };
    let check = || {
        let checked = run(command(&["check", "--max-sessions", "10"]), "");
        let lines = text(&checked.stdout) + &text(&checked.stderr);
        assert!(!lines.contains("geheim"), "{lines}");
        lines
    };
    // A look changes nothing.
    let lines = check();
    assert!(
        lines.contains("its schema has version 0, the first start"),
        "{lines}"
    );
    let tables = "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'";
    assert_eq!(postgres.psql("huizhen", tables).unwrap(), "0");
    let migrated = run(command(&["migrate"]), "");
    let told = format!("the schema has version {}", database::LATEST_VERSION);
    assert!(
        text(&migrated.stdout).contains(&told),
        "{}",
        text(&migrated.stderr)
    );
    assert!(check().contains("ok    database"), "{}", check());

    let mut serve = Running::start(command(&["serve", "--drain-s", "1"]));
    let line = serve.wait_for("listening admin=");
    let admin = place(&line, "admin");
    let is_ready = |wanted: bool| await_status(&admin, if wanted { 200 } else { 503 });
    is_ready(true);
    postgres.kill().unwrap();
    is_ready(false);
    let lines = check();
    assert!(lines.contains("fail  database"), "{lines}");
    postgres.start_again().unwrap();
    is_ready(true);
    serve.signal("TERM");
    assert_eq!(serve.end(), Some(0));
}

/// The status that `/readyz` answers with.
fn status(admin: &str) -> u16 {
    let answer = ask(
        admin,
        "GET /readyz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n",
    );
    answer.split(' ').nth(1).unwrap().parse().unwrap()
}

pub(crate) fn ask(address: &str, request: &str) -> String {
    use std::io::{Read, Write};
    let mut stream = std::net::TcpStream::connect(address).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

/// Asks for an SMS code, which writes.
pub(crate) fn write(rest: &str, phone: u64) -> String {
    let body = format!("{{\"phone\":\"+86138{phone:08}\"}}");
    let head =
        "POST /account/code HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: application/json";
    ask(
        rest,
        &format!("{head}\r\ncontent-length: {}\r\n\r\n{body}", body.len()),
    )
}

pub(crate) fn place(line: &str, name: &str) -> String {
    let found = line.split(&format!("{name}=")).nth(1).unwrap();
    found.split_whitespace().next().unwrap().to_owned()
}

pub(crate) fn await_status(admin: &str, wanted: u16) {
    let end = std::time::Instant::now() + PATIENCE;
    while status(admin) != wanted {
        assert!(std::time::Instant::now() < end, "/readyz is never {wanted}");
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
}

#[test]
fn a_fleet_follows_its_database_from_one_server_to_the_other() {
    let old = Postgres::start(Options::default()).unwrap();
    old.create_database("huizhen", None).unwrap();
    let new = Postgres::standby_of(&old).unwrap();
    let url = format!(
        "postgres://postgres@127.0.0.1:{},127.0.0.1:{}/huizhen?target_session_attrs=read-write",
        old.port(),
        new.port()
    );
    let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let serve = |at: usize| {
        let mut serve = Running::start(huizhen(
            folders[at].path(),
            &["serve", "--drain-s", "1", "--database-url", &url],
        ));
        let admin = place(&serve.wait_for("listening admin="), "admin");
        let rest = place(&serve.wait_for("listening rest="), "rest");
        (serve, admin, rest)
    };
    let (_first, admin, rest) = serve(0);
    await_status(&admin, 200);
    let answer = write(&rest, 1);
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    old.await_standby().unwrap();
    old.kill().unwrap();
    await_status(&admin, 503);
    let answer = write(&rest, 2);
    assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
    assert!(answer.to_lowercase().contains("retry-after: "), "{answer}");
    new.promote().unwrap();
    await_status(&admin, 200);
    let answer = write(&rest, 3);
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    // The old primary is a standby now, and the first in the URL.
    old.follow(&new).unwrap();
    let (_second, admin_of_second, rest_of_second) = serve(1);
    await_status(&admin_of_second, 200);
    for (at, (admin, rest)) in [(admin, rest), (admin_of_second, rest_of_second)]
        .iter()
        .enumerate()
    {
        assert_eq!(status(admin), 200);
        let answer = write(rest, 4 + at as u64);
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    }
}

#[test]
fn a_server_that_cannot_be_used_stops_the_start_without_the_password() {
    let folder = tempfile::tempdir().unwrap();
    for (url, told) in [
        ("postgres://me:geheim@127.0.0.1:1/huizhen", "cannot be opened"),
        (
            "postgres://me:geheim@127.0.0.1/huizhen?sslmod=disable",
            "\"sslmod\"",
        ),
        ("mysql://me:geheim@127.0.0.1/huizhen", "sqlite:// or postgres://"),
    ] {
        let output = run(huizhen(folder.path(), &["serve", "--database-url", url]), "");
        let lines = text(&output.stderr) + &text(&output.stdout);
        assert_eq!(output.status.code(), Some(1), "{lines}");
        assert!(lines.contains(told) && !lines.contains("geheim"), "{lines}");
    }
}

#[test]
fn nothing_is_called_listening_before_all_of_it_can_serve() {
    let postgres = Postgres::start(Options::default()).unwrap();
    postgres.create_database("huizhen", None).unwrap();
    let url = format!("postgres://postgres@127.0.0.1:{}/huizhen", postgres.port());
    let folder = tempfile::tempdir().unwrap();
    let command = |name: &str| huizhen(folder.path(), &[name, "--database-url", &url]);
    assert_eq!(run(command("migrate"), "").status.code(), Some(0));
    // REST reads this table last, when sockets could be served already.
    postgres
        .psql("huizhen", "ALTER TABLE secret RENAME TO lost")
        .unwrap();
    let output = run(command("serve"), "");
    let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(stderr.contains("the secret that signs invitations"), "{stderr}");
    assert!(!stdout.contains("listening"), "{stdout}");
}
