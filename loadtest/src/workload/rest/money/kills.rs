//! Kills servers and their database while money moves.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::Result;
use testkit::fleet::{Fleet as Processes, apart};
use tokio::time::sleep;

use super::ground::Ground;
use crate::generator::schedule::Chance;

/// How long a killed process stays away.
const AWAY: Duration = Duration::from_millis(300);

/// How often each kind of process was killed.
pub(super) type Kills = BTreeMap<&'static str, u64>;

/// Kills one of them with SIGKILL this often, and starts it again; until then.
pub(super) async fn kill(
    ground: &mut Ground,
    every: Option<Duration>,
    mut dice: Chance,
    until: Instant,
) -> Result<Kills> {
    let mut kills = Kills::new();
    let Some(every) = every else { return Ok(kills) };
    loop {
        sleep(every).await;
        if Instant::now() + every >= until {
            return Ok(kills);
        }
        let victim = if let Some(processes) = &mut ground.fleet.processes {
            kill_one(processes, &mut dice).await?
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

async fn kill_one(processes: &mut Processes, dice: &mut Chance) -> Result<&'static str> {
    let servers = processes.api_servers.len();
    let drawn = dice.below(servers + processes.nodes.len() + 1);
    if drawn == 0 {
        let postgres = processes.postgres.clone();
        apart(move || postgres.kill()).await?;
        sleep(AWAY).await;
        let postgres = processes.postgres.clone();
        apart(move || postgres.start_again()).await?;
        return Ok("postgres");
    }
    let (victim, server) = match drawn - 1 {
        at if at < servers => ("api", &mut processes.api_servers[at]),
        at => ("node", &mut processes.nodes[at - servers]),
    };
    server.kill()?;
    sleep(AWAY).await;
    server.start().await?;
    Ok(victim)
}
