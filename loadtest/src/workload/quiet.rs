//! idle and login: what connections cost that say nothing, and how fast they come.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tokio::time::sleep;

use super::fleet::{Fleet, Keeps, Relay};
use crate::arguments::{IdleArguments, LimitIdle, LimitLogin, LoginArguments, Output, QuietShape, Transport};
use crate::generator::quiet::link::Endpoint;
use crate::generator::quiet::{AfterLogin, Quiet};
use crate::progress::Progress;
use crate::report::{Percentiles, Report, per_us};
use crate::server::usage::Watch;
use crate::world::World;

/// How long a process is left alone before its memory is read.
const SETTLE: Duration = Duration::from_secs(2);

/// The cost of idle connections.
pub(super) async fn idle(arguments: IdleArguments) -> Result<bool> {
    let (fleet, world, endpoints) = prepare(&arguments.shape, arguments.target, &arguments.output).await?;
    let mut report = Box::pin(hold(
        "idle",
        endpoints,
        &world,
        &fleet.watch(),
        &arguments.shape,
        arguments.hold,
        &arguments.output,
    ))
    .await?;
    report.server_commit = Some(fleet.rest.commit().await?);
    fleet.close().await?;
    finish(report, &arguments.output)
}

/// How fast logins are taken.
pub(super) async fn login(arguments: LoginArguments) -> Result<bool> {
    let (fleet, world, endpoints) = prepare(&arguments.shape, arguments.target, &arguments.output).await?;
    let mut report = Box::pin(storm(
        "login",
        endpoints,
        &world,
        &fleet.watch(),
        &arguments.shape,
        &arguments.output,
    ))
    .await?;
    report.server_commit = Some(fleet.rest.commit().await?);
    fleet.close().await?;
    finish(report, &arguments.output)
}

/// The cost of idle connections on the bare relay.
pub(super) async fn limit_idle(arguments: LimitIdle) -> Result<bool> {
    let (relay, world) = prepare_relay(&arguments.shape).await?;
    let report = Box::pin(hold(
        "limit idle",
        vec![Endpoint::Tcp(relay.address)],
        &world,
        &relay.watch(),
        &arguments.shape,
        arguments.hold,
        &arguments.output,
    ))
    .await?;
    relay.end().await?;
    finish(report, &arguments.output)
}

/// How fast logins are taken on the bare relay.
pub(super) async fn limit_login(arguments: LimitLogin) -> Result<bool> {
    let (relay, world) = prepare_relay(&arguments.shape).await?;
    let report = Box::pin(storm(
        "limit login",
        vec![Endpoint::Tcp(relay.address)],
        &world,
        &relay.watch(),
        &arguments.shape,
        &arguments.output,
    ))
    .await?;
    relay.end().await?;
    finish(report, &arguments.output)
}

async fn prepare(
    shape: &QuietShape,
    target: crate::arguments::Target,
    output: &Output,
) -> Result<(Fleet, World, Vec<Endpoint>)> {
    let connections = shape.connections as usize;
    let fleet = Box::pin(Fleet::open(target, output.seed, connections, 0, shape.transport)).await?;
    let world = Box::pin(fleet.builder.loners(shape.connections)).await?;
    let first = world.users.first().context("no user was made")?;
    let endpoints = fleet.endpoints(&first.access_token).await?;
    Ok((fleet, world, endpoints))
}

async fn prepare_relay(shape: &QuietShape) -> Result<(Relay, World)> {
    ensure!(
        shape.transport == Transport::Tcp,
        "the bare relay speaks TCP only: leave --transport out"
    );
    let relay = Relay::start(shape.connections, 0, 1, Keeps::Nothing, None).await?;
    Ok((relay, World::of_loners(shape.connections)))
}

async fn hold(
    name: &str,
    endpoints: Vec<Endpoint>,
    world: &World,
    watch: &Watch,
    shape: &QuietShape,
    hold: Duration,
    output: &Output,
) -> Result<Report> {
    sleep(SETTLE).await;
    let before = watch.sample().await?;
    let quiet = Quiet::connect(endpoints, world, AfterLogin::Sync, shape.concurrency as usize).await?;
    sleep(SETTLE).await;
    let held = watch.sample().await?;
    let mut progress = Progress::begin("holding", hold.as_secs());
    let mut left = hold;
    while !left.is_zero() {
        let step = left.min(Duration::from_secs(1));
        sleep(step).await;
        left -= step;
        progress.at((hold - left).as_secs(), "s");
    }
    drop(progress);
    let mut report = describe(name, shape, output, &quiet);
    report.servers = watch.since(&before, world.users.len()).await?;
    // Memory from before the first connection; CPU time of holding alone.
    for (server, while_held) in report
        .servers
        .iter_mut()
        .zip(watch.since(&held, world.users.len()).await?)
    {
        server.cpu_s = while_held.cpu_s;
    }
    report.duration_s = hold.as_secs_f64();
    report.method =
        "memory: growth from before the first connection, after passwords were fetched, until all were \
                     logged in, synced and held; CPU: while they were held"
            .to_owned();
    if quiet.lost() > 0 {
        report.faults.push(format!(
            "{} connections were lost while they were held",
            quiet.lost()
        ));
    }
    quiet.release().await;
    Ok(report)
}

async fn storm(
    name: &str,
    endpoints: Vec<Endpoint>,
    world: &World,
    watch: &Watch,
    shape: &QuietShape,
    output: &Output,
) -> Result<Report> {
    sleep(SETTLE).await;
    let before = watch.sample().await?;
    let own_before = crate::server::usage::own_cpu_s()?;
    let quiet = Quiet::connect(endpoints, world, AfterLogin::Nothing, shape.concurrency as usize).await?;
    let mut report = describe(name, shape, output, &quiet);
    report.servers = watch.since(&before, world.users.len()).await?;
    report.generator_cpu_s = crate::server::usage::own_cpu_s()? - own_before;
    report.duration_s = quiet.took.as_secs_f64();
    for server in &mut report.servers {
        server.cpu_us_per_login = per_us(server.cpu_s, world.users.len() as u64);
    }
    report.cores_used = (report.servers.iter().map(|server| server.cpu_s).sum::<f64>()
        + report.generator_cpu_s)
        / report.duration_s.max(1e-9);
    report.method = format!(
        "a storm: {} connections being made at any time",
        shape.concurrency
    );
    if quiet.lost() > 0 {
        report
            .faults
            .push(format!("{} connections were lost", quiet.lost()));
    }
    quiet.release().await;
    Ok(report)
}

fn describe(name: &str, shape: &QuietShape, output: &Output, quiet: &Quiet) -> Report {
    let mut report = Report::new(name, output.seed)
        .parameter("transport", format!("{:?}", shape.transport).to_lowercase())
        .parameter("concurrency", shape.concurrency);
    report.connections = u64::from(shape.connections);
    report.logins_per_s = f64::from(shape.connections) / quiet.took.as_secs_f64().max(1e-9);
    report.login_ms = Percentiles::from(&quiet.login);
    report.logins_sent_away = quiet.sent_away;
    report
}

fn finish(report: Report, output: &Output) -> Result<bool> {
    report.publish(output.report.as_deref())?;
    Ok(report.is_clean())
}
