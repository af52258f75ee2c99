//! Events by area. A file declares the metrics of its area and its events: each variant has its metric, level, text and
//! rate of lines in one arm of `emit`, and its fields are those of the log line.
//!
//! A line's target is the crate that reports, as in `RUST_LOG=journal=debug`.

pub mod backplane;
pub mod database;
pub mod im;
pub mod jobs;
pub mod journal;
pub mod money;
pub mod payment;
pub mod program;
pub mod rest;

use crate::metric::{CPU_SECONDS, Kind, Metric};

/// The metrics of all areas.
static METRICS: &[&[fn() -> Metric]] = &[
    program::METRICS,
    database::METRICS,
    journal::METRICS,
    money::METRICS,
    backplane::METRICS,
    im::METRICS,
    payment::METRICS,
    rest::METRICS,
    jobs::METRICS,
];

/// All metrics of a fleet. `docs/operations.md` lists them, alerts and dashboards in `deploy/` use them, and tests hold
/// all of that together.
#[must_use]
pub fn all() -> Vec<Metric> {
    METRICS
        .iter()
        .flat_map(|area| area.iter())
        .map(|row| row())
        .collect()
}

/// Describes all metrics to the recorder, and starts every counter at 0.
#[expect(clippy::disallowed_macros, reason = "the home of all metrics")]
pub fn declare() {
    for Metric {
        name,
        kind,
        label,
        help,
    } in all()
    {
        if name == CPU_SECONDS {
            continue;
        }
        match kind {
            Kind::Counter => metrics::describe_counter!(name, help),
            Kind::Gauge => metrics::describe_gauge!(name, help),
            Kind::Histogram => metrics::describe_histogram!(name, help),
        }
        if kind != Kind::Counter {
            continue;
        }
        match label {
            None => metrics::counter!(name).increment(0),
            Some((label, values)) => {
                for value in values {
                    metrics::counter!(name, label => *value).increment(0);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn names_have_one_form_and_are_unique() {
        let mut names = HashSet::new();
        for metric in all() {
            assert!(names.insert(metric.name), "{} stands twice", metric.name);
            assert!(metric.name.starts_with("huizhen_"), "{}", metric.name);
            let help = metric.help;
            assert!(!help.is_empty() && !help.ends_with('.'), "{}", metric.name);
            let is_total = metric.name.ends_with("_total");
            assert_eq!(metric.kind == Kind::Counter, is_total, "{}", metric.name);
        }
    }
}
