//! The SQL of accounts.

pub(super) mod closing;
mod code;
mod device;
mod gram;
mod invited;
mod known;
pub(super) mod notice;
mod verified;

use database::{Database, Row, Transaction, params};
use journal::record::{NewParticipant, Shown};
use proto::{UserId, wire};

use super::phone::Phone;
use crate::{
    caller::Role,
    http::error::{Error, ErrorCode},
};

pub(super) use code::{
    StoredCode, consume_code, count_attempt, forget_codes, put_code, refund_attempt, registration,
    remember_registration, remove_code, salt,
};
pub(super) use device::{
    clear_push_token, device_of_token, devices, forget_ended, left_over, list_devices, put_device, put_ended,
    put_push_token, remove_device, remove_other_devices, remove_push_token, save_last_use,
};
pub(crate) use device::{lock_device, remove_devices, remove_opened_devices};
pub(crate) use gram::{fold_some, rename};
pub(super) use known::{Note, forget_known_device, forget_other_known_devices, put_known_device};
pub(crate) use verified::{check_verified, is_suspended, lock_verified};

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
    /// Of a doctor; may be empty.
    pub(crate) title: String,
    /// The uri of an image; may be empty.
    pub(crate) photo: String,
}

impl Identity {
    // protocol: "are those of the moment they joined"
    /// The participant that this user is in a conversation from now on.
    pub(crate) fn joining(self, user: UserId, role: wire::Role, history: Shown) -> NewParticipant {
        NewParticipant {
            user,
            role,
            name: self.name,
            title: self.title,
            photo: self.photo,
            history,
        }
    }
}

/// A profile names a photo by its id or its uri.
pub(crate) fn photo_uri(photo_id: String) -> String {
    match photo_id.is_empty() || is_uri(&photo_id) {
        true => photo_id,
        false => format!("media:{photo_id}"),
    }
}

fn is_uri(photo_id: &str) -> bool {
    ["media/", "/media/", "media:"]
        .iter()
        .any(|prefix| photo_id.starts_with(prefix))
}

pub(crate) async fn new_account(tx: &mut Transaction<'_>, new: NewAccount, now_ms: i64) -> Result<(), Error> {
    let searched = gram::searched(&new.name);
    let outcome = tx
        .execute(
            "INSERT INTO account (id, phone, name, role, password_hash, team_count, created_ms, last_login_ms,
                                  search_name, folded_from)
             VALUES ($1, $2, $3, $4, $5, 0, $6, $6, $7, $3)",
            params![
                new.id.get(),
                new.phone,
                new.name,
                new.role.as_str(),
                new.password_hash,
                now_ms,
                searched.as_str()
            ],
        )
        .await;
    match outcome {
        Ok(_) => gram::put_pieces(tx, (new.id, new.role), &searched, now_ms).await,
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
    Ok(tx
        .lock_row(
            "SELECT id FROM account WHERE id = $1 AND password_hash = $2",
            params![user.get(), verified],
        )
        .await?)
}

const ENABLED: &str = "SELECT 1 FROM account WHERE id = $1 AND disabled_ms IS NULL";

/// Whether a user can log in: their account is neither disabled nor closed.
pub(crate) async fn is_enabled(tx: &mut Transaction<'_>, user: UserId) -> Result<bool, Error> {
    Ok(tx.query_first(ENABLED, params![user.get()]).await?.is_some())
}

/// Locks the account of a user who acts; false when it is disabled.
pub(crate) async fn lock_enabled(tx: &mut Transaction<'_>, user: UserId) -> Result<bool, Error> {
    Ok(tx
        .lock_row(
            "SELECT id FROM account WHERE id = $1 AND disabled_ms IS NULL",
            params![user.get()],
        )
        .await?)
}

pub(crate) async fn identity(tx: &mut Transaction<'_>, user: UserId) -> Result<Option<Identity>, Error> {
    let row = tx
        .query_first(
            "SELECT a.name, a.role, COALESCE(d.title, ''), COALESCE(d.photo_id, m.photo_id, '') FROM account a
             LEFT JOIN doctor_profile d ON d.doctor_id = a.id LEFT JOIN member_profile m ON m.member_id = a.id
             WHERE a.id = $1",
            params![user.get()],
        )
        .await?;
    row.map(|row| {
        let role: String = row.get(1)?;
        Ok(Identity {
            name: row.get(0)?,
            role: Role::from_database(&role).ok_or_else(|| Error::internal("account.role is unknown"))?,
            title: row.get(2)?,
            photo: photo_uri(row.get(3)?),
        })
    })
    .transpose()
}

/// An account, for its user.
pub(super) struct Own {
    pub(super) name: String,
    pub(super) phone: Option<String>,
    pub(super) has_password: bool,
    pub(super) created_ms: i64,
    pub(super) closing_ms: Option<i64>,
    /// Of a doctor who asked for it.
    pub(super) verification: Option<String>,
    /// Notices, counted up to 100.
    pub(super) unread_notices: i64,
}

const OWN: &str = "SELECT a.name, a.phone, a.password_hash IS NOT NULL, a.created_ms, a.closing_ms, v.state,
        (SELECT count(*) FROM (SELECT 1 FROM user_notice n WHERE n.user_id = $1 AND n.read_ms IS NULL LIMIT $2) AS counted)
     FROM account a LEFT JOIN doctor_verification v ON v.doctor_id = a.id WHERE a.id = $1";

pub(super) async fn own(database: &Database, user: UserId) -> Result<Option<Own>, Error> {
    let row = database
        .query_first(OWN, params![user.get(), notice::COUNT_CAP])
        .await?;
    row.map(|row| {
        Ok(Own {
            name: row.get(0)?,
            phone: row.get(1)?,
            has_password: row.get(2)?,
            created_ms: row.get(3)?,
            closing_ms: row.get(4)?,
            verification: row.get(5)?,
            unread_notices: row.get(6)?,
        })
    })
    .transpose()
}

const SET_PHONE: &str = "UPDATE account SET phone = $1 WHERE id = $2";

/// Sets the phone by which an account logs in. The user's own invitations follow.
pub(super) async fn set_phone(tx: &mut Transaction<'_>, user: UserId, phone: &Phone) -> Result<(), Error> {
    let before = phone_in(tx, user).await?;
    let outcome = tx.execute(SET_PHONE, params![phone.as_str(), user.get()]).await;
    match outcome {
        Ok(_) => match before {
            Some(before) => invited::follow(tx, user, &before, phone.as_str()).await,
            None => Ok(()),
        },
        Err(error) if error.constraint() == Some("account_phone_key") => {
            Err(Error::new(ErrorCode::AccountExists).field("new_phone"))
        }
        Err(error) => Err(error.into()),
    }
}

/// Locks an account, so that requests on the records of its user are decided one by one.
pub(crate) async fn lock(tx: &mut Transaction<'_>, user: UserId) -> Result<(), Error> {
    tx.lock("SELECT id FROM account WHERE id = $1", params![user.get()])
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
        walks_an_index(OWN, params![1_i64, 1_i64]).await;
        walks_an_index(&format!("{ACCOUNT} WHERE phone = $1"), params!["p"]).await;
    }
}
