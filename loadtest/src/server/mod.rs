//! Processes that are measured: the server that a workload starts for itself, the bare relay, and those that arguments
//! name.

mod certificate;
pub(crate) mod own;
pub mod relay;
pub mod system;
pub mod unlimited;
pub mod usage;

pub use certificate::Certificate;
pub use own::{OwnServer, Wanted};
pub use testkit::process::{Ports, Spawned};
