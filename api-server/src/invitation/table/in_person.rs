//! The SQL of invitations in person.

use database::{Row, Transaction, params};
use proto::UserId;

use crate::{
    http::{answer::List, error::Error, input::Cursor},
    invitation::{Place, in_person::SentDoctorInvitation, received::DoctorInvitation},
};

/// A new invitation.
pub(in crate::invitation) struct NewInPerson {
    pub(in crate::invitation) id: i64,
    pub(in crate::invitation) place: Place,
    pub(in crate::invitation) place_id: i64,
    pub(in crate::invitation) inviter: UserId,
    pub(in crate::invitation) phone: String,
    /// 0 when the inviter named the phone.
    pub(in crate::invitation) doctor_id: i64,
    pub(in crate::invitation) created_ms: i64,
    pub(in crate::invitation) expires_ms: i64,
}

impl NewInPerson {
    /// In the form that its sender sees.
    pub(in crate::invitation) fn sent(self) -> SentDoctorInvitation {
        sent(
            self.id,
            self.doctor_id,
            self.phone,
            self.inviter.get(),
            (self.created_ms, self.expires_ms),
        )
    }
}

/// Shows the phone or the doctor: the one that the inviter named.
fn sent(
    id: i64,
    doctor_id: i64,
    phone: String,
    inviter_id: i64,
    (created_ms, expires_ms): (i64, i64),
) -> SentDoctorInvitation {
    SentDoctorInvitation {
        invitation_id: id,
        doctor_id: (doctor_id != 0).then_some(doctor_id),
        phone: (doctor_id == 0).then_some(phone),
        inviter_id,
        state: "invited",
        created_ms,
        expires_ms,
    }
}

fn sent_row(row: &Row) -> Result<SentDoctorInvitation, Error> {
    let times = (row.get(4)?, row.get(5)?);
    Ok(sent(row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, times))
}

pub(in crate::invitation) async fn put_in_person(
    tx: &mut Transaction<'_>,
    new: &NewInPerson,
) -> Result<(), Error> {
    tx.execute(
        "INSERT INTO doctor_invitation (phone, id, place, place_id, inviter_id, doctor_id, state, created_ms, expires_ms)
         VALUES ($1, $2, $3, $4, $5, $6, 'invited', $7, $8)",
        params![
            new.phone.as_str(),
            new.id,
            new.place.as_str(),
            new.place_id,
            new.inviter.get(),
            new.doctor_id,
            new.created_ms,
            new.expires_ms
        ],
    )
    .await?;
    Ok(())
}

const FORGET_EXPIRED: &str =
    "DELETE FROM doctor_invitation WHERE place = $1 AND place_id = $2 AND expires_ms <= $3";

/// Deletes the expired invitations of a place.
pub(in crate::invitation) async fn forget_expired_in_person(
    tx: &mut Transaction<'_>,
    place: Place,
    place_id: i64,
    now_ms: i64,
) -> Result<(), Error> {
    tx.execute(FORGET_EXPIRED, params![place.as_str(), place_id, now_ms])
        .await?;
    Ok(())
}

const COUNT: &str = "SELECT count(*) FROM doctor_invitation WHERE place = $1 AND place_id = $2";

/// Counts the invitations of a place, declined ones included: the number does not reveal an answer.
pub(in crate::invitation) async fn count_in_person(
    tx: &mut Transaction<'_>,
    place: Place,
    place_id: i64,
) -> Result<i64, Error> {
    let row = tx.query_first(COUNT, params![place.as_str(), place_id]).await?;
    Ok(row.map_or(Ok(0), |row| row.get(0))?)
}

const SENT: &str = "SELECT id, doctor_id, phone, inviter_id, created_ms, expires_ms FROM doctor_invitation
     WHERE place = $1 AND place_id = $2";

fn sent_to_sql() -> String {
    format!("{SENT} AND phone = $3 AND doctor_id = $4")
}

fn list_sql() -> String {
    format!(
        "{SENT} AND expires_ms > $3 AND (created_ms, id) < ($4, $5) ORDER BY created_ms DESC, id DESC LIMIT $6"
    )
}

/// The invitation of a phone or doctor into a place.
pub(in crate::invitation) async fn sent_to(
    tx: &mut Transaction<'_>,
    place: Place,
    place_id: i64,
    phone: &str,
    doctor_id: i64,
) -> Result<Option<SentDoctorInvitation>, Error> {
    let row = tx
        .query_first(sent_to_sql(), params![place.as_str(), place_id, phone, doctor_id])
        .await?;
    row.as_ref().map(sent_row).transpose()
}

/// The open invitations of a place, the newest first.
pub(in crate::invitation) fn list_sent(
    place: Place,
    place_id: i64,
    now_ms: i64,
) -> List<SentDoctorInvitation> {
    List {
        items: list_sql().into(),
        count: COUNT_SENT.into(),
        keys: params![place.as_str(), place_id, now_ms],
        item: sent_row,
        place: |sent| Cursor {
            at: sent.created_ms,
            id: sent.invitation_id,
        },
    }
}

const COUNT_SENT: &str =
    "SELECT count(*) FROM doctor_invitation WHERE place = $1 AND place_id = $2 AND expires_ms > $3";

const REVOKE: &str =
    "DELETE FROM doctor_invitation WHERE place = $1 AND place_id = $2 AND id = $3 AND expires_ms > $4";

/// False when the place has no such invitation.
pub(in crate::invitation) async fn revoke_in_person(
    tx: &mut Transaction<'_>,
    place: Place,
    place_id: i64,
    id: i64,
    now_ms: i64,
) -> Result<bool, Error> {
    let revoked = tx
        .execute(REVOKE, params![place.as_str(), place_id, id, now_ms])
        .await?;
    Ok(revoked == 1)
}

const RECEIVED: &str = "SELECT i.id, i.place, i.place_id, coalesce(t.name, c.name, ''), i.inviter_id, a.name,
            i.created_ms, i.expires_ms
     FROM doctor_invitation i JOIN account a ON a.id = i.inviter_id
     LEFT JOIN team t ON i.place = 'team' AND t.id = i.place_id
     LEFT JOIN clinic c ON i.place = 'clinic' AND c.id = i.place_id
     WHERE i.phone = $1 AND i.state = 'invited' AND i.expires_ms > $2";

fn received_row(row: &Row) -> Result<DoctorInvitation, Error> {
    let place: String = row.get(1)?;
    Ok(DoctorInvitation {
        invitation_id: row.get(0)?,
        place: Place::from_database(&place)
            .ok_or_else(|| Error::internal("doctor_invitation.place is unknown"))?,
        place_id: row.get(2)?,
        name: row.get(3)?,
        inviter_id: row.get(4)?,
        inviter_name: row.get(5)?,
        created_ms: row.get(6)?,
        expires_ms: row.get(7)?,
    })
}

fn received_one_sql() -> String {
    format!("{RECEIVED} AND i.id = $3")
}

fn received_sql() -> String {
    format!(
        "{RECEIVED} AND (i.created_ms, i.id) < ($3, $4)
         ORDER BY i.created_ms DESC, i.id DESC LIMIT $5"
    )
}

pub(in crate::invitation) async fn received_one(
    tx: &mut Transaction<'_>,
    phone: &str,
    id: i64,
    now_ms: i64,
) -> Result<Option<DoctorInvitation>, Error> {
    let row = tx
        .query_first(received_one_sql(), params![phone, now_ms, id])
        .await?;
    row.as_ref().map(received_row).transpose()
}

/// The open invitations of a phone, the newest first.
pub(in crate::invitation) fn received(phone: String, now_ms: i64) -> List<DoctorInvitation> {
    List {
        items: received_sql().into(),
        count: COUNT_RECEIVED.into(),
        keys: params![phone, now_ms],
        item: received_row,
        place: |received| Cursor {
            at: received.created_ms,
            id: received.invitation_id,
        },
    }
}

const COUNT_RECEIVED: &str =
    "SELECT count(*) FROM doctor_invitation WHERE phone = $1 AND state = 'invited' AND expires_ms > $2";

/// Consumes an open invitation; false when there is none. The DELETE decides between racing requests.
pub(in crate::invitation) async fn consume_in_person(
    tx: &mut Transaction<'_>,
    phone: &str,
    id: i64,
    now_ms: i64,
) -> Result<bool, Error> {
    let consumed = tx
        .execute(
            "DELETE FROM doctor_invitation WHERE phone = $1 AND id = $2 AND state = 'invited' AND expires_ms > $3",
            params![phone, id, now_ms],
        )
        .await?;
    Ok(consumed == 1)
}

const FORGET_OTHERS: &str = "DELETE FROM doctor_invitation WHERE place = $1 AND place_id = $2 AND phone = $3";

/// Deletes the other invitations of a doctor who has joined a place.
pub(in crate::invitation) async fn forget_others(
    tx: &mut Transaction<'_>,
    place: Place,
    place_id: i64,
    phone: &str,
) -> Result<(), Error> {
    tx.execute(FORGET_OTHERS, params![place.as_str(), place_id, phone])
        .await?;
    Ok(())
}

/// Declines an open invitation; its row stays, so that its sender learns nothing. False when there is none.
pub(in crate::invitation) async fn decline(
    tx: &mut Transaction<'_>,
    phone: &str,
    id: i64,
    now_ms: i64,
) -> Result<bool, Error> {
    let declined = tx
        .execute(
            "UPDATE doctor_invitation SET state = 'declined'
             WHERE phone = $1 AND id = $2 AND state = 'invited' AND expires_ms > $3",
            params![phone, id, now_ms],
        )
        .await?;
    Ok(declined == 1)
}

const FORGET_OF: &str =
    "DELETE FROM doctor_invitation WHERE place = $1 AND place_id = $2 AND inviter_id = $3";

/// Deletes the invitations of one inviter.
pub(super) async fn forget_of(
    tx: &mut Transaction<'_>,
    place: Place,
    place_id: i64,
    inviter: UserId,
) -> Result<(), Error> {
    tx.execute(FORGET_OF, params![place.as_str(), place_id, inviter.get()])
        .await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::walks_an_index;

    #[tokio::test]
    async fn statements_walk_an_index() {
        walks_an_index(FORGET_EXPIRED, params!["team", 1_i64, 1_i64]).await;
        walks_an_index(COUNT, params!["team", 1_i64]).await;
        walks_an_index(&sent_to_sql(), params!["team", 1_i64, "p", 1_i64]).await;
        list_sent(Place::Team, 1, 1).walks_an_index().await;
        walks_an_index(REVOKE, params!["team", 1_i64, 1_i64, 1_i64]).await;
        walks_an_index(&received_one_sql(), params!["p", 1_i64, 1_i64]).await;
        received("p".to_owned(), 1).walks_an_index().await;
        walks_an_index(FORGET_OTHERS, params!["team", 1_i64, "p"]).await;
        walks_an_index(FORGET_OF, params!["team", 1_i64, 1_i64]).await;
    }
}
