//! The demo's clock: windows for withdrawals, through the real program, whatever the machine's zone.

use std::{
    fs,
    io::{Read, Write},
    net::TcpStream,
    path::Path,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::process::{PATIENCE, Running, huizhen, run, text};

/// A GET of the demo's first doctor.
fn get(folder: &Path, path: &str) -> Value {
    let token = fs::read(folder.join("data/demo/doctor.token")).unwrap();
    let access: Value = serde_json::from_slice(&token).unwrap();
    let address = access["api"].as_str().unwrap().strip_prefix("http://").unwrap();
    let mut stream = TcpStream::connect(address).unwrap();
    let token = access["access_token"].as_str().unwrap();
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nhost: x\r\nx-auth-token: {token}\r\nconnection: close\r\n\r\n"
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let body: Value = serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap();
    body["result"].clone()
}

/// Waits for a window; the ones before it may be `before` only.
fn wait_for_window(folder: &Path, before: &Value, wanted: &Value) {
    let team = get(folder, "/team/my_list")[0]["team_id"].clone();
    let begun = Instant::now();
    loop {
        let window = get(folder, &format!("/team/{team}/income"))["window"].clone();
        if window == *wanted {
            return;
        }
        assert_eq!(window, *before);
        assert!(begun.elapsed() < PATIENCE, "{window}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn the_demo_starts_at_a_time_and_its_clock_goes_on_in_any_zone() {
    let window = |open: bool, from_ms: i64| {
        let to_ms = from_ms + 5 * 24 * 3_600_000;
        json!({"open": open, "from_ms": from_ms, "to_ms": to_ms})
    };
    // 00:00 on the first of December and of January in Beijing.
    let (december, january) = (1_796_054_400_000, 1_798_732_800_000);
    for (zone, now, before, after) in [
        (
            "UTC",
            "2026-12-05T23:59:59+08:00",
            window(true, december),
            window(false, january),
        ),
        (
            "Asia/Shanghai",
            "2026-11-30T23:59:59+08:00",
            window(false, december),
            window(true, december),
        ),
        // The first moment of the window.
        (
            "America/New_York",
            "2026-11-30T11:00:00-05:00",
            window(true, december),
            window(true, december),
        ),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let mut command = huizhen(folder.path(), &["demo", "--now", now]);
        command.env("TZ", zone);
        let mut demo = Running::start(command);
        demo.wait_for("doctor.token");
        wait_for_window(folder.path(), &before, &after);
        demo.signal("TERM");
        assert_eq!(demo.end(), Some(0));
    }
}

#[test]
fn a_time_needs_its_zone_and_no_other_command_has_a_clock() {
    let folder = tempfile::tempdir().unwrap();
    for (arguments, said) in [
        (
            &["demo", "--now", "2026-12-01T00:00:00"][..],
            "expected a time with its zone",
        ),
        (
            &["serve", "--now", "2026-12-01T00:00:00+08:00"],
            "unexpected argument '--now'",
        ),
    ] {
        let refused = run(huizhen(folder.path(), arguments), "");
        assert_eq!(refused.status.code(), Some(2));
        let error = text(&refused.stderr);
        assert!(error.contains(said), "{error}");
    }
}
