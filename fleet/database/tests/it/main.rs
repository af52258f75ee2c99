//! The database handle, on real files and a real server.

#![allow(clippy::unwrap_used, reason = "a test that fails says where")]

mod backups;
mod constraints;
mod copying;
mod damage;
mod fleet;
mod full_disk;
mod hanging;
mod ids;
mod machines;
mod opening;
mod pages;
mod postgres;
mod postgres_faults;
mod queueing;
mod released;
mod roles;
mod snapshots;
mod starting;
mod transactions;
mod values;

use database::{Database, Error};
use tempfile::TempDir;
use testkit::{
    PATIENCE, eventually, eventually_ok,
    store::{Place, Store},
};

/// A database of the test's own.
struct Scratch {
    store: Store,
    place: Place,
    database: Database,
}

impl Scratch {
    async fn open(store: Store) -> Self {
        let place = store.place(migrated).await;
        let database = Database::open(place.url()).await.unwrap();
        Self {
            store,
            place,
            database,
        }
    }

    /// Closes and opens it again, as a restart does.
    async fn reopen(self) -> Self {
        self.database.close().await;
        let database = Database::open(self.place.url()).await.unwrap();
        Self { database, ..self }
    }

    /// Runs statements without parameters, for tables of the tests' own.
    async fn run(&self, statements: &[&'static str]) {
        let rowid = match self.store {
            Store::Sqlite => "WITHOUT ROWID",
            Store::Postgres => "",
        };
        let statements: Vec<String> = statements
            .iter()
            .map(|statement| statement.replace("{without_rowid}", rowid))
            .collect();
        self.database
            .transaction(move |tx| {
                Box::pin(async move {
                    for statement in statements {
                        tx.execute(statement, vec![]).await?;
                    }
                    Ok::<_, Error>(())
                })
            })
            .await
            .unwrap();
    }

    async fn number(&self, sql: &'static str) -> i64 {
        let row = self.database.query_first(sql, vec![]).await.unwrap();
        row.unwrap().get(0).unwrap()
    }

    /// Waits until a number is what it must become.
    async fn eventually(&self, sql: &'static str, number: i64) {
        eventually(sql, async || self.number(sql).await == number).await;
    }
}

/// Waits until writes succeed, by readiness.
async fn writable(database: &Database) {
    eventually_ok("writes succeed", async || database.is_ready().await).await;
}

/// Waits until writes fail, by readiness; returns why.
async fn unwritable(database: &Database) -> Error {
    let attempt = async || match database.is_writable().await {
        Err(error) => Ok(error),
        Ok(()) => Err("they succeed"),
    };
    eventually_ok("writes fail", attempt).await
}

/// Makes the database that those of the tests are copies of.
async fn migrated(url: String) -> anyhow::Result<()> {
    Database::open(&url).await?.close().await;
    Ok(())
}

fn url(folder: &TempDir) -> String {
    format!("sqlite://{}/test.db", folder.path().display())
}
