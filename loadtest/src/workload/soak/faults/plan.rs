//! What disturbs a fleet, and in which order. Pure.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use fleet_local::backplane::Kind;

use crate::generator::schedule::Chance;

/// One second until a master counts as gone, the vote, and the replica's taking over.
const REPLACEMENT: Duration = Duration::from_secs(6);

/// Longer than any of the server's own sweeps is late.
pub(in crate::workload::soak) const CLOCK: Duration = Duration::from_secs(6);
/// A start of another server.
const COPY: Duration = Duration::from_secs(8);

/// One way to disturb a fleet. Whatever it does is undone (healed) after a while.
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
}

/// Every fault with the name that reports and `--faults` know it by.
pub const FAULTS: [(Fault, &str); 52] = [
    (Fault::KillNode, "kill-node"),
    (Fault::PauseNode, "pause-node"),
    (Fault::KillApi, "kill-api"),
    (Fault::PauseApi, "pause-api"),
    (Fault::KillRedis, "kill-redis"),
    (Fault::PauseRedis, "pause-redis"),
    (Fault::KillMaster, "kill-master"),
    (Fault::PauseMaster, "pause-master"),
    (Fault::RestartMaster, "restart-master"),
    (Fault::HandOverMaster, "hand-over-master"),
    (Fault::KillReplica, "kill-replica"),
    (Fault::PauseReplica, "pause-replica"),
    (Fault::KillSentinel, "kill-sentinel"),
    (Fault::PauseSentinel, "pause-sentinel"),
    (Fault::MoveSlot, "move-slot"),
    (Fault::EmptyRedis, "empty-redis"),
    (Fault::KillSubscriptions, "kill-subscriptions"),
    (Fault::TinyPubSubBuffer, "tiny-pubsub-buffer"),
    (Fault::KillPostgres, "kill-postgres"),
    (Fault::PausePostgres, "pause-postgres"),
    (Fault::EndJournalConnections, "end-journal-connections"),
    (Fault::LockConversation, "lock-conversation"),
    (Fault::CutClients, "cut-clients"),
    (Fault::DelayClients, "delay-clients"),
    (Fault::HalfOpenClients, "half-open-clients"),
    (Fault::CutBackplane, "cut-backplane"),
    (Fault::HalfOpenBackplane, "half-open-backplane"),
    (Fault::CutDatabase, "cut-database"),
    (Fault::HalfOpenDatabase, "half-open-database"),
    (Fault::StopReading, "stop-reading"),
    (Fault::KillNodeTwice, "kill-node-twice"),
    (Fault::StopNode, "stop-node"),
    (Fault::RefuseDatabase, "refuse-database"),
    (Fault::DelayDatabase, "delay-database"),
    (Fault::RefuseBackplane, "refuse-backplane"),
    (Fault::ClockAhead200S, "clock-ahead-200s"),
    (Fault::ClockAhead10M, "clock-ahead-10m"),
    (Fault::ClockAhead1H, "clock-ahead-1h"),
    (Fault::ClockBehind60S, "clock-behind-60s"),
    (Fault::ClockBehind10M, "clock-behind-10m"),
    (Fault::ClockBehind1H, "clock-behind-1h"),
    (Fault::RudeClients, "rude-clients"),
    (Fault::ForgedBodies, "forged-bodies"),
    (Fault::ForgedSeqs, "forged-seqs"),
    (Fault::ForeignFleet, "foreign-fleet"),
    (Fault::LockDatabase, "lock-database"),
    (Fault::HoldReader, "hold-reader"),
    (Fault::Checkpoint, "checkpoint"),
    (Fault::SlowDisk, "slow-disk"),
    (Fault::FullDisk, "full-disk"),
    (Fault::FlipDatabase, "flip-database"),
    (Fault::FlipLog, "flip-log"),
];

impl Fault {
    /// Its name.
    pub fn name(self) -> &'static str {
        FAULTS
            .iter()
            .find(|(fault, _)| *fault == self)
            .map_or("", |(_, name)| name)
    }

    /// Whether it can happen to a fleet with such a Redis.
    pub fn fits(self, redis: Kind) -> bool {
        match self {
            // A proxy stands before one server only.
            Self::KillRedis | Self::PauseRedis | Self::HalfOpenBackplane | Self::RefuseBackplane => {
                redis == Kind::Single
            }
            // Of a file, and of the one process that has it.
            Self::LockDatabase
            | Self::HoldReader
            | Self::Checkpoint
            | Self::SlowDisk
            | Self::FullDisk
            | Self::FlipDatabase
            | Self::FlipLog => false,
            Self::KillMaster
            | Self::PauseMaster
            | Self::RestartMaster
            | Self::HandOverMaster
            | Self::KillReplica
            | Self::PauseReplica => redis != Kind::Single,
            Self::KillSentinel | Self::PauseSentinel => redis == Kind::Sentinel,
            Self::MoveSlot => redis == Kind::Cluster,
            _ => true,
        }
    }

    /// Whether it can happen to one process with everything in it.
    pub fn fits_one(self) -> bool {
        matches!(
            self,
            Self::KillNode
                | Self::KillNodeTwice
                | Self::StopNode
                | Self::PauseNode
                | Self::CutClients
                | Self::DelayClients
                | Self::HalfOpenClients
                | Self::StopReading
                | Self::RudeClients
                | Self::LockDatabase
                | Self::HoldReader
                | Self::Checkpoint
                | Self::SlowDisk
                | Self::FullDisk
                | Self::FlipDatabase
                | Self::FlipLog
        ) || self.clock_ms().is_some()
    }

    /// All that can happen to one process.
    pub fn all_of_one() -> Vec<Self> {
        let all = FAULTS.iter().map(|(fault, _)| *fault);
        all.filter(|fault| fault.fits_one()).collect()
    }

    /// By how much it puts a clock ahead, ms.
    pub(in crate::workload::soak) fn clock_ms(self) -> Option<i64> {
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

    /// All that can happen to a fleet with such a Redis.
    pub fn all_of(redis: Kind) -> Vec<Self> {
        let all = FAULTS.iter().map(|(fault, _)| *fault);
        all.filter(|fault| fault.fits(redis)).collect()
    }

    /// Whether the Redis before it must be one whose masters can be replaced: with the next one gone nobody is left else.
    pub(in crate::workload::soak) fn needs_whole_redis(self) -> bool {
        !self.fits(Kind::Single) && self.fits(Kind::Sentinel) | self.fits(Kind::Cluster)
    }

    /// How long it takes besides what was planned, at the most on a machine that is not too busy: until a replica has
    /// taken over.
    pub(in crate::workload::soak) fn takes_besides(self) -> Duration {
        match self {
            Self::KillMaster | Self::PauseMaster | Self::HandOverMaster => REPLACEMENT,
            Self::FlipDatabase | Self::FlipLog | Self::ForeignFleet => COPY,
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
            .find(|(_, name)| *name == text)
            .map(|(fault, _)| *fault)
            .ok_or_else(|| {
                let names: Vec<&str> = FAULTS.iter().map(|(_, name)| *name).collect();
                format!("`{text}` is no fault; there are {}", names.join(", "))
            })
    }
}

/// One fault of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::workload::soak) struct Disturbance {
    pub(in crate::workload::soak) fault: Fault,
    /// Which of several nodes or servers; to be taken modulo their number.
    pub(in crate::workload::soak) target: usize,
    /// How long it lasts before it is healed.
    pub(in crate::workload::soak) length: Duration,
    /// How long nothing happens after it has been healed and the fleet has recovered.
    pub(in crate::workload::soak) pause: Duration,
}

/// Faults without an end, in rounds: each of the faults once in an order of its own, so that a run of a few rounds meets
/// every kind in many surroundings.
#[derive(Debug)]
pub(in crate::workload::soak) struct Plan {
    faults: Vec<Fault>,
    round: Vec<Fault>,
    chance: Chance,
    pause: Duration,
}

impl Plan {
    pub(in crate::workload::soak) fn new(faults: Vec<Fault>, pause: Duration, seed: u64) -> Self {
        Self {
            faults,
            round: Vec::new(),
            chance: Chance::new(seed ^ 0x000f_a017),
            pause,
        }
    }
}

impl Iterator for Plan {
    type Item = Disturbance;

    fn next(&mut self) -> Option<Disturbance> {
        if self.round.is_empty() {
            self.round.clone_from(&self.faults);
        }
        if self.round.is_empty() {
            return None;
        }
        let fault = self.round.swap_remove(self.chance.below(self.round.len()));
        let mut between = |from: u64, to: u64| from + self.chance.below((to - from) as usize) as u64;
        let target = between(0, 1 << 16) as usize;
        let length = Duration::from_millis(between(500, 4000));
        let pause = self.pause.mul_f64(between(50, 150) as f64 / 100.0);
        Some(Disturbance {
            fault,
            target,
            length,
            pause,
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
        for (fault, name) in FAULTS {
            assert!(names.insert(name));
            assert_eq!(name.parse(), Ok(fault));
            assert_eq!(fault.to_string(), name);
        }
        let error = "kill-everything".parse::<Fault>().unwrap_err();
        assert!(error.contains("kill-node"), "{error}");
    }

    #[test]
    fn each_redis_has_faults_of_its_own() {
        for (redis, count, has, lacks) in [
            (Kind::Single, 36, Fault::KillRedis, Fault::KillMaster),
            (Kind::Sentinel, 40, Fault::KillSentinel, Fault::MoveSlot),
            (Kind::Cluster, 39, Fault::MoveSlot, Fault::HalfOpenBackplane),
        ] {
            let all = Fault::all_of(redis);
            assert_eq!(all.len(), count, "{redis:?}");
            assert!(all.contains(&has) && !all.contains(&lacks), "{redis:?}");
        }
        assert!(Fault::KillReplica.needs_whole_redis() && !Fault::EmptyRedis.needs_whole_redis());
        assert_eq!(Fault::all_of_one().len(), 22);
        for (fault, name) in FAULTS {
            let somewhere = fault.fits_one()
                || [Kind::Single, Kind::Sentinel, Kind::Cluster]
                    .iter()
                    .any(|redis| fault.fits(*redis));
            assert!(somewhere, "{name}");
        }
    }

    #[test]
    fn a_plan_is_repeatable_and_meets_every_fault_in_each_round() {
        let plan = |seed| {
            let faults = FAULTS.map(|(fault, _)| fault).to_vec();
            Plan::new(faults, Duration::from_secs(2), seed)
                .take(2 * FAULTS.len())
                .collect::<Vec<_>>()
        };
        assert_eq!(plan(1), plan(1));
        assert_ne!(plan(1), plan(2));
        for round in plan(3).chunks(FAULTS.len()) {
            let met: HashSet<Fault> = round.iter().map(|one| one.fault).collect();
            assert_eq!(met.len(), FAULTS.len());
        }
    }

    #[test]
    fn a_plan_of_nothing_is_over_at_once() {
        assert_eq!(Plan::new(Vec::new(), Duration::ZERO, 1).next(), None);
    }
}
