//! chat, direct and room: on the product, on the bare relay, or on both in turn.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};

use super::idle::Idle;
use super::shape::Shape;
use super::stopped::Stopped;
use crate::arguments::{Load, Rate, Repeat, Target, Transport};
use crate::generator::schedule::Pace;
use crate::generator::{self, Plan};
use crate::report::{Bar, Report};
use crate::server::relay::Fault;
use crate::server::usage::Watch;
use crate::workload::fleet::{Fleet, Keeps, Relay};
use crate::world::World;

/// The least gain of batches over single inserts.
const SINGLE_INSERTS_RATIO: f64 = 10.0;
/// How long the saturated rate is looked for when a part of it was asked for.
const SATURATE: Duration = Duration::from_secs(10);

/// Where a run goes.
pub(in crate::workload) struct Site {
    pub(in crate::workload) addresses: Vec<SocketAddr>,
    pub(in crate::workload) world: Arc<World>,
    pub(in crate::workload) watch: Watch,
}

/// The reference of a run.
#[derive(Clone, Copy, Debug)]
pub(in crate::workload) struct Beside(Keeps);

impl Beside {
    /// The reference that was asked for: the bare relay, a relay that inserts one by one over several connections, or
    /// none.
    pub(in crate::workload) fn of(shape: &Shape, repeat: &Repeat, inserts: Option<u32>) -> Option<Self> {
        match inserts {
            Some(connections) => Some(Self(Keeps::SingleInserts(connections))),
            None => repeat.beside_limit.then(|| Self(limit_keeps(shape))),
        }
    }
}

/// The store of a shape's limit before it acknowledges.
fn limit_keeps(shape: &Shape) -> Keeps {
    match shape {
        Shape::Direct(_) => Keeps::Entries,
        Shape::Chat(_) | Shape::Room(_) => Keeps::Nothing,
    }
}

/// Numbers the runs of this program, so that their messages can be distinguished.
#[derive(Default)]
pub(in crate::workload) struct Runs(u8);

impl Runs {
    pub(in crate::workload) fn next(&mut self) -> u8 {
        self.0 = self.0.wrapping_add(1);
        self.0
    }
}

/// Runs a shape against the product.
pub(in crate::workload) async fn run(
    shape: Shape,
    load: Load,
    target: Target,
    times: u32,
    beside: Option<Beside>,
) -> Result<bool> {
    let shape = if beside.is_some() {
        shape.saturated_by_default()
    } else {
        shape
    };
    let fleet = Box::pin(Fleet::open(
        target,
        load.output.seed,
        shape.connections(),
        shape.idle_connections(),
        Transport::Tcp,
    ))
    .await?;
    let idle = match &shape {
        Shape::Chat(chat) if chat.idle_connections > 0 => Some(Box::pin(Idle::connect(&fleet, chat)).await?),
        _ => None,
    };
    let mut world = Box::pin(shape.build(&fleet.builder)).await?;
    // Sessions that read nothing are not checked.
    let stopped = world.split_off(shape.stopped_readers() as usize);
    let world = Arc::new(world);
    let first = world.users.first().context("no user was made")?;
    let site = Site {
        addresses: fleet.addresses(&first.access_token).await?,
        world: world.clone(),
        watch: fleet.watch(),
    };
    if let Some(file) = &load.start_file {
        eprintln!("ready; waiting for {}", file.display());
        while !file.exists() {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
    let mut runs = Runs::default();
    let mut reports = Vec::new();
    let mut before = match beside {
        Some(Beside(keeps)) => Some(Box::pin(on_the_relay(&shape, &load, keeps, None)).await?),
        None => None,
    };
    for number in 1..=times {
        let stopped = match (stopped.is_empty(), site.addresses.first()) {
            (false, Some(address)) => {
                Some(Box::pin(Stopped::connect(*address, &stopped, &site.watch, load.warm_up)).await?)
            }
            _ => None,
        };
        let mut report = Box::pin(measure(&site, &shape, &load, shape.name(), &mut runs)).await?;
        report.server_commit = Some(fleet.rest.commit().await?);
        if let Some(stopped) = stopped {
            report.stopped_readers = Some(Box::pin(stopped.end()).await?);
        }
        if let Some((earlier, Beside(keeps))) = before.take().zip(beside) {
            let later = Box::pin(on_the_relay(&shape, &load, keeps, None)).await?;
            let better = if later.rate() > earlier.rate() {
                &later
            } else {
                &earlier
            };
            report = report.beside(better.clone());
            if let Keeps::SingleInserts(_) = keeps {
                let ratio = report.acked_per_s / better.acked_per_s;
                let what = "acknowledged sends of those of single inserts";
                report.bars.push(Bar::at_least(what, ratio, SINGLE_INSERTS_RATIO));
            }
            before = Some(later);
        }
        if times > 1 {
            eprintln!("run {number} of {times}: {}", one_line(&report));
        }
        reports.push(report);
    }
    if let (Some(idle), Some(last)) = (idle, reports.last_mut()) {
        Box::pin(idle.end(last)).await?;
    }
    fleet.close().await?;
    finish(reports, &load)
}

/// Runs a shape against the bare relay.
pub(in crate::workload) async fn limit(shape: Shape, load: Load, fault: Option<Fault>) -> Result<bool> {
    let shape = shape.saturated_by_default();
    let report = Box::pin(on_the_relay(&shape, &load, limit_keeps(&shape), fault)).await?;
    finish(vec![report], &load)
}

async fn on_the_relay(shape: &Shape, load: &Load, keeps: Keeps, fault: Option<Fault>) -> Result<Report> {
    let (conversations, members) = shape.size();
    let relay = Relay::start(conversations * members, conversations, members, keeps, fault).await?;
    let site = Site {
        addresses: vec![relay.address],
        world: Arc::new(World::of_strangers(conversations, members)),
        watch: relay.watch(),
    };
    let name = match keeps {
        Keeps::SingleInserts(connections) => {
            format!("single inserts over {connections} connections, {}", shape.name())
        }
        Keeps::Nothing | Keeps::Entries => format!("limit {}", shape.name()),
    };
    let report = Box::pin(measure(&site, shape, load, &name, &mut Runs::default())).await?;
    relay.end().await?;
    Ok(report)
}

pub(in crate::workload) async fn measure(
    site: &Site,
    shape: &Shape,
    load: &Load,
    name: &str,
    runs: &mut Runs,
) -> Result<Report> {
    let mut saturated = None;
    let pace = match shape.rate() {
        None | Some(Rate::Max) => shape.saturating(),
        Some(Rate::PerSecond(per_second)) => Pace::Open { per_second },
        Some(Rate::Percent(percent)) => {
            let plan = plan(site, load, shape.saturating(), SATURATE, runs.next());
            let found = Box::pin(generator::run(plan, &site.watch)).await?;
            let rate = found.recorder.measured.acked as f64 / found.measured.as_secs_f64();
            saturated = Some(rate);
            Pace::Open {
                per_second: (rate * percent / 100.0).max(1.0),
            }
        }
    };
    let plan = plan(site, load, pace, load.duration, runs.next());
    let outcome = Box::pin(generator::run(plan, &site.watch)).await?;
    let mut report = shape
        .describe(Report::new(name, load.output.seed), load)
        .with_outcome(outcome);
    report.method = pace.method();
    report.saturated_per_s = saturated;
    Ok(match pace {
        Pace::Open { .. } => report,
        Pace::Outstanding { .. } | Pace::Windows { .. } => report.at_saturation(),
    })
}

/// One run of the generator there.
pub(in crate::workload) fn plan(site: &Site, load: &Load, pace: Pace, duration: Duration, run: u8) -> Plan {
    Plan {
        addresses: site.addresses.clone(),
        world: site.world.clone(),
        pace,
        seed: load.output.seed,
        run,
        warm_up: load.warm_up,
        duration,
        threads: load.threads as usize,
        payload_bytes: load.payload_bytes as usize,
    }
}

/// Publishes the best run; every run must have passed its checks.
fn finish(mut reports: Vec<Report>, load: &Load) -> Result<bool> {
    let clean = reports.iter().all(Report::is_clean);
    // A disturbed run is the best one only when all are.
    reports.sort_by(|one, other| {
        other
            .disturbed
            .cmp(&one.disturbed)
            .then(one.score().total_cmp(&other.score()))
    });
    for failed in reports.iter().filter(|report| !report.is_clean()) {
        eprintln!("failed: {}", one_line(failed));
    }
    if let Some(best) = reports.last() {
        best.publish(load.output.report.as_deref())?;
    }
    Ok(clean)
}

fn one_line(report: &Report) -> String {
    let ratios: Vec<String> = report
        .limit_ratio
        .iter()
        .map(|(name, ratio)| format!("{name} {ratio:.3}"))
        .collect();
    format!(
        "{:.0} acked/s, {:.0} delivered/s, lost {}, duplicated {}, reordered {}{}{}",
        report.acked_per_s,
        report.delivered_per_s,
        report.lost,
        report.duplicated,
        report.reordered,
        if ratios.is_empty() {
            String::new()
        } else {
            format!("; of the limit's: {}", ratios.join(", "))
        },
        if report.disturbed { "; disturbed" } else { "" }
    )
}
