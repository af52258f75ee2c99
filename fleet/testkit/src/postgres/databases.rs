//! Databases of tests in one instance.

use std::{
    sync::atomic::Ordering,
    time::{Duration, Instant},
};

use anyhow::ensure;

use super::{Postgres, workers::Citus};
use crate::PATIENCE;

impl Postgres {
    /// Makes a database, empty or as a copy of one without connections.
    ///
    /// # Errors
    /// As PostgreSQL says.
    pub fn create_database(&self, name: &str, template: Option<&str>) -> anyhow::Result<()> {
        let template = template.unwrap_or("template1");
        self.psql(
            "postgres",
            &format!("CREATE DATABASE \"{name}\" TEMPLATE \"{template}\""),
        )?;
        Ok(())
    }

    /// The address of a new empty database.
    ///
    /// # Errors
    /// As PostgreSQL says.
    pub fn empty_database(&self) -> anyhow::Result<String> {
        let name = self.next_name();
        self.create_database(&name, None)?;
        Ok(self.url(&name))
    }

    /// The address of a new database, a copy of one that `prepare` (given its address) has filled once for this
    /// instance. `prepare` must leave no connection behind.
    ///
    /// # Errors
    /// As PostgreSQL or `prepare` says.
    pub async fn prepared_database<F>(&self, prepare: impl FnOnce(String) -> F) -> anyhow::Result<String>
    where
        F: Future<Output = anyhow::Result<()>>,
    {
        let make = || async {
            let name = self.next_name();
            self.create_database(&name, None)?;
            let citus = Citus::asked_for();
            if citus.is_some() {
                self.be_its_own_worker(&name)?;
            }
            prepare(self.url(&name)).await?;
            if let Some(citus) = citus {
                // Apart: the connections of `prepare` end meanwhile.
                let url = self.url(&name);
                tokio::task::spawn_blocking(move || citus.distribute(&url)).await??;
                self.close_database(&name)?;
            }
            anyhow::Ok(name)
        };
        let template = self.template.get_or_try_init(make).await?;
        let name = self.next_name();
        // A connection that was just closed may still be counted for a moment.
        let deadline = Instant::now() + PATIENCE;
        while let Err(error) = self.create_database(&name, Some(template)) {
            ensure!(
                error.to_string().contains("being accessed") && Instant::now() < deadline,
                "{error:#}"
            );
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        Ok(self.url(&name))
    }

    fn next_name(&self) -> String {
        let at = self.next_database.fetch_add(1, Ordering::Relaxed);
        format!("test_{at}")
    }
}
