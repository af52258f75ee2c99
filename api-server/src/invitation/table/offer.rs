//! The SQL of offers of teams and clinics, and of users who are blocked from them.

use database::{Row, Transaction, params};
use proto::UserId;

use crate::{
    http::{answer::List, error::Error, input::Cursor},
    invitation::{Place, block::Blocked, offer::PlaceOffer},
};

/// Inserts an offer in place of the one before.
pub(in crate::invitation) async fn put_offer(
    tx: &mut Transaction<'_>,
    offer: &PlaceOffer,
) -> Result<(), Error> {
    tx.execute(
        "INSERT INTO place_offer (place, place_id, from_id, to_id, created_ms, expires_ms)
         VALUES ($1, $2, $3, $4, $5, $6)
         ON CONFLICT (place, place_id) DO UPDATE SET from_id = excluded.from_id, to_id = excluded.to_id,
           created_ms = excluded.created_ms, expires_ms = excluded.expires_ms",
        params![
            offer.place.as_str(),
            offer.place_id,
            offer.from_id,
            offer.to_id,
            offer.created_ms,
            offer.expires_ms
        ],
    )
    .await?;
    Ok(())
}

/// Consumes an open offer of a locked place; false when there is none.
pub(in crate::invitation) async fn consume_offer(
    tx: &mut Transaction<'_>,
    (place, place_id): (Place, i64),
    (from, to): (UserId, UserId),
    now_ms: i64,
) -> Result<bool, Error> {
    let consumed = tx
        .execute(
            "DELETE FROM place_offer
             WHERE place = $1 AND place_id = $2 AND from_id = $3 AND to_id = $4 AND expires_ms > $5",
            params![place.as_str(), place_id, from.get(), to.get(), now_ms],
        )
        .await?;
    Ok(consumed == 1)
}

/// Removes an open offer of either side; false when there is none.
pub(in crate::invitation) async fn remove_offer(
    tx: &mut Transaction<'_>,
    (place, place_id): (Place, i64),
    user: UserId,
    now_ms: i64,
) -> Result<bool, Error> {
    let removed = tx
        .execute(
            "DELETE FROM place_offer
             WHERE place = $1 AND place_id = $2 AND (from_id = $3 OR to_id = $3) AND expires_ms > $4",
            params![place.as_str(), place_id, user.get(), now_ms],
        )
        .await?;
    Ok(removed == 1)
}

/// Removes the offer of a place that is dissolved.
pub(crate) async fn forget_offer(tx: &mut Transaction<'_>, place: Place, place_id: i64) -> Result<(), Error> {
    tx.execute(
        "DELETE FROM place_offer WHERE place = $1 AND place_id = $2",
        params![place.as_str(), place_id],
    )
    .await?;
    Ok(())
}

/// A place has one offer: time and place id are an order.
const OFFERS: &str =
    "SELECT f.place, f.place_id, coalesce(t.name, c.name, ''), f.from_id, a.name, f.to_id, f.created_ms,
            f.expires_ms
     FROM place_offer f JOIN account a ON a.id = f.from_id
     LEFT JOIN team t ON f.place = 'team' AND t.id = f.place_id
     LEFT JOIN clinic c ON f.place = 'clinic' AND c.id = f.place_id
     WHERE f.to_id = $1 AND f.expires_ms > $2 AND (f.created_ms, f.place_id) < ($3, $4)
     ORDER BY f.created_ms DESC, f.place_id DESC LIMIT $5";
const COUNT_OFFERS: &str = "SELECT count(*) FROM place_offer WHERE to_id = $1 AND expires_ms > $2";

fn offer_row(row: &Row) -> Result<PlaceOffer, Error> {
    let place: String = row.get(0)?;
    Ok(PlaceOffer {
        place: Place::from_database(&place).ok_or_else(|| Error::internal("place_offer.place is unknown"))?,
        place_id: row.get(1)?,
        name: row.get(2)?,
        from_id: row.get(3)?,
        from_name: row.get(4)?,
        to_id: row.get(5)?,
        created_ms: row.get(6)?,
        expires_ms: row.get(7)?,
    })
}

/// The open offers to a doctor, the newest first.
pub(in crate::invitation) fn offers_to(doctor: UserId, now_ms: i64) -> List<PlaceOffer> {
    List {
        items: OFFERS.into(),
        count: COUNT_OFFERS.into(),
        keys: params![doctor.get(), now_ms],
        item: offer_row,
        place: |offer| Cursor {
            at: offer.created_ms,
            id: offer.place_id,
        },
    }
}

/// Blocks a user from a locked place; a repetition changes nothing.
pub(in crate::invitation) async fn put_block(
    tx: &mut Transaction<'_>,
    (place, place_id): (Place, i64),
    user: UserId,
    by: UserId,
    now_ms: i64,
) -> Result<(), Error> {
    tx.execute(
        "INSERT INTO place_block (place, place_id, user_id, by_id, created_ms) VALUES ($1, $2, $3, $4, $5)
         ON CONFLICT (place, place_id, user_id) DO NOTHING",
        params![place.as_str(), place_id, user.get(), by.get(), now_ms],
    )
    .await?;
    Ok(())
}

/// Unblocks a user.
pub(in crate::invitation) async fn remove_block(
    tx: &mut Transaction<'_>,
    (place, place_id): (Place, i64),
    user: UserId,
) -> Result<(), Error> {
    tx.execute(
        "DELETE FROM place_block WHERE place = $1 AND place_id = $2 AND user_id = $3",
        params![place.as_str(), place_id, user.get()],
    )
    .await?;
    Ok(())
}

const IS_BLOCKED: &str = "SELECT 1 FROM place_block WHERE place = $1 AND place_id = $2 AND user_id = $3";

/// Whether a user is blocked from a locked place.
pub(in crate::invitation) async fn is_blocked(
    tx: &mut Transaction<'_>,
    (place, place_id): (Place, i64),
    user: UserId,
) -> Result<bool, Error> {
    let row = tx
        .query_first(IS_BLOCKED, params![place.as_str(), place_id, user.get()])
        .await?;
    Ok(row.is_some())
}

const BLOCKED: &str = "SELECT b.user_id, a.name, b.by_id, b.created_ms
     FROM place_block b JOIN account a ON a.id = b.user_id
     WHERE b.place = $1 AND b.place_id = $2 AND (b.created_ms, b.user_id) < ($3, $4)
     ORDER BY b.created_ms DESC, b.user_id DESC LIMIT $5";
const COUNT_BLOCKED: &str = "SELECT count(*) FROM place_block WHERE place = $1 AND place_id = $2";

/// The users who are blocked from a place, the newest first.
pub(in crate::invitation) fn blocked(place: Place, place_id: i64) -> List<Blocked> {
    List {
        items: BLOCKED.into(),
        count: COUNT_BLOCKED.into(),
        keys: params![place.as_str(), place_id],
        item: |row| {
            Ok(Blocked {
                user_id: row.get(0)?,
                name: row.get(1)?,
                by_id: row.get(2)?,
                created_ms: row.get(3)?,
            })
        },
        place: |blocked| Cursor {
            at: blocked.created_ms,
            id: blocked.user_id,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::walks_an_index;

    #[tokio::test]
    async fn statements_walk_an_index() {
        offers_to(UserId::from_database(1), 1).walks_an_index().await;
        blocked(Place::Team, 1).walks_an_index().await;
        walks_an_index(IS_BLOCKED, params!["team", 1_i64, 1_i64]).await;
    }
}
