//! Secrets of the fleet: random, generated at the first start, stored in the database. None has a default.

use bytes::Bytes;
use database::{Database, params};

use crate::{clock::now_ms, http::error::Error};

/// The length of a SHA-256 output: a longer key adds nothing to an HMAC.
const SECRET_BYTES: usize = 32;

/// The secret of a name; the first process that asks generates it.
///
/// # Errors
/// As the database says.
pub(crate) async fn load(database: &Database, name: &'static str) -> Result<Bytes, Error> {
    if let Some(secret) = read(database, name).await? {
        return Ok(secret);
    }
    let new: [u8; SECRET_BYTES] = rand::random();
    database
        .transaction(move |tx| {
            Box::pin(async move {
                tx.execute(
                    "INSERT INTO secret (name, value, created_ms) VALUES ($1, $2, $3) ON CONFLICT (name) DO NOTHING",
                    params![name, &new[..], now_ms()],
                )
                .await
            })
        })
        .await?;
    // Another process may have inserted its secret first.
    read(database, name)
        .await?
        .ok_or_else(|| Error::internal("a secret that was written is not there"))
}

async fn read(database: &Database, name: &'static str) -> Result<Option<Bytes>, Error> {
    let row = database
        .query_first("SELECT value FROM secret WHERE name = $1", params![name])
        .await?;
    Ok(row.map(|row| row.get(0)).transpose()?)
}
