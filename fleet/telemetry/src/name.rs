//! The names of the vital tasks: a row for each.

use std::fmt;

macro_rules! names {
    ($($name:ident = $text:literal: $what:literal,)*) => {
        /// The vital tasks of a fleet.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Name {
            $(#[doc = $what] $name,)*
        }

        impl Name {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// Their texts.
            pub const TEXTS: &[&str] = &[$($text),*];

            /// As in logs, metrics and `/readyz`.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $text),*
                }
            }
        }
    };
}

// One row for each task: its text, and what stands still without it.
names! {
    Unknown = "unknown": "a failure without a name",
    // database
    SqliteCheckpoint = "sqlite-checkpoint": "moving SQLite's log into the file",
    SqliteWriter = "sqlite-writer": "transactions on SQLite",
    SqliteReader = "sqlite-reader": "reads on SQLite",
    // journal
    JournalWriter = "journal-writer": "appending on SQLite",
    JournalLane = "journal-lane": "appending on PostgreSQL",
    JournalSettle = "journal-settle": "answering and publishing what was appended",
    // backplane
    RedisSupervisor = "redis-supervisor": "subscriptions on Redis",
    RedisLink = "redis-link": "commands to Redis",
    RedisPublisher = "redis-publisher": "publishing over Redis",
    RedisDistribution = "redis-distribution": "distributing publications to subscribers",
    RedisProbe = "redis-probe": "probing whether Redis accepts writes",
    RedisCluster = "redis-cluster": "following the map of a Redis cluster",
    RedisFleets = "redis-fleets": "registering the fleet on Redis",
    // im-server
    NodeAccept = "node-accept": "taking connections of apps",
    NodeDirectory = "node-directory": "announcing the node to api-servers",
    NodeSessions = "node-sessions": "ending silent, slow and expired sessions",
    NodeCompare = "node-compare": "comparing what was delivered with the database",
    NodeMarks = "node-marks": "passing on marks",
    NodeRenewal = "node-renewal": "renewing logins",
    NodeHousekeeping = "node-housekeeping": "closing empty rooms and reading the certificate again",
    NodeLag = "node-lag": "measuring the lag of the runtime",
    NodeFanOut = "node-fan-out": "writing the entries of a large room to its sessions",
    NodeGap = "node-gap": "reading the entries that a room misses",
    // api-server
    RestAccept = "rest-accept": "taking REST connections",
    RestSweep = "rest-sweep": "ending what REST has revoked",
    RestCertificate = "rest-certificate": "taking a renewed certificate of REST",
    // jobs
    Jobs = "jobs": "background work",
    // program
    Admin = "admin": "the admin listener",
    Signals = "signals": "listening for SIGTERM and SIGINT",
    Watchdog = "watchdog": "feeding the watchdog of systemd",
    // standalone
    Operators = "operators": "the socket of `huizhen operator`",
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
