//! The SQL of finding teams by part of their name.

use database::{Database, Transaction, params};

use super::super::{Team, name, search::FoundTeam};
use crate::{error::Error, input::PageQuery};

/// Writes the pieces of a team's name.
pub(in crate::team) async fn put_pieces(tx: &mut Transaction<'_>, team: &Team) -> Result<(), Error> {
    for piece in name::pieces(&name::folded(&team.name)) {
        tx.execute(
            "INSERT INTO team_gram (gram, created_ms, team_id) VALUES ($1, $2, $3)",
            params![piece, team.created_ms, team.team_id],
        )
        .await?;
    }
    Ok(())
}

const FORGET: &str = "DELETE FROM team_gram WHERE team_id = $1";

/// Removes the pieces of a team's name.
pub(in crate::team) async fn forget_pieces(tx: &mut Transaction<'_>, team: i64) -> Result<(), Error> {
    tx.execute(FORGET, params![team]).await?;
    Ok(())
}

const FOUND: &str = r"SELECT t.id, t.name, t.introduction, t.owner_id, o.name, t.created_ms
     FROM team_gram g JOIN team t ON t.id = g.team_id JOIN account o ON o.id = t.owner_id
     WHERE g.gram = $1 AND t.search_name LIKE $2 ESCAPE '\' AND (g.created_ms, g.team_id) < ($3, $4)
     ORDER BY g.created_ms DESC, g.team_id DESC LIMIT $5";

const COUNT: &str = r"SELECT count(*) FROM team_gram g JOIN team t ON t.id = g.team_id
     WHERE g.gram = $1 AND t.search_name LIKE $2 ESCAPE '\'";

/// Teams with a piece whose names match a pattern: one more than the page holds, the newest first.
pub(in crate::team) async fn found(
    database: &Database,
    piece: &str,
    pattern: &str,
    page: &PageQuery,
) -> Result<Vec<FoundTeam>, Error> {
    let start = page.start();
    let rows = database
        .query(FOUND, params![piece, pattern, start.at, start.id, page.limit + 1])
        .await?;
    rows.iter()
        .map(|row| {
            Ok(FoundTeam {
                team_id: row.get(0)?,
                name: row.get(1)?,
                introduction: row.get(2)?,
                owner_id: row.get(3)?,
                owner_name: row.get(4)?,
                created_ms: row.get(5)?,
            })
        })
        .collect()
}

pub(in crate::team) async fn count_found(
    database: &Database,
    piece: &str,
    pattern: &str,
) -> Result<i64, Error> {
    let row = database.query_first(COUNT, params![piece, pattern]).await?;
    Ok(row.map_or(Ok(0), |row| row.get(0))?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::walks_an_index;

    #[tokio::test]
    async fn statements_walk_an_index() {
        walks_an_index(FOUND, params!["p", "%p%", 1_i64, 1_i64, 51_i64]).await;
        walks_an_index(COUNT, params!["p", "%p%"]).await;
        walks_an_index(FORGET, params![1_i64]).await;
    }
}
