//! `fleet-local`: a whole fleet on loopback until Ctrl-C.

use clap::Parser;
use testkit::backplane::Kind;
use testkit::fleet::{DATABASE, Fleet, Plan};

const EXAMPLES: &str = "\
Examples:
  fleet-local
  fleet-local --redis cluster
  fleet-local --nodes 5 --api-servers 1 --node-argument=--sends-per-s=1000";

/// A whole fleet on loopback until Ctrl-C: private PostgreSQL and Redis, api-servers and nodes on free ports
#[derive(Parser, Debug)]
#[command(name = "fleet-local", version, after_help = EXAMPLES)]
struct Arguments {
    /// How many nodes
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=50))]
    nodes: u32,
    /// How many api-servers
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=50))]
    api_servers: u32,
    /// The topology of Redis
    #[arg(long, value_enum, value_name = "KIND", default_value_t = Kind::Single)]
    redis: Kind,
    /// The folder of im-server and api-server; by default that of this program
    #[arg(long, value_name = "DIR")]
    programs: Option<std::path::PathBuf>,
    /// A further argument of every node; may be given several times, each as --node-argument=--flag=value
    #[arg(long, value_name = "ARGUMENT", allow_hyphen_values = true)]
    node_argument: Vec<String>,
    /// The same for every api-server
    #[arg(long, value_name = "ARGUMENT", allow_hyphen_values = true)]
    api_argument: Vec<String>,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let fleet = Box::pin(Fleet::start(Plan {
        nodes: arguments.nodes,
        api_servers: arguments.api_servers,
        redis: arguments.redis,
        programs: arguments.programs,
        node_arguments: arguments.node_argument,
        api_arguments: arguments.api_argument,
        ..Plan::default()
    }))
    .await?;
    println!("logs        {}", fleet.folder().display());
    println!("postgresql  {}", fleet.postgres.url(DATABASE));
    println!("redis       {}", fleet.backplane.url());
    for server in fleet.api_servers.iter().chain(&fleet.nodes) {
        let ports = server.ports();
        let show = |port: Option<std::net::SocketAddr>| port.map(|port| port.to_string()).unwrap_or_default();
        println!(
            "{:<11} {} metrics http://{}/metrics pid {}",
            server.name,
            ports.rest.map_or_else(
                || format!("im {} ws {}", show(ports.im), show(ports.ws)),
                |rest| format!("http://{rest}/docs")
            ),
            show(ports.admin),
            server.pid().unwrap_or_default()
        );
    }
    println!("a load:     loadtest soak --nodes 3 --duration 1m   starts a fleet of its own and disturbs it");
    println!("Ctrl-C ends everything");
    tokio::signal::ctrl_c().await?;
    Box::pin(fleet.end()).await
}
