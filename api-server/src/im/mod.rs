//! How an app comes to an IM node: where the nodes are, and a password for one.

pub(crate) mod password;
mod rate;
pub(crate) mod servers;
mod spread;

pub use rate::ImPasswordRates;
pub use spread::Spread;
