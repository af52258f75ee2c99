//! Settings of an operator.

pub(crate) mod advertise;
mod door;
pub mod exposure;

use std::path::PathBuf;

use clap::ValueEnum;
use program::{address::Network, certificate::Files};

pub(crate) use self::door::Door;

/// Settings of a node; flags, environment and file share the names.
#[derive(Clone, Debug, clap::Args)]
// Flattened beside another crate's `Settings`, and clap demands unique group names.
#[group(skip)]
#[command(next_help_heading = "Instant messaging")]
pub struct Settings {
    /// Address for framed protobuf over TCP.
    #[arg(long, default_value = "127.0.0.1:9501", value_name = "ADDR", value_parser = program::address::parse)]
    pub im_addr: String,
    /// Address for WebSocket.
    #[arg(long, default_value = "127.0.0.1:9502", value_name = "ADDR", value_parser = program::address::parse)]
    pub ws_addr: String,
    /// Address for TLS (framed protobuf or WebSocket), used when a certificate is set.
    #[arg(long, default_value = "127.0.0.1:9503", value_name = "ADDR", value_parser = program::address::parse)]
    pub tls_addr: String,
    /// Certificate chain, PEM; read again when the file changes.
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    pub tls_cert: Option<PathBuf>,
    /// Private key of the certificate, PEM.
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    pub tls_key: Option<PathBuf>,
    /// The address of this node in /im/servers: IP or domain name, with or without the port of the TCP listener. A
    /// domain name is resolved, and apps receive the IP too. Default: the listening address.
    #[arg(long, value_name = "HOST[:PORT]", value_parser = advertise::parse)]
    pub advertise: Option<String>,
    /// The address for WebSocket over TLS in /im/servers, such as that of a proxy: wss://HOST[:PORT][/PATH].
    #[arg(long, value_name = "URL", value_parser = advertise::parse_wss)]
    pub advertise_wss: Option<String>,
    /// The node's name in the fleet. Default: a random name.
    #[arg(long, value_name = "ID")]
    pub node_id: Option<String>,
    /// Every connection to any of the ports begins with a PROXY protocol header (version 1 or 2) of a load balancer;
    /// --trusted-proxies names the balancers.
    #[arg(long)]
    pub proxy_protocol: bool,
    /// Ports whose connections begin with such a header: im, ws, tls (several with commas).
    #[arg(long, value_enum, value_name = "PORT", value_delimiter = ',')]
    pub proxy_protocol_ports: Vec<ProxiedPort>,
    /// Filled in by the program: REST shares the setting.
    #[arg(skip)]
    pub trusted_proxies: Vec<Network>,
    /// Maximum number of sessions; more receive Bye OVERLOADED.
    #[arg(long, default_value_t = 18_000, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub max_sessions: u32,
    /// Maximum number of connections from one address (IPv6: one /64 network) that have not logged in. Logged-in
    /// connections count by user.
    #[arg(long, default_value_t = 200, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub connections_per_address: u32,
    /// Maximum number of sessions of one user on this node; more receive Bye OVERLOADED.
    #[arg(long, default_value_t = 200, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub sessions_per_user: u32,
    /// Maximum number of logins a second; more receive Bye OVERLOADED with a random retry time. 0: no limit.
    #[arg(long, default_value_t = 0, value_name = "N")]
    pub logins_per_s: u32,
    /// Failed logins a minute from one address (IPv6: one /64 network); further failures receive Bye
    /// TOO_MANY_ATTEMPTS, and beyond 50 times as many every login does.
    #[arg(long, default_value_t = 20, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub failed_logins_per_minute: u32,
    /// Sustained messages a second of one session, with bursts of five seconds. Beyond that the node reads the
    /// session more slowly.
    #[arg(long, default_value_t = 20, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub sends_per_s: u32,
    /// Heartbeat interval of an app, seconds; 2.5 intervals of silence end in Bye IDLE.
    #[arg(long, default_value_t = 30, value_name = "S", value_parser = clap::value_parser!(u32).range(1..=3600))]
    pub heartbeat_s: u32,
    /// Largest frame from an app after login, bytes.
    #[arg(long, default_value_t = 65_536, value_name = "BYTES", value_parser = clap::value_parser!(u32).range(1024..=1_048_576))]
    pub max_frame_bytes: u32,
    /// Longest time that a session may stop reading before Bye SLOW, seconds.
    #[arg(long, default_value_t = 10, value_name = "S", value_parser = clap::value_parser!(u32).range(1..=300))]
    pub slow_limit_s: u32,
    /// Time over which a stopping node spreads its Bye DRAINING, seconds.
    #[arg(long, default_value_t = 5, value_name = "S", value_parser = clap::value_parser!(u32).range(0..=600))]
    pub drain_s: u32,
    /// Filled in by the program: hosts whose media URIs are accepted.
    #[arg(skip)]
    pub media_hosts: proto::media::MediaHosts,
    /// Filled in by the program: whether messages name only media of the fleet's store.
    #[arg(skip)]
    pub checks_media: bool,
}

/// A port of apps, as settings name it.
#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProxiedPort {
    /// `--im-addr`.
    Im,
    /// `--ws-addr`.
    Ws,
    /// `--tls-addr`.
    Tls,
}

impl Settings {
    /// Certificate and key, where TLS is on.
    pub fn certificate(&self) -> Option<Files> {
        Files::of(self.tls_cert.as_ref(), self.tls_key.as_ref())
    }

    /// Whether connections to a port begin with a PROXY header.
    pub(crate) fn demands_header(&self, door: Door) -> bool {
        self.proxy_protocol || self.proxy_protocol_ports.contains(&door.port())
    }
}
