//! The SQL of consults about a relative who has an account of their own, and of their refusals.

use database::{Row, Transaction, params};
use proto::UserId;

use super::super::record::{COLUMNS, JOINS, Record, columns};
use crate::http::{answer::List, error::Error};

/// A consult about the reader, and whether they refuse further ones of its creator.
pub(in crate::consult) struct About {
    pub(in crate::consult) record: Record,
    pub(in crate::consult) refused: bool,
}

fn about_sql() -> String {
    format!(
        "SELECT {}, EXISTS (SELECT 1 FROM consult_refusal r WHERE r.target_id = c.target_id AND r.user_id = c.creator_id)
         FROM consult c {JOINS}
         WHERE c.target_id = $1 AND c.creator_id <> c.target_id AND (c.created_ms, c.id) < ($2, $3)
         ORDER BY c.created_ms DESC, c.id DESC LIMIT $4",
        columns()
    )
}

const COUNT: &str = "SELECT count(*) FROM consult c WHERE c.target_id = $1 AND c.creator_id <> c.target_id";

fn about_row(row: &Row) -> Result<About, Error> {
    Ok(About {
        record: Record::from_row(row)?,
        refused: row.get(COLUMNS)?,
    })
}

/// The consults that others opened about a user, the newest first.
pub(in crate::consult) fn about(user: UserId) -> List<About> {
    List {
        items: about_sql().into(),
        count: COUNT.into(),
        keys: params![user.get()],
        item: about_row,
        place: |about| about.record.place(),
    }
}

const KNOWS: &str = "SELECT 1 FROM family f WHERE f.user_id = $2 AND f.relation_user_id = $1
     UNION ALL SELECT 1 FROM consult c WHERE c.target_id = $1 AND c.creator_id <> c.target_id AND c.creator_id = $2 LIMIT 1";

/// Whether a user has the target in their family, or opened a consult about them.
pub(in crate::consult) async fn knows(
    tx: &mut Transaction<'_>,
    target: UserId,
    user: UserId,
) -> Result<bool, Error> {
    let row = tx.query_first(KNOWS, params![target.get(), user.get()]).await?;
    Ok(row.is_some())
}

pub(in crate::consult) async fn put_refusal(
    tx: &mut Transaction<'_>,
    target: UserId,
    user: UserId,
    now_ms: i64,
) -> Result<(), Error> {
    tx.execute(
        "INSERT INTO consult_refusal (target_id, user_id, created_ms) VALUES ($1, $2, $3)
         ON CONFLICT (target_id, user_id) DO NOTHING",
        params![target.get(), user.get(), now_ms],
    )
    .await?;
    Ok(())
}

pub(in crate::consult) async fn remove_refusal(
    tx: &mut Transaction<'_>,
    target: UserId,
    user: UserId,
) -> Result<(), Error> {
    tx.execute(
        "DELETE FROM consult_refusal WHERE target_id = $1 AND user_id = $2",
        params![target.get(), user.get()],
    )
    .await?;
    Ok(())
}

const REFUSES: &str = "SELECT 1 FROM consult_refusal WHERE target_id = $1 AND user_id = $2";

/// Whether a relative refuses further consults that a user opens about them.
pub(in crate::consult) async fn refuses(
    tx: &mut Transaction<'_>,
    target: UserId,
    user: UserId,
) -> Result<bool, Error> {
    let row = tx.query_first(REFUSES, params![target.get(), user.get()]).await?;
    Ok(row.is_some())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::walks_an_index;

    #[tokio::test]
    async fn statements_walk_an_index() {
        about(UserId::from_database(1)).walks_an_index().await;
        for statement in [KNOWS, REFUSES] {
            walks_an_index(statement, params![1_i64, 2_i64]).await;
        }
    }
}
