//! The SQL of operators: their accounts, the audit log, and their searches.

use bytes::Bytes;
use database::{Database, Row, Transaction, Value, params};
use proto::UserId;

use super::{
    audit::AuditItem,
    found::FoundUser,
    manage::Listed,
    search::{By, FoundConsult},
};
use crate::{
    http::{
        error::{Error, ErrorCode},
        input::{PageQuery, Search},
    },
    team,
};

/// An operator, for logging in.
pub(super) struct Known {
    pub(super) user: UserId,
    pub(super) password_hash: Option<String>,
    /// The secret, and the last step that was used.
    pub(super) second_factor: Option<(Vec<u8>, i64)>,
}

/// Inserts a name; false when it is taken.
pub(super) async fn new_operator(
    tx: &mut Transaction<'_>,
    user: UserId,
    name: &str,
    now_ms: i64,
) -> Result<bool, Error> {
    let put = tx
        .execute(
            "INSERT INTO operator (user_id, name, created_ms) VALUES ($1, $2, $3) ON CONFLICT (name) DO NOTHING",
            params![user.get(), name, now_ms],
        )
        .await?;
    Ok(put == 1)
}

const OPERATOR: &str =
    "SELECT a.id, a.password_hash, o.totp_secret, o.totp_step FROM operator o JOIN account a ON a.id = o.user_id
     WHERE o.name = $1";

pub(super) async fn operator(database: &Database, name: &str) -> Result<Option<Known>, Error> {
    let row = database.query_first(OPERATOR, params![name]).await?;
    row.map(|row| {
        Ok(Known {
            user: UserId::from_database(row.get(0)?),
            password_hash: row.get(1)?,
            second_factor: match row.get::<Option<Bytes>>(2)? {
                Some(secret) => Some((secret.to_vec(), row.get(3)?)),
                None => None,
            },
        })
    })
    .transpose()
}

/// Uses a step of the second factor; false when it, or a later one, was used before.
pub(super) async fn use_step(tx: &mut Transaction<'_>, user: UserId, step: i64) -> Result<bool, Error> {
    let sql = "UPDATE operator SET totp_step = $1 WHERE user_id = $2 AND totp_step < $1";
    Ok(tx.execute(sql, params![step, user.get()]).await? == 1)
}

/// Gives an operator a new second factor.
pub(super) async fn set_second_factor(
    tx: &mut Transaction<'_>,
    user: UserId,
    secret: &[u8],
) -> Result<(), Error> {
    let sql = "UPDATE operator SET totp_secret = $1, totp_step = 0 WHERE user_id = $2";
    tx.execute(sql, params![secret, user.get()]).await?;
    Ok(())
}

/// All of them: operators are few.
pub(super) async fn operators(database: &Database) -> Result<Vec<Listed>, Error> {
    let rows = database
        .query(
            "SELECT o.user_id, o.name, o.created_ms, a.last_login_ms, a.disabled_ms IS NOT NULL,
                    o.totp_secret IS NOT NULL
             FROM operator o JOIN account a ON a.id = o.user_id ORDER BY o.name",
            vec![],
        )
        .await?;
    rows.iter()
        .map(|row| {
            Ok(Listed {
                user_id: row.get(0)?,
                name: row.get(1)?,
                created_ms: row.get(2)?,
                last_login_ms: row.get(3)?,
                disabled: row.get(4)?,
                has_second_factor: row.get(5)?,
            })
        })
        .collect()
}

/// Disables an account that is not an operator's; false when it is disabled already. Locks the account, so that a concurrent
/// login is either earlier, and ended by this, or refused.
pub(super) async fn disable(tx: &mut Transaction<'_>, user: UserId, now_ms: i64) -> Result<bool, Error> {
    let disabled = tx
        .execute(
            "UPDATE account SET disabled_ms = $1 WHERE id = $2 AND disabled_ms IS NULL AND role <> 'operator'",
            params![now_ms, user.get()],
        )
        .await?;
    Ok(disabled == 1)
}

/// As [`disable`], for any account.
pub(super) async fn disable_any(tx: &mut Transaction<'_>, user: UserId, now_ms: i64) -> Result<bool, Error> {
    let disabled = tx
        .execute(
            "UPDATE account SET disabled_ms = $1 WHERE id = $2 AND disabled_ms IS NULL",
            params![now_ms, user.get()],
        )
        .await?;
    Ok(disabled == 1)
}

/// Enables an account that is not an operator's; false when it is enabled already.
pub(super) async fn enable(tx: &mut Transaction<'_>, user: UserId) -> Result<bool, Error> {
    let enabled = tx
        .execute(
            "UPDATE account SET disabled_ms = NULL
             WHERE id = $1 AND disabled_ms IS NOT NULL AND role <> 'operator'",
            params![user.get()],
        )
        .await?;
    Ok(enabled == 1)
}

/// As [`enable`], for any account.
pub(super) async fn enable_any(tx: &mut Transaction<'_>, user: UserId) -> Result<(), Error> {
    tx.execute(
        "UPDATE account SET disabled_ms = NULL WHERE id = $1",
        params![user.get()],
    )
    .await?;
    Ok(())
}

const USER_COLUMNS: &str = "a.id, a.name, a.role, a.phone, a.disabled_ms, a.created_ms, a.last_login_ms";

fn user_row(row: &Row) -> Result<FoundUser, Error> {
    Ok(FoundUser {
        user_id: row.get(0)?,
        name: row.get(1)?,
        role: row.get(2)?,
        phone: row.get(3)?,
        disabled_ms: row.get(4)?,
        created_ms: row.get(5)?,
        last_login_ms: row.get(6)?,
    })
}

/// An account that is not an operator's.
pub(super) async fn user_in(tx: &mut Transaction<'_>, user: i64) -> Result<Option<FoundUser>, Error> {
    find_user(tx, By::User(user)).await
}

pub(super) async fn find_user(tx: &mut Transaction<'_>, by: By) -> Result<Option<FoundUser>, Error> {
    let row = match by {
        By::User(user) => {
            let sql =
                format!("SELECT {USER_COLUMNS} FROM account a WHERE a.id = $1 AND a.role <> 'operator'");
            tx.query_first(sql, params![user]).await?
        }
        By::Phone(phone) => {
            let sql =
                format!("SELECT {USER_COLUMNS} FROM account a WHERE a.phone = $1 AND a.role <> 'operator'");
            tx.query_first(sql, params![phone]).await?
        }
        By::Consult(_) => return Err(Error::internal("users are not found by consult")),
    };
    row.as_ref().map(user_row).transpose()
}

/// The rows that a search by name walks, and their parameters.
fn named(search: &Search) -> (String, Vec<Value>) {
    let mut from = String::from("FROM account_gram g JOIN account a ON a.id = g.user_id WHERE g.gram = $1");
    let mut keys = params![search.piece.as_str()];
    if let Some(pattern) = &search.pattern {
        from.push_str(r" AND a.search_name LIKE $2 ESCAPE '\'");
        keys.push(pattern.as_str().into());
    }
    (from, keys)
}

fn named_page(search: &Search, page: &PageQuery) -> (String, Vec<Value>) {
    let (from, mut keys) = named(search);
    let (first, start) = (keys.len() + 1, page.start());
    keys.extend(params![start.at, start.id, page.limit + 1]);
    let (at, id, limit) = (first, first + 1, first + 2);
    let sql = format!(
        "SELECT {USER_COLUMNS} {from} AND (g.created_ms, g.user_id) < (${at}, ${id})
         ORDER BY g.created_ms DESC, g.user_id DESC LIMIT ${limit}"
    );
    (sql, keys)
}

fn named_count(search: &Search) -> (String, Vec<Value>) {
    let (from, keys) = named(search);
    (format!("SELECT count(*) {from}"), keys)
}

/// Users whose names contain a part, the newest first: one more than the page holds, and the total if it is wanted.
pub(super) async fn find_by_name(
    tx: &mut Transaction<'_>,
    search: &Search,
    page: &PageQuery,
) -> Result<(Vec<FoundUser>, Option<i64>), Error> {
    let (sql, keys) = named_page(search, page);
    let rows = tx.query(sql, keys).await?;
    let found = rows.iter().map(user_row).collect::<Result<_, _>>()?;
    let mut total = None;
    if page.count {
        let (sql, keys) = named_count(search);
        let row = tx.query_first(sql, keys).await?;
        total = Some(row.map_or(Ok(0), |row| row.get(0))?);
    }
    Ok((found, total))
}

pub(super) async fn user_of_phone(tx: &mut Transaction<'_>, phone: String) -> Result<Option<i64>, Error> {
    let row = tx
        .query_first("SELECT id FROM account WHERE phone = $1", params![phone])
        .await?;
    Ok(row.map(|row| row.get(0)).transpose()?)
}

const CONSULT: &str =
    "c.id, c.status, c.creator_id, creator.name, c.target_id, target.name, c.team_id, t.name, c.created_ms,
     c.ended_ms,
     (SELECT string_agg(CAST(d.user_id AS TEXT), ',' ORDER BY d.joined_ms, d.user_id)
      FROM consult_person d WHERE d.consult_id = c.id AND d.role = 'doctor' AND d.shelf <> 'removed')";

const JOINS: &str = "JOIN team t ON t.id = c.team_id
     JOIN account creator ON creator.id = c.creator_id
     JOIN account target ON target.id = c.target_id";

fn consult_row(row: &Row) -> Result<FoundConsult, Error> {
    Ok(FoundConsult {
        consultation_id: row.get(0)?,
        status: row.get(1)?,
        creator_member_id: row.get(2)?,
        creator_member_name: row.get(3)?,
        target_member_id: row.get(4)?,
        target_member_name: row.get(5)?,
        team_id: row.get(6)?,
        team_name: row.get(7)?,
        created: row.get(8)?,
        ended_ms: row.get(9)?,
        doctor_ids: team::ids(row.get(10)?)?,
    })
}

fn consults_sql() -> String {
    format!(
        "SELECT {CONSULT} FROM consult_person p JOIN consult c ON c.id = p.consult_id {JOINS}
         WHERE p.user_id = $1 AND (p.created_ms, p.consult_id) < ($2, $3)
         ORDER BY p.created_ms DESC, p.consult_id DESC LIMIT $4"
    )
}

fn consult_sql() -> String {
    format!("SELECT {CONSULT} FROM consult c {JOINS} WHERE c.id = $1")
}

const COUNT_CONSULTS: &str = "SELECT count(*) FROM consult_person WHERE user_id = $1";

/// One more than the page holds, the newest first, and the total if it is wanted.
pub(super) async fn find_consults(
    tx: &mut Transaction<'_>,
    by: By,
    page: &PageQuery,
) -> Result<(Vec<FoundConsult>, i64), Error> {
    let start = page.start();
    match by {
        By::User(user) => {
            let parameters = params![user, start.at, start.id, page.limit + 1];
            let rows = tx.query(consults_sql(), parameters).await?;
            let found: Vec<FoundConsult> = rows.iter().map(consult_row).collect::<Result<_, _>>()?;
            let mut total = 0;
            if page.count {
                let row = tx.query_first(COUNT_CONSULTS, params![user]).await?;
                total = row.map_or(Ok(0), |row| row.get(0))?;
            }
            Ok((found, total))
        }
        By::Consult(consult) => {
            let rows = tx.query(consult_sql(), params![consult]).await?;
            let found: Vec<FoundConsult> = rows.iter().map(consult_row).collect::<Result<_, _>>()?;
            let total = i64::try_from(found.len()).unwrap_or(1);
            // A single consult is on the first page.
            Ok((if page.cursor.is_none() { found } else { Vec::new() }, total))
        }
        By::Phone(_) => Err(ErrorCode::OperatorUserNotFound.into()),
    }
}

/// The staff room of a consult.
pub(super) async fn staff_room(tx: &mut Transaction<'_>, consult: i64) -> Result<Option<i64>, Error> {
    let row = tx
        .query_first(
            "SELECT staff_conversation_id FROM consult WHERE id = $1",
            params![consult],
        )
        .await?;
    Ok(row.map(|row| row.get(0)).transpose()?)
}

const AUDIT: &str =
    "SELECT u.id, u.operator_id, o.name, u.act, u.account_id, u.consult_id, u.subject, u.reason, u.created_ms,
            u.team_id, u.clinic_id
     FROM audit u LEFT JOIN operator o ON o.user_id = u.operator_id
     WHERE u.id < $1 ORDER BY u.id DESC LIMIT $2";

/// One more than the page holds, the newest first.
pub(super) async fn audit(database: &Database, page: &PageQuery) -> Result<Vec<AuditItem>, Error> {
    let rows = database
        .query(AUDIT, params![page.start().at, page.limit + 1])
        .await?;
    rows.iter()
        .map(|row| {
            Ok(AuditItem {
                audit_id: row.get(0)?,
                operator_id: row.get(1)?,
                operator_name: row.get(2)?,
                act: row.get(3)?,
                account_id: row.get(4)?,
                consultation_id: row.get(5)?,
                subject: row.get(6)?,
                reason: row.get(7)?,
                created_ms: row.get(8)?,
                team_id: row.get(9)?,
                clinic_id: row.get(10)?,
            })
        })
        .collect()
}

/// Committed ids have no gaps: rows are never deleted.
pub(super) async fn count_audit(database: &Database) -> Result<i64, Error> {
    let row = database.query_first("SELECT max(id) FROM audit", vec![]).await?;
    Ok(row
        .map_or(Ok(None), |row| row.get::<Option<i64>>(0))?
        .unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::walks_an_index;

    #[tokio::test]
    async fn statements_walk_an_index() {
        walks_an_index(OPERATOR, params!["n"]).await;
        walks_an_index(AUDIT, params![1_i64, 51_i64]).await;
        walks_an_index(
            &format!("SELECT {USER_COLUMNS} FROM account a WHERE a.id = $1 AND a.role <> 'operator'"),
            params![1_i64],
        )
        .await;
        walks_an_index(
            &format!("SELECT {USER_COLUMNS} FROM account a WHERE a.phone = $1 AND a.role <> 'operator'"),
            params!["p"],
        )
        .await;
        for name in ["王芳", "张伟的家属王小明"] {
            let search = Search::new(name).unwrap();
            let (sql, keys) = named_page(&search, &PageQuery::default());
            walks_an_index(&sql, keys).await;
            let (sql, keys) = named_count(&search);
            walks_an_index(&sql, keys).await;
        }
        walks_an_index(&consults_sql(), params![1_i64, 1_i64, 1_i64, 51_i64]).await;
        walks_an_index(&consult_sql(), params![1_i64]).await;
        walks_an_index(COUNT_CONSULTS, params![1_i64]).await;
    }
}
