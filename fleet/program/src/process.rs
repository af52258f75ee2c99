//! What this process uses, from /proc.

use std::fs;

use ::telemetry::metric::CPU_SECONDS;

/// Ticks of /proc/self/stat in a second: a constant of Linux towards programs, whatever the kernel's own clock is.
const TICKS_PER_S: f64 = 100.0;

/// What a process uses.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Usage {
    /// User and system time since the start, seconds.
    pub(crate) cpu_s: f64,
    /// Resident memory, bytes.
    pub(crate) rss_bytes: u64,
    /// Open file descriptors.
    pub(crate) open_files: usize,
    /// How many there may be.
    pub(crate) max_open_files: u64,
}

/// What this process uses now; none where there is no /proc.
pub(crate) fn usage() -> Option<Usage> {
    Some(Usage {
        cpu_s: cpu_s(&fs::read_to_string("/proc/self/stat").ok()?)?,
        rss_bytes: rss_bytes(&fs::read_to_string("/proc/self/status").ok()?)?,
        open_files: fs::read_dir("/proc/self/fd").ok()?.count(),
        max_open_files: max_open_files(&fs::read_to_string("/proc/self/limits").ok()?)?,
    })
}

/// Sets the gauges of this process, and gives its CPU time as text of `/metrics`: a counter with fractions.
pub(crate) fn record() -> String {
    let Some(usage) = usage() else {
        return String::new();
    };
    metrics::gauge!("huizhen_process_resident_memory_bytes").set(usage.rss_bytes as f64);
    metrics::gauge!("huizhen_process_open_fds").set(usage.open_files as f64);
    metrics::gauge!("huizhen_process_max_fds").set(usage.max_open_files as f64);
    format!(
        "# HELP {CPU_SECONDS} CPU time of the process, s\n# TYPE {CPU_SECONDS} counter\n{CPU_SECONDS} {}\n\n",
        usage.cpu_s
    )
}

/// Fields 14 and 15; the second field, the program's name, may hold anything but is closed by the last parenthesis.
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

/// The soft limit, the first of the two numbers.
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
