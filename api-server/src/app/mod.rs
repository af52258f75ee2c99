//! The state that all requests share. It stands below the domains and names none of them: each keeps its own state here as a
//! [`Part`].

mod parts;

use std::{ops::Deref, sync::Arc};

use axum::extract::FromRef;
use backplane::Backplane;
use database::Database;
use journal::{Journal, record::Unpublished};
use payment::Drivers;
use program::address::TrustedProxies;
use proto::{UserId, media::MediaHosts};
use tokio_util::sync::CancellationToken;

pub(crate) use parts::{Part, Parts};

use crate::{
    caller::Device,
    error::Error,
    http::{answer::Answer, limits::Limits, once::Running},
    settings::{CountryCode, DoctorVerification, PublicAddress},
};

/// The handle; cloning it is cheap.
#[derive(Clone)]
pub struct App(Arc<Shared>);

/// The shared state behind [`App`].
pub struct Shared {
    pub database: Database,
    pub journal: Journal,
    pub backplane: Backplane,
    /// Request rates of users and addresses.
    pub limits: Limits,
    /// Requests with an Idempotency-Key that this process is running.
    pub running: Running,
    /// Countries whose phones receive SMS codes.
    pub sms_countries: Vec<CountryCode>,
    /// Proxies whose X-Forwarded-For is trusted.
    pub trusted_proxies: TrustedProxies,
    /// Whether prices are charged: members can top up by a provider.
    pub charges: bool,
    /// The providers that members top up by.
    pub providers: Drivers,
    /// The rule by which doctors are verified.
    pub doctor_verification: DoctorVerification,
    /// Where browsers reach the service.
    pub public_address: Option<PublicAddress>,
    /// Hosts whose media uris are accepted.
    pub media_hosts: MediaHosts,
    /// State of the domains.
    pub(crate) parts: Parts,
    /// Cancelled when the service ends.
    pub shutdown: CancellationToken,
}

/// The outcome of a write: its answer, and the effects that follow the commit.
pub struct Written {
    /// The answer to this request and its repetitions.
    pub answer: Answer,
    /// Entries to publish.
    pub unpublished: Unpublished,
    /// Devices whose access tokens this write removed.
    pub logged_out: Vec<Device>,
    /// The user whose account this write disabled. All their sessions end, also those of unknown devices.
    pub disabled: Option<UserId>,
}

impl Written {
    /// A write without further effects.
    pub fn new(answer: Answer) -> Self {
        Self {
            answer,
            unpublished: Unpublished::default(),
            logged_out: Vec::new(),
            disabled: None,
        }
    }

    /// With entries to publish.
    #[must_use]
    pub fn publishing(mut self, unpublished: Unpublished) -> Self {
        self.unpublished = unpublished;
        self
    }
}

impl Deref for App {
    type Target = Shared;

    fn deref(&self) -> &Shared {
        &self.0
    }
}

/// For the extractor of writes.
impl FromRef<App> for Database {
    fn from_ref(app: &App) -> Self {
        app.database.clone()
    }
}

/// For the extractor of writes.
impl FromRef<App> for Running {
    fn from_ref(app: &App) -> Self {
        app.running.clone()
    }
}

impl App {
    pub(crate) fn new(shared: Shared) -> Self {
        Self(Arc::new(shared))
    }

    /// The part of this type.
    pub(crate) fn part<P: Part>(&self) -> &P {
        self.parts.get()
    }

    /// Completes work even if the request's future is dropped: the effects after a commit must not be skipped.
    ///
    /// # Errors
    /// Those of the work; [`crate::error::ErrorCode::Internal`] when it panics.
    pub async fn to_the_end<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, Error>> + Send + 'static,
    ) -> Result<T, Error> {
        tokio::spawn(work).await.map_err(Error::internal)?
    }
}
