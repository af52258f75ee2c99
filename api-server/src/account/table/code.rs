//! The SQL of SMS codes.

use bytes::Bytes;
use database::{Transaction, params};
use jobs::{Failure, Turn};

use crate::{account::phone::Phone, http::error::Error};

/// A stored code.
pub(in crate::account) struct StoredCode {
    pub(in crate::account) salt: Bytes,
    pub(in crate::account) hash: Bytes,
    pub(in crate::account) created_ms: i64,
}

/// Stores a code. When the phone received one less than `interval_ms` ago, returns the remaining wait instead, milliseconds. One
/// of the future is of a clock that was ahead, and holds up nobody.
pub(in crate::account) async fn put_code(
    tx: &mut Transaction<'_>,
    phone: &Phone,
    code: StoredCode,
    interval_ms: i64,
) -> Result<Result<(), i64>, Error> {
    let now_ms = code.created_ms;
    let changed = tx
        .execute(
            "INSERT INTO sms_code (phone, salt, code_hash, tries, created_ms) VALUES ($1, $2, $3, 0, $4)
             ON CONFLICT (phone) DO UPDATE SET
               salt = excluded.salt, code_hash = excluded.code_hash, tries = 0,
               created_ms = excluded.created_ms, registered_hash = NULL, registered_device = NULL
             WHERE sms_code.created_ms <= $5 OR sms_code.created_ms > $4",
            params![phone.as_str(), code.salt, code.hash, now_ms, now_ms - interval_ms],
        )
        .await?;
    if changed == 1 {
        return Ok(Ok(()));
    }
    let row = tx
        .query_first(
            "SELECT created_ms FROM sms_code WHERE phone = $1",
            params![phone.as_str()],
        )
        .await?;
    let sent_ms = row.map_or(Ok(now_ms), |row| row.get(0))?;
    Ok(Err(sent_ms + interval_ms - now_ms))
}

pub(in crate::account) async fn remove_code(
    tx: &mut Transaction<'_>,
    phone: &Phone,
    created_ms: i64,
) -> Result<(), Error> {
    tx.execute(
        "DELETE FROM sms_code WHERE phone = $1 AND created_ms = $2",
        params![phone.as_str(), created_ms],
    )
    .await?;
    Ok(())
}

/// Counts an attempt and reads the code to compare with; none when no code exists, or it is too old or was tried too often.
pub(in crate::account) async fn count_attempt(
    tx: &mut Transaction<'_>,
    phone: &Phone,
    max_tries: i64,
    not_before_ms: i64,
) -> Result<Option<StoredCode>, Error> {
    let row = tx
        .query_first(
            "UPDATE sms_code SET tries = tries + 1 WHERE phone = $1 AND tries < $2 AND created_ms > $3
             RETURNING salt, code_hash, created_ms",
            params![phone.as_str(), max_tries, not_before_ms],
        )
        .await?;
    row.map(|row| {
        Ok(StoredCode {
            salt: row.get(0)?,
            hash: row.get(1)?,
            created_ms: row.get(2)?,
        })
    })
    .transpose()
}

pub(in crate::account) async fn refund_attempt(tx: &mut Transaction<'_>, phone: &Phone) -> Result<(), Error> {
    tx.execute(
        "UPDATE sms_code SET tries = tries - 1 WHERE phone = $1",
        params![phone.as_str()],
    )
    .await?;
    Ok(())
}

/// Consumes a code. Its row stays, for the interval.
pub(in crate::account) async fn consume_code(tx: &mut Transaction<'_>, phone: &Phone) -> Result<(), Error> {
    tx.execute(
        "UPDATE sms_code SET code_hash = $1 WHERE phone = $2",
        params![Bytes::new(), phone.as_str()],
    )
    .await?;
    Ok(())
}

pub(in crate::account) async fn salt(tx: &mut Transaction<'_>, phone: &Phone) -> Result<Bytes, Error> {
    let sql = "SELECT salt FROM sms_code WHERE phone = $1";
    let row = tx.query_first(sql, params![phone.as_str()]).await?;
    row.map_or_else(|| Ok(Bytes::new()), |row| Ok(row.get(0)?))
}

/// Remembers by which code and on which device the phone registered.
pub(in crate::account) async fn remember_registration(
    tx: &mut Transaction<'_>,
    phone: &Phone,
    hash: &[u8],
    device: &str,
) -> Result<(), Error> {
    tx.execute(
        "UPDATE sms_code SET registered_hash = $1, registered_device = $2 WHERE phone = $3",
        params![hash, device, phone.as_str()],
    )
    .await?;
    Ok(())
}

/// Salt and hash of the code by which the phone registered on a device.
pub(in crate::account) async fn registration(
    tx: &mut Transaction<'_>,
    phone: &Phone,
    device: &str,
    not_before_ms: i64,
) -> Result<Option<(Bytes, Bytes)>, Error> {
    let row = tx
        .query_first(
            "SELECT salt, registered_hash FROM sms_code
             WHERE phone = $1 AND registered_device = $2 AND created_ms > $3",
            params![phone.as_str(), device, not_before_ms],
        )
        .await?;
    row.map(|row| Ok((row.get(0)?, row.get(1)?))).transpose()
}

const FORGET_CODES: &str = "DELETE FROM sms_code WHERE created_ms <= $1";

pub(in crate::account) async fn forget_codes(turn: &Turn, not_before_ms: i64) -> Result<(), Failure> {
    let forgotten = turn.transaction::<_, Error, _>(move |tx| {
        Box::pin(async move {
            tx.execute(FORGET_CODES, params![not_before_ms]).await?;
            Ok(())
        })
    });
    Ok(forgotten.await?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::walks_an_index;

    #[tokio::test]
    async fn forgetting_walks_an_index() {
        walks_an_index(FORGET_CODES, params![1_i64]).await;
    }
}
