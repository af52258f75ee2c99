//! The load generator: it makes load as many apps would, checks what every member receives, and measures what it costs.
//!
//! How to read it: [`arguments`] (what people type) → [`workload`] (one file per workload) → [`world`] (people and
//! conversations, made through REST) and [`generator`] (sessions, schedule, checks) → [`report`]. [`server::relay`] is the
//! bare relay that shows what the machine could do at best; it runs as a process of its own, so that its cost is measured
//! like that of a server; [`crowd`] are clients in processes of their own.

pub mod arguments;
pub mod crowd;
pub mod generator;
pub mod judge;
pub mod report;
pub mod server;
pub mod workload;
pub mod world;
