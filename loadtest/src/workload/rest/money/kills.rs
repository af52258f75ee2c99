//! Kills servers and the machines of their database while money moves.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Result;
use testkit::fleet::{Fleet as Processes, apart};
use testkit::postgres::Postgres;
use tokio::time::sleep;

use super::ground::Ground;
use crate::arguments::RestArguments;
use crate::generator::schedule::Chance;

/// How long a killed process stays away.
const AWAY: Duration = Duration::from_millis(300);

/// How often each kind of process was killed.
pub(super) type Kills = BTreeMap<&'static str, u64>;

/// Kills one of them with SIGKILL as often as asked, and starts it again; until then.
pub(super) async fn kill(
    ground: &mut Ground,
    arguments: &RestArguments,
    mut dice: Chance,
    until: Instant,
) -> Result<Kills> {
    let mut kills = Kills::new();
    let Some(every) = arguments.kill_every else {
        return Ok(kills);
    };
    loop {
        sleep(every).await;
        if Instant::now() + every >= until {
            return Ok(kills);
        }
        let victim = if let Some(processes) = &mut ground.fleet.processes {
            kill_one(processes, arguments.kill_database, &mut dice).await?
        } else if let Some(own) = &mut ground.fleet.own {
            own.kill()?;
            sleep(AWAY).await;
            own.start_again().await?;
            "server"
        } else {
            return Ok(kills);
        };
        *kills.entry(victim).or_default() += 1;
    }
}

async fn kill_one(
    processes: &mut Processes,
    database_alone: bool,
    dice: &mut Chance,
) -> Result<&'static str> {
    let (machines, servers) = (1 + processes.workers.len(), processes.api_servers.len());
    let others = match database_alone {
        true => 0,
        false => servers + processes.nodes.len(),
    };
    let drawn = dice.below(machines + others);
    if drawn == 0 {
        return kill_machine(processes.postgres.clone(), "postgres").await;
    }
    if drawn < machines {
        return kill_machine(processes.workers[drawn - 1].clone(), "worker").await;
    }
    let (victim, server) = match drawn - machines {
        at if at < servers => ("api", &mut processes.api_servers[at]),
        at => ("node", &mut processes.nodes[at - servers]),
    };
    server.kill()?;
    sleep(AWAY).await;
    server.start().await?;
    Ok(victim)
}

async fn kill_machine(machine: Arc<Postgres>, victim: &'static str) -> Result<&'static str> {
    let killed = machine.clone();
    apart(move || killed.kill()).await?;
    sleep(AWAY).await;
    apart(move || machine.start_again()).await?;
    Ok(victim)
}
