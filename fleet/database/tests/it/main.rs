//! The database handle, on real files.

#![allow(clippy::unwrap_used, reason = "a test that fails says where")]

mod constraints;
mod full_disk;
mod ids;
mod opening;
mod transactions;
mod values;

use database::{Database, Error};
use tempfile::TempDir;

/// A database in a folder that goes with it.
struct Scratch {
    folder: TempDir,
    database: Database,
}

impl Scratch {
    async fn open() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let database = Database::open(&url(&folder)).await.unwrap();
        Self { folder, database }
    }

    /// Closes and opens it again, as a restart does.
    async fn reopen(self) -> Self {
        self.database.close().await;
        let database = Database::open(&url(&self.folder)).await.unwrap();
        Self { database, ..self }
    }

    /// Runs statements without parameters, for tables of the tests' own.
    async fn run(&self, statements: &'static [&'static str]) {
        self.database
            .transaction(move |tx| {
                Box::pin(async move {
                    for statement in statements {
                        tx.execute(*statement, vec![]).await?;
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
}

fn url(folder: &TempDir) -> String {
    format!("sqlite://{}/test.db", folder.path().display())
}
