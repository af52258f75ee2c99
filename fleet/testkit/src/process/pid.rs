//! Processes by their ids: signals, children, states. Linux.

use std::{
    fs,
    time::{Duration, Instant},
};

/// A signal that cannot be refused is in force long before.
const STOP_LIMIT: Duration = Duration::from_secs(10);
const POLL: Duration = Duration::from_millis(1);

#[allow(unsafe_code, reason = "the standard library sends no signal but SIGKILL")]
pub(crate) fn signal(pid: u32, signal: i32) {
    let Ok(pid) = libc::pid_t::try_from(pid) else {
        return;
    };
    // SAFETY: numbers in, a number out. The process is ours: a child that we have not waited for, or a child of that.
    let _ = unsafe { libc::kill(pid, signal) };
}

/// Stops a process (SIGSTOP) and waits until it stands still: from then on it starts no process.
pub(crate) fn freeze(pid: u32) {
    signal(pid, libc::SIGSTOP);
    let begun = Instant::now();
    while state(pid).is_some_and(|state| !"TtZX".contains(state)) && begun.elapsed() < STOP_LIMIT {
        std::thread::sleep(POLL);
    }
}

pub(crate) fn children_of(parent: u32) -> Vec<u32> {
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    processes
        .filter_map(|process| process.file_name().to_str()?.parse::<u32>().ok())
        .filter(|pid| parent_of(*pid) == Some(parent))
        .collect()
}

fn parent_of(pid: u32) -> Option<u32> {
    fields(pid)?.split_whitespace().nth(1)?.parse().ok()
}

/// Whether a process runs; a zombie does not.
pub(crate) fn is_alive(pid: u32) -> bool {
    state(pid).is_some_and(|state| !"ZX".contains(state))
}

fn state(pid: u32) -> Option<char> {
    fields(pid)?.chars().next()
}

/// The fields after the name in its stat line; the name is in brackets and may hold anything.
fn fields(pid: u32) -> Option<String> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, after_name) = stat.rsplit_once(')')?;
    Some(after_name.trim_start().to_owned())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that fails says where")]

    use std::process::Command;

    use super::*;

    #[test]
    fn a_stat_line_tells_parent_and_life() {
        let me = std::process::id();
        assert!(parent_of(me).is_some());
        assert!(is_alive(me));
        assert!(!is_alive(u32::MAX));
    }

    #[test]
    fn a_frozen_process_stands_still_until_it_goes_on() {
        let mut child = Command::new("sleep").arg("60").spawn().unwrap();
        assert!(children_of(std::process::id()).contains(&child.id()));
        freeze(child.id());
        assert_eq!(state(child.id()), Some('T'));
        assert!(is_alive(child.id()));
        signal(child.id(), libc::SIGKILL);
        child.wait().unwrap();
        // A process that is gone is not awaited.
        freeze(child.id());
        assert!(!is_alive(child.id()));
    }
}
