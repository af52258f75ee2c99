//! The kinds of faults, and what each can happen to. Pure.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use testkit::backplane::Kind;

/// Time until a master counts as gone, the vote has passed and a replica has taken over.
const REPLACEMENT: Duration = Duration::from_secs(6);
/// Longer than the interval of any sweep of the server.
pub(crate) const CLOCK: Duration = Duration::from_secs(6);
/// Two looks for deadlines that are due.
pub(crate) const HOLDER: Duration = Duration::from_secs(10);
/// Longer than the lease of background work.
pub(crate) const LEASE: Duration = Duration::from_secs(17);
/// Time for the start of a second server.
const COPY: Duration = Duration::from_secs(8);

/// One way to disturb a server or a fleet. Each is undone (healed) after a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "FAULTS names them")]
pub enum Fault {
    KillNode,
    PauseNode,
    KillApi,
    PauseApi,
    KillRedis,
    PauseRedis,
    KillMaster,
    PauseMaster,
    RestartMaster,
    HandOverMaster,
    KillReplica,
    PauseReplica,
    KillSentinel,
    PauseSentinel,
    MoveSlot,
    EmptyRedis,
    KillSubscriptions,
    TinyPubSubBuffer,
    KillPostgres,
    PausePostgres,
    EndJournalConnections,
    LockConversation,
    CutClients,
    DelayClients,
    HalfOpenClients,
    CutBackplane,
    HalfOpenBackplane,
    CutDatabase,
    HalfOpenDatabase,
    StopReading,
    KillNodeTwice,
    StopNode,
    RefuseDatabase,
    DelayDatabase,
    RefuseBackplane,
    ClockAhead200S,
    ClockAhead10M,
    ClockAhead1H,
    ClockBehind60S,
    ClockBehind10M,
    ClockBehind1H,
    RudeClients,
    ForgedBodies,
    ForgedSeqs,
    ForeignFleet,
    LockDatabase,
    HoldReader,
    Checkpoint,
    SlowDisk,
    FullDisk,
    FlipDatabase,
    FlipLog,
    ClockJitter,
    StutterNode,
    KillInDrain,
    FewFiles,
    RefuseClients,
    StallClients,
    DribbleClients,
    FlapClients,
    RudeRest,
    KillInSync,
    KillOnFullDisk,
    FailSyncs,
    FailWrites,
    FailReads,
    ShortWrites,
    SlowWrites,
    ServeBackup,
    SecondServer,
    KillHolder,
    PauseHolder,
    KillWorker,
    PauseWorker,
    MoveShard,
}

/// A set of grounds that a fault can happen on.
#[derive(Clone, Copy, Debug)]
pub struct Grounds(u8);

/// One process on SQLite.
const ONE: Grounds = Grounds(1);
/// A fleet on one Redis. Proxies stand before Redis only here: elsewhere its addresses come from Redis itself.
const SINGLE: Grounds = Grounds(2);
const SENTINEL: Grounds = Grounds(4);
const CLUSTER: Grounds = Grounds(8);
/// A Redis whose masters have replicas.
const REPLICATED: Grounds = SENTINEL.or(CLUSTER);
const FLEET: Grounds = SINGLE.or(REPLICATED);
/// A fleet whose database has workers.
const DISTRIBUTED: Grounds = Grounds(16);
const ALL: Grounds = ONE.or(FLEET);

impl Grounds {
    const fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    fn has(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }
}

/// Every fault with its name in reports and in `--faults`, and its grounds.
pub const FAULTS: [(Fault, &str, Grounds); 75] = [
    (Fault::KillNode, "kill-node", ALL),
    (Fault::PauseNode, "pause-node", ALL),
    (Fault::KillApi, "kill-api", FLEET),
    (Fault::PauseApi, "pause-api", FLEET),
    (Fault::KillRedis, "kill-redis", SINGLE),
    (Fault::PauseRedis, "pause-redis", SINGLE),
    (Fault::KillMaster, "kill-master", REPLICATED),
    (Fault::PauseMaster, "pause-master", REPLICATED),
    (Fault::RestartMaster, "restart-master", REPLICATED),
    (Fault::HandOverMaster, "hand-over-master", REPLICATED),
    (Fault::KillReplica, "kill-replica", REPLICATED),
    (Fault::PauseReplica, "pause-replica", REPLICATED),
    (Fault::KillSentinel, "kill-sentinel", SENTINEL),
    (Fault::PauseSentinel, "pause-sentinel", SENTINEL),
    (Fault::MoveSlot, "move-slot", CLUSTER),
    (Fault::EmptyRedis, "empty-redis", FLEET),
    (Fault::KillSubscriptions, "kill-subscriptions", FLEET),
    (Fault::TinyPubSubBuffer, "tiny-pubsub-buffer", FLEET),
    (Fault::KillPostgres, "kill-postgres", FLEET),
    (Fault::PausePostgres, "pause-postgres", FLEET),
    (Fault::EndJournalConnections, "end-journal-connections", FLEET),
    (Fault::LockConversation, "lock-conversation", FLEET),
    (Fault::CutClients, "cut-clients", ALL),
    (Fault::DelayClients, "delay-clients", ALL),
    (Fault::HalfOpenClients, "half-open-clients", ALL),
    (Fault::CutBackplane, "cut-backplane", FLEET),
    (Fault::HalfOpenBackplane, "half-open-backplane", SINGLE),
    (Fault::CutDatabase, "cut-database", FLEET),
    (Fault::HalfOpenDatabase, "half-open-database", FLEET),
    (Fault::StopReading, "stop-reading", ALL),
    (Fault::KillNodeTwice, "kill-node-twice", ALL),
    (Fault::StopNode, "stop-node", ALL),
    (Fault::RefuseDatabase, "refuse-database", FLEET),
    (Fault::DelayDatabase, "delay-database", FLEET),
    (Fault::RefuseBackplane, "refuse-backplane", SINGLE),
    (Fault::ClockAhead200S, "clock-ahead-200s", ALL),
    (Fault::ClockAhead10M, "clock-ahead-10m", ALL),
    (Fault::ClockAhead1H, "clock-ahead-1h", ALL),
    (Fault::ClockBehind60S, "clock-behind-60s", ALL),
    (Fault::ClockBehind10M, "clock-behind-10m", ALL),
    (Fault::ClockBehind1H, "clock-behind-1h", ALL),
    (Fault::RudeClients, "rude-clients", ALL),
    (Fault::ForgedBodies, "forged-bodies", FLEET),
    (Fault::ForgedSeqs, "forged-seqs", FLEET),
    (Fault::ForeignFleet, "foreign-fleet", FLEET),
    (Fault::LockDatabase, "lock-database", ONE),
    (Fault::HoldReader, "hold-reader", ONE),
    (Fault::Checkpoint, "checkpoint", ONE),
    (Fault::SlowDisk, "slow-disk", ONE),
    (Fault::FullDisk, "full-disk", ONE),
    (Fault::FlipDatabase, "flip-database", ONE),
    (Fault::FlipLog, "flip-log", ONE),
    (Fault::ClockJitter, "clock-jitter", ALL),
    (Fault::StutterNode, "stutter-node", ALL),
    (Fault::KillInDrain, "kill-in-drain", ALL),
    (Fault::FewFiles, "few-files", ALL),
    (Fault::RefuseClients, "refuse-clients", ALL),
    (Fault::StallClients, "stall-clients", ALL),
    (Fault::DribbleClients, "dribble-clients", ALL),
    (Fault::FlapClients, "flap-clients", ALL),
    (Fault::RudeRest, "rude-rest", ALL),
    (Fault::KillInSync, "kill-in-sync", ONE),
    (Fault::KillOnFullDisk, "kill-on-full-disk", ONE),
    (Fault::FailSyncs, "fail-syncs", ONE),
    (Fault::FailWrites, "fail-writes", ONE),
    (Fault::FailReads, "fail-reads", ONE),
    (Fault::ShortWrites, "short-writes", ONE),
    (Fault::SlowWrites, "slow-writes", ONE),
    (Fault::ServeBackup, "serve-backup", ONE),
    (Fault::SecondServer, "second-server", ONE),
    (Fault::KillHolder, "kill-holder", ALL),
    (Fault::PauseHolder, "pause-holder", FLEET),
    (Fault::KillWorker, "kill-worker", DISTRIBUTED),
    (Fault::PauseWorker, "pause-worker", DISTRIBUTED),
    (Fault::MoveShard, "move-shard", DISTRIBUTED),
];

impl Fault {
    fn row(self) -> Option<&'static (Self, &'static str, Grounds)> {
        FAULTS.iter().find(|(fault, _, _)| *fault == self)
    }

    fn is_on(self, grounds: Grounds) -> bool {
        self.row().is_some_and(|(_, _, on)| on.has(grounds))
    }

    fn all_on(grounds: Grounds) -> Vec<Self> {
        let all = FAULTS.iter().filter(|(_, _, on)| on.has(grounds));
        all.map(|(fault, _, _)| *fault).collect()
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        self.row().map_or("", |(_, name, _)| name)
    }

    /// All faults of one process.
    pub fn all_of_one() -> Vec<Self> {
        Self::all_on(ONE)
    }

    /// All faults of a fleet with this Redis, and a database with workers or without.
    pub fn all_of(redis: Kind, is_distributed: bool) -> Vec<Self> {
        let grounds = match redis {
            Kind::Single => SINGLE,
            Kind::Sentinel => SENTINEL,
            Kind::Cluster => CLUSTER,
        };
        Self::all_on(match is_distributed {
            true => grounds.or(DISTRIBUTED),
            false => grounds,
        })
    }

    /// How far it puts a clock ahead, ms.
    pub(crate) fn clock_ms(self) -> Option<i64> {
        Some(match self {
            Self::ClockAhead200S => 200_000,
            Self::ClockAhead10M => 600_000,
            Self::ClockAhead1H => 3_600_000,
            Self::ClockBehind60S => -60_000,
            Self::ClockBehind10M => -600_000,
            Self::ClockBehind1H => -3_600_000,
            _ => return None,
        })
    }

    /// Whether all servers of Redis must be up before it: it takes one away.
    pub(crate) fn needs_whole_redis(self) -> bool {
        self.is_on(REPLICATED) && !self.is_on(SINGLE)
    }

    /// How long it takes at most besides its length, on a machine that is not too busy.
    pub(crate) fn takes_besides(self) -> Duration {
        match self {
            Self::KillMaster | Self::PauseMaster | Self::HandOverMaster => REPLACEMENT,
            Self::FlipDatabase
            | Self::FlipLog
            | Self::ForeignFleet
            | Self::ServeBackup
            | Self::SecondServer
            | Self::MoveShard => COPY,
            Self::ClockJitter => CLOCK,
            Self::KillHolder => HOLDER,
            Self::PauseHolder => HOLDER + LEASE,
            _ if self.clock_ms().is_some() => CLOCK,
            _ => Duration::ZERO,
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

impl FromStr for Fault {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        FAULTS
            .iter()
            .find(|(_, name, _)| *name == text)
            .map(|(fault, _, _)| *fault)
            .ok_or_else(|| {
                let names: Vec<&str> = FAULTS.iter().map(|(_, name, _)| *name).collect();
                format!("`{text}` is no fault; there are {}", names.join(", "))
            })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_fault_has_a_name_of_its_own_that_leads_back() {
        let mut names = HashSet::new();
        for (fault, name, _) in FAULTS {
            assert!(names.insert(name));
            assert_eq!(name.parse(), Ok(fault));
            assert_eq!(fault.to_string(), name);
        }
        let error = "kill-everything".parse::<Fault>().unwrap_err();
        assert!(error.contains("kill-node"), "{error}");
    }

    #[test]
    fn each_ground_has_faults_of_its_own() {
        for (redis, count, has, lacks) in [
            (Kind::Single, 47, Fault::KillRedis, Fault::KillMaster),
            (Kind::Sentinel, 51, Fault::KillSentinel, Fault::MoveSlot),
            (Kind::Cluster, 50, Fault::MoveSlot, Fault::HalfOpenBackplane),
        ] {
            let all = Fault::all_of(redis, false);
            assert_eq!(all.len(), count, "{redis:?}");
            assert_eq!(Fault::all_of(redis, true).len(), count + 3, "{redis:?}");
            assert!(all.contains(&has) && !all.contains(&lacks), "{redis:?}");
        }
        let one = Fault::all_of_one();
        assert_eq!(one.len(), 41);
        assert!(one.contains(&Fault::FlipLog) && !one.contains(&Fault::KillPostgres));
        assert!(Fault::KillReplica.needs_whole_redis() && !Fault::EmptyRedis.needs_whole_redis());
        assert!(!Fault::FlipLog.needs_whole_redis());
    }
}
