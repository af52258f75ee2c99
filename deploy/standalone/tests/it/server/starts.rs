//! Starts that are refused or told of, each with what to do.

use std::{
    fs::File,
    path::Path,
    process::{Command, Stdio},
};

use serde_json::Value;
use testkit::{postgres::Postgres, redis::Redis};

use crate::process::{PATIENCE, Running, huizhen, run, shim, text};

/// A server whose standard error goes to a file.
fn logged(mut command: Command, log: &Path) -> Running {
    // The process inherits the test's own standard error, so a shell redirects it.
    let program = command.get_program().to_owned();
    let arguments: Vec<_> = command.get_args().map(ToOwned::to_owned).collect();
    let mut shell = Command::new("sh");
    shell
        .args(["-c", "exec \"$@\" 2>\"$LOG\"", "logged"])
        .arg(program)
        .args(arguments)
        .env("LOG", log)
        .current_dir(command.get_current_dir().unwrap());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => shell.env(name, value),
            None => shell.env_remove(name),
        };
    }
    command = shell;
    Running::start(command)
}

/// Waits until a log holds a text, and gives it all.
fn wait_for_log(log: &Path, wanted: &str) -> String {
    let end = std::time::Instant::now() + PATIENCE;
    loop {
        let lines = std::fs::read_to_string(log).unwrap_or_default();
        if lines.contains(wanted) {
            return lines;
        }
        assert!(std::time::Instant::now() < end, "{wanted} in\n{lines}");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
}

#[test]
fn the_first_line_says_what_runs_and_listening_is_json_with_a_json_log() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("my.toml"), "\nmax_sessions = 7\n").unwrap();
    let log = folder.path().join("log");
    let mut command = huizhen(
        folder.path(),
        &[
            "serve",
            "--config",
            "my.toml",
            "--log=json",
            "--drain-s=1",
            "--rest-addr=localhost:0",
        ],
    );
    command.env("HUIZHEN_SMS_PROVIDER", "webhook");
    command.env(
        "HUIZHEN_SMS_WEBHOOK_URL",
        "https://sms.example.com/send?key=geheim",
    );
    let mut serve = logged(command, &log);
    let mut rest = String::new();
    // In the order of names.
    for name in ["admin", "im", "rest", "ws"] {
        let line = serve.wait_for_event(name, |line| line["listener"] == name);
        assert_eq!(
            (&line["message"], &line["level"]),
            (&"listening".into(), &"INFO".into())
        );
        let address: std::net::SocketAddr = line["address"].as_str().unwrap().parse().unwrap();
        assert!(address.ip().is_loopback() && address.port() > 0, "{line}");
        if name == "rest" {
            rest = address.to_string();
        }
    }
    std::net::TcpStream::connect(rest).unwrap();
    serve.signal("TERM");
    assert_eq!(serve.end(), Some(0));
    let lines = std::fs::read_to_string(&log).unwrap();
    let first: Value = serde_json::from_str(lines.lines().next().unwrap()).unwrap();
    assert_eq!(first["message"], "starting", "{first}");
    assert_eq!(first["program"], "huizhen");
    assert_eq!(first["version"], env!("CARGO_PKG_VERSION"));
    assert!(first["commit"].as_str().is_some_and(|commit| !commit.is_empty()));
    let settings = first["settings"].as_str().unwrap();
    for part in [
        "file my.toml",
        "max_sessions=7 (file, line 2)",
        "sms_webhook_url=https://sms.example.com/send?*** (environment, HUIZHEN_SMS_WEBHOOK_URL)",
        "drain_s=1 (flag)",
    ] {
        assert!(settings.contains(part), "{part} in {settings}");
    }
    assert!(!lines.contains("geheim"), "{lines}");
}

/// A clock that stands in 1970 as on a machine without a battery.
#[test]
fn a_start_in_1970_is_refused_with_what_to_do() {
    const SHIM: &str = "#define _GNU_SOURCE
        #include <dlfcn.h>
        #include <time.h>
        int clock_gettime(clockid_t clock, struct timespec *now) {
            int (*real)(clockid_t, struct timespec *) = dlsym(RTLD_NEXT, \"clock_gettime\");
            int status = real(clock, now);
            if (clock == CLOCK_REALTIME) { now->tv_sec = 60; now->tv_nsec = 0; }
            return status;
        }";
    let folder = tempfile::tempdir().unwrap();
    let shim = shim(folder.path(), SHIM);
    let mut command = huizhen(folder.path(), &["serve"]);
    command.env("LD_PRELOAD", &shim);
    let refused = run(command, "");
    assert_eq!(refused.status.code(), Some(1));
    let told = text(&refused.stderr);
    assert!(
        told.contains("1970-01-01T00:01:00Z") && told.contains("set-ntp"),
        "{told}"
    );
    assert!(
        !folder.path().join("data/huizhen.db").exists(),
        "nothing is written"
    );
    let mut command = huizhen(folder.path(), &["check", "--max-sessions", "10"]);
    command.env("LD_PRELOAD", &shim);
    let checked = run(command, "");
    assert!(
        text(&checked.stdout).contains("fail  clock"),
        "{}",
        text(&checked.stdout)
    );
}

/// Two machines that were given one --node-id by mistake; and one that is restarted after a kill.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_node_of_one_name_is_refused_while_the_first_is_alive() {
    let url = Postgres::shared().empty_database().unwrap();
    let redis = Redis::shared().prefixed_url();
    let folder = tempfile::tempdir().unwrap();
    let named = |name: &str, more: &[&str]| {
        let name = format!("--node-id={name}");
        let arguments: Vec<&str> = ["serve", &name, "--drain-s=1"]
            .iter()
            .chain(more)
            .copied()
            .collect();
        let mut command = huizhen(folder.path(), &arguments);
        command
            .env("HUIZHEN_DATABASE_URL", &url)
            .env("HUIZHEN_REDIS_URL", &redis);
        command
    };
    let command = |more: &[&str]| named("im-1", more);
    let mut first = Running::start(command(&[]));
    first.wait_for("listening admin=");
    // Also where both are behind one balancer.
    for more in [&[][..], &["--advertise=192.0.2.1:9501"]] {
        let second = run(command(more), "");
        assert_eq!(second.status.code(), Some(1));
        let told = text(&second.stderr);
        assert!(
            told.contains("\"im-1\" is alive") && told.contains("--node-id of its own"),
            "{told}"
        );
    }
    // Another name is welcome.
    let mut other = Running::start(named("im-2", &[]));
    other.wait_for("listening admin=");
    other.signal("TERM");
    assert_eq!(other.end(), Some(0));

    first.signal("KILL");
    assert_eq!(first.end(), None);
    let log = folder.path().join("log");
    let mut again = logged(command(&[]), &log);
    again.wait_for("listening admin=");
    let lines = std::fs::read_to_string(&log).unwrap();
    assert!(!lines.contains("waits until its line expires"), "{lines}");
    again.signal("TERM");
    assert_eq!(again.end(), Some(0));
}

#[test]
fn a_database_that_goes_and_comes_back_is_a_line_each() {
    let postgres = Postgres::start(testkit::postgres::Options::default()).unwrap();
    let url = postgres.empty_database().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log");
    let mut command = huizhen(folder.path(), &["serve", "--drain-s=1"]);
    command.env("HUIZHEN_DATABASE_URL", &url);
    let mut serve = logged(command, &log);
    serve.wait_for("listening admin=");
    for times in 1..=2 {
        postgres.stop().unwrap();
        let end = std::time::Instant::now() + PATIENCE;
        while wait_for_log(&log, "the database is away")
            .matches("the database is away")
            .count()
            < times
        {
            assert!(std::time::Instant::now() < end);
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        postgres.start_again().unwrap();
        while wait_for_log(&log, "the database is back")
            .matches("the database is back")
            .count()
            < times
        {
            assert!(std::time::Instant::now() < end);
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
    }
    serve.signal("TERM");
    assert_eq!(serve.end(), Some(0));
    let lines = std::fs::read_to_string(&log).unwrap();
    assert_eq!(lines.matches("the database is away").count(), 2, "{lines}");
    assert_eq!(lines.matches("the database is back").count(), 2, "{lines}");
}

/// Runs a command whose reader has gone away before it prints, as `| head` does.
fn unread(mut command: Command) -> (Option<i32>, String) {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    command.stdin(Stdio::null()).stdout(writer).stderr(Stdio::piped());
    let output = command.spawn().unwrap().wait_with_output().unwrap();
    (output.status.code(), text(&output.stderr))
}

#[test]
fn a_reader_that_goes_away_ends_nothing_and_a_full_disk_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let commands: [&[&str]; 10] = [
        &["init"],
        &["migrate"],
        &["operator", "add", "张伟"],
        &["operator", "list"],
        &["check", "--max-sessions", "10"],
        &["backup", "--to", "one.backup"],
        &["serve", "--print-config"],
        &["serve", "--help"],
        &["completions", "bash"],
        &["restore", "--from", "one.backup", "--data", "restored"],
    ];
    for arguments in commands {
        let (code, told) = unread(huizhen(folder.path(), arguments));
        assert_eq!(code, Some(0), "{arguments:?}: {told}");
        assert!(!told.contains("panicked"), "{arguments:?}: {told}");
    }
    // All of it was done.
    let listed = run(huizhen(folder.path(), &["operator", "list"]), "");
    assert!(text(&listed.stdout).contains("张伟"));
    assert!(folder.path().join("one.backup").exists() && folder.path().join("restored/huizhen.db").exists());
    let mut full = huizhen(folder.path(), &["operator", "list"]);
    full.stdout(File::options().write(true).open("/dev/full").unwrap())
        .stderr(Stdio::piped())
        .stdin(Stdio::null());
    let output = full.spawn().unwrap().wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(
        text(&output.stderr).contains("standard output cannot be written"),
        "{}",
        text(&output.stderr)
    );
}

/// The copy is whole although nobody reads its lines, and a server goes on when its log has no reader.
#[test]
fn copying_and_serving_go_on_without_a_reader() {
    let postgres = Postgres::shared();
    let url = postgres.empty_database().unwrap();
    let folder = tempfile::tempdir().unwrap();
    assert!(
        run(huizhen(folder.path(), &["operator", "add", "a"]), "")
            .status
            .success()
    );
    let mut command = huizhen(folder.path(), &["copy", "--from", "sqlite://data/huizhen.db"]);
    command.env("HUIZHEN_DATABASE_URL", &url);
    let (code, told) = unread(command);
    assert_eq!((code, told.as_str()), (Some(0), ""));
    let name = url.split('?').next().unwrap().rsplit('/').next().unwrap();
    assert_eq!(postgres.psql(name, "SELECT count(*) FROM account").unwrap(), "1");

    let mut shell = Command::new("sh");
    shell
        .args([
            "-c",
            "\"$HUIZHEN\" serve --drain-s=1 --ports-file ports.json 2>&1 | head -c 1 >/dev/null",
        ])
        .env("HUIZHEN", env!("CARGO_BIN_EXE_huizhen"));
    crate::process::in_folder(&mut shell, folder.path());
    let mut piped = shell.stdout(Stdio::null()).spawn().unwrap();
    let ports = folder.path().join("ports.json");
    let end = std::time::Instant::now() + PATIENCE;
    while !ports.exists() {
        assert!(std::time::Instant::now() < end, "it never listens");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    let open: Value = serde_json::from_slice(&std::fs::read(&ports).unwrap()).unwrap();
    let admin: std::net::SocketAddr = open["admin"].as_str().unwrap().parse().unwrap();
    let about = get(admin, "/about");
    let pid = about["pid"].as_u64().unwrap();
    // Its lines about this have no reader any more.
    Command::new("kill")
        .args(["-TERM", &pid.to_string()])
        .status()
        .unwrap();
    piped.wait().unwrap();
    while Path::new(&format!("/proc/{pid}")).exists() {
        assert!(std::time::Instant::now() < end, "it does not end");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    let list = run(huizhen(folder.path(), &["operator", "list"]), "");
    assert!(list.status.success(), "{}", text(&list.stderr));
}

/// JSON from an admin port.
fn get(address: std::net::SocketAddr, path: &str) -> Value {
    use std::io::{Read, Write};
    let mut stream = std::net::TcpStream::connect(address).unwrap();
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap()
}
