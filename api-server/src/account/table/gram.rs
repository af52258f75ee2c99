//! Finding users by part of their name: see [`crate::http::input::Search`].

use std::collections::BTreeSet;

use database::{Transaction, Value, params};
use jobs::{Failure, Turn};
use proto::UserId;

use crate::{
    caller::Role,
    http::{
        error::Error,
        input::{folded, pieces},
    },
};

/// Searched characters of a folded name.
const MAX_CHARS: usize = 120;
/// Pieces of one INSERT: those of a name of four characters. A shorter list is padded by repeating its last one, so that one
/// text is prepared.
const AT_ONCE: usize = 10;
/// Accounts of one transaction of the job: some milliseconds.
const FOLDED_AT_ONCE: i64 = 50;

/// The form of a name in which it is searched.
pub(super) fn searched(name: &str) -> String {
    folded(name).chars().take(MAX_CHARS).collect()
}

fn put_sql() -> String {
    let rows: Vec<String> = (3..3 + AT_ONCE).map(|at| format!("(${at}, $1, $2)")).collect();
    format!(
        "INSERT INTO account_gram (gram, created_ms, user_id) VALUES {} ON CONFLICT DO NOTHING",
        rows.join(", ")
    )
}

/// Writes the pieces of a new or renamed account. Operators are not found.
pub(super) async fn put_pieces(
    tx: &mut Transaction<'_>,
    (user, role): (UserId, Role),
    searched: &str,
    created_ms: i64,
) -> Result<(), Error> {
    if role == Role::Operator {
        return Ok(());
    }
    let pieces: BTreeSet<&str> = pieces(searched).collect();
    let pieces: Vec<&str> = pieces.into_iter().collect();
    for chunk in pieces.chunks(AT_ONCE) {
        let mut params = params![created_ms, user.get()];
        params.extend((0..AT_ONCE).map(|at| Value::from(chunk[at.min(chunk.len() - 1)])));
        tx.enqueue(put_sql(), params).await?;
    }
    Ok(())
}

const FORGET: &str = "DELETE FROM account_gram WHERE user_id = $1";

const RENAME: &str = "UPDATE account SET name = $1, search_name = $2, folded_from = $1 WHERE id = $3
     RETURNING role, created_ms";

/// Renames an account: it is found by its new name only.
pub(crate) async fn rename(tx: &mut Transaction<'_>, user: UserId, name: String) -> Result<(), Error> {
    let searched = searched(&name);
    let row = tx
        .query_first(RENAME, params![name, searched.as_str(), user.get()])
        .await?;
    let Some(row) = row else { return Ok(()) };
    replace_pieces(tx, user, &row.get::<String>(0)?, &searched, row.get(1)?).await
}

async fn replace_pieces(
    tx: &mut Transaction<'_>,
    user: UserId,
    role: &str,
    searched: &str,
    created_ms: i64,
) -> Result<(), Error> {
    let role = Role::from_database(role).ok_or_else(|| Error::internal("account.role is unknown"))?;
    tx.enqueue(FORGET, params![user.get()]).await?;
    put_pieces(tx, (user, role), searched, created_ms).await
}

const UNFOLDED: &str = "SELECT id, name, role, created_ms FROM account
     WHERE folded_from IS DISTINCT FROM name AND id > $1 ORDER BY id LIMIT $2";

const FOLD: &str = "UPDATE account SET search_name = $1, folded_from = $2 WHERE id = $3 AND name = $2";

/// Makes some accounts findable that an earlier release wrote; true when more may remain. During an upgrade, servers of that
/// release go on writing them.
pub(crate) async fn fold_some(turn: &Turn) -> Result<bool, Failure> {
    let folded = turn.transaction::<_, Error, _>(|tx| {
        Box::pin(async move {
            let rows = tx.query(UNFOLDED, params![0_i64, FOLDED_AT_ONCE]).await?;
            for row in &rows {
                let (user, name): (i64, String) = (row.get(0)?, row.get(1)?);
                let searched = searched(&name);
                // The update locks the row, and finds none when the name has changed since.
                let folded = tx.execute(FOLD, params![searched.as_str(), name, user]).await?;
                if folded == 1 {
                    let user = UserId::from_database(user);
                    replace_pieces(tx, user, &row.get::<String>(2)?, &searched, row.get(3)?).await?;
                }
            }
            Ok(rows.len())
        })
    });
    Ok(i64::try_from(folded.await?).is_ok_and(|folded| folded == FOLDED_AT_ONCE))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::walks_an_index;

    #[tokio::test]
    async fn statements_walk_an_index() {
        walks_an_index(FORGET, params![1_i64]).await;
        walks_an_index(RENAME, params!["n", "n", 1_i64]).await;
        walks_an_index(UNFOLDED, params![1_i64, 1_i64]).await;
        walks_an_index(FOLD, params!["n", "n", 1_i64]).await;
    }
}
