//! Money moves while servers are killed, and the books balance.

use std::process::Command;

use super::fleet::programs;

/// Runs the mix with kills; returns its report.
fn money(further: &[&str]) -> serde_json::Value {
    let folder = tempfile::tempdir().unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_loadtest"))
        .args(["rest", "--mix", "money", "--workers", "6"])
        .args(["--duration", "10s", "--warm-up", "100ms", "--kill-every", "2s"])
        .args(further)
        .arg("--report")
        .arg(folder.path())
        .output()
        .unwrap();
    let said = format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(output.status.success(), "{said}");
    let report: serde_json::Value =
        serde_json::from_slice(&std::fs::read(folder.path().join("report.json")).unwrap()).unwrap();
    for figure in ["transfers_per_s", "limit_per_s", "transfers_beside_limit"] {
        assert!(
            report["figures"][figure].as_f64().unwrap() > 0.0,
            "{figure}: {said}"
        );
    }
    let in_books = report["parameters"]["transfers_in_books"].as_u64().unwrap();
    assert!(in_books > 100, "{said}");
    let kills = report["parameters"]["kills"].as_object().unwrap();
    assert!(!kills.is_empty(), "{said}");
    report
}

/// I6.
#[test]
fn the_books_balance_whatever_server_is_killed() {
    let programs = programs().to_str().unwrap();
    money(&["--nodes", "1", "--programs", programs]);
}

/// I6.
#[test]
fn the_books_of_a_file_balance_however_often_its_server_is_killed() {
    let program = programs().join("huizhen");
    assert!(
        program.is_file(),
        "huizhen is not built: `cargo build -p standalone`, or run ./test"
    );
    let report = money(&["--server", program.to_str().unwrap()]);
    assert!(
        report["parameters"]["kills"]["server"].as_u64() > Some(1),
        "{report}"
    );
}
