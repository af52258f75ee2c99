//! Processes that are measured: the server that a workload starts for itself, the bare relay, and those it is told of.

mod certificate;
mod own;
mod spawned;
pub mod usage;

pub use certificate::Certificate;
pub use own::{OwnServer, Wanted};
pub use spawned::{Ports, Spawned};
