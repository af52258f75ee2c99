//! The resource usage of this process, from /proc.

use std::fs;

use ::telemetry::{
    events::program::{PROCESS_MAX_FDS, PROCESS_OPEN_FDS, PROCESS_RESIDENT_MEMORY_BYTES},
    metric::CPU_SECONDS,
};

/// Ticks per second in /proc/self/stat. Linux shows this constant to programs at every kernel tick rate.
const TICKS_PER_S: f64 = 100.0;

/// The resource usage of a process.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Usage {
    /// User and system time since the start, seconds.
    pub(crate) cpu_s: f64,
    /// Resident memory, bytes.
    pub(crate) rss_bytes: u64,
    /// Open file descriptors.
    pub(crate) open_files: usize,
    /// The limit of open file descriptors.
    pub(crate) max_open_files: u64,
}

/// The present usage; `None` without /proc.
pub(crate) fn usage() -> Option<Usage> {
    Some(Usage {
        cpu_s: cpu_s(&fs::read_to_string("/proc/self/stat").ok()?)?,
        rss_bytes: rss_bytes(&fs::read_to_string("/proc/self/status").ok()?)?,
        open_files: fs::read_dir("/proc/self/fd").ok()?.count(),
        max_open_files: max_open_files(&fs::read_to_string("/proc/self/limits").ok()?)?,
    })
}

/// Sets the gauges of this process and returns its CPU time as text of `/metrics`: the recorder has no fractional counters.
pub(crate) fn record() -> String {
    let Some(usage) = usage() else {
        return String::new();
    };
    PROCESS_RESIDENT_MEMORY_BYTES.set(usage.rss_bytes as f64);
    PROCESS_OPEN_FDS.set(usage.open_files as f64);
    PROCESS_MAX_FDS.set(usage.max_open_files as f64);
    format!(
        "# HELP {CPU_SECONDS} CPU time of the process, s\n# TYPE {CPU_SECONDS} counter\n{CPU_SECONDS} {}\n\n",
        usage.cpu_s
    )
}

/// Fields 14 and 15. The second field, the program's name, may contain any character; the last parenthesis ends it.
fn cpu_s(stat: &str) -> Option<f64> {
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_whitespace().skip(11);
    let user: f64 = fields.next()?.parse().ok()?;
    let system: f64 = fields.next()?.parse().ok()?;
    Some((user + system) / TICKS_PER_S)
}

fn rss_bytes(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: u64 = line.trim().strip_suffix(" kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}

/// The soft limit, the first of two numbers.
fn max_open_files(limits: &str) -> Option<u64> {
    let line = limits
        .lines()
        .find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_the_kernel_writes() {
        let stat = "42 (a ) b) S 1 42 42 0 -1 4194304 100 0 0 0 250 50 0 0 20 0 4 0 100 1000 200";
        assert_eq!(cpu_s(stat), Some(3.0));
        assert_eq!(
            rss_bytes("Name:\tx\nVmRSS:\t    2048 kB\n"),
            Some(2 * 1024 * 1024)
        );
        assert_eq!(
            max_open_files("Max open files            1024                 20000                files\n"),
            Some(1024)
        );
        assert_eq!(cpu_s("nonsense"), None);
        assert_eq!(rss_bytes("VmRSS: many"), None);
    }

    #[test]
    fn this_process_uses_something() {
        let usage = usage().expect("there is a /proc");
        assert!(usage.rss_bytes > 100_000 && usage.open_files > 2, "{usage:?}");
    }
}
