//! A fleet of real processes under faults, as `loadtest soak --nodes` makes one.

use std::path::Path;
use std::process::Command;

/// The folder that cargo builds programs into.
pub fn programs() -> &'static Path {
    let folder = Path::new(env!("CARGO_BIN_EXE_loadtest")).parent().unwrap();
    for program in ["im-server", "api-server"] {
        assert!(
            folder.join(program).is_file(),
            "{program} is not built: `cargo build -p im-server -p api-server`, or run ./test"
        );
    }
    folder
}

/// A short soak, judged by the program and by the independent checker; returns its report.
fn soak(redis: &str, duration: &str, consults_per_s: &str, faults: &str) -> serde_json::Value {
    let folder = tempfile::tempdir().unwrap();
    let history = folder.path().join("history.jsonl");
    let report = folder.path().join("report");
    let output = Command::new(env!("CARGO_BIN_EXE_loadtest"))
        .args(["soak", "--nodes", "2", "--api-servers", "2", "--redis", redis])
        .args([
            "--duration",
            duration,
            "--consults-per-s",
            consults_per_s,
            "--faults",
            faults,
        ])
        .args(["--rate", "150", "--conversations", "12", "--fault-pause", "200ms"])
        .arg("--programs")
        .arg(programs())
        .arg("--histories")
        .arg(&history)
        .arg("--report")
        .arg(&report)
        .output()
        .unwrap();
    let said = format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(output.status.success(), "{said}");
    let report: serde_json::Value =
        serde_json::from_slice(&std::fs::read(report.join("report.json")).unwrap()).unwrap();
    assert_eq!(report["acked"], report["sent"], "{said}");
    assert!(report["spans"].as_u64().unwrap() > 0, "{said}");
    for wrong in ["lost", "duplicated", "reordered", "leaked", "changed"] {
        assert_eq!(report[wrong], 0, "{wrong}: {said}");
    }
    // Each heal was followed by a success and a login.
    let disturbances = report["disturbances"].as_object().unwrap();
    for fault in disturbances.keys() {
        for times in ["recovery_ms", "login_after_ms"] {
            let ms = report[times][fault].as_f64().unwrap();
            assert!(ms <= 10_000.0, "{fault}: {said}");
        }
    }
    // The judgement of another run.
    let checked = Command::new("python3")
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/check_history.py"))
        .arg(&history)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&checked.stdout);
    assert!(checked.status.success(), "{text}");
    let of_visitors = report["figures"]["acknowledged to visitors"].as_f64().unwrap();
    let acked = report["acked"].as_u64().unwrap() + of_visitors as u64;
    assert!(text.starts_with(&format!("acked {acked} lost 0")), "{text}");
    report
}

/// The deadlines of the last ones are waited for, a minute or two longer.
#[test]
fn each_deadline_fires_once_whoever_is_killed_that_looks_at_it() {
    let report = soak(
        "single",
        "70s",
        "3",
        "kill-api,pause-holder,kill-holder,end-journal-connections",
    );
    assert!(
        report["disturbances"]["kill-holder"].as_u64() > Some(0),
        "{report}"
    );
    let figures = &report["figures"];
    for (deadlines, least) in [
        ("deadlines fired: first_answer", 50.0),
        ("deadlines fired: answer_reminder", 20.0),
        ("deadlines fired: silence_end", 5.0),
        ("deadlines met: first_answer", 10.0),
    ] {
        assert!(
            figures[deadlines].as_f64().unwrap() >= least,
            "{deadlines}: {report}"
        );
    }
}

#[test]
fn a_fleet_loses_nothing_whatever_is_done_to_it() {
    let report = soak(
        "single",
        "40s",
        "0",
        "kill-node,empty-redis,kill-subscriptions,end-journal-connections,cut-clients,cut-database,kill-api",
    );
    assert!(report["disturbances"].as_object().unwrap().len() >= 3, "{report}");
}

#[test]
fn a_fleet_loses_nothing_whatever_is_done_to_its_sentinels() {
    let report = soak(
        "sentinel",
        "28s",
        "0",
        "kill-master,pause-master,kill-replica,kill-sentinel,kill-subscriptions",
    );
    let met = report["disturbances"].as_object().unwrap();
    assert!(met.len() >= 2, "{report}");
    assert!(
        met.contains_key("kill-master") || met.contains_key("pause-master"),
        "no master was replaced: {report}"
    );
}

#[test]
fn a_fleet_loses_nothing_whatever_is_done_to_its_cluster() {
    let report = soak(
        "cluster",
        "45s",
        "0",
        "kill-master,move-slot,empty-redis,kill-subscriptions,restart-master",
    );
    let met = report["disturbances"].as_object().unwrap();
    assert!(met.len() >= 2 && met.contains_key("kill-master"), "{report}");
}

/// Runs a workload on a fleet of its own; returns its report and whether it passed.
pub fn report(arguments: &[&str]) -> (serde_json::Value, bool) {
    let folder = tempfile::tempdir().unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_loadtest"))
        .args(arguments)
        .arg("--programs")
        .arg(programs())
        .arg("--report")
        .arg(folder.path())
        .output()
        .unwrap();
    let report = std::fs::read(folder.path().join("report.json")).unwrap_or_else(|_| {
        panic!(
            "{}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        )
    });
    (serde_json::from_slice(&report).unwrap(), output.status.success())
}

#[test]
fn idle_connections_of_other_processes_stay_beside_a_load() {
    let (report, passed) = report(&[
        "chat",
        "--nodes",
        "2",
        "--api-servers",
        "1",
        "--conversations",
        "5",
        "--rate",
        "50",
        "--duration",
        "5s",
        "--warm-up",
        "200ms",
        "--idle-connections",
        "50",
        "--idle-per-process",
        "30",
    ]);
    assert!(passed, "{report}");
    assert_eq!(
        (
            report["idle"]["count"].as_u64(),
            report["idle"]["processes"].as_u64()
        ),
        (Some(50), Some(2))
    );
    assert_eq!(report["idle"]["lost"], 0);
    let names: Vec<&str> = report["servers"]
        .as_array()
        .unwrap()
        .iter()
        .map(|server| server["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["im-1", "im-2", "api-1", "redis", "postgresql"]);
    // Members on both nodes: every message goes to Redis once, and comes to the other node. The metrics are read while
    // the load goes on; on a slow machine that takes a part of it.
    let published = report["published_per_send"].as_f64().unwrap();
    assert!(published > 0.0 && published < 1.5, "{report}");
    assert!(report["received_per_send"].as_f64().unwrap() > 0.0, "{report}");
}

#[test]
fn the_same_load_is_measured_on_a_fleet_that_grows() {
    let (report, _) = report(&[
        "scale",
        "--nodes",
        "1,2",
        "--conversations",
        "5",
        "--rate",
        "50",
        "--duration",
        "1s",
        "--warm-up",
        "200ms",
    ]);
    let parts = report["parts"].as_array().unwrap();
    assert_eq!(parts.len(), 2);
    for part in parts {
        assert!(
            part["acked"].as_u64().unwrap() > 0 && part["lost"] == 0,
            "{report}"
        );
    }
    assert_eq!(report["bars"].as_array().unwrap().len(), 1, "{report}");
}

#[test]
fn recovery_is_timed_case_by_case() {
    let (report, _) = report(&[
        "recover",
        "--case",
        "redis-emptied,redis-frozen,postgres,node",
        "--conversations",
        "4",
        "--rate",
        "50",
        "--outage",
        "3s",
        "--watch",
        "3s",
        "--clients",
        "60",
        "--clients-per-process",
        "40",
    ]);
    // On a machine that also runs other tests, times say little; what counts is that nothing was lost or never came.
    assert_eq!(
        (&report["lost"], &report["duplicated"]),
        (&0.into(), &0.into()),
        "{report}"
    );
    assert_eq!(report["faults"], serde_json::json!([]), "{report}");
    let bars = report["bars"].as_array().unwrap();
    assert_eq!(bars.len(), 7, "{report}");
    assert!(bars.iter().all(|bar| bar["value"].is_f64()), "{report}");
    assert!(
        report["figures"]["node: clients of the killed node"]
            .as_f64()
            .unwrap()
            > 5.0,
        "{report}"
    );
}

#[test]
fn probes_stay_through_an_outage_longer_than_a_session_of_refusals() {
    // 25 sends a second for 12 s: more than the 256 refused messages that a session may have.
    let (report, _) = report(&[
        "recover",
        "--case",
        "postgres",
        "--nodes",
        "2",
        "--conversations",
        "2",
        "--rate",
        "10",
        "--outage",
        "12s",
        "--watch",
        "3s",
    ]);
    assert_eq!(report["faults"], serde_json::json!([]), "{report}");
    let figure = |name: &str| report["figures"][name].as_f64().unwrap();
    assert!(
        figure("postgres: probes answered UNAVAILABLE") > 100.0,
        "{report}"
    );
    assert!(
        figure("postgres: probes acknowledged after its return") > 10.0,
        "{report}"
    );
}
