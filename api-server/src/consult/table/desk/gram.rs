//! Finding consults of a team by part of a name or a complaint: see [`crate::http::input::Search`].

use std::collections::BTreeSet;

use database::{Row, Transaction, Value, params};
use jobs::{Failure, Turn};

use crate::http::{
    error::Error,
    input::{folded, pieces},
};

/// Searched characters of a folded name or complaint.
const MAX_CHARS: usize = 120;
/// Characters of a search, at most.
pub(in crate::consult) const MAX_SEARCH_CHARS: usize = 64;
/// Pieces of one INSERT, at most.
const AT_ONCE: usize = 64;
/// A list is padded to a multiple of this by repeating its last piece, so that few texts are prepared.
const STEP: usize = 8;
/// Consults of one transaction of the job: some milliseconds.
const FOLDED_AT_ONCE: i64 = 20;
/// Between two searched texts; no folded text contains it.
const BETWEEN: char = '\u{1f}';

fn searched(text: &str) -> String {
    folded(text).chars().take(MAX_CHARS).collect()
}

fn put_sql(pieces: usize) -> String {
    let rows: Vec<String> = (4..4 + pieces).map(|at| format!("($1, ${at}, $2, $3)")).collect();
    format!(
        "INSERT INTO consult_gram (team_id, gram, created_ms, consult_id) VALUES {} ON CONFLICT DO NOTHING",
        rows.join(", ")
    )
}

/// The searched texts of a consult, with the names that it lacks.
struct Unfolded {
    team: i64,
    created_ms: i64,
    names: [String; 3],
    complaint: String,
}

const UNFOLDED: &str = "SELECT c.team_id, c.created_ms,
        CASE WHEN c.creator_name <> '' THEN c.creator_name ELSE
            COALESCE((SELECT a.name FROM account a WHERE a.id = c.creator_id), '') END,
        CASE WHEN c.target_name <> '' THEN c.target_name ELSE
            COALESCE((SELECT a.name FROM account a WHERE a.id = c.target_id), '') END,
        CASE WHEN c.team_name <> '' THEN c.team_name ELSE
            COALESCE((SELECT t.name FROM team t WHERE t.id = c.team_id), '') END,
        CASE WHEN c.symptom_type = 'text/plain' THEN c.symptom_content ELSE '' END
     FROM consult c WHERE c.id = $1";

fn unfolded(row: &Row) -> Result<Unfolded, Error> {
    Ok(Unfolded {
        team: row.get(0)?,
        created_ms: row.get(1)?,
        names: [row.get(2)?, row.get(3)?, row.get(4)?],
        complaint: row.get(5)?,
    })
}

const FOLD: &str =
    "UPDATE consult SET folded_ms = $2, search_text = $3, creator_name = $4, target_name = $5, team_name = $6
     WHERE id = $1 AND folded_ms IS NULL";

/// Makes a consult findable, once.
pub(in crate::consult) async fn fold(
    tx: &mut Transaction<'_>,
    consult: i64,
    now_ms: i64,
) -> Result<(), Error> {
    let Some(row) = tx.query_first(UNFOLDED, params![consult]).await? else {
        return Ok(());
    };
    let found = unfolded(&row)?;
    let [creator, target, team] = &found.names;
    let mut texts = vec![searched(creator), searched(target), searched(&found.complaint)];
    texts.dedup();
    let text = texts.join(&BETWEEN.to_string());
    let put = params![
        consult,
        now_ms,
        text.as_str(),
        creator.as_str(),
        target.as_str(),
        team.as_str()
    ];
    if tx.execute(FOLD, put).await? == 0 {
        return Ok(());
    }
    let pieces: BTreeSet<&str> = texts.iter().flat_map(|text| pieces(text)).collect();
    let pieces: Vec<&str> = pieces.into_iter().collect();
    for chunk in pieces.chunks(AT_ONCE) {
        let mut params = params![found.team, found.created_ms, consult];
        let padded = chunk.len().next_multiple_of(STEP);
        params.extend((0..padded).map(|at| Value::from(chunk[at.min(chunk.len() - 1)])));
        tx.execute(put_sql(padded), params).await?;
    }
    Ok(())
}

const WAITING: &str = "SELECT id FROM consult WHERE folded_ms IS NULL AND id > $1 ORDER BY id LIMIT $2";

/// Folds some consults of an earlier release; true when more may remain.
pub(crate) async fn fold_some(turn: &Turn, now_ms: i64) -> Result<bool, Failure> {
    let folded = turn.transaction::<_, Error, _>(move |tx| {
        Box::pin(async move {
            let rows = tx.query(WAITING, params![0_i64, FOLDED_AT_ONCE]).await?;
            for row in &rows {
                let consult: i64 = row.get(0)?;
                super::super::count_doctors(tx, proto::ConversationId::from_database(consult)).await?;
                fold(tx, consult, now_ms).await?;
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
        walks_an_index(UNFOLDED, params![1_i64]).await;
        walks_an_index(WAITING, params![1_i64, 1_i64]).await;
        walks_an_index(FOLD, params![1_i64, 1_i64, "t", "c", "t", "t"]).await;
    }
}
