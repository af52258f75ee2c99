//! `loadtest soak`

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Result, ensure};
use clap::Args;

use super::word::{duration, positive};
use super::{Output, Target};
use crate::workload::Fault;

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
    /// How many people in each. The first of them has two devices.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(2..=1000))]
    pub members: u32,
    /// How many of a hundred sends of somebody with two devices go out from both at once.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(0..=100))]
    pub doubled_percent: u32,
    /// With `--nodes`: which faults disturb the fleet; may be given several times or as a list with commas. By default all
    /// that can happen to its `--redis`.
    #[arg(long, value_delimiter = ',', value_name = "FAULT")]
    pub faults: Vec<Fault>,
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
        let redis = self.target.redis;
        if self.faults.is_empty() {
            return Ok(Fault::all_of(redis));
        }
        for fault in &self.faults {
            ensure!(
                fault.fits(redis),
                "{fault} cannot happen with --redis {}: there are {}",
                redis.name(),
                Fault::all_of(redis)
                    .iter()
                    .map(|fault| fault.name())
                    .collect::<Vec<_>>()
                    .join(", ")
            );
        }
        Ok(self.faults.clone())
    }
}
