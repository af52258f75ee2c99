//! One TCP node of a fleet: it authenticates apps, appends their messages to the journal, and delivers each entry to
//! every session whose user may see it, once and in order.
//!
//! Where to start: [`Node`] is the whole. `login` accepts connections and turns each into a `session`;
//! `connection` is the task of one session. `request` handles frames, one file each. `delivery` feeds
//! sessions with entries. `upkeep` holds the tasks that run beside the sessions, `transport` the bytes of one
//! connection.

mod clock;
mod connection;
mod delivery;
mod login;
mod node;
mod outage;
mod request;
mod sentences;
mod session;
mod settings;
mod shared;
mod transport;
mod upkeep;

pub use login::listen::Listeners;
pub use node::Node;
pub use settings::{
    ProxiedPort, Settings,
    advertise::{Advertised, advertised},
    exposure,
};
