//! chat, direct and room: on the product, on the bare relay, or on both in turn.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};

use super::fleet::{Fleet, Keeps, Relay};
use super::shape::Shape;
use super::stopped::Stopped;
use crate::arguments::{Load, Rate, Repeat, Target, Transport};
use crate::generator::schedule::Pace;
use crate::generator::{self, Plan};
use crate::report::Report;
use crate::server::usage::Watch;
use crate::world::World;

/// How long the saturated rate is looked for when a part of it was asked for.
const SATURATE: Duration = Duration::from_secs(10);

/// Where a run goes.
struct Site {
    addresses: Vec<SocketAddr>,
    world: Arc<World>,
    watch: Watch,
}

/// Numbers the runs of this program, so that their messages can be told apart.
#[derive(Default)]
struct Runs(u8);

impl Runs {
    fn next(&mut self) -> u8 {
        self.0 = self.0.wrapping_add(1);
        self.0
    }
}

/// Runs a shape against the product.
pub(super) async fn run(shape: Shape, load: Load, target: Target, repeat: Repeat) -> Result<bool> {
    let shape = if repeat.beside_limit {
        shape.saturated_by_default()
    } else {
        shape
    };
    let fleet = Box::pin(Fleet::open(
        target,
        load.output.seed,
        shape.connections(),
        Transport::Tcp,
    ))
    .await?;
    let mut world = Box::pin(shape.build(&fleet.builder)).await?;
    // Whoever reads nothing is no part of what is checked.
    let stopped = world.split_off(shape.stopped_readers() as usize);
    let world = Arc::new(world);
    let anybody = world.users.first().context("nobody was made")?;
    let site = Site {
        addresses: fleet.addresses(&anybody.access_token).await?,
        world: world.clone(),
        watch: fleet.watch(),
    };
    let mut runs = Runs::default();
    let mut reports = Vec::new();
    let mut before = match repeat.beside_limit {
        true => Some(Box::pin(on_the_relay(&shape, &load)).await?),
        false => None,
    };
    for number in 1..=repeat.runs {
        let stopped = match (stopped.is_empty(), site.addresses.first()) {
            (false, Some(address)) => {
                Some(Box::pin(Stopped::connect(*address, &stopped, &site.watch)).await?)
            }
            _ => None,
        };
        let mut report = Box::pin(measure(&site, &shape, &load, shape.name(), &mut runs)).await?;
        report.server_commit = Some(fleet.rest.commit().await?);
        if let Some(stopped) = stopped {
            report.stopped_readers = Some(Box::pin(stopped.end()).await?);
        }
        if let Some(earlier) = before.take() {
            let later = Box::pin(on_the_relay(&shape, &load)).await?;
            let better = if later.rate() > earlier.rate() {
                &later
            } else {
                &earlier
            };
            report = report.beside(better.clone());
            before = Some(later);
        }
        if repeat.runs > 1 {
            eprintln!("run {number} of {}: {}", repeat.runs, one_line(&report));
        }
        reports.push(report);
    }
    fleet.close().await?;
    finish(reports, &load)
}

/// Runs a shape against the bare relay.
pub(super) async fn limit(shape: Shape, load: Load) -> Result<bool> {
    let report = Box::pin(on_the_relay(&shape.saturated_by_default(), &load)).await?;
    finish(vec![report], &load)
}

async fn on_the_relay(shape: &Shape, load: &Load) -> Result<Report> {
    let (conversations, members) = shape.size();
    let keeps = match shape {
        Shape::Direct(_) => Keeps::Entries,
        Shape::Chat(_) | Shape::Room(_) => Keeps::Nothing,
    };
    let relay = Relay::start(conversations * members, conversations, members, keeps).await?;
    let site = Site {
        addresses: vec![relay.address],
        world: Arc::new(World::of_strangers(conversations, members)),
        watch: relay.watch(),
    };
    let name = format!("limit {}", shape.name());
    let report = Box::pin(measure(&site, shape, load, &name, &mut Runs::default())).await?;
    relay.end().await?;
    Ok(report)
}

async fn measure(site: &Site, shape: &Shape, load: &Load, name: &str, runs: &mut Runs) -> Result<Report> {
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

fn plan(site: &Site, load: &Load, pace: Pace, duration: Duration, run: u8) -> Plan {
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
