//! The journal: batches, damage, clocks.

use std::{fmt::Display, time::Duration};

use crate::rate::Rate;

crate::catalogue! {
    BATCH_SENDS: Histogram(
        "huizhen_journal_batch_sends",
        "Sends in a batch",
    );
    COMMIT_S: Histogram(
        "huizhen_journal_commit_seconds",
        "How long a batch takes, from its beginning to its commit, s",
    );
    SETTLE_S: Histogram(
        "huizhen_journal_settle_seconds",
        "How long answering and fanning out a batch takes, s",
    );
    LATE_SENDS: Counter(
        "huizhen_journal_late_sends_total",
        "Sends that were answered UNAVAILABLE because they had waited too long",
    );
    LOCKED_BATCHES: Counter(
        "huizhen_journal_locked_batches_total",
        "Batches that met a row that somebody else held",
    );
    STALE_BATCHES: Counter(
        "huizhen_journal_stale_batches_total",
        "Batches that were checked again because another process wrote to the file",
    );
    STALE_CONVERSATIONS: Counter(
        "huizhen_journal_stale_conversations_total",
        "Conversations that were checked again because another node wrote to them",
    );
    DOUBLE_ENTRIES: Counter(
        "huizhen_journal_double_entries_total",
        "Races for one client_msg_id that the unique key decided; on SQLite, entries that stand twice in a file, which is damage: look at the log",
    );
    DAMAGED_ENTRIES: Counter(
        "huizhen_journal_damaged_entries_total",
        "Entries that were asked for and are damaged or missing; they are not served",
    );
}

const TARGET: &str = "journal";

/// Damage and faults repeat with each batch that meets them.
const FAULT_PERIOD: Duration = Duration::from_secs(10);
static REFUSED_MESSAGE: Rate = Rate::every(FAULT_PERIOD);
static FAILED_BATCH: Rate = Rate::every(FAULT_PERIOD);
/// Each lane finds it out for itself, again and again.
static MACHINE_UNREACHABLE: Rate = Rate::every(Duration::from_secs(300));
static MACHINE_AWAY: Rate = Rate::every(Duration::from_secs(60));

/// Reports of the journal. An outage of the database has no line here: the database logs where it begins and ends.
pub enum Event<'a> {
    /// A send reached its limit.
    LateSend,
    /// A batch met a locked row.
    LockedBatch,
    /// The cache was behind the file.
    StaleBatch,
    /// The cache was behind another node.
    StaleConversation,
    /// A batch was not written, because the database is away or busy.
    BatchInOutage {
        /// Its sends.
        sends: usize,
        /// The database's error.
        error: &'a dyn Display,
    },
    /// A batch was not written, because the database refused it or failed.
    FailedBatch {
        /// Its sends.
        sends: usize,
        /// The database's error.
        error: &'a dyn Display,
    },
    /// Batches are written again after an outage.
    BatchesResumed,
    /// A message was refused, because its conversation is damaged.
    RefusedMessage {
        /// The conversation.
        conversation_id: i64,
        /// The database's error.
        error: &'a dyn Display,
    },
    /// An entry differs from what was written, or is missing.
    DamagedEntry {
        /// The conversation.
        conversation_id: i64,
        /// The entry.
        seq: i64,
        /// Why it is damaged.
        reason: &'a str,
        /// Whether this place was logged before.
        is_logged: bool,
    },
    /// The chain of unindexed entries has another length than its conversation says.
    BrokenChain {
        /// The conversation.
        conversation_id: i64,
        /// Entries found.
        found: u64,
        /// Entries expected.
        expected: u64,
    },
    /// An entry stands twice in a file.
    DoubleEntry {
        /// The conversation.
        conversation_id: i64,
        /// The entry.
        seq: i64,
    },
    /// PostgreSQL refuses the statement that writes a small batch in one.
    WritesInParts {
        /// The server's error.
        error: &'a dyn Display,
    },
    /// A machine with conversations takes no connection from here, so the coordinator passes their messages on.
    MachineUnreachable {
        /// As the coordinator names it.
        host: &'a str,
        /// Its port.
        port: u16,
        /// Why.
        error: &'a dyn Display,
    },
    /// A machine with conversations does not answer: they stand still, and nothing else.
    MachineAway {
        /// As the coordinator names it.
        host: &'a str,
        /// Its port.
        port: u16,
        /// Why.
        error: &'a dyn Display,
    },
    /// The newest conversation is ahead of this machine's clock.
    ClockBehind {
        /// By how much, s.
        behind_s: i64,
    },
    /// The clocks of two machines differ.
    ClocksDiffer {
        /// The dependency.
        of: &'a str,
        /// Its lead over this machine, ms.
        ahead_ms: i64,
    },
}

impl Event<'_> {
    /// Counts it and writes its line.
    pub fn emit(self) {
        match self {
            Self::LateSend => LATE_SENDS.increment(),
            Self::LockedBatch => LOCKED_BATCHES.increment(),
            Self::StaleBatch => STALE_BATCHES.increment(),
            Self::StaleConversation => STALE_CONVERSATIONS.increment(),
            Self::BatchInOutage { sends, error } => {
                tracing::debug!(target: TARGET, %error, sends, "a batch of messages was not written");
            }
            Self::FailedBatch { sends, error } => {
                if let Some(unlogged) = FAILED_BATCH.line() {
                    tracing::error!(target: TARGET, %error, sends, unlogged, "a batch of messages was not written");
                }
            }
            Self::BatchesResumed => tracing::debug!(target: TARGET, "messages are appended again"),
            Self::RefusedMessage {
                conversation_id,
                error,
            } => {
                if let Some(unlogged) = REFUSED_MESSAGE.line() {
                    tracing::error!(target: TARGET, conversation_id, %error, unlogged, "a message was refused");
                }
            }
            Self::DamagedEntry {
                conversation_id,
                seq,
                reason,
                is_logged,
            } => {
                DAMAGED_ENTRIES.increment();
                if !is_logged {
                    tracing::error!(
                        target: TARGET,
                        conversation_id,
                        seq,
                        "an entry is damaged and is not served: {reason}; `huizhen check --deep` finds all of them"
                    );
                }
            }
            Self::BrokenChain {
                conversation_id,
                found,
                expected,
            } => {
                tracing::error!(
                    target: TARGET,
                    conversation_id,
                    found,
                    expected,
                    "the chain of unindexed entries is broken"
                );
            }
            Self::DoubleEntry { conversation_id, seq } => {
                DOUBLE_ENTRIES.increment();
                tracing::error!(
                    target: TARGET,
                    conversation_id,
                    seq,
                    "an entry stands twice in its conversation"
                );
            }
            Self::WritesInParts { error } => {
                tracing::warn!(target: TARGET, %error, "small batches are written in parts");
            }
            Self::MachineAway { host, port, error } => {
                if let Some(unlogged) = MACHINE_AWAY.line() {
                    tracing::warn!(
                        target: TARGET,
                        host,
                        port,
                        %error,
                        unlogged,
                        "a machine of the database does not answer; its conversations stand still"
                    );
                }
            }
            Self::MachineUnreachable { host, port, error } => {
                if let Some(unlogged) = MACHINE_UNREACHABLE.line() {
                    tracing::warn!(
                        target: TARGET,
                        host,
                        port,
                        %error,
                        unlogged,
                        "a machine of the database cannot be reached; messages go by the coordinator"
                    );
                }
            }
            Self::ClockBehind { behind_s } => {
                tracing::warn!(
                    target: TARGET,
                    behind_s,
                    "the clock of this machine is behind the newest data: it is wrong now, or another one was wrong then. Set \
                     it (sudo timedatectl set-ntp true) and restart"
                );
            }
            Self::ClocksDiffer { of, ahead_ms } => {
                tracing::warn!(
                    target: TARGET,
                    of,
                    ahead_ms,
                    "the clocks of this machine and of another one differ by more than a second; let both follow a time server"
                );
            }
        }
    }
}
