//! The SQL of a team's clock.

use database::{Row, Transaction, params};

use crate::{
    http::error::{Error, ErrorCode},
    team::life::clock::Clock,
};

/// The columns of [`clock`]; `t` is the team.
macro_rules! columns {
    () => {
        "t.answer_minutes, t.reminder_minutes, t.silence_days, t.silence_warning_days, t.follow_up_days, t.late_cancel"
    };
}
pub(super) use columns;

/// From the columns that begin at `at`.
pub(super) fn clock(row: &Row, at: usize) -> Result<Clock, Error> {
    Ok(Clock {
        answer_minutes: row.get(at)?,
        reminder_minutes: row.get(at + 1)?,
        silence_days: row.get(at + 2)?,
        silence_warning_days: row.get(at + 3)?,
        follow_up_days: row.get(at + 4)?,
        late_cancel: row.get(at + 5)?,
    })
}

const CLOCK: &str =
    "SELECT t.answer_minutes, t.reminder_minutes, t.silence_days, t.silence_warning_days, t.follow_up_days,
     t.late_cancel FROM team t WHERE t.id = $1";

/// The clock of a team. Not locked: a change holds for what is decided later.
pub(crate) async fn clock_of(tx: &mut Transaction<'_>, team: i64) -> Result<Clock, Error> {
    let row = tx.query_first(CLOCK, params![team]).await?;
    clock(&row.ok_or(ErrorCode::TeamNotFound)?, 0)
}

pub(in crate::team) async fn put_clock(
    tx: &mut Transaction<'_>,
    team: i64,
    clock: Clock,
) -> Result<(), Error> {
    tx.execute(
        "UPDATE team SET answer_minutes = $1, reminder_minutes = $2, silence_days = $3, silence_warning_days = $4,
                         follow_up_days = $5, late_cancel = $6
         WHERE id = $7",
        params![
            clock.answer_minutes,
            clock.reminder_minutes,
            clock.silence_days,
            clock.silence_warning_days,
            clock.follow_up_days,
            clock.late_cancel,
            team
        ],
    )
    .await?;
    Ok(())
}
