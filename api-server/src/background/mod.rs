//! Background work: the jobs of this service, of which each turn is done once in a fleet.

pub(crate) mod operate;
mod proof;
pub(crate) mod sweep;

use std::time::Duration;

use jobs::{Failure, Job, Next, Runner, Timing, Turn};
use tokio::task::JoinHandle;

use crate::{
    account::{self, budget},
    app::App,
    clock::now_ms,
    consult,
    http::{error::Error, once},
    media, settlement,
};

/// Between two turns of forgetting.
const FORGET_EVERY: Duration = Duration::from_secs(30);
/// Blocks of rows of a turn.
const FORGET_BOUND: i64 = 100;

/// Between two looks for accounts whose time to think is over.
const CLOSE_EVERY: Duration = Duration::from_secs(60);
const CLOSE_BOUND: i64 = 100;
/// Between two looks for consults and accounts that an earlier release wrote.
const FOLD_EVERY: Duration = Duration::from_secs(30);
/// Transactions of a turn.
const FOLD_BOUND: i64 = 50;

/// Between two looks whether the ledger is to be proved.
const PROOF_EVERY: Duration = Duration::from_secs(10 * 60);
const PROOF_BOUND: i64 = 1;
/// It has a connection of its own and holds up nothing.
const LONGEST_PROOF: Duration = Duration::from_secs(2 * 3600);

/// Starts the jobs. They end with the service.
pub(crate) fn start(app: &App) -> JoinHandle<()> {
    let database = app.database.clone();
    Runner::start(database, app.shutdown.clone(), Timing::SERVICE, list(app))
}

fn list(app: &App) -> Vec<Job> {
    let mut jobs = settlement::jobs(app);
    jobs.push(Job::new("forget", FORGET_EVERY, FORGET_BOUND, forget));
    let closing = Job::new("close_accounts", CLOSE_EVERY, CLOSE_BOUND, account::close_due);
    jobs.push(closing);
    jobs.extend(consult::jobs(app));
    let folding = Job::new("consult_search", FOLD_EVERY, FOLD_BOUND, fold_consults);
    jobs.push(folding);
    let naming = Job::new("people_search", FOLD_EVERY, FOLD_BOUND, fold_accounts);
    jobs.push(naming);
    jobs.extend(media::jobs(app));
    let proving = app.clone();
    let proof = Job::new("ledger_proof", PROOF_EVERY, PROOF_BOUND, move |turn| {
        proof::prove(proving.clone(), turn)
    });
    jobs.push(proof.at_longest(LONGEST_PROOF));
    jobs
}

/// Forgets expired codes, full budgets and old idempotency keys.
async fn forget(turn: Turn) -> Result<Next, Failure> {
    let now_ms = turn.database().now_ms().await.map_err(Error::from)?;
    account::forget_codes(&turn, now_ms).await?;
    for _ in 0..turn.bound() {
        let more_budgets = budget::forget_full(&turn, now_ms).await?;
        let more_keys = once::forget_old(&turn, now_ms).await?;
        if !more_budgets && !more_keys {
            return Ok(Next::Usual);
        }
    }
    Ok(Next::AtOnce)
}

/// Makes accounts of an earlier release findable by operators.
async fn fold_accounts(turn: Turn) -> Result<Next, Failure> {
    for _ in 0..turn.bound() {
        if !account::fold_some(&turn).await? {
            return Ok(Next::Usual);
        }
    }
    Ok(Next::AtOnce)
}

/// Makes consults of an earlier release findable on the desk.
async fn fold_consults(turn: Turn) -> Result<Next, Failure> {
    for _ in 0..turn.bound() {
        if !consult::fold_some(&turn, now_ms()).await? {
            return Ok(Next::Usual);
        }
    }
    Ok(Next::AtOnce)
}
