//! State that may vanish at any moment: publish and subscribe between the processes of a fleet, IM passwords, presence, and
//! the directory of live nodes.
//!
//! All of it may be emptied, frozen or cut off at any moment, and no message may be lost, doubled or reordered by that:
//! each listener compares what it received with the database. An engine is one folder with the same names as the other
//! ([`memory`], [`redis`]).

mod channel;
mod directory;
mod error;
mod handle;
mod identity;
pub mod memory;
mod password;
mod presence;
pub mod redis;

pub use self::{
    channel::{Channel, Handler, SubscriberId},
    directory::{NodeAddress, NodeRecord},
    error::{Complaint, OpenError, Unavailable},
    handle::Backplane,
    identity::Identity,
    password::{PASSWORDS_PER_DEVICE, PasswordHash, hash_password},
    presence::{DevicePresence, Generation, HeldSession, Outdone, Presence},
};
