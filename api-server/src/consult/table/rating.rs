//! The SQL of ratings.

use database::{Database, Row, Transaction, params};
use proto::UserId;

use crate::{
    consult::act::rate::Rating,
    http::{answer::List, error::Error, input::Cursor},
};

fn item(row: &Row) -> Result<Rating, Error> {
    Ok(Rating {
        consultation_id: row.get(0)?,
        stars: row.get(1)?,
        words: row.get(2)?,
        created_ms: row.get(3)?,
        changed_ms: row.get(4)?,
    })
}

fn place(rating: &Rating) -> Cursor {
    Cursor {
        at: rating.created_ms,
        id: rating.consultation_id,
    }
}

const RATING: &str =
    "SELECT consult_id, stars, words, created_ms, changed_ms FROM consult_rating WHERE consult_id = $1";

/// The rating of a locked consult.
pub(in crate::consult) async fn rating(
    tx: &mut Transaction<'_>,
    consult: i64,
) -> Result<Option<Rating>, Error> {
    let row = tx.query_first(RATING, params![consult]).await?;
    row.as_ref().map(item).transpose()
}

/// The rating of a consult, for readers.
pub(in crate::consult) async fn rating_of(
    database: &Database,
    consult: i64,
) -> Result<Option<Rating>, Error> {
    let row = database.query_first(RATING, params![consult]).await?;
    row.as_ref().map(item).transpose()
}

/// Writes the rating of a locked consult.
pub(in crate::consult) async fn put_rating(
    tx: &mut Transaction<'_>,
    team: i64,
    member: UserId,
    rating: &Rating,
) -> Result<(), Error> {
    tx.execute(
        "INSERT INTO consult_rating (consult_id, team_id, member_id, stars, words, created_ms, changed_ms)
         VALUES ($1, $2, $3, $4, $5, $6, $7)
         ON CONFLICT (consult_id) DO UPDATE SET stars = excluded.stars, words = excluded.words,
             changed_ms = excluded.changed_ms",
        params![
            rating.consultation_id,
            team,
            member.get(),
            rating.stars,
            rating.words.as_str(),
            rating.created_ms,
            rating.changed_ms
        ],
    )
    .await?;
    Ok(())
}

const RATINGS: &str = "SELECT consult_id, stars, words, created_ms, changed_ms FROM consult_rating
     WHERE team_id = $1 AND (created_ms, consult_id) < ($2, $3)
     ORDER BY created_ms DESC, consult_id DESC LIMIT $4";

const COUNT: &str = "SELECT count(*) FROM consult_rating WHERE team_id = $1";

/// The ratings of a team, the newest first.
pub(in crate::consult) fn ratings(team: i64) -> List<Rating> {
    List {
        items: RATINGS.into(),
        count: COUNT.into(),
        keys: params![team],
        item,
        place,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::walks_an_index;

    #[tokio::test]
    async fn lists_walk_an_index() {
        ratings(1).walks_an_index().await;
        walks_an_index(RATING, params![1_i64]).await;
    }
}
