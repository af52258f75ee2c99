//! Where a run was made.

use std::fs;
use std::process::Command;

use serde::{Deserialize, Serialize};

/// A machine's description.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Machine {
    /// As the processor calls itself.
    pub cpu: String,
    /// How many cores this process may use.
    pub cores: usize,
    /// Memory.
    pub memory_bytes: u64,
    /// The kernel's version.
    pub kernel: String,
    /// The system's name.
    pub system: String,
    /// How many files this process may have open.
    pub open_files: u64,
}

impl Machine {
    /// This machine; what cannot be found out is left empty.
    pub fn describe() -> Self {
        let read = |file: &str| fs::read_to_string(file).unwrap_or_default();
        let value = |text: &str, key: &str| {
            text.lines()
                .find_map(|line| line.strip_prefix(key))
                .map(|rest| {
                    rest.trim_start_matches([' ', '\t', ':', '='])
                        .trim()
                        .trim_matches('"')
                        .to_owned()
                })
                .unwrap_or_default()
        };
        let memory_kib = value(&read("/proc/meminfo"), "MemTotal");
        let memory_kib: u64 = memory_kib.trim_end_matches(" kB").parse().unwrap_or(0);
        Self {
            cpu: value(&read("/proc/cpuinfo"), "model name"),
            cores: std::thread::available_parallelism().map_or(0, usize::from),
            memory_bytes: memory_kib * 1024,
            kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
            system: value(&read("/etc/os-release"), "PRETTY_NAME"),
            open_files: crate::server::system::open_files(),
        }
    }

    /// In one line.
    pub fn line(&self) -> String {
        format!(
            "{} × {}, {:.0} GiB, Linux {}, {}",
            self.cores,
            self.cpu,
            self.memory_bytes as f64 / (1u64 << 30) as f64,
            self.kernel,
            self.system
        )
    }
}

/// The commit that is checked out where this runs, `+` when something is not committed.
pub(super) fn commit() -> Option<String> {
    let git = |arguments: &[&str]| {
        let output = Command::new("git").args(arguments).output().ok()?;
        output
            .status
            .success()
            .then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    let commit = git(&["rev-parse", "--short=12", "HEAD"])?;
    let changed = git(&["status", "--porcelain", "--untracked-files=no"])?;
    Some(if changed.is_empty() {
        commit
    } else {
        format!("{commit}+")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_can_be_described() {
        let machine = Machine::describe();
        assert!(machine.cores > 0 && machine.memory_bytes > 0 && !machine.kernel.is_empty());
    }
}
