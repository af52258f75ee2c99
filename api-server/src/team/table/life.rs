//! The SQL of a team's life: the clinic that it belongs to, its owners, its end.

use database::{Row, Transaction, params};
use proto::UserId;

use super::{forget_pieces, lock, put_pieces, team_in};
use crate::{
    http::{
        answer::List,
        error::{Error, ErrorCode},
        input::Cursor,
    },
    team::{Team, find::search::FoundTeam},
};

/// Writes the clinic of a team, which the caller's checks have locked; false when it belongs to another one.
pub(crate) async fn put_clinic(tx: &mut Transaction<'_>, clinic: i64, team: i64) -> Result<bool, Error> {
    let put = tx
        .execute(
            "UPDATE team SET clinic_id = $1 WHERE id = $2 AND (clinic_id IS NULL OR clinic_id = $1)",
            params![clinic, team],
        )
        .await?;
    Ok(put == 1)
}

const DETACH: &str = "UPDATE team SET clinic_id = NULL WHERE clinic_id = $1 AND id = $2";
const DETACH_OF_OWNER: &str = "UPDATE team SET clinic_id = NULL WHERE clinic_id = $1 AND owner_id = $2";

/// The teams to take out of a clinic.
#[derive(Clone, Copy)]
pub(crate) enum Leaving {
    Team(i64),
    /// Those of an owner who is in the clinic no more.
    OfOwner(UserId),
}

/// Takes teams out of a clinic; false when it has none of them.
pub(crate) async fn detach(tx: &mut Transaction<'_>, clinic: i64, leaving: Leaving) -> Result<bool, Error> {
    let (sql, id) = match leaving {
        Leaving::Team(team) => (DETACH, team),
        Leaving::OfOwner(owner) => (DETACH_OF_OWNER, owner.get()),
    };
    Ok(tx.execute(sql, params![clinic, id]).await? > 0)
}

const OF_CLINIC: &str = "SELECT t.id, t.name, t.introduction, t.owner_id, o.name, t.created_ms
     FROM team t JOIN account o ON o.id = t.owner_id
     WHERE t.clinic_id = $1 AND t.closed_ms IS NULL AND (t.created_ms, t.id) < ($2, $3)
     ORDER BY t.created_ms DESC, t.id DESC LIMIT $4";
const COUNT_OF_CLINIC: &str = "SELECT count(*) FROM team WHERE clinic_id = $1 AND closed_ms IS NULL";

fn found_row(row: &Row) -> Result<FoundTeam, Error> {
    Ok(FoundTeam {
        team_id: row.get(0)?,
        name: row.get(1)?,
        introduction: row.get(2)?,
        owner_id: row.get(3)?,
        owner_name: row.get(4)?,
        created_ms: row.get(5)?,
    })
}

/// The teams of a clinic that work, the newest first.
pub(crate) fn of_clinic(clinic: i64) -> List<FoundTeam> {
    List {
        items: OF_CLINIC.into(),
        count: COUNT_OF_CLINIC.into(),
        keys: params![clinic],
        item: found_row,
        place: |team| Cursor {
            at: team.created_ms,
            id: team.team_id,
        },
    }
}

/// Closes a locked team, which is found no more; false when it is closed already.
pub(crate) async fn close(tx: &mut Transaction<'_>, team: i64, now_ms: i64) -> Result<bool, Error> {
    let closed = tx
        .execute(
            "UPDATE team SET closed_ms = $1 WHERE id = $2 AND closed_ms IS NULL",
            params![now_ms, team],
        )
        .await?;
    if closed == 1 {
        forget_pieces(tx, team).await?;
    }
    Ok(closed == 1)
}

/// Opens a team that was closed, not dissolved; none when it is open.
pub(crate) async fn reopen(tx: &mut Transaction<'_>, team: i64) -> Result<Option<Team>, Error> {
    let team = lock(tx, team).await?;
    if team.closed_ms.is_none() {
        return Ok(None);
    }
    tx.execute(
        "UPDATE team SET closed_ms = NULL WHERE id = $1",
        params![team.team_id],
    )
    .await?;
    put_pieces(tx, &team).await?;
    Ok(Some(team))
}

/// Dissolves a locked team: its doctors are free for others.
pub(in crate::team) async fn dissolve(
    tx: &mut Transaction<'_>,
    team: &Team,
    now_ms: i64,
) -> Result<Team, Error> {
    close(tx, team.team_id, now_ms).await?;
    tx.execute(
        "UPDATE team SET dissolved_ms = $1, clinic_id = NULL WHERE id = $2",
        params![now_ms, team.team_id],
    )
    .await?;
    // Accounts in one order, as every transaction that locks several.
    let mut doctors = team.doctor_ids.clone();
    doctors.sort_unstable();
    for doctor in doctors {
        super::remove_doctor(tx, team.team_id, UserId::from_database(doctor)).await?;
    }
    Ok(team_in(tx, team.team_id).await?.ok_or(ErrorCode::TeamNotFound)?)
}

/// Hands a locked team on. It leaves a clinic that its new owner is not in, and the payee of the former owner.
pub(in crate::team) async fn hand_on(tx: &mut Transaction<'_>, team: i64, to: UserId) -> Result<(), Error> {
    tx.execute(
        "UPDATE team SET owner_id = $1,
             payee_after_id = (SELECT coalesce(max(p.id), 0) FROM payee p WHERE p.team_id = team.id),
             clinic_id = (SELECT d.clinic_id FROM clinic_doctor d WHERE d.clinic_id = team.clinic_id AND d.doctor_id = $1)
         WHERE id = $2",
        params![to.get(), team],
    )
    .await?;
    Ok(())
}

/// Rows that keep a team from being dissolved.
const CONSULTS: &str =
    "SELECT 1 FROM consult WHERE team_id = $1 AND status IN ('waiting', 'in_process') LIMIT 1";
const FEES: &str =
    "SELECT 1 FROM ledger_account WHERE kind = 'fee' AND owner_id = $1 AND balance_fen <> 0 LIMIT 1";
const INCOME: &str = "SELECT 1 FROM ledger_account WHERE kind IN ('income', 'payout') AND owner_id = $1 AND balance_fen <> 0 LIMIT 1";

async fn has(tx: &mut Transaction<'_>, sql: &'static str, team: i64) -> Result<bool, Error> {
    Ok(tx.query_first(sql, params![team]).await?.is_some())
}

/// Whether a consult of the team goes on; with the last one ends the last proposal of a value-added service.
pub(in crate::team) async fn has_consults(tx: &mut Transaction<'_>, team: i64) -> Result<bool, Error> {
    has(tx, CONSULTS, team).await
}

/// Whether a member's fee is not used up.
pub(in crate::team) async fn has_fees(tx: &mut Transaction<'_>, team: i64) -> Result<bool, Error> {
    has(tx, FEES, team).await
}

/// Whether income was not withdrawn, or is not paid out yet.
pub(in crate::team) async fn has_income(tx: &mut Transaction<'_>, team: i64) -> Result<bool, Error> {
    has(tx, INCOME, team).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::walks_an_index;

    #[tokio::test]
    async fn statements_walk_an_index() {
        of_clinic(1).walks_an_index().await;
        for sql in [CONSULTS, FEES, INCOME] {
            walks_an_index(sql, params![1_i64]).await;
        }
        for sql in [DETACH, DETACH_OF_OWNER] {
            walks_an_index(sql, params![1_i64, 1_i64]).await;
        }
    }
}
