//! Invitations by a phone, when it gets another owner. They lie under the phone: those that are a user's own by now follow them,
//! and the next owner of the phone must not meet them.

use database::{Transaction, params};
use proto::UserId;

use crate::http::error::Error;

/// An inviter invites a phone once: an invitation to the new phone gives way to the one that was accepted.
const FAMILY_GIVES_WAY: &str = "DELETE FROM family_invitation WHERE phone = $1 AND inviter_id IN
       (SELECT i.inviter_id FROM family_invitation i WHERE i.phone = $2 AND i.state = 'accepted' AND i.accepted_by = $3)";
const FAMILY_FOLLOWS: &str = "UPDATE family_invitation SET phone = $1
     WHERE phone = $2 AND state = 'accepted' AND accepted_by = $3";
/// A place names a doctor once under a phone.
const DOCTOR_GIVES_WAY: &str = "DELETE FROM doctor_invitation WHERE phone = $1 AND doctor_id = $2";
const DOCTOR_FOLLOWS: &str = "UPDATE doctor_invitation SET phone = $1 WHERE phone = $2 AND doctor_id = $3";

const FAMILY_ENDS: &str =
    "DELETE FROM family_invitation WHERE phone = $1 AND state = 'accepted' AND accepted_by = $2";

/// Takes the invitations that a user accepted, and those that name them as a doctor, along to another phone.
pub(super) async fn follow(
    tx: &mut Transaction<'_>,
    user: UserId,
    from: &str,
    to: &str,
) -> Result<(), Error> {
    let user = user.get();
    if from == to {
        return Ok(());
    }
    tx.execute(FAMILY_GIVES_WAY, params![to, from, user]).await?;
    tx.execute(FAMILY_FOLLOWS, params![to, from, user]).await?;
    tx.execute(DOCTOR_GIVES_WAY, params![to, user]).await?;
    tx.execute(DOCTOR_FOLLOWS, params![to, from, user]).await?;
    Ok(())
}

/// Deletes them, of a user whose phone becomes free.
pub(super) async fn end(tx: &mut Transaction<'_>, user: UserId, phone: &str) -> Result<(), Error> {
    for sql in [FAMILY_ENDS, DOCTOR_GIVES_WAY] {
        tx.execute(sql, params![phone, user.get()]).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::walks_an_index;

    #[tokio::test]
    async fn statements_walk_an_index() {
        for sql in [FAMILY_GIVES_WAY, FAMILY_FOLLOWS, DOCTOR_FOLLOWS] {
            walks_an_index(sql, params!["+861", "+862", 1_i64]).await;
        }
        for sql in [FAMILY_ENDS, DOCTOR_GIVES_WAY] {
            walks_an_index(sql, params!["+861", 1_i64]).await;
        }
    }
}
