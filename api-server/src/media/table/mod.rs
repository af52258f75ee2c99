//! The SQL of media.

mod own;
mod unused;

use bytes::Bytes;
use database::{Database, Row, Transaction, params};
use media::{Finished, Key, MimeType};
use proto::UserId;

pub(super) use own::own;
pub(super) use unused::{abandon, forget, has_key, unused};

use super::{Purpose, Record};
use crate::http::error::Error;

/// The sequence of media ids.
pub(super) const SEQUENCE: &str = "media";

/// The least that an upload counts for, bytes: many small ones cost rows.
const MIN_COUNTED_BYTES: i64 = 256 * 1024;

/// The state of an upload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// Its bytes are awaited.
    Asked,
    /// Its bytes are what was announced.
    Finished,
    /// Its bytes were not, or it was not used: they are deleted.
    Gone,
}

impl State {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Asked => "asked",
            Self::Finished => "finished",
            Self::Gone => "gone",
        }
    }
}

/// An upload.
#[derive(Clone, Debug)]
pub(crate) struct Medium {
    pub(super) id: i64,
    pub(super) owner: UserId,
    pub(super) purpose: Purpose,
    pub(super) mime: MimeType,
    pub(super) bytes: i64,
    pub(super) sha256: [u8; 32],
    pub(super) file_name: String,
    pub(super) key: Key,
    pub(super) state: State,
    pub(super) width: i64,
    pub(super) height: i64,
    pub(super) duration_ms: i64,
    pub(super) is_used: bool,
}

impl Medium {
    pub(super) fn uri(&self) -> String {
        format!("media:{}", self.id)
    }
}

const COLUMNS: &str =
    "id, owner_id, purpose, mime_type, bytes, sha256, file_name, store_key, state, width, height,
     duration_ms, used_ms";
/// How many they are.
const MEDIUM_COLUMNS: usize = 13;

fn medium_sql() -> String {
    format!("SELECT {COLUMNS} FROM media WHERE id = $1")
}

fn medium_row(row: &Row) -> Result<Medium, Error> {
    let (purpose, mime, key): (String, String, String) = (row.get(2)?, row.get(3)?, row.get(7)?);
    let (sha256, state, used_ms): (Bytes, String, Option<i64>) = (row.get(5)?, row.get(8)?, row.get(12)?);
    let states = [State::Asked, State::Finished, State::Gone];
    let unknown = |column: &str| Error::internal(format!("media.{column} is unknown"));
    Ok(Medium {
        id: row.get(0)?,
        owner: UserId::from_database(row.get(1)?),
        purpose: Purpose::from_database(&purpose).ok_or_else(|| unknown("purpose"))?,
        mime: MimeType::parse(&mime).ok_or_else(|| unknown("mime_type"))?,
        bytes: row.get(4)?,
        sha256: sha256[..].try_into().map_err(|_| unknown("sha256"))?,
        file_name: row.get(6)?,
        key: key.parse().map_err(|_| unknown("store_key"))?,
        state: states
            .into_iter()
            .find(|known| known.as_str() == state)
            .ok_or_else(|| unknown("state"))?,
        width: row.get(9)?,
        height: row.get(10)?,
        duration_ms: row.get(11)?,
        is_used: used_ms.is_some(),
    })
}

pub(super) async fn medium(database: &Database, id: i64) -> Result<Option<Medium>, Error> {
    let row = database.query_first(medium_sql(), params![id]).await?;
    row.as_ref().map(medium_row).transpose()
}

pub(super) async fn medium_in(tx: &mut Transaction<'_>, id: i64) -> Result<Option<Medium>, Error> {
    let row = tx.query_first(medium_sql(), params![id]).await?;
    row.as_ref().map(medium_row).transpose()
}

pub(super) async fn put(tx: &mut Transaction<'_>, medium: &Medium, now_ms: i64) -> Result<(), Error> {
    tx.execute(
        "INSERT INTO media (id, owner_id, purpose, mime_type, bytes, sha256, file_name, store_key, state, created_ms)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
        params![
            medium.id,
            medium.owner.get(),
            medium.purpose.as_str(),
            medium.mime.name(),
            medium.bytes,
            &medium.sha256[..],
            medium.file_name.as_str(),
            medium.key.as_str(),
            medium.state.as_str(),
            now_ms
        ],
    )
    .await?;
    Ok(())
}

const RECENT: &str = "SELECT CAST(COALESCE(SUM(CASE WHEN bytes > $3 THEN bytes ELSE $3 END), 0) AS BIGINT),
        COUNT(CASE WHEN state = 'asked' THEN 1 END)
     FROM media WHERE owner_id = $1 AND created_ms > $2";

/// The uploads that a user has asked for since then: their sum in bytes, and the number of unfinished ones.
pub(super) async fn recent(
    tx: &mut Transaction<'_>,
    owner: UserId,
    since_ms: i64,
) -> Result<(i64, i64), Error> {
    let row = tx
        .query_first(RECENT, params![owner.get(), since_ms, MIN_COUNTED_BYTES])
        .await?;
    let row = row.ok_or_else(|| Error::internal("a sum has no row"))?;
    Ok((row.get(0)?, row.get(1)?))
}

/// The bytes that an upload of this size counts for.
pub(super) fn counted(bytes: i64) -> i64 {
    bytes.max(MIN_COUNTED_BYTES)
}

/// Whether an awaited upload became a finished one.
pub(super) async fn finish(
    tx: &mut Transaction<'_>,
    id: i64,
    found: Finished,
    now_ms: i64,
) -> Result<bool, Error> {
    let finished = tx
        .execute(
            "UPDATE media SET state = 'finished', width = $1, height = $2, duration_ms = $3, finished_ms = $4
             WHERE id = $5 AND state = 'asked'",
            params![
                i64::from(found.width),
                i64::from(found.height),
                i64::try_from(found.duration_ms).unwrap_or(i64::MAX),
                now_ms,
                id
            ],
        )
        .await?;
    Ok(finished == 1)
}

/// Gives up an awaited upload, whose bytes were refused.
pub(super) async fn refuse(tx: &mut Transaction<'_>, id: i64) -> Result<(), Error> {
    tx.execute(
        "UPDATE media SET state = 'gone' WHERE id = $1 AND state = 'asked'",
        params![id],
    )
    .await?;
    Ok(())
}

/// Marks a finished medium of this owner and purpose as used, and locks it. Its MIME type; `None` where it is not one.
pub(super) async fn mark_used(
    tx: &mut Transaction<'_>,
    id: i64,
    owner: UserId,
    purpose: Purpose,
    now_ms: i64,
) -> Result<Option<String>, Error> {
    let row = tx
        .query_first(
            "UPDATE media SET used_ms = COALESCE(used_ms, $1)
             WHERE id = $2 AND owner_id = $3 AND purpose = $4 AND state = 'finished' RETURNING mime_type",
            params![now_ms, id, owner.get(), purpose.as_str()],
        )
        .await?;
    Ok(row.map(|row| row.get(0)).transpose()?)
}

pub(super) async fn put_record(
    tx: &mut Transaction<'_>,
    media_id: i64,
    record: Record,
    record_id: i64,
) -> Result<(), Error> {
    tx.execute(
        "INSERT INTO media_record (media_id, record, record_id) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
        params![media_id, record.as_str(), record_id],
    )
    .await?;
    Ok(())
}

pub(super) async fn count_records(tx: &mut Transaction<'_>, media_id: i64) -> Result<i64, Error> {
    let row = tx
        .query_first(
            "SELECT count(*) FROM media_record WHERE media_id = $1",
            params![media_id],
        )
        .await?;
    Ok(row.map_or(Ok(0), |row| row.get(0))?)
}

const RECORDS: &str = "SELECT record, record_id FROM media_record WHERE media_id = $1";

/// The records that name a medium.
pub(super) async fn records(database: &Database, media_id: i64) -> Result<Vec<(Record, i64)>, Error> {
    let rows = database.query(RECORDS, params![media_id]).await?;
    let mut records = Vec::with_capacity(rows.len());
    for row in rows {
        let record: String = row.get(0)?;
        if let Some(record) = Record::from_database(&record) {
            records.push((record, row.get(1)?));
        }
    }
    Ok(records)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::walks_an_index;

    #[tokio::test]
    async fn statements_walk_an_index() {
        walks_an_index(&medium_sql(), params![1_i64]).await;
        walks_an_index(RECENT, params![1_i64, 2_i64, 3_i64]).await;
        walks_an_index(RECORDS, params![1_i64]).await;
    }
}
