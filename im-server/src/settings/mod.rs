//! What an operator may set.

pub(crate) mod advertise;
mod door;
pub mod exposure;

use std::path::PathBuf;

use clap::ValueEnum;
use program::{address::Network, certificate::Files};

pub(crate) use self::door::Door;

/// Settings of a node; flags, environment and file carry the same names.
#[derive(Clone, Debug, clap::Args)]
// Flattened beside another crate's `Settings`, and clap wants the names of groups unique.
#[group(skip)]
#[command(next_help_heading = "Instant messaging")]
pub struct Settings {
    /// Where apps connect with framed protobuf over TCP.
    #[arg(long, default_value = "127.0.0.1:9501", value_name = "ADDR", value_parser = program::address::parse)]
    pub im_addr: String,
    /// The same over WebSocket.
    #[arg(long, default_value = "127.0.0.1:9502", value_name = "ADDR", value_parser = program::address::parse)]
    pub ws_addr: String,
    /// The same over TLS (framed or WebSocket), when a certificate is set.
    #[arg(long, default_value = "127.0.0.1:9503", value_name = "ADDR", value_parser = program::address::parse)]
    pub tls_addr: String,
    /// The certificate chain, PEM; read again when the file changes.
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    pub tls_cert: Option<PathBuf>,
    /// The certificate's private key, PEM.
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    pub tls_key: Option<PathBuf>,
    /// What /im/servers hands out for this node: the IP or domain name, with or without the port of the TCP listener. Of
    /// a domain name apps are given the IP too. Default: the address listened on.
    #[arg(long, value_name = "HOST[:PORT]", value_parser = advertise::parse)]
    pub advertise: Option<String>,
    /// What /im/servers hands out for WebSocket over TLS, such as a proxy's address: wss://HOST[:PORT][/PATH].
    #[arg(long, value_name = "URL", value_parser = advertise::parse_wss)]
    pub advertise_wss: Option<String>,
    /// The node's name in the fleet. Default: made up at the start.
    #[arg(long, value_name = "ID")]
    pub node_id: Option<String>,
    /// Every connection to any of the ports begins with a PROXY protocol header (version 1 or 2), from a load balancer in
    /// front; whose headers count is said by --trusted-proxies.
    #[arg(long)]
    pub proxy_protocol: bool,
    /// The same for some of the ports only: im, ws, tls (several with commas).
    #[arg(long, value_enum, value_name = "PORT", value_delimiter = ',')]
    pub proxy_protocol_ports: Vec<ProxiedPort>,
    /// Proxies that are believed. REST has the same setting, so the program fills it in.
    #[arg(skip)]
    pub trusted_proxies: Vec<Network>,
    /// Sessions at the most; more get Bye OVERLOADED.
    #[arg(long, default_value_t = 18_000, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub max_sessions: u32,
    /// Connections from one address at the most that have not logged in yet (of IPv6 from one network of 64 bits); whoever
    /// has logged in counts by user.
    #[arg(long, default_value_t = 200, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub connections_per_address: u32,
    /// Sessions of one user on this node at the most; more get Bye OVERLOADED.
    #[arg(long, default_value_t = 200, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub sessions_per_user: u32,
    /// Logins a second at the most; more get Bye OVERLOADED with a spread time to return. 0: no limit.
    #[arg(long, default_value_t = 0, value_name = "N")]
    pub logins_per_s: u32,
    /// Failed logins a minute from one address (of IPv6 from one network of 64 bits), after which failed ones get Bye
    /// TOO_MANY_ATTEMPTS; after 50 times as many all of its logins do.
    #[arg(long, default_value_t = 20, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub failed_logins_per_minute: u32,
    /// Messages a second of one session in the long run; five times as many at once. Over that the session is read more
    /// slowly.
    #[arg(long, default_value_t = 20, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub sends_per_s: u32,
    /// How often an app must say something, seconds; after 2.5 times as long in silence it gets Bye IDLE.
    #[arg(long, default_value_t = 30, value_name = "S", value_parser = clap::value_parser!(u32).range(1..=3600))]
    pub heartbeat_s: u32,
    /// The largest frame from an app after login, bytes.
    #[arg(long, default_value_t = 65_536, value_name = "BYTES", value_parser = clap::value_parser!(u32).range(1024..=1_048_576))]
    pub max_frame_bytes: u32,
    /// How long a session may stop reading before it gets Bye SLOW, seconds.
    #[arg(long, default_value_t = 10, value_name = "S", value_parser = clap::value_parser!(u32).range(1..=300))]
    pub slow_limit_s: u32,
    /// Over how long a stopping node spreads its Bye DRAINING, seconds.
    #[arg(long, default_value_t = 5, value_name = "S", value_parser = clap::value_parser!(u32).range(0..=600))]
    pub drain_s: u32,
    /// Hosts whose uris of media are taken; every program has the flag, so it is set by what puts them together.
    #[arg(skip)]
    pub media_hosts: proto::media::MediaHosts,
}

/// A port whose connections may begin with a PROXY header.
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
