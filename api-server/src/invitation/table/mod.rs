//! The SQL of invitations.

mod in_person;
mod links;
mod offer;

use database::{Database, Transaction, params};
use proto::UserId;

use super::Place;
use crate::http::error::Error;

pub(super) use in_person::{
    NewInPerson, consume_in_person, count_in_person, decline, forget_expired_in_person, forget_others,
    list_sent, put_in_person, received, received_one, revoke_in_person, sent_to,
};
pub(super) use links::{NewInvitation, consume, count, forget_expired, put, revoke_link};
pub(crate) use offer::forget_offer;
pub(super) use offer::{
    blocked, consume_offer, is_blocked, offers_to, put_block, put_offer, remove_block, remove_offer,
};

/// The sequence of invitation ids, of all kinds.
pub(crate) const SEQUENCE: &str = "team_invitation";

const TEAM_INVITER: &str =
    "SELECT 1 FROM team t JOIN account o ON o.id = t.owner_id JOIN account i ON i.id = $2
     WHERE t.id = $1 AND (t.owner_id = $2 OR t.assistant_id = $2)
       AND o.disabled_ms IS NULL AND i.disabled_ms IS NULL";
const CLINIC_INVITER: &str = "SELECT 1 FROM clinic c JOIN account i ON i.id = $2
     LEFT JOIN clinic_doctor d ON d.clinic_id = c.id AND d.doctor_id = $2
     WHERE c.id = $1 AND i.disabled_ms IS NULL AND (c.founder_id = $2 OR d.supervisor)";

/// Whether an inviter still leads a team or clinic, and is not disabled.
pub(super) async fn may_invite(
    tx: &mut Transaction<'_>,
    place: Place,
    place_id: i64,
    inviter: UserId,
) -> Result<bool, Error> {
    let sql = match place {
        Place::Team => TEAM_INVITER,
        Place::Clinic => CLINIC_INVITER,
    };
    let row = tx.query_first(sql, params![place_id, inviter.get()]).await?;
    Ok(row.is_some())
}

/// Deletes all invitations of a user who may no longer invite.
pub(crate) async fn forget_of_inviter(
    tx: &mut Transaction<'_>,
    place: Place,
    place_id: i64,
    inviter: UserId,
) -> Result<(), Error> {
    links::forget_of(tx, place, place_id, inviter).await?;
    in_person::forget_of(tx, place, place_id, inviter).await
}

const TEAM_NAME: &str = "SELECT name FROM team WHERE id = $1 AND closed_ms IS NULL";
const CLINIC_NAME: &str = "SELECT name FROM clinic WHERE id = $1 AND closed_ms IS NULL";

/// The present name of a team or clinic that works.
pub(super) async fn name_of(database: &Database, place: Place, id: i64) -> Result<Option<String>, Error> {
    let sql = match place {
        Place::Team => TEAM_NAME,
        Place::Clinic => CLINIC_NAME,
    };
    let row = database.query_first(sql, params![id]).await?;
    Ok(row.map(|row| row.get(0)).transpose()?)
}

/// Ends the link that a doctor joined by, when they were removed.
pub(crate) async fn end_link(
    tx: &mut Transaction<'_>,
    place: Place,
    place_id: i64,
    link: i64,
) -> Result<(), Error> {
    links::revoke_link(tx, place, place_id, link).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::walks_an_index;

    #[tokio::test]
    async fn statements_walk_an_index() {
        walks_an_index(TEAM_INVITER, params![1_i64, 2_i64]).await;
        walks_an_index(CLINIC_INVITER, params![1_i64, 2_i64]).await;
        walks_an_index(TEAM_NAME, params![1_i64]).await;
        walks_an_index(CLINIC_NAME, params![1_i64]).await;
    }
}
