//! The process itself.

use std::{io, path::Path, time::Duration};

use crate::{kind::Kind, metric::CPU_SECONDS};

crate::catalogue! {
    DEPENDENCY_UP: GaugeBy(
        "huizhen_dependency_up",
        "dependency",
        &["database", "backplane"],
        "1 while it answers as /readyz asks it, else 0; looked at every 5 s",
    );
    DRAINING: Gauge(
        "huizhen_draining",
        "1 while this process is being stopped",
    );
    PROCESS_CPU_S: Counter(
        CPU_SECONDS,
        "CPU time of the process, s",
    );
    PROCESS_RESIDENT_MEMORY_BYTES: Gauge(
        "huizhen_process_resident_memory_bytes",
        "Resident memory, bytes",
    );
    PROCESS_OPEN_FDS: Gauge(
        "huizhen_process_open_fds",
        "Open file descriptors",
    );
    PROCESS_MAX_FDS: Gauge(
        "huizhen_process_max_fds",
        "File descriptors that it may open",
    );
    TASK_FAILURES: CounterBy(
        "huizhen_task_failures_total",
        "task",
        crate::name::Name::TEXTS,
        "Vital tasks that panicked; the process ends by the first",
    );
    CERTIFICATE_DAYS_LEFT: Gauge(
        "huizhen_certificate_days_left",
        "Days until the TLS certificate in force expires, below 0 since then; only where TLS is on",
    );
}

const TARGET: &str = "program";

/// Reports of a process.
pub enum Event<'a> {
    /// A vital task panicked; the process ends.
    VitalTaskFailed {
        /// Which.
        task: crate::name::Name,
        /// The panic's own words.
        message: &'a str,
    },
    /// The work of the process has failed, which ends it.
    ProcessFailed {
        /// Who can end the failure.
        kind: Kind,
        /// With its causes.
        error: &'a str,
    },
    /// The process begins its drain.
    Draining,
    /// A dependency without which the process does no work has failed its check.
    DependencyAway {
        /// As in `/readyz`.
        dependency: &'static str,
        /// The answer of its check.
        why: &'a str,
    },
    /// Its check succeeds again.
    DependencyBack {
        /// As in `/readyz`.
        dependency: &'static str,
        /// The length of the outage.
        away: Duration,
    },
    /// An outage of a listener begins.
    AcceptFailing {
        /// As in the ports file.
        listener: &'static str,
        /// That of the first accept that failed.
        error: &'a io::Error,
        /// The settings that end it.
        remedy: &'static str,
    },
    /// The outage has ended.
    AcceptRecovered {
        /// As in the ports file.
        listener: &'static str,
        /// Accepts that failed in it.
        failures: u64,
        /// From the first failure to the last.
        lasted: Duration,
    },
    /// The files hold another certificate, which is in force.
    CertificateReplaced {
        /// The chain.
        file: &'a Path,
    },
    /// The files hold again the certificate in force.
    CertificateRestored {
        /// The chain.
        file: &'a Path,
    },
    /// The files hold a certificate that is not usable.
    CertificateRefused {
        /// The reason.
        why: &'a str,
    },
}

impl Event<'_> {
    /// Counts it and writes its line. None needs a rate: each is a change of state.
    pub fn emit(self) {
        match self {
            Self::VitalTaskFailed { task, message } => {
                TASK_FAILURES.increment(task.as_str());
                tracing::error!(
                    target: TARGET,
                    %task,
                    panic = message,
                    "a vital task panicked: this process can no longer do its work and ends"
                );
            }
            Self::ProcessFailed { kind, error } => {
                tracing::error!(target: TARGET, %kind, error, "this process has failed and ends");
            }
            Self::Draining => {
                DRAINING.set(1.0);
                tracing::info!(target: TARGET, "draining; a second signal stops at once");
            }
            Self::DependencyAway { dependency, why } => {
                tracing::warn!(target: TARGET, why, "the {dependency} is away; no work is taken until it is back");
            }
            Self::DependencyBack { dependency, away } => {
                tracing::info!(target: TARGET, away_s = away.as_secs(), "the {dependency} is back");
            }
            Self::AcceptFailing {
                listener,
                error,
                remedy,
            } => {
                let kind = Kind::of_io(error);
                tracing::error!(target: TARGET, listener, %kind, %error, "connections cannot be accepted; {remedy}");
            }
            Self::AcceptRecovered {
                listener,
                failures,
                lasted,
            } => {
                let lasted_s = lasted.as_secs();
                tracing::info!(target: TARGET, listener, failures, lasted_s, "connections are accepted again");
            }
            Self::CertificateReplaced { file } => {
                tracing::info!(target: TARGET, file = %file.display(), "a new certificate is in force");
            }
            Self::CertificateRestored { file } => {
                tracing::info!(
                    target: TARGET,
                    file = %file.display(),
                    "the files are again those of the certificate in force"
                );
            }
            Self::CertificateRefused { why } => {
                tracing::error!(
                    target: TARGET,
                    why,
                    "the new certificate is refused: the old one stays in force, and the files are checked again each second"
                );
            }
        }
    }
}
