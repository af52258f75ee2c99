//! The SQL of accounts.

mod code;
mod device;
mod known;

use database::{Database, Row, Transaction, params};
use proto::UserId;

use super::phone::Phone;
use crate::{
    caller::Role,
    http::error::{Error, ErrorCode},
};

pub(super) use code::{
    StoredCode, consume_code, count_attempt, forget_codes, put_code, refund_attempt, remove_code,
};
pub(super) use device::{
    device_of_token, devices, forget_ended, is_ending, left_over, list_devices, put_device, put_ended,
    put_push_token, remove_device, remove_other_devices, remove_push_token, save_last_use,
};
pub(crate) use device::{lock_device, remove_devices, remove_opened_devices};
pub(super) use known::{forget_known_device, forget_other_known_devices, is_known_device, put_known_device};

/// Logs all users out and voids all codes, in a database that was restored to an earlier moment: devices that logged out
/// since would be logged in again.
pub const FORGET_LOGINS: &[&str] = &[
    "DELETE FROM device",
    "DELETE FROM device_ended",
    "DELETE FROM sms_code",
];

/// The sequence of account ids.
pub(crate) const SEQUENCE: &str = "account";

/// A new account.
pub(crate) struct NewAccount {
    pub(crate) id: UserId,
    pub(crate) phone: Option<String>,
    pub(crate) name: String,
    pub(crate) role: Role,
    pub(crate) password_hash: Option<String>,
}

/// An account, for logging in.
pub(super) struct Account {
    pub(super) id: UserId,
    pub(super) phone: Option<String>,
    pub(super) password_hash: Option<String>,
}

/// An account, for other domains.
#[derive(Clone, Debug)]
pub(crate) struct Identity {
    pub(crate) name: String,
    pub(crate) role: Role,
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
            Err(Error::new(ErrorCode::AccountExists).field("phone"))
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

/// Replaces the password that was verified; false when it has changed since.
pub(super) async fn replace_password(
    tx: &mut Transaction<'_>,
    user: UserId,
    verified: &str,
    hash: &str,
) -> Result<bool, Error> {
    let replaced = tx
        .execute(
            "UPDATE account SET password_hash = $1 WHERE id = $2 AND password_hash = $3",
            params![hash, user.get(), verified],
        )
        .await?;
    Ok(replaced == 1)
}

/// Locks the account for a login; refused when it is disabled.
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
        Err(ErrorCode::AccountDisabled.into())
    }
}

/// Locks the account. True while its password is the one that was verified.
pub(crate) async fn lock_password(
    tx: &mut Transaction<'_>,
    user: UserId,
    verified: &str,
) -> Result<bool, Error> {
    let held = tx
        .execute(
            "UPDATE account SET password_hash = password_hash WHERE id = $1 AND password_hash = $2",
            params![user.get(), verified],
        )
        .await?;
    Ok(held == 1)
}

/// Locks the account of a user who acts; false when it is disabled.
pub(crate) async fn lock_enabled(tx: &mut Transaction<'_>, user: UserId) -> Result<bool, Error> {
    let held = tx
        .execute(
            "UPDATE account SET team_count = team_count WHERE id = $1 AND disabled_ms IS NULL",
            params![user.get()],
        )
        .await?;
    Ok(held == 1)
}

pub(crate) async fn identity(tx: &mut Transaction<'_>, user: UserId) -> Result<Option<Identity>, Error> {
    let row = tx
        .query_first(
            "SELECT name, role FROM account WHERE id = $1",
            params![user.get()],
        )
        .await?;
    row.map(|row| {
        let role: String = row.get(1)?;
        Ok(Identity {
            name: row.get(0)?,
            role: Role::from_database(&role).ok_or_else(|| Error::internal("account.role is unknown"))?,
        })
    })
    .transpose()
}

/// Locks an account, so that requests on the records of its user are decided one by one.
pub(crate) async fn lock(tx: &mut Transaction<'_>, user: UserId) -> Result<(), Error> {
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

/// A user's phone in E.164 form; none for a team's assistant and for dependants.
pub(crate) async fn phone_of(database: &Database, user: UserId) -> Result<Option<String>, Error> {
    let row = database.query_first(PHONE, params![user.get()]).await?;
    Ok(row.map_or(Ok(None), |row| row.get(0))?)
}

/// As [`phone_of`], within a transaction.
pub(crate) async fn phone_in(tx: &mut Transaction<'_>, user: UserId) -> Result<Option<String>, Error> {
    let row = tx.query_first(PHONE, params![user.get()]).await?;
    Ok(row.map_or(Ok(None), |row| row.get(0))?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::walks_an_index;

    #[tokio::test]
    async fn statements_walk_an_index() {
        walks_an_index(&format!("{ACCOUNT} WHERE phone = $1"), params!["p"]).await;
    }
}
