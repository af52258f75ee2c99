//! How many calls of each endpoint there were, and how long they took.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};

use crate::generator::recorder::Times;
use crate::report::Undisturbed;

/// The longest list of things that went wrong.
const MAX_FAULTS: usize = 20;

/// Of one worker, or of all.
#[derive(Debug, Default)]
pub(in crate::workload) struct Figures {
    endpoints: BTreeMap<&'static str, Times>,
    pub(in crate::workload) faults: Vec<String>,
}

impl Figures {
    /// Takes note of a call.
    pub(in crate::workload) fn record(&mut self, endpoint: &'static str, took: Duration) {
        let us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        self.endpoints.entry(endpoint).or_default().record(us);
    }

    /// Takes note of something that went wrong.
    pub(in crate::workload) fn fault(&mut self, fault: String) {
        if self.faults.len() < MAX_FAULTS {
            self.faults.push(fault);
        }
    }

    /// Adds those of another worker.
    pub(in crate::workload) fn add(&mut self, other: Self) {
        for (endpoint, times) in &other.endpoints {
            self.endpoints.entry(endpoint).or_default().add(times);
        }
        for fault in other.faults {
            self.fault(fault);
        }
    }

    /// The calls that were measured, beside those that failed.
    pub(super) fn undisturbed(&self) -> Undisturbed {
        let acked = self.calls();
        Undisturbed {
            sent: acked + self.faults.len() as u64,
            acked,
        }
    }

    /// All calls.
    pub(in crate::workload) fn calls(&self) -> u64 {
        self.endpoints.values().map(Times::count).sum()
    }

    /// The calls of one kind.
    pub(in crate::workload) fn times(&self, endpoint: &str) -> Option<&Times> {
        self.endpoints.get(endpoint)
    }

    /// Of all endpoints together.
    pub(in crate::workload) fn whole(&self) -> Times {
        let mut whole = Times::default();
        for times in self.endpoints.values() {
            whole.add(times);
        }
        whole
    }

    /// For the report: of each endpoint its calls a second and its times.
    pub(in crate::workload) fn described(&self, duration: Duration) -> Value {
        let seconds = duration.as_secs_f64().max(1e-9);
        self.endpoints
            .iter()
            .map(|(endpoint, times)| {
                let described = json!({
                    "calls": times.count(),
                    "calls_per_s": times.count() as f64 / seconds,
                    "p50_ms": times.percentile_ms(50.0),
                    "p99_ms": times.percentile_ms(99.0),
                    "max_ms": times.max_ms(),
                });
                ((*endpoint).to_owned(), described)
            })
            .collect::<serde_json::Map<_, _>>()
            .into()
    }

    /// Prints a table.
    pub(in crate::workload) fn print(&self, duration: Duration) {
        let seconds = duration.as_secs_f64().max(1e-9);
        println!(
            "  {:<36} {:>9} {:>10} {:>10}",
            "endpoint", "calls/s", "p50 ms", "p99 ms"
        );
        for (endpoint, times) in &self.endpoints {
            println!(
                "  {endpoint:<36} {:>9.0} {:>10.2} {:>10.2}",
                times.count() as f64 / seconds,
                times.percentile_ms(50.0),
                times.percentile_ms(99.0)
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn workers_are_added_up() {
        let (mut one, mut other) = (Figures::default(), Figures::default());
        one.record("GET /vas", Duration::from_millis(2));
        other.record("GET /vas", Duration::from_millis(4));
        other.record("POST /consult", Duration::from_millis(8));
        other.fault("something".to_owned());
        one.add(other);
        assert_eq!((one.calls(), one.whole().count(), one.faults.len()), (3, 3, 1));
        let described = one.described(Duration::from_secs(2));
        assert_eq!(described["GET /vas"]["calls"], 2);
        assert_eq!(described["POST /consult"]["calls_per_s"], 0.5);
        for _ in 0..100 {
            one.fault("more".to_owned());
        }
        assert_eq!(one.faults.len(), MAX_FAULTS);
    }
}
