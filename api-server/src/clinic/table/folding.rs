//! Folding names that an earlier release wrote.

use database::{Database, params};

use crate::http::{error::Error, input::folded};

/// Names folded in one transaction, which takes a few milliseconds.
const AT_ONCE: i64 = 100;

const UNFOLDED: &str =
    "SELECT id, name FROM clinic WHERE folded_from IS DISTINCT FROM name AND id > $1 ORDER BY id LIMIT $2";

/// Of two names that look alike, the later one gets a folded form that no name has.
const FOLD: &str = "UPDATE clinic SET folded_from = $1,
       folded_name = CASE WHEN EXISTS (SELECT 1 FROM clinic c WHERE c.folded_name = $2 AND c.id <> $3)
                          THEN $4 ELSE $2 END
     WHERE id = $3 AND name = $1";

/// Folds some unfolded names; true when more may remain. During an upgrade, servers of the earlier release keep writing
/// such names.
pub(crate) async fn fold_names(database: &Database) -> Result<bool, Error> {
    let rows = database.query(UNFOLDED, params![0_i64, AT_ONCE]).await?;
    let mut names: Vec<(i64, String)> = Vec::with_capacity(rows.len());
    for row in &rows {
        names.push((row.get(0)?, row.get(1)?));
    }
    let found = names.len();
    if found == 0 {
        return Ok(false);
    }
    database
        .transaction(move |tx| {
            Box::pin(async move {
                for (id, name) in names {
                    let folded = folded(&name);
                    let other = format!("{folded}\u{1f}{id}");
                    tx.execute(FOLD, params![name, folded, id, other]).await?;
                }
                Ok::<_, Error>(())
            })
        })
        .await?;
    Ok(i64::try_from(found).is_ok_and(|found| found == AT_ONCE))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::walks_an_index;

    #[tokio::test]
    async fn statements_walk_an_index() {
        walks_an_index(UNFOLDED, params![1_i64, 1_i64]).await;
        walks_an_index(FOLD, params!["n", "n", 1_i64, "n1"]).await;
    }
}
