//! Starting and ending a child that logs into a file.

use std::{
    fs,
    path::Path,
    process::Child,
    time::{Duration, Instant},
};

use anyhow::bail;

use super::pid::signal;
use crate::PATIENCE;

/// How much of a log an error quotes.
const LOG_TAIL_LINES: usize = 15;
const POLL: Duration = Duration::from_millis(5);

/// Waits until a child is ready. One that ends before, or is late, is killed: the error has the end of its log.
pub(crate) fn await_start(
    name: &str,
    child: &mut Child,
    log: &Path,
    is_ready: impl Fn(u32) -> bool,
) -> anyhow::Result<()> {
    let deadline = Instant::now() + PATIENCE;
    while !is_ready(child.id()) {
        let ended = child.try_wait()?;
        if ended.is_some() || Instant::now() > deadline {
            signal(child.id(), libc::SIGKILL);
            let _ = child.wait();
            bail!("{name} does not start ({ended:?}){}", log_tail(log));
        }
        std::thread::sleep(POLL);
    }
    Ok(())
}

/// Waits until a child that was sent a signal is gone, and `rest_is_gone` holds; kills one that is late.
pub(crate) fn await_end(
    name: &str,
    child: &mut Child,
    rest_is_gone: impl Fn() -> bool,
) -> anyhow::Result<()> {
    let deadline = Instant::now() + PATIENCE;
    while child.try_wait()?.is_none() || !rest_is_gone() {
        if Instant::now() > deadline {
            signal(child.id(), libc::SIGKILL);
            let _ = child.wait();
            bail!("{name} does not end");
        }
        std::thread::sleep(POLL);
    }
    Ok(())
}

/// The end of a log, to stand behind an error; empty where there is no log.
pub(crate) fn log_tail(path: &Path) -> String {
    let log = fs::read_to_string(path).unwrap_or_default();
    let lines: Vec<&str> = log.lines().collect();
    let tail = &lines[lines.len().saturating_sub(LOG_TAIL_LINES)..];
    if tail.is_empty() {
        String::new()
    } else {
        format!("; the end of its log:\n  {}", tail.join("\n  "))
    }
}
