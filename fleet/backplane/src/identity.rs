//! Which fleet a process belongs to.

use std::fmt;

/// The identity of a fleet, as its database keeps it. Two fleets may share a Redis under one prefix: all names there carry
/// the id, and records that were not made with the key are ignored.
#[derive(Clone, PartialEq, Eq)]
pub struct Identity {
    id: u64,
    key: [u8; 32],
}

impl Identity {
    /// The identity of this id and secret key, both random.
    pub const fn new(id: u64, key: [u8; 32]) -> Self {
        Self { id, key }
    }

    /// An identity that no fleet has.
    pub fn random() -> Self {
        Self::new(rand::random(), rand::random())
    }

    /// The id, as it stands in names: 16 hex digits.
    pub fn id(&self) -> String {
        format!("{:016x}", self.id)
    }

    pub(crate) fn key(&self) -> &[u8; 32] {
        &self.key
    }
}

/// The key stays out of every log.
impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Identity({})", self.id())
    }
}
