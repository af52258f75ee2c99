//! One TCP node of a fleet: it takes logins, hands what people send to the journal, and gives every session each entry
//! that its user may see, once and in order.
//!
//! How to read it: [`Node`] is the whole; `listen` accepts, `login` turns a connection into a `session`, `connection` is
//! the task of one session, `cutter` finds its frames, `request` holds one file per request, `delivery` gives each session
//! its entries, `outbox` queues the frames of one socket, `sweep` is the one timer for all sessions.

mod advertise;
mod clock;
mod connection;
mod cutter;
mod delivery;
mod directory;
mod limits;
mod listen;
mod login;
mod marks;
mod node;
mod outbox;
mod proxy_protocol;
mod renewal;
mod request;
mod sending;
mod sentences;
mod session;
mod settings;
mod sweep;
mod transport;
mod twin;
mod users;

pub use advertise::{Advertised, advertised};
pub use listen::Listeners;
pub use node::Node;
pub use settings::Settings;
