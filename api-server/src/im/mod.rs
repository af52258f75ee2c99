//! An app's way to an IM node: the directory of nodes, and a password.

pub(crate) mod password;
mod rate;
pub(crate) mod servers;
mod spread;

pub use rate::ImPasswordRates;
pub use spread::Spread;
