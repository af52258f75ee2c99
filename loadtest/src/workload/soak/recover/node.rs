//! A node is killed under thousands of good clients: how soon they are back on the others.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, ensure};
use testkit::fleet::{DATABASE, apart};
use tokio::time::sleep;

use super::{BACK_MS, Scene};
use crate::generator::crowd::{Crowd, Kind, State};
use crate::report::{Bar, Report};
use crate::server::usage::metric_at;
use crate::world::seed;

/// How long all clients may take to log in at first.
const LOGIN_LIMIT: Duration = Duration::from_secs(90);
/// How long they are waited for after the kill.
const WAIT_LIMIT: Duration = Duration::from_secs(120);
/// How often they are asked.
const ASK_EVERY: Duration = Duration::from_millis(250);
/// Nodes announce their sessions every second.
const ANNOUNCED_AFTER: Duration = Duration::from_millis(2500);

pub(super) async fn killed(scene: &mut Scene, report: &mut Report) -> Result<()> {
    let arguments = &scene.arguments;
    let (postgres, count) = (scene.stage.fleet.postgres.clone(), arguments.clients);
    let users = apart(move || seed::users(&postgres, DATABASE, count)).await?;
    let mut crowd = Crowd::start(
        Kind::Good,
        &users,
        &scene.stage.fleet.rest_urls(),
        &[],
        arguments.clients_per_process as usize,
    )
    .await?;
    let begun = Instant::now();
    crowd.ready(LOGIN_LIMIT).await?;
    let logged_in_s = begun.elapsed().as_secs_f64();
    sleep(ANNOUNCED_AFTER).await;
    let before = sessions(scene).await?;

    scene.notes.disturbed("node", 0);
    crowd.mark(now_us()?).await?;
    // So that no process notes anything of before.
    crowd.report().await?;
    let killed_us = now_us()?;
    crowd.mark(killed_us).await?;
    let killed = Instant::now();
    scene.stage.fleet.nodes[0].kill()?;
    scene.notes.healed("node", 0);
    let state = loop {
        sleep(ASK_EVERY).await;
        let state: State = crowd.report().await?;
        let all_are_back = state.disconnected > 0 && state.here == u64::from(count);
        if all_are_back || killed.elapsed() > WAIT_LIMIT {
            break state;
        }
    };
    ensure!(state.disconnected > 0, "the killed node had no clients");
    sleep(ANNOUNCED_AFTER).await;
    let after = sessions(scene).await?;

    let away = u64::from(count) - state.here;
    if away > 0 {
        report.faults.push(format!(
            "{away} clients were not back {WAIT_LIMIT:?} after the kill"
        ));
    }
    let last = if away > 0 {
        f64::INFINITY
    } else {
        state.back_percentile_ms(100) as f64
    };
    report.bars.push(Bar::at_most(
        "node: every client of the killed node is back",
        last,
        BACK_MS,
    ));
    let failures = state.failures as f64 / state.disconnected as f64;
    report.bars.push(Bar {
        unit: "for each client".to_owned(),
        ..Bar::at_most("node: connections lost and attempts that failed", failures, 2.0)
    });
    let gained = |node: usize| after[node] - before[node];
    let most = (1..before.len()).map(gained).fold(0.0, f64::max);
    let (latest, first) = scene
        .notes
        .recovery(|recovery| (recovery.latest_delivery_ms(), recovery.first_success_ms()));
    for (what, figure) in [
        ("node: clients of the killed node", state.disconnected as f64),
        (
            "node: half of them back after, ms",
            state.back_percentile_ms(50) as f64,
        ),
        (
            "node: 99 % of them back after, ms",
            state.back_percentile_ms(99) as f64,
        ),
        (
            "node: the most that came back within a second",
            state.most_back_in_a_second() as f64,
        ),
        (
            "node: the most attempts of one client",
            state.most_failures as f64,
        ),
        ("node: goodbyes (OVERLOADED and the like)", state.byes as f64),
        (
            "node: share of the node that took most of them",
            most / state.disconnected as f64,
        ),
        ("node: logins of the whole crowd before, s", logged_in_s),
        ("node: everything of those who talk delivered, ms", latest),
        (
            "node: first acknowledgement after the kill, ms",
            first.unwrap_or(f64::INFINITY),
        ),
    ] {
        report.figures.insert(what.to_owned(), figure);
    }
    crowd.end().await;
    // For whatever case comes next.
    scene.stage.fleet.nodes[0].start().await?;
    Ok(())
}

/// The sessions of each node by its own count; a dead one has none.
async fn sessions(scene: &Scene) -> Result<Vec<f64>> {
    let mut sessions = Vec::new();
    for node in &scene.stage.fleet.nodes {
        let state = match node.pid() {
            Some(_) => {
                let admin = node.ports().admin.context("a node has no /metrics")?;
                metric_at(&format!("http://{admin}/metrics"), "huizhen_im_sessions").await?
            }
            None => None,
        };
        sessions.push(state.unwrap_or_default());
    }
    Ok(sessions)
}

fn now_us() -> Result<u64> {
    Ok(SystemTime::now().duration_since(UNIX_EPOCH)?.as_micros() as u64)
}
