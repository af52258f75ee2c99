//! Reports of a process to its operator: events with their log line and metric ([`events`]), the metrics themselves
//! ([`metric`]), the kinds of errors ([`kind`]), the rate of log lines ([`rate`]), and tasks whose end is the end of the process ([`task`]).
//!
//! A leaf crate: each crate of the fleet reports through it, and it knows none of them.

pub mod events;
pub mod kind;
pub mod metric;
mod name;
pub mod rate;
pub mod task;
