//! Log lines of a process of its own, as an operator reads them on standard error.

use std::process::Command;

use program::telemetry::{self, LogFormat};

/// Set in the process that only logs.
const FORMAT: &str = "LOG_LINES_FORMAT";
const PLANTED: &str = "1.0\n2026-01-01T00:00:00Z ERROR forged\u{1b}[2J\u{9b}2J\u{202e}";

/// The test that [`lines`] runs; by itself it does nothing.
#[test]
fn logs_what_was_planted() {
    let format = match std::env::var(FORMAT).as_deref() {
        Ok("text") => LogFormat::Text,
        Ok("json") => LogFormat::Json,
        _ => return,
    };
    telemetry::start(format, "info").unwrap();
    tracing::info!(app_version = %PLANTED, "logged in");
}

/// The lines of such a process.
fn lines(format: &str) -> Vec<String> {
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "telemetry::logs_what_was_planted", "--nocapture"])
        .env(FORMAT, format)
        .env_remove("RUST_LOG")
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stderr).unwrap();
    text.lines().map(str::to_owned).collect()
}

#[test]
fn a_version_that_holds_a_line_forges_none() {
    for format in ["text", "json"] {
        let lines = lines(format);
        let [line] = lines.as_slice() else {
            panic!("{lines:#?}")
        };
        assert!(line.contains("logged in") && line.contains("forged"), "{line}");
        assert!(!line.contains(char::is_control), "{line:?}");
        assert!(!line.contains('\u{202e}'), "{line:?}");
    }
}
