//! The SQL of finding teams by part of their name.

use database::{Row, Transaction, params};

use crate::{
    http::{answer::List, error::Error, input::Cursor},
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

fn found_row(row: &Row) -> Result<FoundTeam, Error> {
    Ok(FoundTeam {
        team_id: row.get(0)?,
        name: row.get(1)?,
        introduction: row.get(2)?,
        owner_id: row.get(3)?,
        owner_name: row.get(4)?,
        created_ms: row.get(5)?,
    })
}

/// Teams whose folded names contain a part, the newest first.
pub(in crate::team) fn found(folded: &str) -> List<FoundTeam> {
    List {
        items: FOUND.into(),
        count: COUNT.into(),
        keys: params![folded],
        item: found_row,
        place: |team| Cursor {
            at: team.created_ms,
            id: team.team_id,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::walks_an_index;

    #[tokio::test]
    async fn statements_walk_an_index() {
        found("p").walks_an_index().await;
        walks_an_index(FORGET, params![1_i64]).await;
    }
}
