//! The program from its command line.

use std::path::Path;
use std::process::{Command, Output};

use loadtest::report::Report;
use tempfile::TempDir;

fn loadtest(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_loadtest"))
        .args(arguments)
        .output()
        .unwrap()
}

fn passed(output: &Output) -> String {
    let (out, err) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    assert_eq!(output.status.code(), Some(0), "{out}\n{err}");
    out.into_owned()
}

fn limit(shape: &[&str], folder: &Path) -> Report {
    let mut arguments = vec!["limit"];
    arguments.extend(shape);
    arguments.extend(["--report", folder.to_str().unwrap()]);
    passed(&loadtest(&arguments));
    Report::read(folder).unwrap()
}

#[test]
fn limits_of_all_shapes_pass_and_are_reported() {
    let folder = TempDir::new().unwrap();
    let short = ["--duration", "1s", "--warm-up", "200ms"];
    let chat = limit(
        &[
            &["chat", "--conversations", "10", "--members", "4", "--rate", "200"],
            &short[..],
        ]
        .concat(),
        &folder.path().join("chat"),
    );
    assert_eq!((chat.connections, chat.delivered), (40, chat.sent * 3));
    assert!(chat.servers[0].cpu_us_per_delivery.is_some() && chat.delivery_ms.p99 > 0.0);
    let direct = limit(
        &[&["direct", "--pairs", "5"], &short[..]].concat(),
        &folder.path().join("direct"),
    );
    assert!(direct.acked_per_s > 0.0);
    let room = limit(
        &[&["room", "--members", "20", "--rate", "50%"], &short[..]].concat(),
        &folder.path().join("room"),
    );
    assert!(room.saturated_per_s.is_some_and(|rate| rate > 0.0));
    let idle = limit(
        &["idle", "--connections", "50", "--hold", "1s"],
        &folder.path().join("idle"),
    );
    assert!(idle.servers[0].pss_bytes_per_connection.is_some());
    let login = limit(&["login", "--connections", "50"], &folder.path().join("login"));
    assert!(login.logins_per_s > 0.0 && login.login_ms.max > 0.0);

    let table = passed(&loadtest(&[
        "compare",
        folder.path().join("chat").to_str().unwrap(),
        folder.path().join("room/report.json").to_str().unwrap(),
    ]));
    assert!(table.contains("delivered_per_s"), "{table}");
}

#[test]
fn a_run_without_an_acknowledgement_fails() {
    let folder = TempDir::new().unwrap();
    let shape =
        "limit chat --conversations 2 --members 3 --rate 50 --duration 1s --warm-up 200ms --fault refuse";
    let report = ["--report", folder.path().to_str().unwrap()];
    let arguments: Vec<&str> = shape.split(' ').chain(report).collect();
    let output = loadtest(&arguments);
    let text = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(
        text.contains("limit chat: FAILED") && text.contains("nothing was acknowledged"),
        "{text}"
    );
    let report = Report::read(folder.path()).unwrap();
    assert!(report.sent > 0 && report.acked == 0);
    let codes: Vec<&String> = report.refused.keys().collect();
    assert!(
        matches!(codes[..], [code] if code.ends_with("UNAVAILABLE")),
        "{codes:?}"
    );
}

#[test]
fn what_cannot_be_done_is_said_clearly() {
    for (arguments, status, wanted) in [
        (
            &["chat", "--server", "/nowhere/huizhen"][..],
            2,
            "cargo build --release -p standalone",
        ),
        (&["direct", "--api", "http://127.0.0.1:1"], 2, "does not answer"),
        (&["chat", "--rate", "fast"], 2, "not a rate"),
        (&["soak", "--kill-every", "10"], 2, "500ms, 30s"),
        (&["soak", "--consults-per-s=-1"], 2, "not a number of 0 or more"),
        (&["soak", "--faults", "pause-holder"], 2, "kill-holder"),
        (&["media", "--workers", "0"], 2, "1..=500"),
        (&["media", "--media-rate", "50%"], 2, "no percentage"),
        (&["media", "--media-rate", "fast"], 2, "not a rate"),
        (&["media", "--picture-pixels", "100"], 2, "400..=6000"),
        (&["media", "--file-kib", "200000"], 2, "1..=102400"),
        (&["media", "--server", "/nowhere/huizhen"], 2, "cargo build"),
        (&["limit", "idle", "--transport", "tls"], 2, "speaks TCP only"),
        (&["idle", "--connections", "1000000"], 2, "open files"),
        (&["compare", "/nowhere", "/nowhere"], 2, "cannot read"),
        (&["chat", "--server-pid", "1"], 2, "--api"),
        (
            &["chat", "--nodes", "2", "--api", "http://127.0.0.1:1"],
            2,
            "--nodes",
        ),
        (
            &["chat", "--nodes", "1", "--programs", "/nowhere"],
            2,
            "cargo build --release -p im-server",
        ),
        (&["soak", "--redis", "cluster"], 2, "--nodes"),
        (&["soak", "--nodes", "2", "--redis", "valkey"], 2, "sentinel"),
        (
            &[
                "soak",
                "--nodes",
                "2",
                "--redis",
                "sentinel",
                "--faults",
                "move-slot",
            ],
            2,
            "kill-sentinel",
        ),
        (
            &["soak", "--nodes", "2", "--faults", "kill-master"],
            2,
            "kill-redis",
        ),
        (&["scale", "--nodes", "2,1"], 2, "must grow"),
        (&["recover", "--case", "earthquake"], 2, "redis-frozen"),
        (&["recover", "--nodes", "1"], 2, "2..=50"),
        (
            &["direct", "--beside-limit", "--beside-single-inserts"],
            2,
            "cannot be used with",
        ),
    ] {
        let output = loadtest(arguments);
        let error = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(status), "{arguments:?}: {error}");
        assert!(error.contains(wanted), "{arguments:?}: {error}");
    }
}

#[test]
fn help_ends_with_examples_and_hides_the_relay() {
    let help = passed(&loadtest(&["--help"]));
    assert!(help.contains("Examples:") && help.contains("loadtest soak --duration"));
    assert!(!help.lines().any(|line| line.trim_start().starts_with("relay ")));
}
