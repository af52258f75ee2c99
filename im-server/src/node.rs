//! The whole node: what its parts share, how it starts and how it drains.

use std::{
    sync::{
        Arc, Weak,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use backplane::{Backplane, Channel, SubscriberId};
use bytes::Bytes;
use database::Database;
use journal::{Journal, UserNotice, announcement::ConversationNotice, append::Appender, order::Horizon};
use parking_lot::Mutex;
use program::{
    address::{Gate, TrustedProxies},
    certificate::Certificate,
};
use proto::wire::ByeReason;
use rand::{RngExt, seq::SliceRandom};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    Listeners, Settings, advertise,
    delivery::{Receiver, fanout, rooms::Rooms},
    directory, exposure,
    limits::Limits,
    listen,
    marks::Marks,
    renewal,
    request::send::{SendContext, SendOutlet},
    sentences, sweep, twin,
    users::Users,
};

/// A running node; cloning it is cheap.
#[derive(Clone)]
pub struct Node {
    shared: Arc<Shared>,
}

/// What the parts of a node share.
pub(crate) struct Shared {
    pub(crate) settings: Settings,
    pub(crate) node_id: String,
    /// As [`twin::own_process`] says.
    pub(crate) process: Option<String>,
    pub(crate) journal: Journal,
    pub(crate) backplane: Backplane,
    pub(crate) subscriber: SubscriberId,
    pub(crate) users: Users,
    pub(crate) rooms: Rooms,
    pub(crate) limits: Arc<Limits>,
    pub(crate) marks: Marks,
    /// Whose PROXY headers and X-Forwarded-For count.
    pub(crate) gate: Gate,
    pub(crate) certificate: Option<Arc<Certificate>>,
    pub(crate) tls: Option<tokio_rustls::TlsAcceptor>,
    /// Gone while the node is being stopped.
    appender: Mutex<Option<Appender<SendContext>>>,
    /// Changes of participants below this were compared with what their sessions know.
    pub(crate) horizon: Mutex<Horizon>,
    next_session: AtomicU64,
    draining: AtomicBool,
    /// No more connections.
    pub(crate) closing: CancellationToken,
    /// Sweeps and announcements end.
    pub(crate) stopping: CancellationToken,
    /// The tasks of connections.
    pub(crate) connections: TaskTracker,
}

impl Node {
    /// Starts a node on listeners that are bound already. It takes connections until [`Self::drain`].
    ///
    /// # Errors
    /// When the certificate cannot be read, or an address to advertise is not one.
    pub async fn start(
        settings: &Settings,
        database: Database,
        backplane: Backplane,
        listeners: Listeners,
    ) -> anyhow::Result<Self> {
        Self::start_with(settings, Journal::new(database, backplane), listeners).await
    }

    /// The same with a journal that others in this process use too.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub async fn start_with(
        settings: &Settings,
        journal: Journal,
        listeners: Listeners,
    ) -> anyhow::Result<Self> {
        let node_id = settings
            .node_id
            .clone()
            .unwrap_or_else(|| format!("im-{:08x}", rand::rng().random::<u32>()));
        let address = advertise::address(settings, &listeners).await?;
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
        let horizon = journal.horizon().await?;
        let shared = Arc::new_cyclic(|weak: &Weak<Shared>| {
            let listener = weak.clone();
            let subscriber = backplane.join(Arc::new(move |channel, payload| {
                if let Some(shared) = listener.upgrade() {
                    shared.hear(channel, payload);
                }
            }));
            let appender = Appender::start(&journal, SendOutlet::new(weak.clone()));
            Shared {
                settings: settings.clone(),
                node_id,
                process: twin::own_process(),
                subscriber,
                users: Users::default(),
                rooms: Rooms::default(),
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
        tokio::spawn(directory::keep_announcing(shared.clone(), address));
        tokio::spawn(sweep::keep_sweeping(shared.clone()));
        tokio::spawn(sweep::keep_measuring_lag(shared.clone()));
        tokio::spawn(renewal::keep_renewing(shared.clone()));
        listen::start(&shared, listeners);
        Ok(Self { shared })
    }

    /// The node's name in the fleet.
    pub fn node_id(&self) -> &str {
        &self.shared.node_id
    }

    /// The certificate of the TLS port, for other listeners of the process.
    pub fn certificate(&self) -> Option<Arc<Certificate>> {
        self.shared.certificate.clone()
    }

    /// Sessions now.
    pub fn sessions(&self) -> usize {
        self.shared.limits.sessions() as usize
    }

    /// Whether the node is being stopped.
    pub fn is_draining(&self) -> bool {
        self.shared.draining.load(Ordering::Acquire)
    }

    /// Stops: out of the directory, no more connections, a Bye DRAINING to every session so spread that all are on other
    /// nodes within `spread`, what was handed to the journal written and answered.
    pub async fn drain(&self, spread: Duration) {
        let shared = &self.shared;
        if shared.draining.swap(true, Ordering::AcqRel) {
            return;
        }
        shared.backplane.remove_node(&shared.node_id).await;
        shared.closing.cancel();
        let mut sessions = shared.users.all();
        sessions.shuffle(&mut rand::rng());
        tracing::info!(sessions = sessions.len(), "draining");
        // The last ones need time to arrive elsewhere, too.
        let spread = spread.saturating_sub(MOVE.min(spread / 2));
        let pause = spread / u32::try_from(sessions.len()).unwrap_or(u32::MAX).max(1);
        let began = tokio::time::Instant::now();
        for (at, session) in sessions.iter().enumerate() {
            tokio::time::sleep_until(began + pause * u32::try_from(at).unwrap_or(u32::MAX)).await;
            // Where time was given they are spread already.
            let retry_after_ms = if spread.is_zero() {
                spread_ms(500, 3_000)
            } else {
                spread_ms(50, 250)
            };
            session.end(ByeReason::Draining, retry_after_ms, &sentences::STOPPING);
        }
        // Those that were logging in meanwhile.
        for session in shared.users.all() {
            session.end(ByeReason::Draining, spread_ms(500, 3_000), &sentences::STOPPING);
        }
        shared.connections.close();
        if tokio::time::timeout(LAST_WORDS, shared.connections.wait())
            .await
            .is_err()
        {
            tracing::warn!("some connections did not end in time");
        }
        let appender = shared.appender.lock().take();
        if let Some(appender) = appender {
            appender.end().await;
        }
        sweep::save_marks(shared).await;
        shared.stopping.cancel();
        shared.backplane.leave(shared.subscriber);
    }
}

/// How much of a drain is left to those who are told last for coming to another node.
const MOVE: Duration = Duration::from_secs(1);
/// How long ended connections may take to read their last frames.
const LAST_WORDS: Duration = Duration::from_secs(6);

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

    /// Takes a payload of the backplane. Called from wherever a publisher is, so it only hands over.
    fn hear(self: &Arc<Self>, channel: Channel, payload: Bytes) {
        match channel {
            Channel::Conversation(id) => {
                let Some(room) = self.rooms.get(id) else { return };
                match ConversationNotice::decode(payload) {
                    Some(ConversationNotice::Entry(entry)) => {
                        self.journal.heard(&entry);
                        fanout::offer(&room, &self.journal, [entry]);
                    }
                    Some(ConversationNotice::Passing { about, frame, .. }) => {
                        room.pass(&frame, (about.get() != 0).then_some(about));
                    }
                    None => {}
                }
            }
            Channel::User(user) => {
                if let Some(notice) = UserNotice::decode(&payload) {
                    self.heed(user, notice);
                }
            }
        }
    }

    fn heed(&self, user: proto::UserId, notice: UserNotice) {
        for session in self.users.of(user) {
            match &notice {
                UserNotice::Added { conversation, .. } => session.feed(*conversation),
                UserNotice::Replaced {
                    device_id,
                    generation,
                } => {
                    if *session.device_id == **device_id && session.generation.0 < *generation {
                        session.end(ByeReason::Replaced, 0, &sentences::REPLACED);
                    }
                }
                UserNotice::LoggedOut {
                    device_id,
                    generation,
                } => {
                    if *session.device_id == **device_id && session.generation.0 < *generation {
                        session.end(ByeReason::LoggedOut, 0, &sentences::LOGGED_OUT);
                    }
                }
                UserNotice::Disabled { generation } => {
                    if session.generation.0 < *generation {
                        session.end(ByeReason::Disabled, 0, &sentences::DISABLED);
                    }
                }
            }
        }
    }
}

/// A time to come back, milliseconds, spread at random so that many do not come back at once.
pub(crate) fn spread_ms(least: u32, most: u32) -> u32 {
    rand::rng().random_range(least..=most)
}
