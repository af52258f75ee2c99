//! Arguments of the command line.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use testkit::backplane::Kind;

use crate::server::relay::RelayArguments;

pub mod fault;
mod fleet;
mod limit;
mod media;
mod soak;
mod word;

pub use fleet::{Case, CrowdArguments, RecoverArguments, ScaleArguments};
pub use limit::{LimitArguments, LimitChat, LimitDirect, LimitIdle, LimitLogin, LimitRoom, LimitShape};
pub use media::MediaArguments;
pub use soak::SoakArguments;
pub use word::{Rate, duration};

const EXAMPLES: &str = "\
Examples:
  loadtest chat --conversations 1000 --members 5 --rate 2000 --duration 30s
  loadtest chat --rate max --beside-limit --runs 3 --report reports/chat
  loadtest chat --rate 50% --duration 30s          half of the saturated rate, which is found first
  loadtest direct --pairs 200 --window 8           closed loop: the ceiling
  loadtest room --members 2000 --rate 50
  loadtest idle --connections 15000 --hold 60s --transport tls
  loadtest login --connections 15000
  loadtest rest --mix records --duration 30s
  loadtest rest --mix money --nodes 3 --kill-every 5s --duration 10m
  loadtest rest --mix money --nodes 1               transfers beside pgbench, and a proof of the books
  loadtest media --workers 4 --duration 60s        photos and files beside a chat, and what they cost it
  loadtest media --nodes 3 --media-rate max
  loadtest soak --duration 5m --kill-every 20s --rate 2000
  loadtest soak --nodes 3 --duration 10m --rate 2000 --histories histories.jsonl
  loadtest soak --nodes 3 --redis sentinel         masters are killed and replaced; --redis cluster: slots move, too
  loadtest recover --case redis-back,redis-emptied,redis-frozen,postgres
  loadtest recover --case node --clients 30000     how soon the clients of a killed node are back
  loadtest scale --nodes 1,2,4,8 --rate 1000       what deliveries across nodes cost
  loadtest chat --nodes 10 --idle-connections 150000 --conversations 100 --rate 1000
  loadtest direct --nodes 1 --beside-single-inserts
  loadtest soak --nodes 3 --database-workers 2     on Citus, which must be installed; its workers are disturbed, too
  loadtest limit chat --rate max --duration 10s    the same shape on a bare relay
  loadtest compare reports/before reports/after

Without --api a workload starts the `huizhen` beside this program in a temporary folder and ends it.
The exit status is 1 when a check failed, 2 when the run could not be made.";

/// Load, checks and reports for a Huizhen fleet.
#[derive(Debug, Parser)]
#[command(name = "loadtest", version, after_help = EXAMPLES)]
pub struct Arguments {
    /// The command.
    #[command(subcommand)]
    pub command: Command,
}

/// The command.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Conversations of a few members, at a rate, random senders.
    Chat(ChatArguments),
    /// Chats of two in a closed loop: the ceiling of acknowledged sends.
    Direct(DirectArguments),
    /// One conversation with many members.
    Room(RoomArguments),
    /// Connections that do nothing: what each costs in memory.
    Idle(IdleArguments),
    /// A storm of logins.
    Login(LoginArguments),
    /// Calls of apps for records or money.
    Rest(RestArguments),
    /// Photos and files are put and got while a chat goes on, and what that costs the chat.
    Media(MediaArguments),
    /// Sends while the server is killed again and again, and verifies that nothing is lost, doubled or reordered.
    Soak(SoakArguments),
    /// One fault at a time: how soon a fleet of our own has recovered from each.
    Recover(RecoverArguments),
    /// The same load on one node, on two, on more: what it costs that deliveries go across.
    Scale(ScaleArguments),
    /// The same shape on a bare relay without the product in it: what the machine could do at best.
    Limit(LimitArguments),
    /// Two reports side by side.
    Compare(CompareArguments),
    /// Many clients of a run, in a process of their own.
    #[command(hide = true)]
    Crowd(CrowdArguments),
    /// The bare relay itself.
    #[command(hide = true)]
    Relay(RelayArguments),
}

/// `loadtest chat`
#[derive(Clone, Debug, Args)]
pub struct ChatArguments {
    /// The load.
    #[command(flatten)]
    pub shape: ChatShape,
    /// How it is measured.
    #[command(flatten)]
    pub load: Load,
    /// Where to.
    #[command(flatten)]
    pub target: Target,
    /// How often.
    #[command(flatten)]
    pub repeat: Repeat,
}

/// The shape of `chat`.
#[derive(Clone, Debug, Args)]
pub struct ChatShape {
    /// How many conversations.
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub conversations: u32,
    /// The members of each: a patient, the team's assistant, doctors.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(2..=5000))]
    pub members: u32,
    /// Sends a second over all conversations: a number, `max` (find the saturated rate), or a part of that, like `50%`.
    #[arg(long)]
    pub rate: Option<Rate>,
    /// With `--rate max`: how many sends are on their way at once, over all conversations.
    #[arg(long, default_value_t = 256, value_parser = clap::value_parser!(u32).range(1..))]
    pub window: u32,
    /// With `--nodes`: this many more users are logged in all the while and send nothing, in processes of their own,
    /// since a process may open a limited number of files only.
    #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(u32).range(..=1_000_000))]
    pub idle_connections: u32,
    /// How many of those a process has.
    #[arg(long, default_value_t = 15_000, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub idle_per_process: u32,
}

/// `loadtest direct`
#[derive(Clone, Debug, Args)]
pub struct DirectArguments {
    /// The load.
    #[command(flatten)]
    pub shape: DirectShape,
    /// How it is measured.
    #[command(flatten)]
    pub load: Load,
    /// Where to.
    #[command(flatten)]
    pub target: Target,
    /// How often.
    #[command(flatten)]
    pub repeat: Repeat,
    /// Runs the same load before and after each run against a relay that writes each message by an INSERT of its own
    /// into PostgreSQL, and prints the ratios.
    #[arg(long, conflicts_with = "beside_limit")]
    pub beside_single_inserts: bool,
    /// How many connections that relay has to PostgreSQL; a conversation always uses the same one.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=100))]
    pub insert_connections: u32,
}

/// The shape of `direct`.
#[derive(Clone, Debug, Args)]
pub struct DirectShape {
    /// How many chats of two.
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..=9000))]
    pub pairs: u32,
    /// How many sends of each pair wait for their acknowledgement at once.
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub window: u32,
}

/// `loadtest room`
#[derive(Clone, Debug, Args)]
pub struct RoomArguments {
    /// The load.
    #[command(flatten)]
    pub shape: RoomShape,
    /// How it is measured.
    #[command(flatten)]
    pub load: Load,
    /// Where to.
    #[command(flatten)]
    pub target: Target,
    /// How often.
    #[command(flatten)]
    pub repeat: Repeat,
}

/// The shape of `room`.
#[derive(Clone, Debug, Args)]
pub struct RoomShape {
    /// The members of the room.
    #[arg(long, default_value_t = 2000, value_parser = clap::value_parser!(u32).range(2..=19_000))]
    pub members: u32,
    /// Sends a second: a number, `max` (find the saturated rate), or a part of that, like `50%`.
    #[arg(long)]
    pub rate: Option<Rate>,
    /// With `--rate max`: how many sends are on their way at once.
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..))]
    pub window: u32,
    /// This many more members are in the room, read until the load has warmed up, and then read nothing: what that
    /// costs and what becomes of them is reported. Not on the bare relay.
    #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(u32).range(..=10_000))]
    pub stopped_readers: u32,
}

/// `loadtest idle`
#[derive(Clone, Debug, Args)]
pub struct IdleArguments {
    /// The connections.
    #[command(flatten)]
    pub shape: QuietShape,
    /// How long the connections are held before memory is read.
    #[arg(long, default_value = "60s", value_parser = duration)]
    pub hold: Duration,
    /// Where to.
    #[command(flatten)]
    pub target: Target,
    /// Where reports go.
    #[command(flatten)]
    pub output: Output,
}

/// `loadtest login`
#[derive(Clone, Debug, Args)]
pub struct LoginArguments {
    /// The connections.
    #[command(flatten)]
    pub shape: QuietShape,
    /// Where to.
    #[command(flatten)]
    pub target: Target,
    /// Where reports go.
    #[command(flatten)]
    pub output: Output,
}

/// The shape of `idle` and `login`.
#[derive(Clone, Debug, Args)]
pub struct QuietShape {
    /// How many connections, each of a user of its own.
    #[arg(long, default_value_t = 15_000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub connections: u32,
    /// The transport of the connections.
    #[arg(long, value_enum, default_value_t = Transport::Tcp)]
    pub transport: Transport,
    /// How many connections are being made at once.
    #[arg(long, default_value_t = 512, value_parser = clap::value_parser!(u32).range(1..))]
    pub concurrency: u32,
}

/// The transport of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Transport {
    /// Frames over TCP.
    Tcp,
    /// Frames over WebSocket.
    Ws,
    /// Frames over TLS.
    Tls,
}

/// `loadtest rest`
#[derive(Clone, Debug, Args)]
pub struct RestArguments {
    /// The calls.
    #[arg(long, value_enum, default_value_t = Mix::Records)]
    pub mix: Mix,
    /// How many calls are on their way at once, each of users of its own.
    #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(u32).range(1..=2000))]
    pub workers: u32,
    /// With `--mix lists`: how many consults the team with many has.
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(100..=1_000_000))]
    pub consults: u32,
    /// With `--mix money`: kills a server of our own, or a machine of the database, this often, and starts it again.
    #[arg(long, value_parser = duration, conflicts_with = "api")]
    pub kill_every: Option<Duration>,
    /// With `--kill-every` and `--nodes`: kills machines of the database alone.
    #[arg(long, requires_all = ["kill_every", "nodes"])]
    pub kill_database: bool,
    /// How long is measured.
    #[arg(long, default_value = "30s", value_parser = duration)]
    pub duration: Duration,
    /// How long the load runs before it is measured.
    #[arg(long, default_value = "3s", value_parser = duration)]
    pub warm_up: Duration,
    /// Where to.
    #[command(flatten)]
    pub target: Target,
    /// Where reports go.
    #[command(flatten)]
    pub output: Output,
}

/// Which calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Mix {
    /// A realistic mix of records, 70 % reads.
    Records,
    /// The desk and lists of a team with very many consults beside those of one with few.
    Lists,
    /// Calls that move money, beside a limit taken in the same run.
    Money,
}

/// `loadtest compare`
#[derive(Clone, Debug, Args)]
pub struct CompareArguments {
    /// A report.json, or the folder that it lies in.
    pub first: PathBuf,
    /// Another one.
    pub second: PathBuf,
}

/// How a run is measured.
#[derive(Clone, Debug, Args)]
pub struct Load {
    /// How long is measured.
    #[arg(long, default_value = "30s", value_parser = duration)]
    pub duration: Duration,
    /// How long the load runs before it is measured.
    #[arg(long, default_value = "3s", value_parser = duration)]
    pub warm_up: Duration,
    /// How long a message's body is, bytes.
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u32).range(32..=32_768))]
    pub payload_bytes: u32,
    /// How many threads make load.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=64))]
    pub threads: u32,
    /// Begins to send only once this file is there: everything that is slow to prepare stands by until then.
    #[arg(long, value_name = "FILE")]
    pub start_file: Option<PathBuf>,
    /// Where reports go.
    #[command(flatten)]
    pub output: Output,
}

/// Where reports go.
#[derive(Clone, Debug, Args)]
pub struct Output {
    /// Makes a run repeatable.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Writes report.json and report.html into this folder.
    #[arg(long, value_name = "DIR")]
    pub report: Option<PathBuf>,
}

/// The target of the load.
#[derive(Clone, Debug, Args)]
pub struct Target {
    /// The REST service of a running fleet. Without it a server is started in a temporary folder and ended.
    #[arg(long, value_name = "URL")]
    pub api: Option<String>,
    /// Starts a fleet of this many nodes with PostgreSQL, Redis and api-servers, all on loopback, instead of one
    /// process; 0: one process.
    #[arg(long, default_value_t = 0, conflicts_with_all = ["api", "server"], value_parser = clap::value_parser!(u32).range(0..=50))]
    pub nodes: u32,
    /// How many api-servers such a fleet has.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=50))]
    pub api_servers: u32,
    /// The topology of such a fleet's Redis.
    #[arg(long, value_enum, value_name = "KIND", default_value_t = Kind::Single, requires = "nodes")]
    pub redis: Kind,
    /// How many workers such a fleet's database has: a PostgreSQL with Citus each, beside the coordinator; 0: one server.
    /// Citus must be installed.
    #[arg(long, default_value_t = 0, requires = "nodes", value_parser = clap::value_parser!(u32).range(0..=20))]
    pub database_workers: u32,
    /// The folder of `im-server` and `api-server`; by default that of this program.
    #[arg(long, value_name = "DIR")]
    pub programs: Option<PathBuf>,
    /// The `huizhen` program to start; by default the one beside this program.
    #[arg(long, value_name = "PATH", conflicts_with = "api")]
    pub server: Option<PathBuf>,
    /// An argument for the started server, or for each node; may be given several times, each as
    /// `--server-argument=--flag=value`.
    #[arg(
        long,
        value_name = "ARGUMENT",
        conflicts_with = "api",
        allow_hyphen_values = true
    )]
    pub server_argument: Vec<String>,
    /// A server process on this machine to be measured; may be given several times.
    #[arg(long, value_name = "PID", requires = "api")]
    pub server_pid: Vec<u32>,
    /// The /metrics address of a server process to be measured; may be given several times.
    #[arg(long, value_name = "URL", requires = "api")]
    pub server_metrics: Vec<String>,
    /// With --api: where to wait for the codes that the fleet sends by `--sms-provider webhook`.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:0")]
    pub sms_webhook_listen: SocketAddr,
    /// With --api and TLS: the certificates to trust, PEM.
    #[arg(long, value_name = "FILE", requires = "api")]
    pub tls_ca: Option<PathBuf>,
    /// With --api and TLS: the name that the certificate must carry.
    #[arg(long, value_name = "NAME", default_value = "localhost")]
    pub tls_name: String,
}

/// How often a run is made.
#[derive(Clone, Debug, Args)]
pub struct Repeat {
    /// How many runs; the best one is reported.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=100))]
    pub runs: u32,
    /// Runs the limit before and after each run, and prints the ratios.
    #[arg(long)]
    pub beside_limit: bool,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn the_examples_parse() {
        let mut seen = 0;
        for line in EXAMPLES
            .lines()
            .filter_map(|line| line.trim().strip_prefix("loadtest "))
        {
            let words: Vec<&str> = line.split("  ").next().unwrap().split_whitespace().collect();
            let parsed = Arguments::try_parse_from(std::iter::once("loadtest").chain(words));
            assert!(parsed.is_ok(), "{line}: {}", parsed.unwrap_err());
            seen += 1;
        }
        assert!(seen > 8);
    }

    #[test]
    fn the_commands_of_the_design_parse() {
        for line in [
            "chat --api http://x --conversations 1000 --members 5 --rate 2000 --duration 30s",
            "direct --api http://x --pairs 200 --window 8 --duration 30s",
            "room --api http://x --members 2000 --rate 50 --duration 30s",
            "idle --api http://x --connections 15000 --hold 60s",
            "login --api http://x --connections 15000",
            "soak --duration 10m --kill-every 30s",
            "limit direct --duration 10s",
            "limit idle --duration 10s",
            "limit login --duration 10s",
            "compare a b",
        ] {
            let words = std::iter::once("loadtest").chain(line.split_whitespace());
            let parsed = Arguments::try_parse_from(words);
            assert!(parsed.is_ok(), "{line}: {}", parsed.unwrap_err());
        }
    }
}
