//! Tests that set the clock run in a process of their own: the clock is the process's.

use std::process::Command;

use jiff::Timestamp;

/// Runs the ignored tests of a module of this engine, one after the other. `path` is that of the caller's module.
pub fn run(path: &str) {
    let (_, module) = path.split_once("::").unwrap();
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--test-threads=1", &format!("{module}::")])
        .output()
        .unwrap();
    let log = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && !log.contains(" 0 passed"),
        "{log}\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

/// Sets the clock to a time with its zone; returns it, epoch milliseconds.
pub fn set_clock(time: &str) -> i64 {
    let ms = time.parse::<Timestamp>().unwrap().as_millisecond();
    api_server::set_clock(ms);
    ms
}
