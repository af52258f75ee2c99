//! The database's clock: one for all processes of a fleet, whichever of them has a wrong one. On SQLite it is the machine's.

use super::{Database, Transaction};
use crate::{Error, Row};

/// A statement of each engine with the database's clock, epoch milliseconds, between its first two parts.
#[macro_export]
macro_rules! clocked {
    ($before:literal, $($after:literal),+) => {
        [
            concat!($before, "CAST(ROUND(unixepoch('subsec') * 1000) AS INTEGER)", $($after),+),
            concat!($before, "CAST(extract(epoch FROM clock_timestamp()) * 1000 AS BIGINT)", $($after),+),
        ]
    };
}

const CLOCK: [&str; 2] = clocked!("SELECT ", " AS now_ms");

fn read(row: Option<Row>) -> Result<i64, Error> {
    row.ok_or_else(|| Error::Engine("the database has no clock".to_owned()))?
        .get(0)
}

impl Database {
    /// Now by the database's clock, epoch milliseconds.
    ///
    /// # Errors
    /// The engine's.
    pub async fn now_ms(&self) -> Result<i64, Error> {
        let [on_sqlite, on_postgres] = CLOCK;
        read(
            self.query_first(self.text(on_sqlite, on_postgres), Vec::new())
                .await?,
        )
    }
}

impl Transaction<'_> {
    /// As [`Database::now_ms`].
    ///
    /// # Errors
    /// As [`Self::query`].
    pub async fn now_ms(&mut self) -> Result<i64, Error> {
        let [on_sqlite, on_postgres] = CLOCK;
        read(
            self.query_first(self.text(on_sqlite, on_postgres), Vec::new())
                .await?,
        )
    }
}
