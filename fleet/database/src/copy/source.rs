//! The rows of a SQLite table, batch by batch.

use std::sync::Arc;

use rusqlite::{Connection, types::ValueRef};
use tokio::{sync::mpsc, task::JoinHandle};

use super::catalogue::{Column, Kind, Table};
use crate::{Error, Value, sqlite::Sqlite};

/// A batch ends at this many rows or bytes, whichever comes first; a few batches wait for the other side.
const BATCH_ROWS: usize = 1000;
const BATCH_BYTES: usize = 1024 * 1024;
const WAITING_BATCHES: usize = 2;

type Rows = Vec<Vec<Value>>;

/// All rows in the order of the primary key, of one snapshot.
pub(super) struct Batches {
    read: mpsc::Receiver<Rows>,
    reading: JoinHandle<Result<(), Error>>,
}

impl Batches {
    pub(super) fn of(sqlite: &Sqlite, table: Arc<Table>) -> Self {
        let (batches, read) = mpsc::channel(WAITING_BATCHES);
        let sqlite = sqlite.clone();
        let reading = tokio::spawn(async move {
            let send = move |rows| batches.blocking_send(rows).is_ok();
            sqlite
                .read(move |connection| self::read(connection, &table, send))
                .await
        });
        Self { read, reading }
    }

    /// The next batch. `None` is the end of the table, never that of a reader that failed: both sides would agree on
    /// the rows before it.
    pub(super) async fn next(&mut self) -> Result<Option<Rows>, Error> {
        if let Some(rows) = self.read.recv().await {
            return Ok(Some(rows));
        }
        let read = (&mut self.reading).await;
        read.map_err(|_| Error::Panicked)?.map(|()| None)
    }
}

/// Reads all rows; ends early when the other side has ended.
fn read(connection: &Connection, table: &Table, mut send: impl FnMut(Rows) -> bool) -> Result<(), Error> {
    let mut statement = connection.prepare(&table.select("BINARY"))?;
    let mut found = statement.query([])?;
    let (mut rows, mut bytes) = (Vec::new(), 0);
    while let Some(row) = found.next()? {
        let mut values = Vec::with_capacity(table.columns.len());
        for (at, column) in table.columns.iter().enumerate() {
            let held = row.get_ref(at)?;
            let value = value(column, held).ok_or_else(|| {
                Error::Copy(format!(
                    "the column {} holds {:?}, which is no {:?}",
                    column.name,
                    held.data_type(),
                    column.kind
                ))
            })?;
            bytes += match &value {
                Value::Text(text) => text.len(),
                Value::Bytes(bytes) => bytes.len(),
                _ => 8,
            };
            values.push(value);
        }
        rows.push(values);
        if rows.len() >= BATCH_ROWS || bytes >= BATCH_BYTES {
            bytes = 0;
            if !send(std::mem::take(&mut rows)) {
                return Ok(());
            }
        }
    }
    send(rows);
    Ok(())
}

/// The value by the column's type; SQLite stores any type in any column, and texts of any bytes.
fn value(column: &Column, held: ValueRef<'_>) -> Option<Value> {
    Some(match (column.kind, held) {
        (_, ValueRef::Null) => Value::Null,
        (Kind::Integer, ValueRef::Integer(integer)) => Value::Integer(integer),
        (Kind::Boolean, ValueRef::Integer(integer @ (0 | 1))) => Value::Boolean(integer == 1),
        (Kind::Text, ValueRef::Text(text)) => Value::Text(String::from_utf8(text.to_vec()).ok()?),
        (Kind::Bytes, ValueRef::Blob(blob)) => Value::Bytes(bytes::Bytes::copy_from_slice(blob)),
        _ => return None,
    })
}
