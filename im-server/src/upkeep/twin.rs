//! Two nodes of one name would overwrite each other's record in the directory, so the second one does not start while
//! the first is alive. The record of a killed node outlives it by seconds, and keeps no node from starting.

use std::time::Duration;

use anyhow::bail;
use backplane::{Backplane, NodeAddress, NodeRecord};
use telemetry::events::im::Event;
use tokio::time::{Instant, sleep};

use super::directory;

/// Interval of directory reads.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// Longest wait for a backplane that has just answered.
const BACKPLANE_LIMIT: Duration = Duration::from_secs(2);
/// A record of this age was renewed: its node is alive.
const PROOF: Duration = Duration::from_millis(1_000 + directory::LASTS.as_millis() as u64);

/// Identifies this process: boot id, process-id namespace, process id, start time. `None` without /proc.
pub(crate) fn own_process() -> Option<String> {
    let kernel = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    let namespace = std::fs::read_link("/proc/self/ns/pid").ok()?;
    let pid = std::process::id();
    let started = started(&std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)?;
    Some(format!(
        "{} {} {pid} {started}",
        kernel.trim(),
        namespace.display()
    ))
}

/// Field 22 of a process's stat, ticks since boot; `None` of a zombie. The second field is arbitrary text that ends
/// at the last parenthesis.
fn started(stat: &str) -> Option<u64> {
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_whitespace();
    let has_ended = matches!(fields.next()?, "Z" | "X");
    let started = fields.nth(18)?.parse().ok()?;
    (!has_ended).then_some(started)
}

/// Whether the node of a record is alive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Life {
    Alive,
    Dead,
    /// A record that is not renewed expires.
    Unknown,
}

fn life(record: &NodeRecord, own: Option<&str>, address: &NodeAddress) -> Life {
    if let Some(life) = record
        .process
        .as_deref()
        .zip(own)
        .and_then(|(its, own)| life_of(its, own))
    {
        return life;
    }
    // An earlier instance at the same address, in a container for example.
    let is_there = (&record.address.ip, record.address.port) == (&address.ip, address.port);
    if is_there { Life::Dead } else { Life::Unknown }
}

/// For a process of this machine and namespace; `None` for others.
fn life_of(its: &str, own: &str) -> Option<Life> {
    let parts = |text: &str| -> Option<[String; 4]> {
        let parts: Vec<String> = text.split_whitespace().map(str::to_owned).collect();
        parts.try_into().ok()
    };
    let ([kernel, namespace, pid, then], own) = (parts(its)?, parts(own)?);
    if kernel != own[0] || namespace != own[1] {
        return None;
    }
    let pid: u32 = pid.parse().ok()?;
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let is_same = started(&stat).is_some_and(|started| started.to_string() == then);
    Some(if is_same { Life::Alive } else { Life::Dead })
}

/// Waits until no node of this name is alive.
///
/// # Errors
/// When one is. A backplane that is away keeps no node from starting.
pub(crate) async fn refuse(
    backplane: &Backplane,
    node_id: &str,
    address: &NodeAddress,
) -> anyhow::Result<()> {
    let begun = Instant::now();
    while !backplane.is_available().await && begun.elapsed() < BACKPLANE_LIMIT {
        sleep(LOOK_EVERY / 10).await;
    }
    let own = own_process();
    let first_seen = Instant::now();
    let mut is_logged = false;
    while let Some(record) = find(backplane, node_id).await {
        let is_alive = match life(&record, own.as_deref(), address) {
            Life::Dead => return Ok(()),
            Life::Alive => true,
            Life::Unknown => first_seen.elapsed() > PROOF,
        };
        if is_alive {
            bail!("{}", describe(&record));
        }
        if !is_logged {
            is_logged = true;
            Event::TwinAwaited {
                node_id,
                limit_s: PROOF.as_secs(),
            }
            .emit();
        }
        sleep(LOOK_EVERY).await;
    }
    Ok(())
}

async fn find(backplane: &Backplane, node_id: &str) -> Option<NodeRecord> {
    let nodes = backplane.nodes().await.ok()?;
    nodes.into_iter().find(|node| node.node_id == node_id)
}

fn describe(record: &NodeRecord) -> String {
    let pid = record
        .process
        .as_deref()
        .and_then(|process| process.split_whitespace().nth(2))
        .map(|pid| format!(", process {pid}"))
        .unwrap_or_default();
    format!(
        "another node of the name {:?} is alive (apps reach it at {}:{}{pid}). Each node needs a --node-id of its own, or \
         none: then a name is made up",
        record.node_id, record.address.ip, record.address.port
    )
}

/// Logs where another node of this name appears and disappears: both may have started at the same moment, or while
/// the backplane was away.
#[derive(Debug, Default)]
pub(crate) struct Watch {
    is_seen: bool,
}

impl Watch {
    /// Looks for another process of this name, before the record is renewed.
    pub(crate) async fn look(&mut self, backplane: &Backplane, node_id: &str, own: Option<&str>) {
        let record = find(backplane, node_id).await;
        let other = record.filter(|record| record.process.is_some() && record.process.as_deref() != own);
        match &other {
            Some(record) if !self.is_seen => Event::TwinSeen {
                description: &describe(record),
            }
            .emit(),
            None if self.is_seen => Event::TwinGone { node_id }.emit(),
            _ => {}
        }
        self.is_seen = other.is_some();
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that fails says where")]

    use super::*;

    fn record(process: Option<String>, port: u16) -> NodeRecord {
        NodeRecord {
            node_id: "im-1".into(),
            address: address(port),
            sessions: 0,
            version: "0.1.0".into(),
            process,
        }
    }

    fn address(port: u16) -> NodeAddress {
        NodeAddress {
            ip: "192.0.2.1".into(),
            port,
            ..NodeAddress::default()
        }
    }

    #[test]
    fn a_process_that_has_ended_is_dead_before_it_is_reaped() {
        let stat = |state: &str| format!("42 (a ) b) {state} 1 {}777 9 9", "0 ".repeat(17));
        assert_eq!(started(&stat("S")), Some(777));
        assert_eq!(started(&stat("R")), Some(777));
        assert_eq!(started(&stat("Z")), None);
        assert_eq!(started(""), None);
        assert_eq!(started("42 (a) S 1"), None);
    }

    #[test]
    fn a_process_of_this_machine_is_looked_for() {
        let own = own_process().unwrap();
        let life = |process: &str, port| life(&record(Some(process.into()), port), Some(&own), &address(1));
        // Also at the same address: two processes behind one balancer.
        assert_eq!(life(&own, 1), Life::Alive);
        assert_eq!(life(&own, 2), Life::Alive);
        let mut ended = std::process::Command::new("true").spawn().unwrap();
        let pid = ended.id();
        ended.wait().unwrap();
        let parts: Vec<&str> = own.split_whitespace().collect();
        let of = |kernel: &str, namespace: &str, pid: u32| format!("{kernel} {namespace} {pid} {}", parts[3]);
        assert_eq!(life(&of(parts[0], parts[1], pid), 2), Life::Dead);
        // A reused process id.
        assert_eq!(life(&of(parts[0], parts[1], 1), 2), Life::Dead);
        // Another machine or container, or an invalid record: only the address counts.
        for foreign in [
            of("another-boot", parts[1], std::process::id()),
            of(parts[0], "pid:[1]", std::process::id()),
            "nonsense".to_owned(),
        ] {
            assert_eq!(life(&foreign, 1), Life::Dead);
            assert_eq!(life(&foreign, 2), Life::Unknown);
        }
    }

    #[test]
    fn a_node_of_before_is_known_by_its_address_alone() {
        let own = own_process();
        assert_eq!(life(&record(None, 1), own.as_deref(), &address(1)), Life::Dead);
        assert_eq!(life(&record(None, 2), own.as_deref(), &address(1)), Life::Unknown);
        assert_eq!(life(&record(own, 2), None, &address(1)), Life::Unknown);
    }
}
