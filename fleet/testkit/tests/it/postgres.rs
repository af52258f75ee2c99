//! A private PostgreSQL: it starts, breaks as asked, and leaves nothing behind.

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use testkit::{
    eventually,
    postgres::{Options, Postgres},
};

fn is_there(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(')')
        .is_some_and(|(_, rest)| !rest.trim_start().starts_with('Z'))
}

#[test]
fn it_goes_through_every_fault_and_ends_with_its_handle() {
    let postgres = Postgres::start(Options::default()).unwrap();
    postgres.create_database("first", None).unwrap();
    postgres
        .psql(
            "first",
            "CREATE TABLE note (id BIGINT); INSERT INTO note VALUES (7)",
        )
        .unwrap();
    postgres.create_database("second", Some("first")).unwrap();
    assert_eq!(postgres.psql("second", "SELECT id FROM note").unwrap(), "7");
    assert!(
        postgres
            .psql("second", "SELECT nonsense")
            .unwrap_err()
            .to_string()
            .contains("nonsense")
    );
    assert!(postgres.create_database("second", None).is_err());
    assert_eq!(postgres.psql("postgres", "SHOW fsync").unwrap(), "on");

    let before = postgres.pids();
    assert!(before.len() > 1, "{before:?}");
    postgres.kill().unwrap();
    assert!(before.iter().all(|pid| !is_there(*pid)));
    assert_eq!(postgres.pids(), Vec::<u32>::new());
    assert!(postgres.psql("first", "SELECT 1").is_err());
    postgres.start_again().unwrap();
    assert_eq!(postgres.psql("first", "SELECT id FROM note").unwrap(), "7");

    postgres.pause();
    let port = postgres.port();
    let mut asked = Command::new("sh")
        .args([
            "-c",
            &format!("exec psql -X -U postgres -h 127.0.0.1 -p {port} -c 'SELECT 1' postgres"),
        ])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    std::thread::sleep(Duration::from_millis(300));
    assert!(asked.try_wait().unwrap().is_none(), "a frozen server answered");
    postgres.resume();
    assert!(asked.wait().unwrap().success());
    postgres.restart().unwrap();
    assert_eq!(postgres.psql("first", "SELECT id FROM note").unwrap(), "7");

    postgres.pause();
    let (folder, pids) = (postgres.socket_folder().to_owned(), postgres.pids());
    drop(postgres);
    assert!(!folder.exists());
    assert!(pids.iter().all(|pid| !is_there(*pid)));
}

/// Not a test of its own: does nothing unless it was started by one.
#[test]
fn child() {
    let Ok(told) = std::env::var("HUIZHEN_CHILD_TELLS") else {
        return;
    };
    let postgres = Postgres::shared();
    if std::env::var("HUIZHEN_CHILD_PAUSES").is_ok() {
        postgres.pause();
    }
    let pids: Vec<String> = postgres.pids().iter().map(u32::to_string).collect();
    let text = format!("{}\n{}\n", postgres.socket_folder().display(), pids.join(" "));
    std::fs::write(format!("{told}.new"), text).unwrap();
    std::fs::rename(format!("{told}.new"), &told).unwrap();
    if std::env::var("HUIZHEN_CHILD_WAITS").is_ok() {
        std::thread::sleep(Duration::from_secs(600));
    }
}

/// The child's report: the folder and the process ids.
async fn started(kill: bool, pause: bool) -> (PathBuf, Vec<u32>) {
    let scratch = tempfile::tempdir().unwrap();
    let told = scratch.path().join("told");
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", "postgres::child"])
        .env("HUIZHEN_CHILD_TELLS", &told);
    if kill {
        command.env("HUIZHEN_CHILD_WAITS", "1");
    }
    if pause {
        command.env("HUIZHEN_CHILD_PAUSES", "1");
    }
    let mut child = command
        .stdout(Stdio::null())
        .stdin(Stdio::null())
        .spawn()
        .unwrap();
    if kill {
        eventually("the child starts an instance", async || told.exists()).await;
        child.kill().unwrap();
    }
    child.wait().unwrap();
    let text = std::fs::read_to_string(&told).unwrap();
    let mut lines = text.lines();
    let folder = Path::new(lines.next().unwrap()).to_owned();
    let pids = lines
        .next()
        .unwrap()
        .split(' ')
        .map(|pid| pid.parse().unwrap())
        .collect();
    (folder, pids)
}

#[tokio::test]
async fn the_shared_one_ends_with_its_process_however_that_ends() {
    for (kill, pause) in [(false, false), (true, false), (true, true)] {
        let (folder, pids) = started(kill, pause).await;
        eventually("the folder goes", async || !folder.exists()).await;
        eventually("the processes go", async || {
            pids.iter().all(|pid| !is_there(*pid))
        })
        .await;
    }
}

#[test]
fn a_password_is_asked_for_over_tcp() {
    let postgres = Postgres::start(Options {
        password: Some("it's secret".into()),
        ..Options::default()
    })
    .unwrap();
    assert_eq!(postgres.psql("postgres", "SELECT 1").unwrap(), "1");
    let ask = |password: &str| {
        Command::new("psql")
            .args([
                "-X",
                "-w",
                "-U",
                "postgres",
                "-h",
                "127.0.0.1",
                "-p",
                &postgres.port().to_string(),
            ])
            .args(["-c", "SELECT 1", "postgres"])
            .env("PGPASSWORD", password)
            .output()
            .unwrap()
            .status
            .success()
    };
    assert!(ask("it's secret"));
    assert!(!ask("other"));
}
