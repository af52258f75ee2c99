//! The SQL of refunds and of the commission.

use database::{Database, Row, Transaction, params};
use ledger::{Fen, Month};
use proto::UserId;

use super::{Refund, commission::Share, decide::Price};
use crate::http::{answer::List, error::Error, input::Cursor};

/// The sequence of refund ids.
pub(super) const SEQUENCE: &str = "refund";

const OF_CONSULT: &str =
    "SELECT c.id, NULL, c.team_id, t.owner_id, c.creator_id, h.state IS NOT NULL AND h.state = 'earned', h.month,
            coalesce(h.price_fen, 0), coalesce(h.commission_fen, 0), coalesce(h.refunded_fen, 0)
     FROM consult c JOIN team t ON t.id = c.team_id LEFT JOIN consult_charge h ON h.consult_id = c.id WHERE c.id = $1";

const OF_VAS: &str = "SELECT v.consult_id, v.id, v.team_id, t.owner_id, v.member_id,
            v.state = 'confirmed' AND v.price_fen > 0 AND v.commission_per_mille IS NOT NULL, v.month,
            v.price_fen, v.commission_fen, v.refunded_fen
     FROM vas v JOIN team t ON t.id = v.team_id WHERE v.id = $1";

/// The price of a locked consult.
pub(super) async fn price_of_consult(tx: &mut Transaction<'_>, consult: i64) -> Result<Option<Price>, Error> {
    price(tx.query_first(OF_CONSULT, params![consult]).await?)
}

/// The price of a value-added service. Its consult never changes, and locks it.
pub(super) async fn price_of_vas(tx: &mut Transaction<'_>, vas: i64) -> Result<Option<Price>, Error> {
    price(tx.query_first(OF_VAS, params![vas]).await?)
}

fn price(row: Option<Row>) -> Result<Option<Price>, Error> {
    let Some(row) = row else { return Ok(None) };
    let amount = |at| {
        let fen: i64 = row.get(at)?;
        Fen::new(fen).ok_or_else(|| Error::internal("a price is no amount"))
    };
    let is_earned: bool = row.get(5)?;
    let month: Option<i64> = row.get(6)?;
    let earned_in = match month.filter(|_| is_earned) {
        Some(month) => {
            Some(Month::new(month).ok_or_else(|| Error::internal("a price was earned in no month"))?)
        }
        None => None,
    };
    Ok(Some(Price {
        consult: row.get(0)?,
        vas: row.get(1)?,
        team: row.get(2)?,
        owner: UserId::from_database(row.get(3)?),
        member: UserId::from_database(row.get(4)?),
        earned_in,
        amount: amount(7)?,
        commission: amount(8)?,
        refunded: amount(9)?,
    }))
}

/// Inserts a refund, and counts it against its price.
pub(super) async fn new_refund(
    tx: &mut Transaction<'_>,
    refund: &Refund,
    commission: Fen,
) -> Result<(), Error> {
    let (sql, id) = match refund.vas_id {
        Some(vas) => (
            "UPDATE vas SET refunded_fen = refunded_fen + $1 WHERE id = $2 AND refunded_fen + $1 <= price_fen",
            vas,
        ),
        None => (
            "UPDATE consult_charge SET refunded_fen = refunded_fen + $1
             WHERE consult_id = $2 AND refunded_fen + $1 <= price_fen",
            refund.consultation_id,
        ),
    };
    // Its consult is locked, so the price is the one that was read.
    tx.enqueue_one(sql, params![refund.amount_fen, id]).await?;
    tx.enqueue_one(
        "INSERT INTO refund (id, consult_id, vas_id, team_id, member_id, amount_fen, commission_fen, reason, by_id,
                             created_ms)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
        params![
            refund.refund_id,
            refund.consultation_id,
            refund.vas_id,
            refund.team_id,
            refund.member_id,
            refund.amount_fen,
            commission.get(),
            refund.reason.as_str(),
            refund.by_id,
            refund.created_ms
        ],
    )
    .await?;
    Ok(())
}

const OWNS: &str =
    "SELECT 1 FROM consult c JOIN team t ON t.id = c.team_id WHERE c.id = $1 AND t.owner_id = $2";

/// Whether a user owns the team of a consult.
pub(super) async fn owns(database: &Database, consult: i64, user: UserId) -> Result<bool, Error> {
    let row = database.query_first(OWNS, params![consult, user.get()]).await?;
    Ok(row.is_some())
}

const REFUNDS: &str =
    "SELECT id, consult_id, vas_id, team_id, member_id, amount_fen, reason, by_id, created_ms FROM refund
     WHERE consult_id = $1 AND (created_ms, id) < ($2, $3) ORDER BY created_ms DESC, id DESC LIMIT $4";

const COUNT_REFUNDS: &str = "SELECT count(*) FROM refund WHERE consult_id = $1";

fn refund(row: &Row) -> Result<Refund, Error> {
    Ok(Refund {
        refund_id: row.get(0)?,
        consultation_id: row.get(1)?,
        vas_id: row.get(2)?,
        team_id: row.get(3)?,
        member_id: row.get(4)?,
        amount_fen: row.get(5)?,
        reason: row.get(6)?,
        by_id: row.get(7)?,
        created_ms: row.get(8)?,
    })
}

/// The refunds of a consult and its services, the newest first.
pub(super) fn refunds(consult: i64) -> List<Refund> {
    List {
        items: REFUNDS.into(),
        count: COUNT_REFUNDS.into(),
        keys: params![consult],
        item: refund,
        place: |refund| Cursor {
            at: refund.created_ms,
            id: refund.refund_id,
        },
    }
}

const SHARE: &str = "SELECT from_ms, per_mille, by_id, created_ms FROM commission WHERE from_ms = $1";

/// The share that begins at a time.
pub(super) async fn share(tx: &mut Transaction<'_>, from_ms: i64) -> Result<Option<Share>, Error> {
    let row = tx.query_first(SHARE, params![from_ms]).await?;
    row.as_ref().map(share_of).transpose()
}

fn share_of(row: &Row) -> Result<Share, Error> {
    Ok(Share {
        from_ms: row.get(0)?,
        per_mille: row.get(1)?,
        by_id: row.get(2)?,
        created_ms: row.get(3)?,
    })
}

/// Inserts a share that begins in the future, or replaces one.
pub(super) async fn put_share(tx: &mut Transaction<'_>, share: &Share) -> Result<(), Error> {
    tx.execute(
        "INSERT INTO commission (from_ms, per_mille, by_id, created_ms) VALUES ($1, $2, $3, $4)
         ON CONFLICT (from_ms) DO UPDATE SET per_mille = excluded.per_mille, by_id = excluded.by_id,
                                             created_ms = excluded.created_ms",
        params![share.from_ms, share.per_mille, share.by_id, share.created_ms],
    )
    .await?;
    Ok(())
}

/// The shares, the latest first. No two begin at one time.
pub(super) fn shares() -> List<Share> {
    List {
        items: "SELECT from_ms, per_mille, by_id, created_ms FROM commission
                WHERE from_ms < $1 AND CAST($2 AS BIGINT) >= 0 ORDER BY from_ms DESC LIMIT $3"
            .into(),
        count: "SELECT count(*) FROM commission".into(),
        keys: vec![],
        item: share_of,
        place: |share| Cursor {
            at: share.from_ms,
            id: 0,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::walks_an_index;

    #[tokio::test]
    async fn statements_walk_an_index() {
        for sql in [OF_CONSULT, OF_VAS, SHARE] {
            walks_an_index(sql, params![1_i64]).await;
        }
        walks_an_index(OWNS, params![1_i64, 1_i64]).await;
        refunds(1).walks_an_index().await;
    }
}
