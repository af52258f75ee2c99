//! Events by area. A file declares the metrics of its area and its events: each variant has its metric, level, text and
//! rate of lines in one arm of `emit`, and its fields are those of the log line.
//!
//! A line's target is the crate that reports, as in `RUST_LOG=journal=debug`.

pub mod backplane;
pub mod database;
pub mod im;
pub mod journal;
pub mod program;
pub mod rest;

use crate::metric::Metric;

/// The metrics of all areas.
pub(crate) static METRICS: &[&[fn() -> Metric]] = &[
    program::METRICS,
    database::METRICS,
    journal::METRICS,
    backplane::METRICS,
    im::METRICS,
    rest::METRICS,
];
