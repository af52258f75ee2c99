//! Background work.

use std::{fmt::Display, time::Duration};

use crate::rate::Rate;

crate::catalogue! {
    TURNS: CounterBy(
        "huizhen_job_turns_total",
        "name",
        &[],
        "Turns of background work that this process has done",
    );
    FAILED: CounterBy(
        "huizhen_job_failed_turns_total",
        "name",
        &[],
        "Turns of background work that failed in this process",
    );
    LOST: CounterBy(
        "huizhen_job_lost_leases_total",
        "name",
        &[],
        "Turns that ended because another process had taken the lease over, or an operator had paused the job",
    );
    TURN_S: HistogramBy(
        "huizhen_job_turn_seconds",
        "name",
        &[],
        "How long turns of background work take, s",
    );
    FAILURES: GaugeBy(
        "huizhen_job_failures",
        "name",
        &[],
        "Failures of background work in a row, in the whole fleet",
    );
    BACKLOG: GaugeBy(
        "huizhen_job_backlog",
        "name",
        &[],
        "How much background work waits, as its last turn has counted",
    );
    LATE_S: GaugeBy(
        "huizhen_job_late_seconds",
        "name",
        &[],
        "How long background work has been due without a process that does it, s",
    );
}

const TARGET: &str = "jobs";

static LOOK_FAILED: Rate = Rate::every(Duration::from_secs(60));

/// Reports of background work.
#[expect(missing_docs, reason = "fields are named as in the log line")]
pub enum Event<'a> {
    /// This process can do a job.
    Declared { job: &'static str },
    /// A turn is done.
    Done { job: &'static str, took: Duration },
    /// A turn failed, and is tried again after `retry`.
    Failed {
        job: &'static str,
        failures: i64,
        retry: Duration,
        inner: &'a str,
    },
    /// A turn met an outage of the database, which has lines of its own.
    MetOutage { job: &'static str, inner: &'a str },
    /// A turn lost its lease.
    LeaseLost { job: &'static str },
    /// Jobs could not be looked for, taken or ended.
    LookFailed { error: &'a dyn Display },
}

impl Event<'_> {
    /// Counts it and writes its line.
    pub fn emit(self) {
        match self {
            Self::Declared { job } => {
                for counter in [&TURNS, &FAILED, &LOST] {
                    counter.add(job, 0);
                }
            }
            Self::Done { job, took } => {
                TURNS.increment(job);
                TURN_S.record(job, took.as_secs_f64());
                let took_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
                tracing::trace!(target: TARGET, job, took_ms, "a turn of background work is done");
            }
            Self::Failed {
                job,
                failures,
                retry,
                inner,
            } => {
                FAILED.increment(job);
                let retry_s = retry.as_secs();
                tracing::warn!(target: TARGET, job, failures, retry_s, inner, "background work failed and is retried");
            }
            Self::MetOutage { job, inner } => {
                FAILED.increment(job);
                tracing::debug!(target: TARGET, job, inner, "background work met an outage and is retried");
            }
            Self::LeaseLost { job } => {
                LOST.increment(job);
                tracing::warn!(target: TARGET, job, "background work has lost its lease: another process does it, or it is paused");
            }
            Self::LookFailed { error } => {
                if let Some(unlogged) = LOOK_FAILED.line() {
                    tracing::error!(target: TARGET, %error, unlogged, "due background work could not be looked for");
                }
            }
        }
    }
}
