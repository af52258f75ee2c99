//! The REST service: the records around conversations, and what opens, changes and closes them.
//!
//! A folder is a domain: `mod.rs` names its routes, `table.rs` holds all its SQL, the other files are one thing done
//! each. They stand on `app/` (the shared state), `http/` (input and answers), `caller/` (the callers as types), `settings/`
//! and [`error`] (the refusals). Above them `write.rs` runs a write, `routes.rs` lists all endpoints, and `assembly.rs` makes
//! the app.

mod account;
mod app;
mod assembly;
mod background;
mod caller;
mod charge;
mod chat;
mod clinic;
mod clock;
mod consult;
mod doctor;
pub mod error;
mod export;
mod family;
mod http;
mod im;
mod income;
mod invitation;
mod media;
mod member;
pub mod operator;
#[cfg(test)]
mod plan;
mod profile;
mod routes;
mod settings;
mod settlement;
mod subscribers;
mod team;
mod vas;
mod wallet;
mod write;

use std::sync::Arc;

use axum::middleware;
use backplane::Backplane;
use database::Database;
use journal::Journal;
use telemetry::{events::rest::Event, task};
use tokio_util::sync::CancellationToken;

use crate::{
    app::App,
    http::{cors, server},
};
pub use program::address::Network;

pub use crate::{
    account::FORGET_LOGINS,
    clock::{now_ms, set_clock},
    doctor::verify_doctor,
    http::server::Listeners,
    routes::{Caller, ROUTES, Route, document, health::FEATURE_LEVEL},
    settings::{
        CountryCode, DoctorVerification, MediaPlace, Origin, PaymentProvider, PublicAddress, RestPort,
        Settings, SmsProvider, exposure, media::open as open_media, payment::probe_vendors,
    },
    settlement::unnamed::{Unnamed, unnamed_providers},
};

/// The REST service, prepared: its settings are checked and its secrets loaded.
pub struct Service {
    app: App,
    router: axum::Router,
    limits: server::ConnectionLimits,
    settings: Settings,
    shutdown: CancellationToken,
}

impl Service {
    /// Prepares everything that can fail; a program reports itself ready afterwards.
    ///
    /// # Errors
    /// When the settings are inconsistent, or the database is away.
    pub async fn prepare(
        settings: Settings,
        database: Database,
        journal: Journal,
        backplane: Backplane,
        shutdown: CancellationToken,
    ) -> anyhow::Result<Self> {
        let limits = server::ConnectionLimits::new(&settings);
        journal.must_have_functions().await?;
        journal.warn_of_clocks().await;
        // Where the database is read-only, a sweep folds them later; until then such names are found by their exact spelling.
        if let Err(error) = background::sweep::fold_names(&database).await {
            let inner = error.inner().unwrap_or_default();
            Event::NamesFoldedLater { inner }.emit();
        }
        settlement::unnamed::report(&database, &settings.payment_providers).await?;
        let app = assembly::app(&settings, database, journal, backplane, shutdown.clone()).await?;
        let mut router = routes::router(app.clone());
        if !settings.cors_origin.is_empty() {
            let origins: Arc<[Origin]> = settings.cors_origin.clone().into();
            router = router.layer(middleware::from_fn_with_state(origins, cors::cors));
        }
        Ok(Self {
            app,
            router,
            limits,
            settings,
            shutdown,
        })
    }

    /// Serves until the `shutdown` of [`Self::prepare`], then drains.
    ///
    /// # Errors
    /// When a listener has no address, or TLS cannot be set up.
    pub async fn serve(self, listeners: impl Into<Listeners>) -> anyhow::Result<()> {
        let listeners = listeners.into();
        for advice in exposure::examine(&self.settings, listeners.plain.local_addr()?.ip()) {
            advice.log();
        }
        let jobs = background::start(&self.app);
        let sweep = task::vital(task::Name::RestSweep, background::sweep::run(self.app));
        server::run(listeners, self.router, self.limits, self.shutdown).await?;
        sweep.await?;
        jobs.await?;
        Ok(())
    }
}
