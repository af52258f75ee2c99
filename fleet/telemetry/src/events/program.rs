//! The process itself.

use crate::metric::CPU_SECONDS;

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
        crate::task::Name::TEXTS,
        "Vital tasks that panicked; the process ends by the first",
    );
    CERTIFICATE_DAYS_LEFT: Gauge(
        "huizhen_certificate_days_left",
        "Days until the TLS certificate in force expires, below 0 since then; only where TLS is on",
    );
}

const TARGET: &str = "program";

/// What a process reports of itself.
pub enum Event<'a> {
    /// A vital task panicked; the process ends.
    VitalTaskFailed {
        /// Which.
        task: crate::task::Name,
        /// The panic's own words.
        message: &'a str,
    },
}

impl Event<'_> {
    /// Counts it and writes its line.
    pub fn emit(self) {
        match self {
            Self::VitalTaskFailed { task, message } => {
                TASK_FAILURES.increment(task.as_str());
                tracing::error!(
                    target: TARGET,
                    %task,
                    message,
                    "a vital task panicked: this process can no longer do its work and ends"
                );
            }
        }
    }
}
