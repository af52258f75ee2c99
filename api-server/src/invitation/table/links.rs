//! The SQL of invitations by link. Teams and clinics have a table each, with the same columns.

use database::{Transaction, params};
use proto::UserId;

use crate::{http::error::Error, invitation::Place};

/// A new invitation.
pub(in crate::invitation) struct NewInvitation {
    pub(in crate::invitation) place_id: i64,
    pub(in crate::invitation) id: i64,
    pub(in crate::invitation) inviter: UserId,
    pub(in crate::invitation) max_uses: i64,
    pub(in crate::invitation) created_ms: i64,
    pub(in crate::invitation) expires_ms: i64,
}

/// The table of a kind of place, and its column of the place's id.
const fn table(place: Place) -> (&'static str, &'static str) {
    match place {
        Place::Team => ("team_invitation", "team_id"),
        Place::Clinic => ("clinic_invitation", "clinic_id"),
    }
}

pub(in crate::invitation) async fn put(
    tx: &mut Transaction<'_>,
    place: Place,
    new: &NewInvitation,
) -> Result<(), Error> {
    let (table, column) = table(place);
    tx.execute(
        format!(
            "INSERT INTO {table} ({column}, id, inviter_id, max_uses, used, created_ms, expires_ms)
             VALUES ($1, $2, $3, $4, 0, $5, $6)"
        ),
        params![
            new.place_id,
            new.id,
            new.inviter.get(),
            new.max_uses,
            new.created_ms,
            new.expires_ms
        ],
    )
    .await?;
    Ok(())
}

/// Consumes one use; false when the link is used up, revoked or expired. The UPDATE decides between racing requests.
pub(in crate::invitation) async fn consume(
    tx: &mut Transaction<'_>,
    place: Place,
    place_id: i64,
    id: i64,
    now_ms: i64,
) -> Result<bool, Error> {
    let (table, column) = table(place);
    let used = tx
        .execute(
            format!(
                "UPDATE {table} SET used = used + 1
                 WHERE {column} = $1 AND id = $2 AND used < max_uses AND expires_ms > $3"
            ),
            params![place_id, id, now_ms],
        )
        .await?;
    Ok(used == 1)
}

/// Deletes the expired invitations of a place.
pub(in crate::invitation) async fn forget_expired(
    tx: &mut Transaction<'_>,
    place: Place,
    place_id: i64,
    now_ms: i64,
) -> Result<(), Error> {
    let (table, column) = table(place);
    let sql = format!("DELETE FROM {table} WHERE {column} = $1 AND expires_ms <= $2");
    tx.execute(sql, params![place_id, now_ms]).await?;
    Ok(())
}

/// Counts the invitations of a place.
pub(in crate::invitation) async fn count(
    tx: &mut Transaction<'_>,
    place: Place,
    place_id: i64,
) -> Result<i64, Error> {
    let (table, column) = table(place);
    let sql = format!("SELECT count(*) FROM {table} WHERE {column} = $1");
    let row = tx.query_first(sql, params![place_id]).await?;
    Ok(row.map_or(Ok(0), |row| row.get(0))?)
}

/// False when the place has no such invitation.
pub(in crate::invitation) async fn revoke_link(
    tx: &mut Transaction<'_>,
    place: Place,
    place_id: i64,
    id: i64,
) -> Result<bool, Error> {
    let (table, column) = table(place);
    let sql = format!("DELETE FROM {table} WHERE {column} = $1 AND id = $2");
    Ok(tx.execute(sql, params![place_id, id]).await? == 1)
}

/// Deletes the invitations of one inviter.
pub(super) async fn forget_of(
    tx: &mut Transaction<'_>,
    place: Place,
    place_id: i64,
    inviter: UserId,
) -> Result<(), Error> {
    let (table, column) = table(place);
    let sql = format!("DELETE FROM {table} WHERE {column} = $1 AND inviter_id = $2");
    tx.execute(sql, params![place_id, inviter.get()]).await?;
    Ok(())
}
