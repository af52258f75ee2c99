//! The SQL of devices and their access tokens.

use bytes::Bytes;
use database::{Database, Row, Transaction, clocked, params};
use proto::UserId;

use crate::{
    account::{
        device::{NewLogin, PushToken},
        token::{Found, LIFETIME_MS},
    },
    caller::{Device, TokenHash, User},
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

// A token lives and ends by the database's clock: no process with a wrong one logs users out.
const TOKEN: [&str; 2] = clocked!(
    "SELECT user_id, device_id, role, last_used_ms, now_ms FROM
       (SELECT d.user_id, d.device_id, a.role, d.last_used_ms, d.token_expires_ms, ",
    " AS now_ms
        FROM device d JOIN account a ON a.id = d.user_id
        WHERE d.token_hash = $1 AND a.disabled_ms IS NULL) found
     WHERE token_expires_ms > now_ms"
);

pub(in crate::account) async fn device_of_token(
    database: &Database,
    token: &TokenHash,
) -> Result<Option<Found>, Error> {
    let [on_sqlite, on_postgres] = TOKEN;
    let sql = database.text(on_sqlite, on_postgres);
    let row = database.query_first(sql, params![&token[..]]).await?;
    row.as_ref().map(|row| Found::from_row(row, *token)).transpose()
}

const VALID: [&str; 2] = clocked!(
    "SELECT user_id FROM device WHERE token_hash = $1 AND token_expires_ms > ",
    ""
);

/// Refuses a transaction whose access token has ended, and locks the token's device until the commit: requests of one
/// device do not wait for each other, its end waits for all of them. Comes after all other locks, as in the transactions
/// that end devices.
pub(crate) async fn lock_device(tx: &mut Transaction<'_>, user: &User) -> Result<(), Error> {
    let [on_sqlite, on_postgres] = VALID;
    let sql = tx.text(on_sqlite, on_postgres);
    let rows = tx.lock_shared(sql, params![&user.token[..]]).await?;
    rows.first()
        .map(drop)
        .ok_or_else(|| ErrorCode::AuthRequired.into())
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
pub(crate) async fn remove_devices(tx: &mut Transaction<'_>, user: UserId) -> Result<Vec<Device>, Error> {
    let mut gone = removed(&tx.query(REMOVE_OWN, params![user.get()]).await?)?;
    gone.extend(removed(&tx.query(REMOVE_OPENED, params![user.get()]).await?)?);
    put_ended(tx, &gone).await?;
    Ok(gone)
}

/// Ends all devices of a user but one, and those on which they logged a team's assistant in.
pub(in crate::account) async fn remove_other_devices(
    tx: &mut Transaction<'_>,
    user: UserId,
    but: &str,
) -> Result<Vec<Device>, Error> {
    let sql =
        "DELETE FROM device WHERE user_id = $1 AND device_id <> $2 RETURNING user_id, device_id, token_hash";
    let mut gone = removed(&tx.query(sql, params![user.get(), but]).await?)?;
    gone.extend(removed(&tx.query(REMOVE_OPENED, params![user.get()]).await?)?);
    put_ended(tx, &gone).await?;
    Ok(gone)
}

/// Ends the devices on which a doctor logged this assistant in.
pub(crate) async fn remove_opened_devices(
    tx: &mut Transaction<'_>,
    assistant: UserId,
    doctor: UserId,
) -> Result<Vec<Device>, Error> {
    let sql =
        "DELETE FROM device WHERE user_id = $1 AND opened_by = $2 RETURNING user_id, device_id, token_hash";
    let rows = tx.query(sql, params![assistant.get(), doctor.get()]).await?;
    let gone = removed(&rows)?;
    put_ended(tx, &gone).await?;
    Ok(gone)
}

/// Ends a device; none when the user has no such device.
pub(in crate::account) async fn remove_device(
    tx: &mut Transaction<'_>,
    user: UserId,
    device_id: &str,
) -> Result<Option<Device>, Error> {
    let sql =
        "DELETE FROM device WHERE user_id = $1 AND device_id = $2 RETURNING user_id, device_id, token_hash";
    let gone = removed(&tx.query(sql, params![user.get(), device_id]).await?)?;
    put_ended(tx, &gone).await?;
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

const PUT_ENDED: [&str; 2] = clocked!(
    "INSERT INTO device_ended (user_id, device_id, ended_ms) VALUES ($1, $2, ",
    ") ON CONFLICT (user_id, device_id) DO UPDATE SET ended_ms = excluded.ended_ms"
);

/// Records logouts that are to be completed.
pub(in crate::account) async fn put_ended(tx: &mut Transaction<'_>, devices: &[Device]) -> Result<(), Error> {
    let [on_sqlite, on_postgres] = PUT_ENDED;
    let sql = tx.text(on_sqlite, on_postgres);
    for device in devices {
        tx.execute(sql, params![device.user.get(), device.device_id.as_str()])
            .await?;
    }
    Ok(())
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

const CLEAR_PUSH_TOKEN: &str =
    "UPDATE device SET push_provider = NULL, push_token = NULL WHERE user_id = $1 AND device_id = $2";

/// A device that push does not wake any more.
pub(in crate::account) async fn clear_push_token(tx: &mut Transaction<'_>, user: &User) -> Result<(), Error> {
    tx.execute(CLEAR_PUSH_TOKEN, params![user.id.get(), &*user.device_id])
        .await?;
    Ok(())
}

// A token that is used lives on.
const SAVE_LAST_USE: &str = "UPDATE device SET last_used_ms = $1, token_expires_ms = $3
     WHERE token_hash = $2 AND last_used_ms < $1 AND token_expires_ms < $3";

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
                    tx.execute(SAVE_LAST_USE, params![used_ms, &token[..], used_ms + LIFETIME_MS])
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
    use crate::plan::{walk_an_index, walks_an_index};

    #[tokio::test]
    async fn statements_walk_an_index() {
        let token = Bytes::from_static(&[0; 32]);
        walks_an_index(DEVICES, params![1_i64]).await;
        walk_an_index(TOKEN, params![token.clone()]).await;
        walk_an_index(VALID, params![token.clone()]).await;
        walks_an_index(SAVE_LAST_USE, params![1_i64, token, 2_i64]).await;
        walks_an_index(CLEAR_PUSH_TOKEN, params![1_i64, "d"]).await;
        walks_an_index(REMOVE_OWN, params![1_i64]).await;
        walks_an_index(REMOVE_OPENED, params![1_i64]).await;
        walks_an_index(LEFT_OVER, params![1_i64, 1_i64]).await;
        walks_an_index(TAKE_PUSH_TOKEN, params!["t", "p", 1_i64, "d"]).await;
    }
}
