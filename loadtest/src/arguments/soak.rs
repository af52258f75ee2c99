//! `loadtest soak`

use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use anyhow::{Result, ensure};
use clap::Args;

use super::word::{duration, not_negative, positive};
use super::{Output, Target};
use crate::arguments::fault::Fault;

/// A fault by its name, or `none`.
#[derive(Clone, Copy, Debug)]
pub struct FaultWord(Option<Fault>);

impl FromStr for FaultWord {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "none" {
            Ok(Self(None))
        } else {
            text.parse().map(|fault| Self(Some(fault)))
        }
    }
}

/// `loadtest soak`
#[derive(Clone, Debug, Args)]
pub struct SoakArguments {
    /// How long sends go on.
    #[arg(long, default_value = "10m", value_parser = duration)]
    pub duration: Duration,
    /// How often the server is killed with SIGKILL and started again on the same data.
    #[arg(long, default_value = "30s", value_parser = duration)]
    pub kill_every: Duration,
    /// Sends a second over all conversations.
    #[arg(long, default_value_t = 2000.0, value_parser = positive)]
    pub rate: f64,
    /// How many conversations.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub conversations: u32,
    /// The members of each. The first of them has two devices.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(2..=1000))]
    pub members: u32,
    /// How many of a hundred sends of a user with two devices go out from both at once.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(0..=100))]
    pub doubled_percent: u32,
    /// Consults that patients open a second, over all conversations: no doctor answers, so each has deadlines that fire
    /// one and two minutes later. At the end it is waited for them. 0: none, and no team has a clock.
    #[arg(long, default_value_t = 2.0, value_parser = not_negative)]
    pub consults_per_s: f64,
    /// Which faults disturb the server or the fleet; may be given several times or as a list with commas. By default
    /// all that can happen to one process, or to a fleet with its `--redis`; `none`: none.
    #[arg(long, value_delimiter = ',', value_name = "FAULT")]
    pub faults: Vec<FaultWord>,
    /// How long nothing happens between two faults, about.
    #[arg(long, default_value = "2s", value_parser = duration)]
    pub fault_pause: Duration,
    /// Writes what every client did and saw into this file, as JSON lines (docs/histories.md).
    #[arg(long, value_name = "FILE")]
    pub histories: Option<PathBuf>,
    /// Where to.
    #[command(flatten)]
    pub target: Target,
    /// Where reports go.
    #[command(flatten)]
    pub output: Output,
}

impl SoakArguments {
    /// The faults that were chosen: all, unless some were named.
    ///
    /// # Errors
    /// When one was named that cannot happen to the Redis that was asked for, with those that can.
    pub fn chosen_faults(&self) -> Result<Vec<Fault>> {
        let (all, place) = if self.target.nodes > 0 {
            let (redis, workers) = (self.target.redis, self.target.database_workers);
            let place = format!("with --redis {} --database-workers {workers}", redis.name());
            (Fault::all_of(redis, workers > 0), place)
        } else {
            (Fault::all_of_one(), "to one process".to_owned())
        };
        if self.faults.is_empty() {
            return Ok(all);
        }
        let mut chosen = Vec::new();
        for FaultWord(fault) in &self.faults {
            let Some(fault) = fault else { continue };
            let names = || {
                all.iter()
                    .map(|fault| fault.name())
                    .collect::<Vec<_>>()
                    .join(", ")
            };
            ensure!(
                all.contains(fault),
                "{fault} cannot happen {place}: there are {}",
                names()
            );
            chosen.push(*fault);
        }
        Ok(chosen)
    }
}
