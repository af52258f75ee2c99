//! The SQL of deadlines.
//!
//! Their times are those of the database's clock, as of background work: one clock for the whole fleet, whichever process
//! has a wrong one.

use database::{Database, Row, Transaction, params};
use payment::Day;
use proto::{Seq, UserId};

use crate::{
    consult::{
        act::clock::{Kind, LONGEST_MS, Promise},
        life::Status,
    },
    http::error::{Error, ErrorCode},
};

const DUE: &str = "SELECT consult_id FROM consult_deadline WHERE due_ms > $1 AND due_ms <= $2
     ORDER BY due_ms, consult_id LIMIT $3";

/// Consults with a deadline that is due, at most `limit`, the longest due first. A time that is further ahead than any can be
/// was written by a clock that was set back since: it counts as due, and is set anew.
pub(in crate::consult) async fn with_due(database: &Database, limit: i64) -> Result<Vec<i64>, Error> {
    let now_ms = database.now_ms().await?;
    let mut rows = database.query(DUE, params![i64::MIN, now_ms, limit]).await?;
    let too_far = params![now_ms.saturating_add(LONGEST_MS), i64::MAX, limit];
    rows.extend(database.query(DUE, too_far).await?);
    let mut consults = Vec::with_capacity(rows.len());
    for row in rows {
        let consult = row.get(0)?;
        if !consults.contains(&consult) {
            consults.push(consult);
        }
    }
    Ok(consults)
}

/// The facts of a consult that has deadlines.
pub(in crate::consult) struct Timed {
    pub(in crate::consult) status: Status,
    pub(in crate::consult) assistant: UserId,
    pub(in crate::consult) team: i64,
    pub(in crate::consult) created_ms: i64,
    pub(in crate::consult) answered_ms: Option<i64>,
}

const TIMED: &str =
    "SELECT status, assistant_id, team_id, created_ms, answered_ms FROM consult WHERE id = $1";

pub(in crate::consult) async fn timed(tx: &mut Transaction<'_>, consult: i64) -> Result<Timed, Error> {
    let row = tx.query_first(TIMED, params![consult]).await?;
    let row = row.ok_or(ErrorCode::ConsultNotFound)?;
    let status: String = row.get(0)?;
    Ok(Timed {
        status: Status::from_database(&status).ok_or_else(|| Error::internal("consult.status is unknown"))?,
        assistant: UserId::from_database(row.get(1)?),
        team: row.get(2)?,
        created_ms: row.get(3)?,
        answered_ms: row.get(4)?,
    })
}

const SET: &str =
    "SELECT kind, due_ms, changed_ms, seq FROM consult_deadline WHERE consult_id = $1 AND due_ms IS NOT NULL";

/// The deadlines of a locked consult that are set.
pub(in crate::consult) async fn promises(
    tx: &mut Transaction<'_>,
    consult: i64,
) -> Result<Vec<Promise>, Error> {
    let rows = tx.query(SET, params![consult]).await?;
    rows.iter().map(promise).collect()
}

fn promise(row: &Row) -> Result<Promise, Error> {
    let kind: String = row.get(0)?;
    Ok(Promise {
        kind: Kind::from_database(&kind)
            .ok_or_else(|| Error::internal("consult_deadline.kind is unknown"))?,
        due_ms: row.get(1)?,
        changed_ms: row.get(2)?,
        seq: Seq::from_database(row.get(3)?),
    })
}

const PUT: &str = "INSERT INTO consult_deadline (consult_id, kind, due_ms, state, changed_ms, seq)
     VALUES ($1, $2, $3, $4, $5, $6)
     ON CONFLICT (consult_id, kind) DO UPDATE SET due_ms = excluded.due_ms, state = excluded.state,
         changed_ms = excluded.changed_ms, seq = excluded.seq";

/// Sets a deadline of a locked consult.
pub(in crate::consult) async fn put_promise(
    tx: &mut Transaction<'_>,
    consult: i64,
    promise: &Promise,
) -> Result<(), Error> {
    let Promise {
        kind,
        due_ms,
        changed_ms,
        seq,
    } = promise;
    let row = params![consult, kind.as_str(), *due_ms, "set", *changed_ms, seq.get()];
    tx.execute(PUT, row).await?;
    Ok(())
}

const SETTLE: &str = "UPDATE consult_deadline SET due_ms = NULL, state = $3, changed_ms = $4
     WHERE consult_id = $1 AND kind = $2";

/// Notes the end of a deadline of a locked consult: met, lifted, fired.
pub(in crate::consult) async fn settle_promise(
    tx: &mut Transaction<'_>,
    consult: i64,
    kind: Kind,
    state: &'static str,
    now_ms: i64,
) -> Result<(), Error> {
    tx.execute(SETTLE, params![consult, kind.as_str(), state, now_ms])
        .await?;
    Ok(())
}

const LIFT: &str = "UPDATE consult_deadline SET due_ms = NULL, state = 'lifted', changed_ms = $2
     WHERE consult_id = $1 AND due_ms IS NOT NULL";

/// The deadlines of a locked consult end with it.
pub(in crate::consult) async fn lift_all(
    tx: &mut Transaction<'_>,
    consult: i64,
    now_ms: i64,
) -> Result<(), Error> {
    tx.execute(LIFT, params![consult, now_ms]).await?;
    Ok(())
}

const ANSWERED: &str = "UPDATE consult SET answered_ms = $2 WHERE id = $1 AND answered_ms IS NULL";

const COUNT_ANSWER: &str = "INSERT INTO team_answer (team_id, day, answers, waited_ms) VALUES ($1, $2, 1, $3)
     ON CONFLICT (team_id, day) DO UPDATE SET answers = team_answer.answers + 1,
         waited_ms = team_answer.waited_ms + excluded.waited_ms";

/// Notes a doctor's first message in a locked consult, and counts it for the team's page, once.
pub(in crate::consult) async fn put_answer(
    tx: &mut Transaction<'_>,
    consult: i64,
    timed: &Timed,
    answered_ms: i64,
) -> Result<(), Error> {
    if tx.execute(ANSWERED, params![consult, answered_ms]).await? == 0 {
        return Ok(());
    }
    let waited_ms = (answered_ms - timed.created_ms).max(0);
    let day = Day::at(answered_ms).get();
    tx.execute(COUNT_ANSWER, params![timed.team, day, waited_ms])
        .await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::walks_an_index;

    #[tokio::test]
    async fn statements_walk_an_index() {
        walks_an_index(DUE, params![1_i64, 1_i64, 1_i64]).await;
        walks_an_index(TIMED, params![1_i64]).await;
        walks_an_index(SET, params![1_i64]).await;
        walks_an_index(LIFT, params![1_i64, 1_i64]).await;
    }
}
