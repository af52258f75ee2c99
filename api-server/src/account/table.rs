//! The SQL of accounts, devices and codes.

use bytes::Bytes;
use database::{Database, Row, Transaction, params};
use proto::UserId;

use super::{
    device::{Device, NewLogin},
    phone::Phone,
    push_token::PushToken,
    token::{Found, TokenHash},
    user::Role,
};
use crate::error::{Error, Word};

/// Logs everybody out and voids the codes that were sent, in a database that was set back to an earlier moment: devices
/// that were logged out since would be logged in again.
pub const FORGET_LOGINS: &[&str] = &["DELETE FROM device", "DELETE FROM sms_code"];

/// The sequence of account ids.
pub(crate) const SEQUENCE: &str = "account";

/// An account to be made.
pub(crate) struct NewAccount {
    pub(crate) id: UserId,
    pub(crate) phone: Option<String>,
    pub(crate) name: String,
    pub(crate) role: Role,
    pub(crate) password_hash: Option<String>,
}

/// An account, as logging in needs it.
pub(super) struct Account {
    pub(super) id: UserId,
    pub(super) phone: Option<String>,
    pub(super) password_hash: Option<String>,
}

/// An account, as other domains need it.
#[derive(Clone, Debug)]
pub(crate) struct Person {
    pub(crate) name: String,
    pub(crate) role: Role,
}

/// A device of somebody.
pub(super) struct DeviceRow {
    pub(super) device_id: String,
    pub(super) platform: String,
    pub(super) token: TokenHash,
    pub(super) has_push_token: bool,
    pub(super) created_ms: i64,
    pub(super) last_used_ms: i64,
}

/// A code, as it is kept.
pub(super) struct StoredCode {
    pub(super) salt: Bytes,
    pub(super) hash: Bytes,
    pub(super) created_ms: i64,
}

pub(crate) async fn new_account(tx: &mut Transaction<'_>, new: NewAccount, now_ms: i64) -> Result<(), Error> {
    let outcome = tx
        .execute(
            "INSERT INTO account (id, phone, name, role, password_hash, team_count, created_ms, last_login_ms)
             VALUES ($1, $2, $3, $4, $5, 0, $6, $6)",
            params![
                new.id.get(),
                new.phone,
                new.name,
                new.role.as_str(),
                new.password_hash,
                now_ms
            ],
        )
        .await;
    match outcome {
        Ok(_) => Ok(()),
        Err(error) if error.constraint() == Some("account_phone_key") => {
            Err(Error::new(Word::AccountExists).field("phone"))
        }
        Err(error) => Err(error.into()),
    }
}

const ACCOUNT: &str = "SELECT id, phone, password_hash FROM account";

fn account_row(row: &Row) -> Result<Account, Error> {
    Ok(Account {
        id: UserId::from_database(row.get(0)?),
        phone: row.get(1)?,
        password_hash: row.get(2)?,
    })
}

pub(super) async fn account(database: &Database, user: UserId) -> Result<Option<Account>, Error> {
    let row = database
        .query_first(format!("{ACCOUNT} WHERE id = $1"), params![user.get()])
        .await?;
    row.as_ref().map(account_row).transpose()
}

pub(super) async fn account_of_phone(database: &Database, phone: &Phone) -> Result<Option<Account>, Error> {
    let row = database
        .query_first(format!("{ACCOUNT} WHERE phone = $1"), params![phone.as_str()])
        .await?;
    row.as_ref().map(account_row).transpose()
}

pub(super) async fn user_of_phone(tx: &mut Transaction<'_>, phone: &Phone) -> Result<Option<UserId>, Error> {
    let row = tx
        .query_first("SELECT id FROM account WHERE phone = $1", params![phone.as_str()])
        .await?;
    row.map(|row| Ok(UserId::from_database(row.get(0)?))).transpose()
}

pub(crate) async fn set_password(tx: &mut Transaction<'_>, user: UserId, hash: &str) -> Result<(), Error> {
    tx.execute(
        "UPDATE account SET password_hash = $1 WHERE id = $2",
        params![hash, user.get()],
    )
    .await?;
    Ok(())
}

/// Takes the account for a login; refused when it is disabled.
pub(super) async fn touch_login(tx: &mut Transaction<'_>, user: UserId, now_ms: i64) -> Result<(), Error> {
    let touched = tx
        .execute(
            "UPDATE account SET last_login_ms = $1 WHERE id = $2 AND disabled_ms IS NULL",
            params![now_ms, user.get()],
        )
        .await?;
    if touched == 1 {
        Ok(())
    } else {
        Err(Word::AccountDisabled.into())
    }
}

pub(crate) async fn person(tx: &mut Transaction<'_>, user: UserId) -> Result<Option<Person>, Error> {
    let row = tx
        .query_first(
            "SELECT name, role FROM account WHERE id = $1",
            params![user.get()],
        )
        .await?;
    row.map(|row| {
        let role: String = row.get(1)?;
        Ok(Person {
            name: row.get(0)?,
            role: Role::from_database(&role).ok_or_else(|| Error::internal("account.role is unknown"))?,
        })
    })
    .transpose()
}

/// Takes an account's row to the end of the transaction: what is decided by what one person has is decided one request
/// after the other.
pub(crate) async fn take(tx: &mut Transaction<'_>, user: UserId) -> Result<(), Error> {
    tx.execute(
        "UPDATE account SET team_count = team_count WHERE id = $1",
        params![user.get()],
    )
    .await?;
    Ok(())
}

pub(crate) async fn rename(tx: &mut Transaction<'_>, user: UserId, name: String) -> Result<(), Error> {
    tx.execute(
        "UPDATE account SET name = $1 WHERE id = $2",
        params![name, user.get()],
    )
    .await?;
    Ok(())
}

const PHONE: &str = "SELECT phone FROM account WHERE id = $1";

/// Somebody's phone, in E.164 form; none for a team's assistant and for dependants.
pub(crate) async fn phone_of(database: &Database, user: UserId) -> Result<Option<String>, Error> {
    let row = database.query_first(PHONE, params![user.get()]).await?;
    Ok(row.map_or(Ok(None), |row| row.get(0))?)
}

/// As [`phone_of`], within a transaction.
pub(crate) async fn phone_in(tx: &mut Transaction<'_>, user: UserId) -> Result<Option<String>, Error> {
    let row = tx.query_first(PHONE, params![user.get()]).await?;
    Ok(row.map_or(Ok(None), |row| row.get(0))?)
}

const TOKEN: &str = "SELECT d.user_id, d.device_id, a.role, d.token_expires_ms, d.last_used_ms
     FROM device d JOIN account a ON a.id = d.user_id
     WHERE d.token_hash = $1 AND d.token_expires_ms > $2 AND a.disabled_ms IS NULL";

pub(super) async fn device_of_token(
    database: &Database,
    token: &TokenHash,
    now_ms: i64,
) -> Result<Option<Found>, Error> {
    let row = database.query_first(TOKEN, params![&token[..], now_ms]).await?;
    row.as_ref().map(|row| Found::from_row(row, *token)).transpose()
}

pub(super) const DEVICES: &str =
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

pub(super) async fn devices(tx: &mut Transaction<'_>, user: UserId) -> Result<Vec<DeviceRow>, Error> {
    let rows = tx.query(DEVICES, params![user.get()]).await?;
    rows.iter().map(device_row).collect()
}

pub(super) async fn list_devices(database: &Database, user: UserId) -> Result<Vec<DeviceRow>, Error> {
    let rows = database.query(DEVICES, params![user.get()]).await?;
    rows.iter().map(device_row).collect()
}

pub(super) async fn put_device(
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
                             push_provider, push_token, created_ms, last_used_ms)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $8)
         ON CONFLICT (user_id, device_id) DO UPDATE SET
           platform = excluded.platform, token_hash = excluded.token_hash,
           token_expires_ms = excluded.token_expires_ms, last_used_ms = excluded.last_used_ms,
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
                now_ms
            ],
        )
        .await;
    outcome.map_err(push_token_taken)?;
    Ok(())
}

/// Two devices were given one push token at the same instant: this one comes again, and takes it then.
fn push_token_taken(error: database::Error) -> Error {
    if error.constraint() == Some("device_push_token_key") {
        Error::unavailable(error)
    } else {
        error.into()
    }
}

/// Removes all devices of somebody, whose account is taken.
pub(crate) async fn remove_devices(tx: &mut Transaction<'_>, user: UserId) -> Result<Vec<Device>, Error> {
    let rows = tx
        .query(
            "DELETE FROM device WHERE user_id = $1 RETURNING device_id, token_hash",
            params![user.get()],
        )
        .await?;
    rows.iter()
        .map(|row| {
            Ok(Device {
                user,
                device_id: row.get(0)?,
                token: token(&row.get(1)?)?,
            })
        })
        .collect()
}

/// Removes a device and gives the token that it had.
pub(super) async fn remove_device(
    tx: &mut Transaction<'_>,
    user: UserId,
    device_id: &str,
) -> Result<Option<TokenHash>, Error> {
    let row = tx
        .query_first(
            "DELETE FROM device WHERE user_id = $1 AND device_id = $2 RETURNING token_hash",
            params![user.get(), device_id],
        )
        .await?;
    row.map(|row| token(&row.get(0)?)).transpose()
}

const TAKE_PUSH_TOKEN: &str = "UPDATE device SET push_provider = NULL, push_token = NULL
     WHERE push_token = $1 AND push_provider = $2 AND NOT (user_id = $3 AND device_id = $4)";

/// Takes a push token away from all other devices: the phone that has it is somebody else's now.
pub(super) async fn take_push_token(
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

pub(super) async fn put_push_token(
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
    // Logged out in this very moment.
    if changed == 1 {
        Ok(())
    } else {
        Err(Word::AuthRequired.into())
    }
}

pub(super) async fn save_last_use(database: &Database, mut used: Vec<(TokenHash, i64)>) -> Result<(), Error> {
    // Rows are taken in one order by every process, or two could wait for each other.
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

/// Keeps a code unless the phone got one less than `interval_ms` ago: then tells how long it waits, milliseconds.
pub(super) async fn put_code(
    database: &Database,
    phone: Phone,
    code: StoredCode,
    interval_ms: i64,
) -> Result<Result<(), i64>, Error> {
    database
        .transaction(move |tx| {
            Box::pin(async move {
                let now_ms = code.created_ms;
                let changed = tx
                    .execute(
                        "INSERT INTO sms_code (phone, salt, code_hash, tries, created_ms) VALUES ($1, $2, $3, 0, $4)
                         ON CONFLICT (phone) DO UPDATE SET
                           salt = excluded.salt, code_hash = excluded.code_hash, tries = 0,
                           created_ms = excluded.created_ms
                         WHERE sms_code.created_ms <= $5",
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
            })
        })
        .await
}

pub(super) async fn remove_code(database: &Database, phone: Phone, created_ms: i64) -> Result<(), Error> {
    database
        .transaction(move |tx| {
            Box::pin(async move {
                tx.execute(
                    "DELETE FROM sms_code WHERE phone = $1 AND created_ms = $2",
                    params![phone.as_str(), created_ms],
                )
                .await?;
                Ok(())
            })
        })
        .await
}

/// Counts a try and gives the code to compare with; none when there is none, or it is too old or was tried too often.
pub(super) async fn begin_try(
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

pub(super) async fn take_back_try(tx: &mut Transaction<'_>, phone: &Phone) -> Result<(), Error> {
    tx.execute(
        "UPDATE sms_code SET tries = tries - 1 WHERE phone = $1",
        params![phone.as_str()],
    )
    .await?;
    Ok(())
}

/// A used code is good no more; its row stays to keep the minute.
pub(super) async fn use_up_code(tx: &mut Transaction<'_>, phone: &Phone) -> Result<(), Error> {
    tx.execute(
        "UPDATE sms_code SET code_hash = $1 WHERE phone = $2",
        params![Bytes::new(), phone.as_str()],
    )
    .await?;
    Ok(())
}

const FORGET_CODES: &str = "DELETE FROM sms_code WHERE created_ms <= $1";

pub(super) async fn forget_codes(database: &Database, not_before_ms: i64) -> Result<(), Error> {
    database
        .transaction(move |tx| {
            Box::pin(async move {
                tx.execute(FORGET_CODES, params![not_before_ms]).await?;
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
        walks_an_index(TOKEN, params![token, 1_i64]).await;
        walks_an_index(TAKE_PUSH_TOKEN, params!["t", "p", 1_i64, "d"]).await;
        walks_an_index(FORGET_CODES, params![1_i64]).await;
        walks_an_index(&format!("{ACCOUNT} WHERE phone = $1"), params!["p"]).await;
    }
}
