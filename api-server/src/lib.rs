//! The REST service: the records around conversations, and what opens, changes and closes them.
//!
//! A folder is a domain: `mod.rs` names its routes, `table.rs` holds all its SQL, the other files are one thing done
//! each. `http/` is what each request passes, whatever it is about: [`error`] lists every refusal, `observe` surrounds all
//! routes, `once` makes writes happen once. `caller/` says who calls, as types.

mod account;
mod app;
mod caller;
mod chat;
mod clinic;
mod clock;
mod consult;
mod doctor;
mod family;
mod http;
mod im;
mod invitation;
mod member;
pub mod operator;
#[cfg(test)]
mod plan;
mod routes;
mod settings;
mod subscribers;
mod sweep;
mod team;
mod vas;

use std::sync::Arc;

use axum::middleware;
use backplane::Backplane;
use database::Database;
use journal::Journal;
use tokio_util::sync::CancellationToken;

use crate::{
    app::App,
    http::{cors, server},
};
pub use program::address::Network;

pub use crate::{
    account::{CountryCode, FORGET_LOGINS},
    http::{cors::Origin, error, health::FEATURE_LEVEL, server::Listeners},
    routes::document,
    settings::{RestPort, Settings, SmsProvider, exposure},
};

/// The REST service, able to serve: what it needs of the database is read.
pub struct Service {
    app: App,
    router: axum::Router,
    room: server::Room,
    settings: Settings,
    shutdown: CancellationToken,
}

impl Service {
    /// Gets everything ready that can fail; a program calls itself ready after this.
    ///
    /// # Errors
    /// When the settings cannot be carried out, or the database is away.
    pub async fn prepare(
        settings: Settings,
        database: Database,
        journal: Journal,
        backplane: Backplane,
        shutdown: CancellationToken,
    ) -> anyhow::Result<Self> {
        let room = server::Room::new(&settings);
        journal.warn_of_clocks().await;
        // Where nothing can be written now, a sweep does it later; until then such names are found as they are spelt.
        if let Err(error) = sweep::fold_names(&database).await {
            let inner = error.inner().unwrap_or_default();
            tracing::warn!(inner, "names that an earlier release wrote are folded later");
        }
        let app = App::new(&settings, database, journal, backplane, shutdown.clone()).await?;
        let mut router = routes::router(app.clone())?;
        if !settings.cors_origin.is_empty() {
            let origins: Arc<[Origin]> = settings.cors_origin.clone().into();
            router = router.layer(middleware::from_fn_with_state(origins, cors::cors));
        }
        Ok(Self {
            app,
            router,
            room,
            settings,
            shutdown,
        })
    }

    /// Serves on its listeners until the `shutdown` of [`Self::prepare`]; then requests that are running end, and no others
    /// begin.
    ///
    /// # Errors
    /// When a listener has no address, or what removes expired records panicked.
    pub async fn serve(self, listeners: impl Into<Listeners>) -> anyhow::Result<()> {
        let listeners = listeners.into();
        for advice in exposure::examine(&self.settings, listeners.plain.local_addr()?.ip()) {
            advice.log();
        }
        let sweep = tokio::spawn(sweep::run(self.app));
        server::run(listeners, self.router, self.room, self.shutdown).await?;
        sweep.await?;
        Ok(())
    }
}
