//! Where a server keeps its state.

use std::future::Future;

use backplane::{Backplane, Identity};
use database::Database;

use crate::admin::Readiness;

/// The database, and the backplane of the fleet that owns it.
#[derive(Clone)]
pub struct Stores {
    /// The truth.
    pub database: Database,
    /// State that may vanish at any moment.
    pub backplane: Backplane,
    pub(super) fleet_id: String,
}

impl Stores {
    pub(super) async fn open(
        database: impl Future<Output = Result<Database, database::Error>>,
        redis_url: Option<&str>,
        alone: Option<&str>,
    ) -> anyhow::Result<Self> {
        let database = database.await?;
        let fleet = database.fleet().await?;
        let fleet_id = fleet.id_text();
        let backplane = match (redis_url, alone) {
            (Some(url), _) => Backplane::open(url, &Identity::new(fleet.id, fleet.key)).await?,
            (None, consequence) => {
                if let Some(consequence) = consequence {
                    tracing::warn!("{consequence}");
                }
                Backplane::memory()
            }
        };
        Ok(Self {
            database,
            backplane,
            fleet_id,
        })
    }

    /// Without a database a server does no work; without a backplane it goes on for a while.
    pub(super) fn readiness(&self) -> Readiness {
        let database = self.database.clone();
        let backplane = self.backplane.clone();
        Readiness::builder()
            .require("database", move || {
                let database = database.clone();
                async move { database.is_ready().await }
            })
            .degrade("backplane", move || {
                let backplane = backplane.clone();
                async move { backplane.is_ready().await }
            })
            .build()
    }
}
