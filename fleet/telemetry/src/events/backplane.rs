//! The backplane on Redis.

use std::{fmt::Display, time::Duration};

use crate::rate::Rate;

crate::catalogue! {
    UP: GaugeBy(
        "huizhen_backplane_up",
        "link",
        &["listening", "asking"],
        "1 while the connection to Redis stands, else 0",
    );
    SUBSCRIPTIONS: Gauge(
        "huizhen_backplane_subscriptions",
        "Channels that this process is subscribed to",
    );
    CONNECTIONS: CounterBy(
        "huizhen_backplane_connections_total",
        "link",
        &["listening", "asking"],
        "Connections made to Redis; one that is cut is made again",
    );
    PUBLISHED: Counter(
        "huizhen_backplane_published_total",
        "Publications handed to Redis",
    );
    RECEIVED: Counter(
        "huizhen_backplane_received_total",
        "Publications that came from Redis",
    );
    LOST: CounterBy(
        "huizhen_backplane_lost_total",
        "why",
        &["away", "full", "moved", "slow", "unsealed"],
        "Publications that were let go and are made good by comparing with the database",
    );
    REFUSED: Counter(
        "huizhen_backplane_refused_total",
        "Commands that Redis refused",
    );
    FORGED: CounterBy(
        "huizhen_backplane_forged_total",
        "what",
        &["publication", "password", "login", "node"],
        "Records and publications in Redis that were not made with this fleet's key, and were ignored",
    );
    EMPTIED: Counter(
        "huizhen_backplane_emptied_total",
        "Times that Redis was found empty and what it held was put back",
    );
    RESUMED: Counter(
        "huizhen_backplane_resumed_total",
        "Times that everything was subscribed to again",
    );
}

const TARGET: &str = "backplane";

/// A refused command may come with each request.
static REFUSALS: Rate = Rate::every(Duration::from_secs(1));
/// Forgeries may come as fast as Redis serves them.
static FORGERIES: Rate = Rate::every(Duration::from_secs(60));

/// Reports of the backplane.
pub enum Event<'a> {
    /// No connection is possible: the begin of an outage.
    Unreachable {
        /// The server.
        redis: &'a str,
        /// Why.
        error: &'a dyn Display,
    },
    /// All connections stand again: its end.
    Reachable {
        /// The server.
        redis: &'a str,
    },
    /// A server that answers refuses writes: the begin of an outage.
    WritesRefused {
        /// The server.
        redis: &'a str,
        /// Why.
        error: &'a dyn Display,
        /// The operator's remedy.
        cure: &'a str,
    },
    /// It accepts writes: its end.
    WritesAccepted {
        /// The server.
        redis: &'a str,
    },
    /// The server was found empty.
    Emptied,
    /// The server refused a command.
    Refused {
        /// Its error, if it is worth a line.
        error: Option<&'a dyn Display>,
    },
    /// Bytes that were not made with the fleet's key.
    Forged {
        /// Their place.
        what: &'static str,
    },
    /// The fleet's id, which its names carry.
    Fleet {
        /// The id.
        fleet: &'a str,
    },
    /// Other fleets use the same prefix.
    OtherFleets {
        /// This fleet.
        fleet: &'a str,
        /// The others.
        others: &'a str,
    },
    /// The cluster has another map.
    ClusterChanged {
        /// Masters.
        masters: usize,
        /// Each slot has a master.
        is_whole: bool,
    },
    /// A node of the cluster cannot be connected to.
    UnusableAddress {
        /// The node.
        host: &'a str,
        /// Why.
        error: &'a dyn Display,
    },
}

impl Event<'_> {
    /// Counts it and writes its line.
    pub fn emit(self) {
        match self {
            Self::Unreachable { redis, error } => {
                tracing::warn!(target: TARGET, %error, redis, "Redis cannot be reached; trying again");
            }
            Self::Reachable { redis } => tracing::info!(target: TARGET, redis, "Redis is back"),
            Self::WritesRefused { redis, error, cure } => {
                tracing::error!(target: TARGET, %error, redis, cure, "Redis takes no writes; nobody can log in");
            }
            Self::WritesAccepted { redis } => {
                tracing::info!(target: TARGET, redis, "Redis takes writes again");
            }
            Self::Emptied => {
                EMPTIED.increment();
                tracing::warn!(target: TARGET, "Redis has been emptied; what it held is put back");
            }
            Self::Refused { error } => {
                REFUSED.increment();
                if let Some(error) = error
                    && let Some(unlogged) = REFUSALS.line()
                {
                    tracing::warn!(target: TARGET, %error, unlogged, "Redis refused a command");
                }
            }
            Self::Forged { what } => {
                FORGED.increment(what);
                if let Some(unlogged) = FORGERIES.line() {
                    tracing::warn!(
                        target: TARGET,
                        what,
                        found = unlogged + 1,
                        "something in Redis was not made by this fleet and is ignored; look who may write there \
                         (docs/operations.md, Redis)"
                    );
                }
            }
            Self::Fleet { fleet } => {
                tracing::info!(target: TARGET, fleet, "this fleet's names in Redis carry its id");
            }
            Self::OtherFleets { fleet, others } => tracing::warn!(
                target: TARGET,
                fleet,
                others,
                "another fleet uses this Redis under the same prefix; they are kept apart, but give each a prefix= of its own \
                 in --redis-url"
            ),
            Self::ClusterChanged { masters, is_whole } => {
                tracing::info!(target: TARGET, masters, whole = is_whole, "the cluster has changed");
            }
            Self::UnusableAddress { host, error } => {
                tracing::warn!(target: TARGET, %error, host, "a node of the cluster has no usable address");
            }
        }
    }
}
