//! The SQL of devices and their access tokens.

use bytes::Bytes;
use database::{Database, Row, Transaction, params};
use proto::UserId;

use crate::{
    account::{
        device::{Device, NewLogin, PushToken},
        token::Found,
    },
    caller::{TokenHash, User},
    http::error::{Error, ErrorCode},
};

/// A device.
pub(in crate::account) struct DeviceRow {
    pub(in crate::account) device_id: String,
    pub(in crate::account) platform: String,
    pub(in crate::account) token: TokenHash,
    pub(in crate::account) has_push_token: bool,
    pub(in crate::account) created_ms: i64,
    pub(in crate::account) last_used_ms: i64,
}

const TOKEN: &str = "SELECT d.user_id, d.device_id, a.role, d.last_used_ms
     FROM device d JOIN account a ON a.id = d.user_id
     WHERE d.token_hash = $1 AND d.token_expires_ms > $2 AND a.disabled_ms IS NULL";

pub(in crate::account) async fn device_of_token(
    database: &Database,
    token: &TokenHash,
    now_ms: i64,
) -> Result<Option<Found>, Error> {
    let row = database.query_first(TOKEN, params![&token[..], now_ms]).await?;
    row.as_ref().map(|row| Found::from_row(row, *token)).transpose()
}

const LOCK_ON_SQLITE: &str = "SELECT user_id FROM device WHERE token_hash = $1 AND token_expires_ms > $2";
const LOCK_ON_POSTGRES: &str = "UPDATE device SET last_used_ms = last_used_ms
     WHERE token_hash = $1 AND token_expires_ms > $2 RETURNING user_id";

/// Refuses a transaction whose access token has ended, and locks the token's device until the commit. SQLite runs one
/// transaction at a time and needs no lock. Comes after all other locks, as in the transactions that end devices.
pub(crate) async fn lock_device(tx: &mut Transaction<'_>, user: &User, now_ms: i64) -> Result<(), Error> {
    let sql = tx.text(LOCK_ON_SQLITE, LOCK_ON_POSTGRES);
    let row = tx.query_first(sql, params![&user.token[..], now_ms]).await?;
    row.map(drop).ok_or_else(|| ErrorCode::AuthRequired.into())
}

const DEVICES: &str =
    "SELECT device_id, platform, token_hash, push_token IS NOT NULL, created_ms, last_used_ms
     FROM device WHERE user_id = $1";

fn device_row(row: &Row) -> Result<DeviceRow, Error> {
    Ok(DeviceRow {
        device_id: row.get(0)?,
        platform: row.get(1)?,
        token: token(&row.get::<Bytes>(2)?)?,
        has_push_token: row.get(3)?,
        created_ms: row.get(4)?,
        last_used_ms: row.get(5)?,
    })
}

fn token(bytes: &Bytes) -> Result<TokenHash, Error> {
    TokenHash::try_from(&bytes[..]).map_err(|_| Error::internal("device.token_hash is no SHA-256"))
}

pub(in crate::account) async fn devices(
    tx: &mut Transaction<'_>,
    user: UserId,
) -> Result<Vec<DeviceRow>, Error> {
    let rows = tx.query(DEVICES, params![user.get()]).await?;
    rows.iter().map(device_row).collect()
}

pub(in crate::account) async fn list_devices(
    database: &Database,
    user: UserId,
) -> Result<Vec<DeviceRow>, Error> {
    let rows = database.query(DEVICES, params![user.get()]).await?;
    rows.iter().map(device_row).collect()
}

pub(in crate::account) async fn put_device(
    tx: &mut Transaction<'_>,
    new: &NewLogin,
    token: &TokenHash,
    expires_at_ms: i64,
    now_ms: i64,
) -> Result<(), Error> {
    let push = new.push_token.as_ref();
    let outcome = tx
        .execute(
            "INSERT INTO device (user_id, device_id, platform, token_hash, token_expires_ms,
                             push_provider, push_token, created_ms, last_used_ms, opened_by)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $8, $9)
         ON CONFLICT (user_id, device_id) DO UPDATE SET
           platform = excluded.platform, token_hash = excluded.token_hash,
           token_expires_ms = excluded.token_expires_ms, last_used_ms = excluded.last_used_ms,
           opened_by = excluded.opened_by,
           push_provider = coalesce(excluded.push_provider, device.push_provider),
           push_token = coalesce(excluded.push_token, device.push_token)",
            params![
                new.user.get(),
                &*new.device_id,
                new.platform.as_str(),
                &token[..],
                expires_at_ms,
                push.map(|push| push.provider.to_string()),
                push.map(|push| push.token.to_string()),
                now_ms,
                new.opened_by.map(UserId::get)
            ],
        )
        .await;
    outcome.map_err(push_token_taken)?;
    Ok(())
}

/// Two devices set one push token at the same time: this one retries.
fn push_token_taken(error: database::Error) -> Error {
    if error.constraint() == Some("device_push_token_key") {
        Error::unavailable(error)
    } else {
        error.into()
    }
}

const REMOVE_OWN: &str = "DELETE FROM device WHERE user_id = $1 RETURNING user_id, device_id, token_hash";
const REMOVE_OPENED: &str =
    "DELETE FROM device WHERE opened_by = $1 RETURNING user_id, device_id, token_hash";

/// Ends all devices of a user, whose account is locked, and those on which they logged a team's assistant in.
pub(crate) async fn remove_devices(
    tx: &mut Transaction<'_>,
    user: UserId,
    now_ms: i64,
) -> Result<Vec<Device>, Error> {
    let mut gone = removed(&tx.query(REMOVE_OWN, params![user.get()]).await?)?;
    gone.extend(removed(&tx.query(REMOVE_OPENED, params![user.get()]).await?)?);
    put_ended(tx, &gone, now_ms).await?;
    Ok(gone)
}

/// Ends all devices of a user but one, and those on which they logged a team's assistant in.
pub(in crate::account) async fn remove_other_devices(
    tx: &mut Transaction<'_>,
    user: UserId,
    but: &str,
    now_ms: i64,
) -> Result<Vec<Device>, Error> {
    let sql =
        "DELETE FROM device WHERE user_id = $1 AND device_id <> $2 RETURNING user_id, device_id, token_hash";
    let mut gone = removed(&tx.query(sql, params![user.get(), but]).await?)?;
    gone.extend(removed(&tx.query(REMOVE_OPENED, params![user.get()]).await?)?);
    put_ended(tx, &gone, now_ms).await?;
    Ok(gone)
}

/// Ends the devices on which a doctor logged this assistant in.
pub(crate) async fn remove_opened_devices(
    tx: &mut Transaction<'_>,
    assistant: UserId,
    doctor: UserId,
    now_ms: i64,
) -> Result<Vec<Device>, Error> {
    let sql =
        "DELETE FROM device WHERE user_id = $1 AND opened_by = $2 RETURNING user_id, device_id, token_hash";
    let rows = tx.query(sql, params![assistant.get(), doctor.get()]).await?;
    let gone = removed(&rows)?;
    put_ended(tx, &gone, now_ms).await?;
    Ok(gone)
}

/// Ends a device; none when the user has no such device.
pub(in crate::account) async fn remove_device(
    tx: &mut Transaction<'_>,
    user: UserId,
    device_id: &str,
    now_ms: i64,
) -> Result<Option<Device>, Error> {
    let sql =
        "DELETE FROM device WHERE user_id = $1 AND device_id = $2 RETURNING user_id, device_id, token_hash";
    let gone = removed(&tx.query(sql, params![user.get(), device_id]).await?)?;
    put_ended(tx, &gone, now_ms).await?;
    Ok(gone.into_iter().next())
}

fn removed(rows: &[Row]) -> Result<Vec<Device>, Error> {
    rows.iter()
        .map(|row| {
            Ok(Device {
                user: UserId::from_database(row.get(0)?),
                device_id: row.get(1)?,
                token: Some(token(&row.get(2)?)?),
            })
        })
        .collect()
}

/// Records logouts that are to be completed.
pub(in crate::account) async fn put_ended(
    tx: &mut Transaction<'_>,
    devices: &[Device],
    now_ms: i64,
) -> Result<(), Error> {
    for device in devices {
        tx.execute(
            "INSERT INTO device_ended (user_id, device_id, ended_ms) VALUES ($1, $2, $3)
             ON CONFLICT (user_id, device_id) DO UPDATE SET ended_ms = excluded.ended_ms",
            params![device.user.get(), device.device_id.as_str(), now_ms],
        )
        .await?;
    }
    Ok(())
}

/// Whether the logout of a device is still to be completed.
pub(in crate::account) async fn is_ending(
    tx: &mut Transaction<'_>,
    user: UserId,
    device_id: &str,
) -> Result<bool, Error> {
    let sql = "SELECT 1 FROM device_ended WHERE user_id = $1 AND device_id = $2";
    Ok(tx
        .query_first(sql, params![user.get(), device_id])
        .await?
        .is_some())
}

const LEFT_OVER: &str =
    "SELECT user_id, device_id FROM device_ended WHERE ended_ms <= $1 ORDER BY ended_ms LIMIT $2";

/// Devices whose logout began before this time and is not completed.
pub(in crate::account) async fn left_over(
    database: &Database,
    before_ms: i64,
    limit: i64,
) -> Result<Vec<Device>, Error> {
    let rows = database.query(LEFT_OVER, params![before_ms, limit]).await?;
    rows.iter()
        .map(|row| {
            Ok(Device {
                user: UserId::from_database(row.get(0)?),
                device_id: row.get(1)?,
                token: None,
            })
        })
        .collect()
}

/// Deletes completed logouts.
pub(in crate::account) async fn forget_ended(database: &Database, ended: Vec<Device>) -> Result<(), Error> {
    database
        .transaction(move |tx| {
            Box::pin(async move {
                for device in ended {
                    tx.execute(
                        "DELETE FROM device_ended WHERE user_id = $1 AND device_id = $2",
                        params![device.user.get(), device.device_id],
                    )
                    .await?;
                }
                Ok(())
            })
        })
        .await
}

const TAKE_PUSH_TOKEN: &str = "UPDATE device SET push_provider = NULL, push_token = NULL
     WHERE push_token = $1 AND push_provider = $2 AND NOT (user_id = $3 AND device_id = $4)";

/// Removes a push token from all other devices: its phone belongs to this login now.
pub(in crate::account) async fn remove_push_token(
    tx: &mut Transaction<'_>,
    push: &PushToken,
    user: UserId,
    device_id: &str,
) -> Result<(), Error> {
    tx.execute(
        TAKE_PUSH_TOKEN,
        params![&*push.token, &*push.provider, user.get(), device_id],
    )
    .await?;
    Ok(())
}

pub(in crate::account) async fn put_push_token(
    tx: &mut Transaction<'_>,
    push: &PushToken,
    user: UserId,
    device_id: &str,
) -> Result<(), Error> {
    let changed = tx
        .execute(
            "UPDATE device SET push_provider = $1, push_token = $2 WHERE user_id = $3 AND device_id = $4",
            params![&*push.provider, &*push.token, user.get(), device_id],
        )
        .await
        .map_err(push_token_taken)?;
    // A concurrent logout was faster.
    if changed == 1 {
        Ok(())
    } else {
        Err(ErrorCode::AuthRequired.into())
    }
}

pub(in crate::account) async fn save_last_use(
    database: &Database,
    mut used: Vec<(TokenHash, i64)>,
) -> Result<(), Error> {
    // Every process locks rows in one order, or two could deadlock.
    used.sort_unstable();
    database
        .transaction(move |tx| {
            Box::pin(async move {
                for (token, used_ms) in used {
                    tx.execute(
                        "UPDATE device SET last_used_ms = $1 WHERE token_hash = $2 AND last_used_ms < $1",
                        params![used_ms, &token[..]],
                    )
                    .await?;
                }
                Ok(())
            })
        })
        .await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::walks_an_index;

    #[tokio::test]
    async fn statements_walk_an_index() {
        let token = Bytes::from_static(&[0; 32]);
        walks_an_index(DEVICES, params![1_i64]).await;
        walks_an_index(TOKEN, params![token.clone(), 1_i64]).await;
        walks_an_index(LOCK_ON_SQLITE, params![token.clone(), 1_i64]).await;
        walks_an_index(LOCK_ON_POSTGRES, params![token, 1_i64]).await;
        walks_an_index(REMOVE_OWN, params![1_i64]).await;
        walks_an_index(REMOVE_OPENED, params![1_i64]).await;
        walks_an_index(LEFT_OVER, params![1_i64, 1_i64]).await;
        walks_an_index(TAKE_PUSH_TOKEN, params!["t", "p", 1_i64, "d"]).await;
    }
}
