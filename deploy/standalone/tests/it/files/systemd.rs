//! The units in `deploy/systemd`, as systemd itself judges them where it is installed.

use std::{fs, os::unix::net::UnixDatagram, path::Path, process::Command};

use super::{files, read, root};
use crate::process::{PATIENCE, Running, huizhen, text};

/// The highest exposure that `systemd-analyze security` may report, tenths: below 2 is "OK".
const MOST_EXPOSURE: &str = "20";
/// Since this version it judges files that are not installed.
const OFFLINE_SINCE: u32 = 250;

fn systemd_analyze(folder: &Path, arguments: &[&str]) -> std::process::Output {
    Command::new("systemd-analyze")
        .args(arguments)
        .current_dir(folder)
        .env("SYSTEMD_COLORS", "0")
        .output()
        .unwrap()
}

fn version() -> Option<u32> {
    let shown = Command::new("systemd-analyze").arg("--version").output().ok()?;
    text(&shown.stdout).split_whitespace().nth(1)?.parse().ok()
}

#[test]
fn systemd_takes_the_units_and_finds_them_closed() {
    if version().is_none_or(|version| version < OFFLINE_SINCE) {
        eprintln!("not judged: there is no systemd-analyze {OFFLINE_SINCE} or newer here");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    for unit in files(&root().join("deploy/systemd"), &[".service"]) {
        let name = unit.file_name().unwrap().to_str().unwrap().replace('@', "@1");
        // The programs are not installed here; it looks whether there is one.
        let lines: Vec<String> = fs::read_to_string(&unit)
            .unwrap()
            .lines()
            .map(|line| match line.strip_prefix("ExecStart=") {
                Some(command) => {
                    let (_, arguments) = command.split_once(' ').unwrap();
                    format!("ExecStart={} {arguments}", env!("CARGO_BIN_EXE_huizhen"))
                }
                None => line.to_owned(),
            })
            .collect();
        fs::write(folder.path().join(&name), lines.join("\n")).unwrap();
        let file = format!("./{name}");
        let verified = systemd_analyze(folder.path(), &["verify", "--man=no", &file]);
        let complaints = text(&verified.stderr);
        assert!(
            !complaints.lines().any(|line| line.contains(&name)),
            "{name}: {complaints}"
        );
        let judged = systemd_analyze(
            folder.path(),
            &[
                "security",
                "--offline=yes",
                "--no-pager",
                &format!("--threshold={MOST_EXPOSURE}"),
                &file,
            ],
        );
        assert!(
            judged.status.success(),
            "{name}: {}{}",
            text(&judged.stdout),
            text(&judged.stderr)
        );
    }
}

#[test]
fn an_open_unit_would_be_found() {
    if version().is_none_or(|version| version < OFFLINE_SINCE) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    fs::write(
        folder.path().join("open.service"),
        "[Service]\nExecStart=/bin/true\n",
    )
    .unwrap();
    let threshold = format!("--threshold={MOST_EXPOSURE}");
    let arguments = [
        "security",
        "--offline=yes",
        "--no-pager",
        &threshold,
        "./open.service",
    ];
    assert!(!systemd_analyze(folder.path(), &arguments).status.success());
}

#[test]
fn units_wait_for_the_drain_and_are_told_of_ready_and_life() {
    let units = files(&root().join("deploy/systemd"), &[".service"]);
    assert_eq!(units.len(), 3);
    for unit in units {
        let unit = fs::read_to_string(unit).unwrap();
        let value = |key: &str| {
            unit.lines()
                .find_map(|line| line.strip_prefix(key)?.strip_prefix('='))
                .unwrap_or_else(|| panic!("no {key} in\n{unit}"))
        };
        assert_eq!(value("Type"), "notify");
        assert!(value("WatchdogSec").parse::<u32>().unwrap() > 0);
        assert!(value("TimeoutStopSec").parse::<u32>().unwrap() >= 60);
        assert!(value("LimitNOFILE").parse::<u32>().unwrap() > 18_000 + 1_024);
        assert_eq!(value("User"), "huizhen");
    }
    let user = read("deploy/systemd/huizhen.sysusers.conf");
    assert!(user.lines().any(|line| line.starts_with("u huizhen ")), "{user}");
}

#[test]
fn the_kernel_lets_as_many_wait_as_a_listener_asks_for() {
    let listener = read("fleet/program/src/accept/bind.rs");
    let backlog = listener
        .lines()
        .find_map(|line| line.strip_prefix("const BACKLOG: u32 = ")?.strip_suffix(';'))
        .unwrap();
    let kernel = read("deploy/systemd/huizhen.sysctl.conf");
    let waiting = kernel
        .lines()
        .find_map(|line| line.strip_prefix("net.core.somaxconn = "))
        .unwrap();
    assert!(waiting.parse::<u32>().unwrap() >= backlog.parse::<u32>().unwrap());
}

#[test]
fn systemd_is_notified_of_readiness_of_life_and_of_the_stop() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut command = huizhen(folder.path(), &["serve", "--data", "data", "--drain-s", "0"]);
    command.env("NOTIFY_SOCKET", &path).env("WATCHDOG_USEC", "300000");
    let mut running = Running::start(command);
    let next = || {
        let mut buffer = [0; 512];
        let length = socket.recv(&mut buffer).expect("systemd is told nothing");
        text(&buffer[..length])
    };
    assert_eq!(next().trim(), "READY=1");
    let line = running.wait_for("listening im=");
    let address = line.split('=').nth(1).unwrap();
    std::net::TcpStream::connect(address).expect("ready, and does not accept");
    assert_eq!(next().trim(), "WATCHDOG=1");
    running.signal("TERM");
    while next().trim() != "STOPPING=1" {}
    assert_eq!(running.end(), Some(0));
}
