//! The load generator: it makes load as many apps would, checks what every member receives, and measures what it costs.
//!
//! How to read it: [`arguments`] (the command line) → [`workload`] (one file per workload) → [`world`] (users and
//! conversations, made through REST) and [`generator`] (sessions, schedule, checks) → [`report`]. [`server::relay`] is
//! the bare relay that shows what the machine could do at best; it runs as a process of its own, so that its cost is
//! measured like that of a server; [`generator::crowd`] are clients in processes of their own.

pub mod arguments;
pub mod generator;
pub mod judge;
pub mod progress;
pub mod report;
pub mod server;
pub mod workload;
pub mod world;
