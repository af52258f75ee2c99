//! Faults of one server process from outside. Linux.

use std::fs;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use rustix::process::{Pid, Resource, Rlimit, Signal, kill_process, prlimit};
use tokio::time::sleep;

/// How long it stands still, and how long it runs, in a stutter.
const STUTTER: Duration = Duration::from_millis(40);
/// How many files a process may still open when it has few.
const SPARE_FILES: u64 = 3;
/// Between the request to end and the kill: somewhere in the drain.
const DRAINING: Duration = Duration::from_millis(60);

/// Stops and continues a process again and again.
pub(in crate::workload::soak::faults) async fn stutter(pid: u32, length: Duration) -> Result<()> {
    let process = of(pid)?;
    let begun = Instant::now();
    while begun.elapsed() < length {
        kill_process(process, Signal::STOP)?;
        sleep(STUTTER).await;
        kill_process(process, Signal::CONT)?;
        sleep(STUTTER).await;
    }
    Ok(())
}

/// Lets a process open hardly any more files for this long: connections, too.
pub(in crate::workload::soak::faults) async fn few_files(pid: u32, length: Duration) -> Result<()> {
    let process = of(pid)?;
    let open = fs::read_dir(format!("/proc/{pid}/fd"))?.count() as u64;
    // The hard limit stays: without privileges it cannot be raised again.
    let maximum = hard_limit(&fs::read_to_string(format!("/proc/{pid}/limits"))?);
    let limit = |current: Option<u64>| {
        prlimit(Some(process), Resource::Nofile, Rlimit { current, maximum })
            .context("the limit of open files cannot be set")
    };
    let before = limit(Some(open + SPARE_FILES))?;
    sleep(length).await;
    limit(before.current).map(drop)
}

/// The hard limit of open files in `/proc/<pid>/limits`; `None` when there is none.
fn hard_limit(limits: &str) -> Option<u64> {
    let line = limits.lines().find(|line| line.starts_with("Max open files"))?;
    line.split_whitespace().nth(4)?.parse().ok()
}

/// Asks a process to end and leaves it a moment to begin.
pub(in crate::workload::soak::faults) async fn begin_to_drain(pid: u32) -> Result<()> {
    kill_process(of(pid)?, Signal::TERM)?;
    sleep(DRAINING).await;
    Ok(())
}

fn of(pid: u32) -> Result<Pid> {
    let number = i32::try_from(pid).ok();
    number.and_then(Pid::from_raw).context("a process without an id")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hard_limit_is_the_second_number_of_its_line() {
        let limits = "Limit  Soft Limit  Hard Limit  Units\nMax processes  1  2  processes\nMax open files  1024  20000  files\n";
        assert_eq!(hard_limit(limits), Some(20_000));
        assert_eq!(hard_limit("Max open files  1024  unlimited  files\n"), None);
    }
}
