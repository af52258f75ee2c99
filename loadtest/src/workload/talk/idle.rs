//! Connections that send nothing beside a load: users by the ten thousands, in processes of their own.

use std::fs;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use testkit::fleet::{DATABASE, apart};
use tokio::time::sleep;

use crate::arguments::ChatShape;
use crate::generator::crowd::{Crowd, Kind};
use crate::report::{IdleConnections, Report};
use crate::workload::fleet::Fleet;
use crate::world::seed;

/// How long all of them may take to get a password and to log in.
const LOGIN_LIMIT: Duration = Duration::from_secs(600);
/// How long processes are left alone before memory is read.
const SETTLE: Duration = Duration::from_secs(2);

/// Connections that are being held.
pub(in crate::workload) struct Idle {
    crowd: Crowd,
    found: IdleConnections,
}

impl Idle {
    /// Registers, connects and measures them.
    pub(in crate::workload) async fn connect(fleet: &Fleet, chat: &ChatShape) -> Result<Self> {
        let count = chat.idle_connections;
        let processes = fleet
            .processes
            .as_ref()
            .context("--idle-connections need a fleet of our own: --nodes 10")?;
        let room = u64::from(chat.idle_connections) / processes.nodes.len() as u64 + 1;
        ensure!(
            room + crate::workload::fleet::SPARE_FILES < crate::server::system::open_files(),
            "{room} idle connections for each node are more than a process may have files open: more --nodes"
        );
        let postgres = processes.postgres.clone();
        let users = apart(move || seed::users(&postgres, DATABASE, count)).await?;
        let addresses: Vec<_> = processes
            .nodes
            .iter()
            .filter_map(|node| node.ports().im)
            .collect();
        sleep(SETTLE).await;
        let watch = fleet.watch();
        let (before, slab_before) = (watch.sample().await?, slab_bytes()?);
        let begun = Instant::now();
        let mut crowd = Crowd::start(
            Kind::Quiet,
            &users,
            &processes.rest_urls(),
            &addresses,
            chat.idle_per_process as usize,
        )
        .await?;
        let ready = crowd.ready(LOGIN_LIMIT).await?;
        let logged_in_s = begun.elapsed().as_secs_f64();
        sleep(SETTLE).await;
        let grown = |name: &str, usages: &[crate::server::usage::Usage]| -> f64 {
            usages
                .iter()
                .filter(|usage| usage.name.starts_with(name))
                .filter_map(|usage| usage.pss_bytes_per_connection.or(usage.rss_bytes_per_connection))
                .sum()
        };
        let usages = watch.since(&before, count as usize).await?;
        let found = IdleConnections {
            count: ready.clients,
            processes: crowd.processes() as u64,
            logged_in_s,
            sent_away: ready.sent_away,
            lost: 0,
            node_bytes_each: grown("im-", &usages),
            redis_bytes_each: grown("redis", &usages),
            kernel_bytes_each: (slab_bytes()? - slab_before) / f64::from(count),
        };
        eprintln!(
            "{} idle connections after {logged_in_s:.0} s, {:.2} KiB each in the nodes",
            found.count,
            found.node_bytes_each / 1024.0
        );
        Ok(Self { crowd, found })
    }

    /// Reports their state, and ends them.
    pub(in crate::workload) async fn end(mut self, report: &mut Report) -> Result<()> {
        let state = self.crowd.report().await?;
        self.found.lost = state.disconnected;
        if state.disconnected > 0 {
            report
                .faults
                .push(format!("{} idle connections were lost", state.disconnected));
        }
        report.idle = Some(self.found);
        self.crowd.end().await;
        Ok(())
    }
}

/// The memory of the kernel's tables; sockets are among them.
fn slab_bytes() -> Result<f64> {
    let text = fs::read_to_string("/proc/meminfo").context("cannot read /proc/meminfo")?;
    let line = text.lines().find(|line| line.starts_with("Slab:"));
    let kib: Option<f64> = line.and_then(|line| line.split_whitespace().nth(1)?.parse().ok());
    Ok(kib.context("/proc/meminfo has no Slab")? * 1024.0)
}
