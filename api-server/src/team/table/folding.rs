//! Folding names that an earlier release wrote.

use database::{Database, Transaction, params};

use super::search;
use crate::{http::error::Error, team::find::name};

/// Names folded in one transaction, which takes some milliseconds: each has up to 2,080 pieces.
const AT_ONCE: i64 = 20;

const UNFOLDED: &str = "SELECT id, name, search_name, created_ms FROM team
     WHERE folded_from IS DISTINCT FROM name AND id > $1 ORDER BY id LIMIT $2";

const FOLD: &str = "UPDATE team SET search_name = $1, folded_from = $2 WHERE id = $3 AND name = $2";

struct Unfolded {
    id: i64,
    name: String,
    search_name: String,
    created_ms: i64,
}

/// Folds some unfolded names; true when more may remain. During an upgrade, servers of the earlier release keep writing
/// such names.
pub(crate) async fn fold_names(database: &Database) -> Result<bool, Error> {
    let rows = database.query(UNFOLDED, params![0_i64, AT_ONCE]).await?;
    let mut teams = Vec::with_capacity(rows.len());
    for row in &rows {
        teams.push(Unfolded {
            id: row.get(0)?,
            name: row.get(1)?,
            search_name: row.get(2)?,
            created_ms: row.get(3)?,
        });
    }
    let found = teams.len();
    if found == 0 {
        return Ok(false);
    }
    database
        .transaction(move |tx| {
            Box::pin(async move {
                for team in teams {
                    fold(tx, team).await?;
                }
                Ok::<_, Error>(())
            })
        })
        .await?;
    Ok(i64::try_from(found).is_ok_and(|found| found == AT_ONCE))
}

/// The update locks the row, and finds none when the name has changed since.
async fn fold(tx: &mut Transaction<'_>, team: Unfolded) -> Result<(), Error> {
    let searched = name::searched(&team.name);
    let folded = tx
        .execute(FOLD, params![searched.as_str(), team.name.as_str(), team.id])
        .await?;
    // An earlier release wrote the pieces of its own search name.
    if folded == 0 || searched == team.search_name {
        return Ok(());
    }
    search::forget_pieces(tx, team.id).await?;
    search::put_pieces_of(tx, &team.name, team.created_ms, team.id).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::walks_an_index;

    #[tokio::test]
    async fn statements_walk_an_index() {
        walks_an_index(UNFOLDED, params![1_i64, 1_i64]).await;
        walks_an_index(FOLD, params!["n", "n", 1_i64]).await;
    }
}
