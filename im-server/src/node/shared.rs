//! What the parts of a node share.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU64, Ordering},
};

use backplane::{Backplane, SubscriberId};
use journal::{Journal, append::Appender, order::Horizon};
use parking_lot::Mutex;
use program::{address::Gate, certificate::Certificate};
use rand::RngExt;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    Settings,
    session::{SessionRooms, limits::Limits, marks::Marks, sending::SendContext, users::Users},
};

/// What the parts of a node share.
pub(crate) struct Shared {
    pub(crate) settings: Settings,
    pub(crate) node_id: String,
    /// As [`crate::upkeep::twin::own_process`] says.
    pub(crate) process: Option<String>,
    pub(crate) journal: Journal,
    pub(crate) backplane: Backplane,
    pub(crate) subscriber: SubscriberId,
    pub(crate) users: Users,
    pub(crate) rooms: SessionRooms,
    pub(crate) limits: Arc<Limits>,
    pub(crate) marks: Marks,
    /// Whose PROXY headers and X-Forwarded-For count.
    pub(crate) gate: Gate,
    pub(crate) certificate: Option<Arc<Certificate>>,
    pub(crate) tls: Option<tokio_rustls::TlsAcceptor>,
    /// Gone while the node is being stopped.
    pub(super) appender: Mutex<Option<Appender<SendContext>>>,
    /// Changes of participants below this were compared with what their sessions know.
    pub(crate) horizon: Mutex<Horizon>,
    pub(super) next_session: AtomicU64,
    pub(super) draining: AtomicBool,
    /// No more connections.
    pub(crate) closing: CancellationToken,
    /// Sweeps and announcements end.
    pub(crate) stopping: CancellationToken,
    /// The tasks of connections.
    pub(crate) connections: TaskTracker,
}

impl Shared {
    /// What appends messages; none when the node is being stopped.
    pub(crate) fn appender(&self) -> Option<Appender<SendContext>> {
        self.appender.lock().clone()
    }

    pub(crate) fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Acquire)
    }

    /// A name for a new session: the node's count behind random bits, below 2^53.
    pub(crate) fn next_session_id(&self) -> u64 {
        let count = self.next_session.fetch_add(1, Ordering::Relaxed);
        (u64::from(rand::rng().random::<u16>()) << 36) | (count & ((1 << 36) - 1))
    }
}

/// A time to come back, milliseconds, spread at random so that many do not come back at once.
pub(crate) fn spread_ms(least: u32, most: u32) -> u32 {
    rand::rng().random_range(least..=most)
}
