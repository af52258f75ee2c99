//! Ends of running consults from outside: an operator closes their team, or suspends a doctor in them.
//!
//! The state of the team or the doctor is committed first, and decides from then on. Each consult follows in a transaction of
//! its own, so that none waits for a team's thousand others; a job completes what a killed process left, and what began in the
//! moment of the closing.

use std::time::Duration;

use database::Transaction;
use jobs::{Failure, Job, Next, Turn};
use journal::record::Unpublished;
use proto::UserId;

use super::{Actor, Means, has_served};
use crate::{
    app::App,
    consult::{
        life::{Act, Seat},
        table::{self, Due, Sought},
    },
    http::error::Error,
};

/// Consults that a request completes; the job completes more.
const AT_ONCE: i64 = 200;

/// In the entry of a consult that ends with its team.
const CAUSE: &str = "closed";

/// Between two looks for consults that were left.
const EVERY: Duration = Duration::from_secs(20);
/// Consults of a turn, of each kind.
const BOUND: i64 = 100;

/// Takes a suspended doctor out of their running consults.
pub(crate) async fn leave_all(app: &App, doctor: UserId) -> Result<(), Error> {
    complete(app, Sought::Doctor(doctor)).await
}

/// Ends the running consults of a closed team: their prices go back.
pub(crate) async fn end_all(app: &App, team: i64) -> Result<(), Error> {
    complete(app, Sought::Team(team)).await
}

/// The job that completes what was left.
pub(crate) fn job(app: &App) -> Job {
    let app = app.clone();
    Job::new("closings", EVERY, BOUND, move |turn| turn_of(app.clone(), turn))
}

async fn complete(app: &App, sought: Sought) -> Result<(), Error> {
    for due in table::due(&app.database, sought, AT_ONCE).await? {
        let means = Means::of(app).await?;
        let stepped = app
            .database
            .transaction(move |tx| Box::pin(async move { step(tx, means, due).await }));
        app.journal.publish(stepped.await?);
    }
    Ok(())
}

/// A consult that fails is left to the next turn, and keeps none of the others waiting.
async fn turn_of(app: App, turn: Turn) -> Result<Next, Failure> {
    let due = table::due(turn.database(), Sought::All, turn.bound()).await?;
    let is_full = i64::try_from(due.len()).is_ok_and(|found| found >= turn.bound());
    let mut failed = None;
    for due in due {
        let means = Means::of(&app).await?;
        let stepped =
            turn.transaction::<_, Error, _>(move |tx| Box::pin(async move { step(tx, means, due).await }));
        match stepped.await {
            Ok(unpublished) => app.journal.publish(unpublished),
            Err(error) => failed = Some(Failure::from(error)),
        }
    }
    match failed {
        Some(failure) => Err(failure),
        None if is_full => Ok(Next::AtOnce),
        None => Ok(Next::Usual),
    }
}

/// The service acts on the assistant's seat, which is in every consult.
async fn step(tx: &mut Transaction<'_>, means: Means, due: Due) -> Result<Unpublished, Error> {
    table::lock_row(tx, due.consult).await?;
    if !table::is_due(tx, due).await? {
        return Ok(Unpublished::default());
    }
    let (consult, _) = table::consult_in(tx, due.consult, due.assistant).await?;
    let act = match due.doctor {
        None => Act::Cancel { late: true },
        Some(doctor) => {
            let served = has_served(tx, &means.journal, &consult, doctor).await?;
            Act::Remove { doctor, served }
        }
    };
    let effects = consult.life().decide(due.assistant, Seat::Assistant, act)?;
    let actor = Actor::of(means, due.assistant, CAUSE);
    actor.carry_out(tx, &consult, effects).await
}
