//! The store of a service, and the work on it.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use media::{Shrinker, Store, StoreError};
use telemetry::events::rest::Event;
use tokio::sync::{Mutex, MutexGuard};

use crate::{
    app::Part,
    http::error::{Error, ErrorCode},
    settings::{self, Settings},
};

/// Pictures that are decoded at once; each may need 256 MiB.
const DECODED_AT_ONCE: usize = 2;
/// Uploads that are verified at once.
const FINISHED_AT_ONCE: usize = 8;

/// The media of a service, which may keep none. Cloning it is cheap.
#[derive(Clone)]
pub(crate) struct Media(Option<Arc<Parts>>);

pub(super) struct Parts {
    pub(super) store: Store,
    pub(super) shrinker: Shrinker,
    /// The limit of a user's uploads within a day, bytes.
    pub(super) daily_bytes: i64,
    /// The end of an upload, by its id: of one upload one at a time.
    finishing: [Mutex<()>; FINISHED_AT_ONCE],
    /// Since an operation met an outage, until one does not.
    away: AtomicBool,
}

impl Part for Media {}

impl Media {
    /// Opens the store of the settings.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub(crate) async fn open(settings: &Settings) -> anyhow::Result<Self> {
        let store = settings::media::open(settings).await?;
        let parts = store.map(|store| Parts {
            store,
            shrinker: Shrinker::new(DECODED_AT_ONCE),
            daily_bytes: i64::from(settings.media_daily_mib.get()) * 1024 * 1024,
            finishing: Default::default(),
            away: AtomicBool::new(false),
        });
        if parts.is_some() {
            Event::MediaStoreOpened.emit();
        }
        Ok(Self(parts.map(Arc::new)))
    }

    /// Whether there is a store.
    pub(crate) fn is_on(&self) -> bool {
        self.0.is_some()
    }

    /// Whether the store serves, as the last operation has found it; none without a store.
    pub(crate) fn serves(&self) -> Option<bool> {
        let parts = self.0.as_ref()?;
        Some(!parts.away.load(Ordering::Relaxed))
    }

    /// Tries a store that is away.
    pub(crate) async fn look(&self) {
        if let Some(parts) = &self.0
            && parts.away.load(Ordering::Relaxed)
        {
            match parts.store.probe().await {
                Ok(()) => parts.note_served(),
                Err(error) => parts.note(&error),
            }
        }
    }

    /// The parts of a service that keeps media.
    pub(super) fn parts(&self) -> Result<&Arc<Parts>, Error> {
        self.0.as_ref().ok_or_else(|| ErrorCode::MediaOff.into())
    }
}

impl Parts {
    /// Notes the outage that an operation has met.
    pub(super) fn note(&self, error: &StoreError) {
        let Some(outage) = StoreError::outage(error) else {
            return;
        };
        let is_first = !self.away.swap(true, Ordering::Relaxed);
        let (kind, why) = (outage.name(), error);
        Event::MediaStoreFailed { kind }.emit();
        if is_first {
            Event::MediaStoreAway { kind, why }.emit();
        }
    }

    /// Notes an operation of the store that succeeded.
    pub(super) fn note_served(&self) {
        if self.away.swap(false, Ordering::Relaxed) {
            Event::MediaStoreBack.emit();
        }
    }

    /// The refusal of a request whose operation failed.
    pub(super) fn refuse(&self, error: StoreError) -> Error {
        self.note(&error);
        error.into()
    }

    /// Waits until no other request finishes this upload.
    pub(super) async fn alone(&self, id: i64) -> MutexGuard<'_, ()> {
        let at = id.unsigned_abs() % FINISHED_AT_ONCE as u64;
        self.finishing[at as usize].lock().await
    }
}
