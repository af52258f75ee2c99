//! The SQL of membership fees.

use database::{Database, Row, params};

use super::super::fee::FeeBalance;
use crate::http::{answer::List, error::Error, input::Cursor};

const SUM: &str = "SELECT CAST(coalesce(sum(balance_fen), 0) AS BIGINT) FROM ledger_account WHERE kind = 'fee' AND owner_id = $1";

/// The sum of the fees of a team's members that are not used up.
pub(in crate::income) async fn remaining_fee(database: &Database, team: i64) -> Result<i64, Error> {
    let row = database.query_first(SUM, params![team]).await?;
    Ok(row.map_or(Ok(0), |row| row.get(0))?)
}

const BALANCES: &str = "SELECT m.member_id, a.name, coalesce(f.balance_fen, 0), m.joined_ms
     FROM team_member m JOIN account a ON a.id = m.member_id
     LEFT JOIN ledger_account f ON f.kind = 'fee' AND f.owner_id = m.team_id AND f.part_id = m.member_id
     WHERE m.team_id = $1 AND (m.joined_ms, m.member_id) < ($2, $3)
     ORDER BY m.joined_ms DESC, m.member_id DESC LIMIT $4";

const COUNT: &str = "SELECT count(*) FROM team_member WHERE team_id = $1";

fn balance(row: &Row) -> Result<FeeBalance, Error> {
    Ok(FeeBalance {
        member_id: row.get(0)?,
        name: row.get(1)?,
        balance_fen: row.get(2)?,
        joined_ms: row.get(3)?,
    })
}

/// The rest of the fee of each member of a team, the newest member first.
pub(in crate::income) fn fee_balances(team: i64) -> List<FeeBalance> {
    List {
        items: BALANCES.into(),
        count: COUNT.into(),
        keys: params![team],
        item: balance,
        place: |member| Cursor {
            at: member.joined_ms,
            id: member.member_id,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::walks_an_index;

    #[tokio::test]
    async fn statements_walk_an_index() {
        walks_an_index(SUM, params![1_i64]).await;
        fee_balances(1).walks_an_index().await;
    }
}
