//! A fleet of real processes under faults, as `loadtest soak --nodes` makes one.

use std::path::Path;
use std::process::Command;

/// The folder that cargo builds programs into.
fn programs() -> &'static Path {
    let folder = Path::new(env!("CARGO_BIN_EXE_loadtest")).parent().unwrap();
    for program in ["im-server", "api-server"] {
        assert!(
            folder.join(program).is_file(),
            "{program} is not built: `cargo build -p im-server -p api-server`, or run ./test"
        );
    }
    folder
}

#[test]
fn a_fleet_loses_nothing_whatever_is_done_to_it() {
    let folder = tempfile::tempdir().unwrap();
    let history = folder.path().join("history.jsonl");
    let report = folder.path().join("report");
    let output = Command::new(env!("CARGO_BIN_EXE_loadtest"))
        .args(["soak", "--nodes", "2", "--api-servers", "2", "--duration", "40s"])
        .args(["--rate", "150", "--conversations", "12", "--fault-pause", "200ms"])
        .args([
            "--faults",
            "kill-node,empty-redis,kill-subscriptions,end-journal-connections,cut-clients,cut-database,kill-api",
        ])
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
    assert!(report["disturbances"].as_object().unwrap().len() >= 3, "{said}");
    assert!(report["spans"].as_u64().unwrap() > 0, "{said}");
    // Somebody else's judgement.
    let checked = Command::new("python3")
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/check_history.py"))
        .arg(&history)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&checked.stdout);
    assert!(checked.status.success(), "{text}");
    assert!(
        text.starts_with(&format!("acked {} lost 0", report["acked"])),
        "{text}"
    );
}
