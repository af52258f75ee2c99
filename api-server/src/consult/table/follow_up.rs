//! The SQL of consults that ask further questions about an earlier one.

use database::{Transaction, params};
use proto::UserId;

use crate::{consult::life::Status, http::error::Error};

/// The earlier consult.
pub(in crate::consult) struct Earlier {
    pub(in crate::consult) creator: UserId,
    pub(in crate::consult) target: i64,
    pub(in crate::consult) team: i64,
    pub(in crate::consult) status: Status,
    /// 0 while it runs.
    pub(in crate::consult) ended_ms: i64,
}

const EARLIER: &str =
    "SELECT creator_id, target_id, team_id, status, COALESCE(ended_ms, 0) FROM consult WHERE id = $1";

pub(in crate::consult) async fn earlier(
    tx: &mut Transaction<'_>,
    consult: i64,
) -> Result<Option<Earlier>, Error> {
    let row = tx.query_first(EARLIER, params![consult]).await?;
    row.map(|row| {
        let status: String = row.get(3)?;
        Ok(Earlier {
            creator: UserId::from_database(row.get(0)?),
            target: row.get(1)?,
            team: row.get(2)?,
            status: Status::from_database(&status)
                .ok_or_else(|| Error::internal("consult.status is unknown"))?,
            ended_ms: row.get(4)?,
        })
    })
    .transpose()
}

const OPEN: &str = "SELECT 1 FROM consult WHERE follow_up_of = $1 AND ended_ms IS NULL LIMIT 1";

/// Whether a consult that asks further questions about this one is open. Its row is locked.
pub(in crate::consult) async fn has_open_follow_up(
    tx: &mut Transaction<'_>,
    consult: i64,
) -> Result<bool, Error> {
    Ok(tx.query_first(OPEN, params![consult]).await?.is_some())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::walks_an_index;

    #[tokio::test]
    async fn statements_walk_an_index() {
        walks_an_index(EARLIER, params![1_i64]).await;
        walks_an_index(OPEN, params![1_i64]).await;
    }
}
