//! What every request works with.

use std::{ops::Deref, sync::Arc};

use backplane::Backplane;
use database::{Database, Transaction, TransactionFuture};
use journal::{Journal, UserNotice, record::Unpublished};
use program::address::TrustedProxies;
use proto::{UserId, media::MediaHosts};
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

/// The work of a write.
type Work = Box<
    dyn for<'t, 'c> FnOnce(&'t mut Transaction<'c>) -> TransactionFuture<'t, Written, Error> + Send + 'static,
>;

/// The handle; cloning it is cheap.
#[derive(Clone)]
pub struct App(Arc<Parts>);

/// What the handle stands for.
pub struct Parts {
    /// The truth.
    pub database: Database,
    /// Conversations.
    pub journal: Journal,
    /// IM passwords and the directory of nodes.
    pub backplane: Backplane,
    /// When access tokens were used last.
    pub tokens: Tokens,
    /// Rates of users and addresses.
    pub limits: Limits,
    /// Budgets for passwords and codes that are tried, and for SMS.
    pub budgets: Arc<Budgets>,
    /// Spreads those who ask for nodes.
    pub spread: Spread,
    /// Password hashing.
    pub passwords: Passwords,
    /// The way of SMS codes.
    pub sms: Sms,
    /// Requests with an Idempotency-Key that are running here.
    pub running: Running,
    /// Countries whose phones get SMS codes.
    pub sms_countries: Vec<CountryCode>,
    /// Proxies that are believed.
    pub trusted_proxies: TrustedProxies,
    /// Hosts whose uris of media are taken.
    pub media_hosts: MediaHosts,
    /// How often a device gets an IM password.
    pub im_passwords: ImPasswordRates,
    /// Signs and checks invitation links.
    pub links: Links,
    /// Who acts on the events of domains.
    pub(crate) subscribers: Subscribers,
    /// Set when the service is to end.
    pub shutdown: CancellationToken,
}

/// What a write did: its answer, and what must follow the commit.
pub struct Written {
    /// The answer, now and for repeated requests.
    pub answer: Answer,
    /// Entries that nobody has been told of.
    pub unpublished: Unpublished,
    /// Devices whose tokens this write removed.
    pub logged_out: Vec<Device>,
    /// Whose account this write disabled: sessions end, also those whose devices nobody knows.
    pub disabled: Option<UserId>,
}

impl Written {
    /// A write with nothing to follow.
    pub fn new(answer: Answer) -> Self {
        Self {
            answer,
            unpublished: Unpublished::default(),
            logged_out: Vec::new(),
            disabled: None,
        }
    }

    /// With entries to announce.
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

    /// Runs a write once: its effect, the answer under its Idempotency-Key, and the check that the caller is still logged
    /// in, in one transaction; then what must follow. It runs to its end also when the caller goes away.
    ///
    /// # Errors
    /// What the write gives; [`ErrorCode::KeyReused`] and [`ErrorCode::KeyRunning`].
    pub async fn write<F>(&self, once: Once, work: F) -> Result<Answer, Error>
    where
        F: for<'t, 'c> FnOnce(&'t mut Transaction<'c>) -> TransactionFuture<'t, Written, Error>
            + Send
            + 'static,
    {
        self.write_erased(once, Box::new(work)).await
    }

    /// The same for all callers, so that it is compiled once.
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
                            && !once::take(tx, claim, now_ms()).await?
                        {
                            return Ok(None);
                        }
                        let written = work(tx).await?;
                        if let Some(claim) = &claim {
                            once::keep(tx, claim, &written.answer).await?;
                        }
                        lock_device(tx, &user, now_ms()).await?;
                        Ok::<_, Error>(Some(written))
                    })
                })
                .await?;
            let Some(written) = outcome else {
                // Another process was faster: its answer is there, unless it is being rolled back right now.
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

    /// Runs work to its end also when the request's future is dropped: what follows a commit must not be left out.
    ///
    /// # Errors
    /// What the work gives; [`ErrorCode::Internal`] when it panics.
    pub async fn to_the_end<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, Error>> + Send + 'static,
    ) -> Result<T, Error> {
        tokio::spawn(work).await.map_err(Error::internal)?
    }
}

/// Ends the live sessions of a disabled account. One that logs in once it is enabled again stands, however late or often
/// the notice comes.
async fn end_sessions(app: &App, user: UserId) {
    match app.backplane.next_generation(user).await {
        Ok(generation) => {
            let generation = generation.0;
            app.journal.notify(user, &UserNotice::Disabled { generation });
        }
        // A notice would not arrive either.
        Err(error) => {
            tracing::warn!(user = user.get(), %error, "live sessions of a disabled account that no device is known of live on");
        }
    }
}
