//! One TCP node of a fleet: it takes logins, hands what people send to the journal, and gives every session each entry
//! that its user may see, once and in order.
//!
//! How to read it: [`Node`] is the whole; `login` accepts connections and turns each into a `session`, whose `connection` is
//! its task; `request` holds one file per request, `delivery` gives each session its entries, `session::outbox` queues the
//! frames of one socket, `upkeep` is what runs beside the sessions, `transport` is one connection's bytes.

mod delivery;
mod login;
mod node;
mod request;
mod session;
mod settings;
mod transport;
mod upkeep;

pub use login::listen::Listeners;
pub use node::Node;
pub use settings::{
    ProxiedPort, Settings,
    advertise::{Advertised, advertised},
    exposure,
};
