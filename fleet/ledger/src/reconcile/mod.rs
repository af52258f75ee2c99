//! The proof that the books balance, at one moment of the database and while the server runs.
//!
//! Four walks, each by pages of an index, so that memory does not grow with the ledger:
//!
//! 1. Transfers: each sums to zero, and is what its cause demands.
//! 2. Accounts: the postings of a guarded account are a chain from zero to its balance, never below zero.
//! 3. Months: the income of each team and month is the sum of its postings.
//! 4. Causes: each order, consult, service, refund, withdrawal and credit has its transfers. Each confirmed service that is
//!    charged and each refund has its entry in the journal, and each such entry its service or refund.
//!
//! With [`Since`] it proves the transfers from a time on: their sums, their causes, their places in the chains of their
//! accounts, and the transfers of causes that changed from then on. It does not prove older transfers and postings, balances
//! of accounts without new postings, the months of income, and that all accounts sum to zero. A process whose clock is
//! behind may write a transfer with an earlier time: the whole proof finds it.

mod account;
mod cause;
mod consumption;
mod entry;
mod month;
mod page;
mod print;
mod report;
mod transfer;

use database::{Database, Snapshot, params};

use self::print::Prints;
pub use self::report::{Counts, Fault, MAX_NAMED, Report, Sums};
use crate::Error;

/// The beginning of a proof.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Since {
    /// From this time on, epoch milliseconds.
    Time(i64),
    /// From the time of this transfer on.
    Transfer(i64),
}

/// How far a proof has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// The rows that are being walked: transfers, accounts, months, causes.
    pub step: &'static str,
    /// Of `total`.
    pub done: u64,
    /// Of this step. It may grow.
    pub total: u64,
}

/// A proof in progress.
struct Proof<'a> {
    snapshot: &'a Snapshot,
    /// The first time to prove; `None`: everything.
    since_ms: Option<i64>,
    report: Report,
    prints: Prints,
    progress: &'a mut (dyn FnMut(Progress) + Send),
}

impl Proof<'_> {
    /// The parameter of statements that skip older rows.
    fn first_ms(&self) -> i64 {
        self.since_ms.unwrap_or(i64::MIN)
    }

    fn progress(&mut self, step: &'static str, done: u64, total: u64) {
        let total = total.max(done);
        (self.progress)(Progress { step, done, total });
    }
}

/// Proves the ledger, and calls `progress` after each page. [`Report::is_balanced`] says the outcome.
///
/// # Errors
/// [`Error::Invalid`] for a `since` that is no transfer; the database's.
pub async fn reconcile(
    database: &Database,
    since: Option<Since>,
    mut progress: impl FnMut(Progress) + Send,
) -> Result<Report, Error> {
    let snapshot = database.snapshot().await?;
    let proved = prove(&snapshot, since, &mut progress).await;
    snapshot.end().await;
    proved
}

async fn prove(
    snapshot: &Snapshot,
    since: Option<Since>,
    progress: &mut (dyn FnMut(Progress) + Send),
) -> Result<Report, Error> {
    let since_ms = match since {
        None => None,
        Some(Since::Time(ms)) => Some(ms),
        Some(Since::Transfer(id)) => Some(time_of(snapshot, id).await?),
    };
    let mut proof = Proof {
        snapshot,
        since_ms,
        report: Report {
            since_ms,
            ..Report::default()
        },
        prints: Prints::default(),
        progress,
    };
    transfer::prove(&mut proof).await?;
    if since_ms.is_none() {
        account::prove(&mut proof).await?;
        month::prove(&mut proof).await?;
    }
    cause::prove(&mut proof).await?;
    entry::prove(&mut proof).await?;
    Ok(proof.report)
}

const TIME: &str = "SELECT created_ms FROM transfer WHERE id = $1";

async fn time_of(snapshot: &Snapshot, transfer: i64) -> Result<i64, Error> {
    let rows = snapshot.query(TIME, params![transfer]).await?;
    let row = rows.first().ok_or(Error::Invalid("there is no such transfer"))?;
    Ok(row.get(0)?)
}

/// The statements of a proof, for the tests that explain them.
pub(crate) fn statements(is_file: bool) -> Vec<String> {
    let mut statements = vec![TIME.to_owned()];
    for of in [
        transfer::statements(),
        account::statements(),
        consumption::statements(),
        month::statements(),
        cause::statements(),
        entry::statements(is_file),
    ] {
        statements.extend(of);
    }
    statements
}
