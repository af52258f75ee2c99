//! Copying a whole database from SQLite to PostgreSQL: every table, in one transaction of the target, and
//! verified before it is committed. It is the same history afterwards: only the engine changes.
//!
//! The rows of both sides, in the order of the primary key, go through the same checksum. Rows pass through in
//! batches, so memory does not grow with the number of messages.

mod catalogue;
mod source;
mod sum;
mod target;

use std::sync::Arc;

pub use self::sum::Sum;
use self::{catalogue::Table, source::Batches, sum::Summing, target::Target};
use crate::{Database, Engine, Error, LATEST_VERSION, sqlite::Sqlite};

/// The outcome for a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CopiedTable {
    /// Its name.
    pub name: String,
    /// The rows of the source.
    pub source: Sum,
    /// The rows of the target after they were written.
    pub target: Sum,
}

impl CopiedTable {
    /// Whether the target holds what the source holds.
    pub fn is_same(&self) -> bool {
        self.source == self.target
    }
}

/// Copies all tables of a SQLite file to a PostgreSQL database whose tables are empty. When all of them are the same there,
/// `finish` is run and the transaction is committed; else it is rolled back. `report` gets each table's outcome.
///
/// Open the source with [`Database::open_as_it_is`]: its lock keeps every other process away meanwhile. Writers of the
/// target wait until the copy ends.
///
/// # Errors
/// [`Error::Copy`] when source or target is the wrong engine, when either has another schema than this program's,
/// when the target is not empty, or when a row cannot be read or written.
pub async fn copy(
    source: &Database,
    target: &Database,
    finish: &[&str],
    mut report: impl FnMut(&CopiedTable),
) -> Result<Vec<CopiedTable>, Error> {
    let Engine::Sqlite(sqlite) = source.engine() else {
        return refuse("a copy is made from a file, as in sqlite://data/huizhen.db");
    };
    let Engine::Postgres(postgres) = target.engine() else {
        return refuse("a copy is made to a server, as in postgres://user:password@host:5432/huizhen");
    };
    has_our_schema("source", source.schema_version().await?)?;
    has_our_schema("target", target.schema_version().await?)?;
    let tables = catalogue::of_sqlite(source).await?;
    let there = catalogue::of_postgres(target).await?;
    let missing = |from: &[Table], table: &Table| !from.iter().any(|there| there.has_columns_of(table));
    if tables.iter().any(|table| missing(&there, table)) || there.len() != tables.len() {
        let differs = |(a, b): (&[Table], &[Table])| {
            let names = a.iter().filter(|table| missing(b, table));
            names
                .map(|table| table.name.clone())
                .collect::<Vec<_>>()
                .join(", ")
        };
        return refuse(format!(
            "the tables are not the same on both sides; look at those of the source: [{}], of the target: [{}]",
            differs((&tables, &there)),
            differs((&there, &tables))
        ));
    }
    // PostgreSQL's, for their keys: both sides are read in that order.
    let tables = there;
    let mut target = Target::begin(postgres, &tables).await?;
    if let Some(table) = target.first_filled(&tables).await? {
        return refuse(format!(
            "the target is not empty: its table {table} has rows; give an empty database"
        ));
    }
    let mut copied = Vec::with_capacity(tables.len());
    for table in tables {
        let table = Arc::new(table);
        let one = one_table(sqlite, &mut target, &table)
            .await
            .map_err(|error| Error::Copy(format!("table {}: {error}", table.name)))?;
        report(&one);
        copied.push(one);
    }
    if copied.iter().all(CopiedTable::is_same) {
        target.commit(finish).await?;
    } else {
        target.roll_back().await?;
    }
    Ok(copied)
}

async fn one_table(sqlite: &Sqlite, target: &mut Target, table: &Arc<Table>) -> Result<CopiedTable, Error> {
    let mut batches = Batches::of(sqlite, table.clone());
    let mut source = Summing::default();
    let mut writing = target.writing(table).await?;
    while let Some(rows) = batches.next().await? {
        for row in &rows {
            source.add(row);
            writing.write(row).await?;
        }
    }
    writing.finish().await?;
    Ok(CopiedTable {
        name: table.name.clone(),
        source: source.finish(),
        target: target.sum(table).await?,
    })
}

fn has_our_schema(which: &str, version: i64) -> Result<(), Error> {
    match version {
        LATEST_VERSION => Ok(()),
        newer if newer > LATEST_VERSION => refuse(format!(
            "the {which} has schema version {newer}, which is newer than this program's {LATEST_VERSION}; use the newer program"
        )),
        older => refuse(format!(
            "the {which} has schema version {older}, this program's is {LATEST_VERSION}; run `huizhen migrate` on it first"
        )),
    }
}

fn refuse<T>(reason: impl Into<String>) -> Result<T, Error> {
    Err(Error::Copy(reason.into()))
}
