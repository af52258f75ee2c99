//! The SQL of families.

use database::{Database, Row, Transaction, params};
use proto::UserId;

use super::{FamilyMember, Kind, ReceivedInvitation, Relation, Relative, SentInvitation};
use crate::{
    http::{
        answer::List,
        error::{Error, ErrorCode},
        input::Cursor,
    },
    profile::Gender,
};

/// The sequence of invitation ids.
pub(super) const INVITATION_SEQUENCE: &str = "family_invitation";

/// A new invitation.
pub(super) struct NewInvitation {
    pub(super) id: i64,
    pub(super) phone: String,
    pub(super) inviter: UserId,
    pub(super) relation: Relation,
    pub(super) created_ms: i64,
    pub(super) expires_ms: i64,
}

fn relation(text: &str) -> Result<Relation, Error> {
    Relation::from_database(text).ok_or_else(|| Error::internal("family.relation_type is unknown"))
}

/// Relatives. A person's profile stays their own: only the columns of the seed document are read.
const MEMBERS: &str =
    "SELECT f.relation_user_id, f.relation_type, a.name, p.photo_id, f.kind, p.gender, p.birth_date,
            f.created_ms
     FROM family f JOIN account a ON a.id = f.relation_user_id
     LEFT JOIN member_profile p ON p.member_id = f.relation_user_id
     WHERE f.user_id = $1";

fn member_row(row: &Row) -> Result<FamilyMember, Error> {
    let kind: String = row.get(4)?;
    let kind = [Kind::Dependant, Kind::Account]
        .into_iter()
        .find(|known| known.as_str() == kind)
        .ok_or_else(|| Error::internal("family.kind is unknown"))?;
    let gender: Option<String> = row.get(5)?;
    let mut member = FamilyMember {
        relation_user_id: row.get(0)?,
        relation_type: relation(&row.get::<String>(1)?)?,
        name: row.get(2)?,
        photo_id: row.get(3)?,
        kind,
        gender: gender.as_deref().and_then(Gender::from_database),
        birth_date: row.get(6)?,
        created_ms: row.get(7)?,
    };
    if kind == Kind::Account {
        member.gender = None;
        member.birth_date = None;
    }
    Ok(member)
}

fn relative_row(row: &Row) -> Result<Relative, Error> {
    let member = member_row(row)?;
    Ok(Relative {
        relation_user_id: member.relation_user_id,
        relation_type: member.relation_type,
        name: member.name,
        photo_id: member.photo_id,
    })
}

fn all_sql() -> String {
    format!("{MEMBERS} ORDER BY f.created_ms DESC, f.relation_user_id DESC")
}

/// The whole family, which is limited.
pub(crate) async fn relatives(database: &Database, user: UserId) -> Result<Vec<Relative>, Error> {
    let rows = database.query(all_sql(), params![user.get()]).await?;
    rows.iter().map(relative_row).collect()
}

/// As [`relatives`], within a transaction.
pub(crate) async fn relatives_in(tx: &mut Transaction<'_>, user: UserId) -> Result<Vec<Relative>, Error> {
    let rows = tx.query(all_sql(), params![user.get()]).await?;
    rows.iter().map(relative_row).collect()
}

fn list_sql() -> String {
    format!(
        "{MEMBERS} AND (f.created_ms, f.relation_user_id) < ($2, $3)
         ORDER BY f.created_ms DESC, f.relation_user_id DESC LIMIT $4"
    )
}

const COUNT: &str = "SELECT count(*) FROM family WHERE user_id = $1";

/// A family, the newest first.
pub(super) fn list(user: UserId) -> List<FamilyMember> {
    List {
        items: list_sql().into(),
        count: COUNT.into(),
        keys: params![user.get()],
        item: member_row,
        place: |member| Cursor {
            at: member.created_ms,
            id: member.relation_user_id,
        },
    }
}

const IS_RELATIVE: &str = "SELECT 1 FROM family WHERE user_id = $1 AND relation_user_id = $2";

/// Whether a user is in one's family.
pub(crate) async fn is_relative(database: &Database, user: UserId, relative: UserId) -> Result<bool, Error> {
    let params = params![user.get(), relative.get()];
    Ok(database.query_first(IS_RELATIVE, params).await?.is_some())
}

fn one_sql() -> String {
    format!("{MEMBERS} AND f.relation_user_id = $2")
}

pub(super) async fn member(
    database: &Database,
    user: UserId,
    relative: UserId,
) -> Result<FamilyMember, Error> {
    let row = database
        .query_first(one_sql(), params![user.get(), relative.get()])
        .await?;
    member_row(&row.ok_or(ErrorCode::FamilyNotFound)?)
}

pub(super) async fn member_in(
    tx: &mut Transaction<'_>,
    user: UserId,
    relative: UserId,
) -> Result<FamilyMember, Error> {
    let row = tx
        .query_first(one_sql(), params![user.get(), relative.get()])
        .await?;
    member_row(&row.ok_or(ErrorCode::FamilyNotFound)?)
}

/// Locks a relative in the user's family until the end of the transaction; none when there is none.
pub(crate) async fn lock_relative(
    tx: &mut Transaction<'_>,
    user: UserId,
    relative: UserId,
) -> Result<Option<Relation>, Error> {
    let row = tx
        .query_first(
            "UPDATE family SET kind = kind WHERE user_id = $1 AND relation_user_id = $2 RETURNING relation_type",
            params![user.get(), relative.get()],
        )
        .await?;
    row.map(|row| relation(&row.get::<String>(0)?)).transpose()
}

pub(super) async fn put_relative(
    tx: &mut Transaction<'_>,
    user: UserId,
    relative: UserId,
    relation: Relation,
    kind: Kind,
    now_ms: i64,
) -> Result<(), Error> {
    tx.execute(
        "INSERT INTO family (user_id, relation_user_id, relation_type, kind, created_ms) VALUES ($1, $2, $3, $4, $5)
         ON CONFLICT (user_id, relation_user_id) DO NOTHING",
        params![
            user.get(),
            relative.get(),
            relation.as_str(),
            kind.as_str(),
            now_ms
        ],
    )
    .await?;
    Ok(())
}

pub(super) async fn set_relation(
    tx: &mut Transaction<'_>,
    user: UserId,
    relative: UserId,
    relation: Relation,
) -> Result<(), Error> {
    tx.execute(
        "UPDATE family SET relation_type = $1 WHERE user_id = $2 AND relation_user_id = $3",
        params![relation.as_str(), user.get(), relative.get()],
    )
    .await?;
    Ok(())
}

const FORGET_ACCEPTED: &str = "DELETE FROM family_invitation WHERE inviter_id = $1 AND accepted_by = $2";

/// Removes a relative after the invitation that they accepted, in the order in which accepting locks.
pub(super) async fn remove_relative(
    tx: &mut Transaction<'_>,
    user: UserId,
    relative: UserId,
) -> Result<(), Error> {
    tx.execute(FORGET_ACCEPTED, params![user.get(), relative.get()])
        .await?;
    if delete_relative(tx, user, relative).await? {
        Ok(())
    } else {
        Err(ErrorCode::FamilyNotFound.into())
    }
}

async fn delete_relative(tx: &mut Transaction<'_>, user: UserId, relative: UserId) -> Result<bool, Error> {
    let removed = tx
        .execute(
            "DELETE FROM family WHERE user_id = $1 AND relation_user_id = $2",
            params![user.get(), relative.get()],
        )
        .await?;
    Ok(removed == 1)
}

const FORGET_EXPIRED: &str =
    "DELETE FROM family_invitation WHERE inviter_id = $1 AND state <> 'accepted' AND expires_ms <= $2";

pub(super) async fn forget_expired(tx: &mut Transaction<'_>, user: UserId, now_ms: i64) -> Result<(), Error> {
    tx.execute(FORGET_EXPIRED, params![user.get(), now_ms]).await?;
    Ok(())
}

const SIZE: &str = "SELECT (SELECT count(*) FROM family WHERE user_id = $1)
          + (SELECT count(*) FROM family_invitation WHERE inviter_id = $1 AND state <> 'accepted')";

/// Relatives and open invitations. Declined ones count, so that the number reveals nothing.
pub(super) async fn size(tx: &mut Transaction<'_>, user: UserId) -> Result<i64, Error> {
    let row = tx.query_first(SIZE, params![user.get()]).await?;
    Ok(row.map_or(Ok(0), |row| row.get(0))?)
}

pub(super) async fn put_invitation(
    tx: &mut Transaction<'_>,
    new: NewInvitation,
) -> Result<SentInvitation, Error> {
    let outcome = tx
        .execute(
            "INSERT INTO family_invitation (phone, id, inviter_id, relation_type, state, created_ms, expires_ms)
             VALUES ($1, $2, $3, $4, 'invited', $5, $6)",
            params![
                new.phone.as_str(),
                new.id,
                new.inviter.get(),
                new.relation.as_str(),
                new.created_ms,
                new.expires_ms
            ],
        )
        .await;
    match outcome {
        Ok(_) => Ok(SentInvitation {
            invitation_id: new.id,
            phone: new.phone,
            relation_type: new.relation,
            state: "invited",
            created_ms: new.created_ms,
            expires_ms: new.expires_ms,
        }),
        Err(error) if error.constraint() == Some("family_invitation_inviter_id_phone_key") => {
            Err(Error::new(ErrorCode::FamilyInvited).field("phone"))
        }
        Err(error) => Err(error.into()),
    }
}

/// Accepts an open or accepted invitation. Returns the inviter and the caller's relation to them.
pub(super) async fn accept(
    tx: &mut Transaction<'_>,
    phone: &str,
    id: i64,
    user: UserId,
    now_ms: i64,
) -> Result<Option<(UserId, Relation)>, Error> {
    let row = tx
        .query_first(
            "UPDATE family_invitation SET state = 'accepted', accepted_by = $1
             WHERE phone = $2 AND id = $3
               AND ((state = 'invited' AND expires_ms > $4) OR (state = 'accepted' AND accepted_by = $1))
             RETURNING inviter_id, relation_type",
            params![user.get(), phone, id, now_ms],
        )
        .await?;
    row.map(|row| {
        Ok((
            UserId::from_database(row.get(0)?),
            relation(&row.get::<String>(1)?)?,
        ))
    })
    .transpose()
}

/// Declines an open invitation, whose row stays so that the inviter learns nothing, or ends an accepted one.
pub(super) async fn decline(
    tx: &mut Transaction<'_>,
    phone: &str,
    id: i64,
    user: UserId,
    now_ms: i64,
) -> Result<(), Error> {
    let declined = tx
        .execute(
            "UPDATE family_invitation SET state = 'declined'
             WHERE phone = $1 AND id = $2 AND state = 'invited' AND expires_ms > $3",
            params![phone, id, now_ms],
        )
        .await?;
    if declined == 1 {
        return Ok(());
    }
    let ended = tx
        .query_first(
            "DELETE FROM family_invitation WHERE phone = $1 AND id = $2 AND state = 'accepted' AND accepted_by = $3
             RETURNING inviter_id",
            params![phone, id, user.get()],
        )
        .await?;
    let inviter: i64 = ended.ok_or(ErrorCode::FamilyInvitationNotFound)?.get(0)?;
    delete_relative(tx, UserId::from_database(inviter), user).await?;
    Ok(())
}

const REVOKE: &str = "DELETE FROM family_invitation
     WHERE inviter_id = $1 AND id = $2 AND state <> 'accepted' AND expires_ms > $3";

pub(super) async fn revoke(
    tx: &mut Transaction<'_>,
    user: UserId,
    id: i64,
    now_ms: i64,
) -> Result<(), Error> {
    if tx.execute(REVOKE, params![user.get(), id, now_ms]).await? == 1 {
        Ok(())
    } else {
        Err(ErrorCode::FamilyInvitationNotFound.into())
    }
}

const RECEIVED: &str =
    "SELECT i.id, i.inviter_id, a.name, i.relation_type, i.state, i.created_ms, i.expires_ms
     FROM family_invitation i JOIN account a ON a.id = i.inviter_id";

fn received_row(row: &Row) -> Result<ReceivedInvitation, Error> {
    Ok(ReceivedInvitation {
        invitation_id: row.get(0)?,
        inviter_id: row.get(1)?,
        inviter_name: row.get(2)?,
        relation_type: relation(&row.get::<String>(3)?)?,
        state: row.get(4)?,
        created_ms: row.get(5)?,
        expires_ms: row.get(6)?,
    })
}

fn received_sql() -> String {
    format!(
        "{RECEIVED} WHERE i.phone = $1 AND (i.state = 'accepted' OR (i.state = 'invited' AND i.expires_ms > $2))
           AND (i.created_ms, i.id) < ($3, $4)
         ORDER BY i.created_ms DESC, i.id DESC LIMIT $5"
    )
}

const COUNT_RECEIVED: &str = "SELECT count(*) FROM family_invitation
     WHERE phone = $1 AND (state = 'accepted' OR (state = 'invited' AND expires_ms > $2))";

/// The invitations that a phone received, the newest first.
pub(super) fn received(phone: String, now_ms: i64) -> List<ReceivedInvitation> {
    List {
        items: received_sql().into(),
        count: COUNT_RECEIVED.into(),
        keys: params![phone, now_ms],
        item: received_row,
        place: |invitation| Cursor {
            at: invitation.created_ms,
            id: invitation.invitation_id,
        },
    }
}

pub(super) async fn received_in(
    tx: &mut Transaction<'_>,
    phone: &str,
    id: i64,
) -> Result<Option<ReceivedInvitation>, Error> {
    let row = tx
        .query_first(
            format!("{RECEIVED} WHERE i.phone = $1 AND i.id = $2"),
            params![phone, id],
        )
        .await?;
    row.as_ref().map(received_row).transpose()
}

const SENT: &str = "SELECT id, phone, relation_type, created_ms, expires_ms FROM family_invitation
     WHERE inviter_id = $1 AND state <> 'accepted' AND expires_ms > $2 AND (created_ms, id) < ($3, $4)
     ORDER BY created_ms DESC, id DESC LIMIT $5";

const COUNT_SENT: &str = "SELECT count(*) FROM family_invitation
     WHERE inviter_id = $1 AND state <> 'accepted' AND expires_ms > $2";

/// The open invitations that a member sent, the newest first.
pub(super) fn sent(user: UserId, now_ms: i64) -> List<SentInvitation> {
    List {
        items: SENT.into(),
        count: COUNT_SENT.into(),
        keys: params![user.get(), now_ms],
        item: sent_row,
        place: |invitation| Cursor {
            at: invitation.created_ms,
            id: invitation.invitation_id,
        },
    }
}

fn sent_row(row: &Row) -> Result<SentInvitation, Error> {
    Ok(SentInvitation {
        invitation_id: row.get(0)?,
        phone: row.get(1)?,
        relation_type: relation(&row.get::<String>(2)?)?,
        state: "invited",
        created_ms: row.get(3)?,
        expires_ms: row.get(4)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::walks_an_index;

    #[tokio::test]
    async fn statements_walk_an_index() {
        let user = UserId::from_database(1);
        list(user).walks_an_index().await;
        received("p".into(), 1).walks_an_index().await;
        sent(user, 1).walks_an_index().await;
        walks_an_index(&all_sql(), params![1_i64]).await;
        walks_an_index(&one_sql(), params![1_i64, 2_i64]).await;
        walks_an_index(FORGET_ACCEPTED, params![1_i64, 2_i64]).await;
        walks_an_index(FORGET_EXPIRED, params![1_i64, 2_i64]).await;
        walks_an_index(REVOKE, params![1_i64, 2_i64, 3_i64]).await;
    }
}
