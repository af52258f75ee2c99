//! The SQL of finding teams by part of their name.

use database::{Database, Transaction, params};

use crate::{
    http::{error::Error, input::PageQuery},
    team::{
        Team,
        find::{name, search::FoundTeam},
    },
};

/// Pieces of one INSERT.
const AT_ONCE: usize = 64;

/// Inserts a number of pieces of one name.
fn put_sql(pieces: usize) -> String {
    let rows: Vec<String> = (0..pieces).map(|at| format!("(${}, $1, $2)", at + 3)).collect();
    format!(
        "INSERT INTO team_gram (gram, created_ms, team_id) VALUES {}",
        rows.join(", ")
    )
}

/// Writes the pieces of a team's name.
pub(in crate::team) async fn put_pieces(tx: &mut Transaction<'_>, team: &Team) -> Result<(), Error> {
    put_pieces_of(tx, &team.name, team.created_ms, team.team_id).await
}

/// Writes the pieces of a name.
pub(super) async fn put_pieces_of(
    tx: &mut Transaction<'_>,
    name: &str,
    created_ms: i64,
    team: i64,
) -> Result<(), Error> {
    let searched = name::searched(name);
    let pieces: Vec<&str> = name::pieces(&searched).into_iter().collect();
    // Two statements in all: each is prepared once.
    let (many, few) = pieces.split_at(pieces.len() / AT_ONCE * AT_ONCE);
    for pieces in many.chunks(AT_ONCE).chain(few.chunks(1)) {
        let mut params = params![created_ms, team];
        params.extend(pieces.iter().map(|piece| (*piece).into()));
        tx.execute(put_sql(pieces.len()), params).await?;
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
     WHERE g.gram = $1 AND (g.created_ms, g.team_id) < ($2, $3)
     ORDER BY g.created_ms DESC, g.team_id DESC LIMIT $4";

const COUNT: &str = "SELECT count(*) FROM team_gram WHERE gram = $1";

/// Teams whose names contain a part: one row more than the page holds, the newest first.
pub(in crate::team) async fn found(
    database: &Database,
    folded: &str,
    page: &PageQuery,
) -> Result<Vec<FoundTeam>, Error> {
    let start = page.start();
    let rows = database
        .query(FOUND, params![folded, start.at, start.id, page.limit + 1])
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

pub(in crate::team) async fn count_found(database: &Database, folded: &str) -> Result<i64, Error> {
    let row = database.query_first(COUNT, params![folded]).await?;
    Ok(row.map_or(Ok(0), |row| row.get(0))?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::walks_an_index;

    #[tokio::test]
    async fn statements_walk_an_index() {
        walks_an_index(FOUND, params!["p", 1_i64, 1_i64, 51_i64]).await;
        walks_an_index(COUNT, params!["p"]).await;
        walks_an_index(FORGET, params![1_i64]).await;
    }
}
