//! Arguments of recover and scale, which start a fleet of their own.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};

use super::Output;
use super::word::{duration, positive};

/// `loadtest recover`
#[derive(Clone, Debug, Args)]
pub struct RecoverArguments {
    /// Which faults; may be given several times or as a list with commas. By default all of them.
    #[arg(long, value_enum, value_delimiter = ',', value_name = "CASE")]
    pub case: Vec<Case>,
    /// How many nodes.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(2..=50))]
    pub nodes: u32,
    /// How many api-servers.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=50))]
    pub api_servers: u32,
    /// The folder of `im-server` and `api-server`; by default that of this program.
    #[arg(long, value_name = "DIR")]
    pub programs: Option<PathBuf>,
    /// How many conversations are talked in.
    #[arg(long, default_value_t = 40, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub conversations: u32,
    /// The members of each.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u32).range(2..=1000))]
    pub members: u32,
    /// Sends a second over all conversations.
    #[arg(long, default_value_t = 200.0, value_parser = positive)]
    pub rate: f64,
    /// How long something stays away or frozen.
    #[arg(long, default_value = "4s", value_parser = duration)]
    pub outage: Duration,
    /// How long is looked at what happens after it is back.
    #[arg(long, default_value = "8s", value_parser = duration)]
    pub watch: Duration,
    /// With the case `node`: how many clients the fleet has; the killed node's share of them is timed.
    #[arg(long, default_value_t = 30_000, value_parser = clap::value_parser!(u32).range(2..=500_000))]
    pub clients: u32,
    /// How many of those a process has.
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub clients_per_process: u32,
    /// Where reports go.
    #[command(flatten)]
    pub output: Output,
}

/// A fault whose recovery is timed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Case {
    /// Redis is killed and started again, empty.
    RedisBack,
    /// Redis is emptied.
    RedisEmptied,
    /// Redis is frozen and goes on.
    RedisFrozen,
    /// PostgreSQL is killed and started again.
    Postgres,
    /// A node is killed and stays away.
    Node,
}

impl RecoverArguments {
    /// The cases that were chosen: all, unless some were named.
    pub fn chosen_cases(&self) -> Vec<Case> {
        if self.case.is_empty() {
            Case::value_variants().to_vec()
        } else {
            self.case.clone()
        }
    }
}

/// `loadtest scale`
#[derive(Clone, Debug, Args)]
pub struct ScaleArguments {
    /// How many nodes, each time; in growing numbers.
    #[arg(long, value_delimiter = ',', default_values_t = [1, 2, 4, 8], value_parser = clap::value_parser!(u32).range(1..=50))]
    pub nodes: Vec<u32>,
    /// How many conversations.
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub conversations: u32,
    /// The members of each, spread over the nodes.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(2..=1000))]
    pub members: u32,
    /// Sends a second over all conversations; must be below what the machine can do, so that the load is the same each
    /// time.
    #[arg(long, default_value_t = 1000.0, value_parser = positive)]
    pub rate: f64,
    /// How long is measured, each time.
    #[arg(long, default_value = "15s", value_parser = duration)]
    pub duration: Duration,
    /// How long the load runs before it is measured.
    #[arg(long, default_value = "3s", value_parser = duration)]
    pub warm_up: Duration,
    /// How long a message's body is, bytes.
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u32).range(32..=32_768))]
    pub payload_bytes: u32,
    /// How many api-servers.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=50))]
    pub api_servers: u32,
    /// The folder of `im-server` and `api-server`; by default that of this program.
    #[arg(long, value_name = "DIR")]
    pub programs: Option<PathBuf>,
    /// Where reports go.
    #[command(flatten)]
    pub output: Output,
}

/// `loadtest crowd`: what it is to do comes as JSON lines on its input.
#[derive(Clone, Debug, Args)]
pub struct CrowdArguments {}
