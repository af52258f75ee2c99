//! The state that all requests share, and how a write runs.

use std::{ops::Deref, sync::Arc};

use backplane::Backplane;
use database::{Database, Transaction, TransactionFuture};
use journal::{Journal, UserNotice, record::Unpublished};
use program::address::TrustedProxies;
use proto::{UserId, media::MediaHosts};
use telemetry::events::rest::Event;
use tokio_util::sync::CancellationToken;

use crate::{
    account::{Budgets, CountryCode, Device, Passwords, Sms, Tokens, lock_device, log_out},
    clock::now_ms,
    http::{
        answer::Answer,
        error::{Error, ErrorCode},
        limits::Limits,
        once::{self, Once, Running},
    },
    im::{ImPasswordRates, Spread},
    invitation::Links,
    settings::Settings,
    subscribers::{self, Subscribers},
};

/// A write, in its transaction.
type Work = Box<
    dyn for<'t, 'c> FnOnce(&'t mut Transaction<'c>) -> TransactionFuture<'t, Written, Error> + Send + 'static,
>;

/// The handle; cloning it is cheap.
#[derive(Clone)]
pub struct App(Arc<Parts>);

/// The shared state behind [`App`].
pub struct Parts {
    pub database: Database,
    pub journal: Journal,
    pub backplane: Backplane,
    /// Last uses of access tokens.
    pub tokens: Tokens,
    /// Request rates of users and addresses.
    pub limits: Limits,
    /// Budgets for guesses and SMS.
    pub budgets: Arc<Budgets>,
    /// Spreads sessions over the IM nodes.
    pub spread: Spread,
    pub passwords: Passwords,
    /// Sends SMS codes.
    pub sms: Sms,
    /// Requests with an Idempotency-Key that this process is running.
    pub running: Running,
    /// Countries whose phones receive SMS codes.
    pub sms_countries: Vec<CountryCode>,
    /// Proxies whose X-Forwarded-For is trusted.
    pub trusted_proxies: TrustedProxies,
    /// Hosts whose media uris are accepted.
    pub media_hosts: MediaHosts,
    /// Rates of IM passwords.
    pub im_passwords: ImPasswordRates,
    /// Signs and checks invitation links.
    pub links: Links,
    /// The subscribers to events of domains.
    pub(crate) subscribers: Subscribers,
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
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.0
    }
}

impl App {
    pub(crate) async fn new(
        settings: &Settings,
        database: Database,
        journal: Journal,
        backplane: Backplane,
        shutdown: CancellationToken,
    ) -> anyhow::Result<Self> {
        let links = Links::load(&database).await.map_err(|error| {
            anyhow::anyhow!(
                "the secret that signs invitations cannot be read: {}",
                error.inner().unwrap_or_default()
            )
        })?;
        Ok(Self(Arc::new(Parts {
            database,
            journal,
            backplane,
            tokens: Tokens::default(),
            limits: Limits::new(settings),
            budgets: Arc::new(Budgets::new(settings)),
            spread: Spread::default(),
            passwords: Passwords::default(),
            sms: Sms::new(settings)?,
            running: Running::default(),
            sms_countries: settings.sms_countries.clone(),
            trusted_proxies: TrustedProxies::new(&settings.trusted_proxies),
            media_hosts: settings.media_hosts.clone(),
            im_passwords: ImPasswordRates::default(),
            links,
            subscribers: subscribers::ALL,
            shutdown,
        })))
    }

    /// Runs a write once. One transaction holds its effect, the answer under its Idempotency-Key, and the check that the
    /// caller is still logged in; the further effects follow the commit. It completes also when the caller disconnects.
    ///
    /// # Errors
    /// Those of the write; [`ErrorCode::KeyReused`] and [`ErrorCode::KeyRunning`].
    pub async fn write<F>(&self, once: Once, work: F) -> Result<Answer, Error>
    where
        F: for<'t, 'c> FnOnce(&'t mut Transaction<'c>) -> TransactionFuture<'t, Written, Error>
            + Send
            + 'static,
    {
        self.write_erased(once, Box::new(work)).await
    }

    /// Not generic, so that it is compiled once.
    async fn write_erased(&self, once: Once, work: Work) -> Result<Answer, Error> {
        if let Some(answer) = once.first_answer(&self.database).await? {
            return Ok(answer);
        }
        let app = self.clone();
        self.to_the_end(async move {
            let claim = once.claim();
            let user = once.user().clone();
            let outcome = app
                .database
                .transaction(move |tx| {
                    Box::pin(async move {
                        if let Some(claim) = &claim
                            && !once::reserve(tx, claim, now_ms()).await?
                        {
                            return Ok(None);
                        }
                        let written = work(tx).await?;
                        if let Some(claim) = &claim {
                            once::store(tx, claim, &written.answer).await?;
                        }
                        lock_device(tx, &user, now_ms()).await?;
                        Ok::<_, Error>(Some(written))
                    })
                })
                .await?;
            let Some(written) = outcome else {
                // Another process ran the request first: its answer exists, unless it is being rolled back.
                let first = once.first_answer(&app.database).await?;
                return first.ok_or_else(|| ErrorCode::KeyRunning.into());
            };
            app.journal.publish(written.unpublished);
            if let Some(user) = written.disabled {
                end_sessions(&app, user).await;
            }
            log_out(&app, &written.logged_out).await;
            Ok(written.answer)
        })
        .await
    }

    /// Completes work even if the request's future is dropped: the effects after a commit must not be skipped.
    ///
    /// # Errors
    /// Those of the work; [`ErrorCode::Internal`] when it panics.
    pub async fn to_the_end<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, Error>> + Send + 'static,
    ) -> Result<T, Error> {
        tokio::spawn(work).await.map_err(Error::internal)?
    }
}

/// Ends the live sessions of a disabled account. The generation protects sessions that log in after it was enabled again
/// from a late or repeated notice.
async fn end_sessions(app: &App, user: UserId) {
    match app.backplane.next_generation(user).await {
        Ok(generation) => {
            let generation = generation.0;
            app.journal.notify(user, &UserNotice::Disabled { generation });
        }
        // A notice would not arrive either.
        Err(error) => Event::DisabledSessionsStay {
            user: user.get(),
            error: &error,
        }
        .emit(),
    }
}
