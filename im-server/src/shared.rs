//! State that the parts of a node share.

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

pub(crate) struct Shared {
    pub(crate) settings: Settings,
    pub(crate) node_id: String,
    /// See `upkeep::twin::own_process`.
    pub(crate) process: Option<String>,
    pub(crate) journal: Journal,
    pub(crate) backplane: Backplane,
    pub(crate) subscriber: SubscriberId,
    pub(crate) users: Users,
    pub(crate) rooms: SessionRooms,
    pub(crate) limits: Arc<Limits>,
    pub(crate) marks: Marks,
    /// Trusts PROXY headers and X-Forwarded-For of configured proxies.
    pub(crate) gate: Gate,
    pub(crate) certificate: Option<Arc<Certificate>>,
    pub(crate) tls: Option<tokio_rustls::TlsAcceptor>,
    /// `None` once the node stops.
    pub(crate) appender: Mutex<Option<Appender<SendContext>>>,
    /// Changes of participants below this were compared with the sessions.
    pub(crate) horizon: Mutex<Horizon>,
    pub(crate) next_session: AtomicU64,
    pub(crate) draining: AtomicBool,
    /// The node accepts no more connections.
    pub(crate) closing: CancellationToken,
    /// The tasks of upkeep end.
    pub(crate) stopping: CancellationToken,
    /// Tasks of connections.
    pub(crate) connections: TaskTracker,
}

impl Shared {
    /// Appends messages; `None` when the node stops.
    pub(crate) fn appender(&self) -> Option<Appender<SendContext>> {
        self.appender.lock().clone()
    }

    pub(crate) fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Acquire)
    }

    /// Below 2^53: random bits above the node's counter.
    pub(crate) fn next_session_id(&self) -> u64 {
        let count = self.next_session.fetch_add(1, Ordering::Relaxed);
        (u64::from(rand::rng().random::<u16>()) << 36) | (count & ((1 << 36) - 1))
    }
}

/// A random retry time, milliseconds, so that apps do not return at the same moment.
pub(crate) fn spread_ms(least: u32, most: u32) -> u32 {
    rand::rng().random_range(least..=most)
}
