//! A whole node: start and drain.

mod dispatch;

use std::{
    sync::{
        Arc, Weak,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use backplane::Backplane;
use database::Database;
use journal::{Journal, append::Appender};
use parking_lot::Mutex;
use program::{
    address::{Gate, TrustedProxies},
    certificate::Certificate,
};
use proto::wire::ByeReason;
use rand::{RngExt, seq::SliceRandom};
use telemetry::events::im::Event;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    Listeners, Settings,
    login::listen,
    request::send::SendOutlet,
    sentences,
    session::{SessionRooms, limits::Limits, marks::Marks, users::Users},
    settings::exposure,
    shared::{Shared, spread_ms},
    upkeep::{self, directory, twin},
};

/// The end of a drain that is reserved for moving the last apps to other nodes.
const MOVE_RESERVE: Duration = Duration::from_secs(1);
/// Longest time that ended connections may take to read their last frames.
const FLUSH_LIMIT: Duration = Duration::from_secs(6);

/// A running node; a clone is another handle on it.
#[derive(Clone)]
pub struct Node {
    shared: Arc<Shared>,
}

impl Node {
    /// Starts a node on bound listeners. It accepts connections until [`Self::drain`].
    ///
    /// # Errors
    /// When the certificate cannot be read, or an advertised address is invalid.
    pub async fn start(
        settings: &Settings,
        database: Database,
        backplane: Backplane,
        listeners: Listeners,
    ) -> anyhow::Result<Self> {
        Self::start_with(settings, Journal::new(database, backplane), listeners).await
    }

    /// Starts a node over a journal that the process shares.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub async fn start_with(
        settings: &Settings,
        journal: Journal,
        listeners: Listeners,
    ) -> anyhow::Result<Self> {
        let journal = match settings.checks_media {
            true => journal.checking_media(),
            false => journal,
        };
        let node_id = settings
            .node_id
            .clone()
            .unwrap_or_else(|| format!("im-{:08x}", rand::rng().random::<u32>()));
        let address = listeners.address(settings).await?;
        let certificate = match settings.certificate() {
            Some(files) => Some(Certificate::load(&files, &exposure::hosts(settings))?),
            None => None,
        };
        let tls = match &certificate {
            Some(certificate) => Some(certificate.server_config(&[])?.into()),
            None => None,
        };
        if let Some(advice) = exposure::examine(settings, listeners.tcp.local_addr()?.ip()) {
            advice.log();
        }
        let backplane = journal.backplane().clone();
        if settings.node_id.is_some() {
            twin::refuse(&backplane, &node_id, &address).await?;
        }
        journal.must_have_functions().await?;
        let horizon = journal.horizon().await?;
        let shared = Arc::new_cyclic(|weak: &Weak<Shared>| {
            let listener = weak.clone();
            let subscriber = backplane.join(Arc::new(move |channel, payload| {
                if let Some(shared) = listener.upgrade() {
                    dispatch::payload(&shared, channel, payload);
                }
            }));
            let appender = Appender::start(&journal, SendOutlet::new(weak.clone()));
            Shared {
                settings: settings.clone(),
                node_id,
                process: twin::own_process(),
                subscriber,
                users: Users::default(),
                rooms: SessionRooms::default(),
                limits: Arc::new(Limits::new(settings)),
                marks: Marks::default(),
                gate: Gate::new(TrustedProxies::new(&settings.trusted_proxies)),
                certificate,
                tls,
                appender: Mutex::new(Some(appender)),
                horizon: Mutex::new(horizon),
                next_session: AtomicU64::new(1),
                draining: AtomicBool::new(false),
                closing: CancellationToken::new(),
                stopping: CancellationToken::new(),
                connections: TaskTracker::new(),
                journal: journal.clone(),
                backplane: backplane.clone(),
            }
        });
        shared.journal.warn_of_clocks().await;
        directory::announce(&shared, &address).await;
        upkeep::start(&shared, address);
        listen::start(&shared, listeners);
        Ok(Self { shared })
    }

    /// Unique in the fleet.
    pub fn node_id(&self) -> &str {
        &self.shared.node_id
    }

    /// The certificate of the TLS port, for other listeners of the process.
    pub fn certificate(&self) -> Option<Arc<Certificate>> {
        self.shared.certificate.clone()
    }

    /// Number of sessions.
    pub fn sessions(&self) -> usize {
        self.shared.limits.sessions() as usize
    }

    /// Whether [`Self::drain`] was called.
    pub fn is_draining(&self) -> bool {
        self.shared.draining.load(Ordering::Acquire)
    }

    /// Stops the node. It leaves the directory and accepts no more connections; Bye DRAINING is spread over `spread`;
    /// messages handed to the journal are written and answered.
    pub async fn drain(&self, spread: Duration) {
        let shared = &self.shared;
        if shared.draining.swap(true, Ordering::AcqRel) {
            return;
        }
        shared.backplane.remove_node(&shared.node_id).await;
        shared.closing.cancel();
        let mut sessions = shared.users.all();
        sessions.shuffle(&mut rand::rng());
        Event::Draining {
            sessions: sessions.len(),
        }
        .emit();
        // The last apps need time to reach another node, too.
        let spread = spread.saturating_sub(MOVE_RESERVE.min(spread / 2));
        let pause = spread / u32::try_from(sessions.len()).unwrap_or(u32::MAX).max(1);
        let began = tokio::time::Instant::now();
        for (at, session) in sessions.iter().enumerate() {
            tokio::time::sleep_until(began + pause * u32::try_from(at).unwrap_or(u32::MAX)).await;
            // A spread drain needs no second spreading.
            let retry_after_ms = if spread.is_zero() {
                spread_ms(500, 3_000)
            } else {
                spread_ms(50, 250)
            };
            session.end(ByeReason::Draining, retry_after_ms, &sentences::STOPPING);
        }
        // Sessions whose login ended meanwhile.
        for session in shared.users.all() {
            session.end(ByeReason::Draining, spread_ms(500, 3_000), &sentences::STOPPING);
        }
        shared.connections.close();
        if tokio::time::timeout(FLUSH_LIMIT, shared.connections.wait())
            .await
            .is_err()
        {
            Event::DrainIncomplete.emit();
        }
        let appender = shared.appender.lock().take();
        if let Some(appender) = appender {
            appender.end().await;
        }
        upkeep::marks::save(shared).await;
        shared.stopping.cancel();
        shared.backplane.leave(shared.subscriber);
    }
}
