//! The proof that the books balance: for operators, for the daily job, and for the command line.

use std::time::Instant;

use axum::extract::State;
use database::Database;
use ledger::reconcile::{Progress, Report, Since, reconcile};
use serde::Serialize;
use telemetry::events::money::Event;
use tokio::sync::Semaphore;
use utoipa::ToSchema;

use super::audit::{Act, Row, write};
use crate::{
    account,
    app::{App, Part},
    caller::Operator,
    clock::now_ms,
    http::{
        answer::{Answer, Envelope},
        error::{Error, ErrorCode},
    },
};

/// Proves the ledger, counts its faults and writes its line.
///
/// # Errors
/// Those of the ledger.
pub async fn prove(
    database: &Database,
    since: Option<Since>,
    progress: impl FnMut(Progress) + Send,
) -> Result<Report, ledger::Error> {
    let started = Instant::now();
    let report = reconcile(database, since, progress).await?;
    let took = started.elapsed();
    let event = match report.faults.first() {
        None => Event::Proved {
            postings: report.counts.postings,
            took,
        },
        Some(first) => Event::Imbalanced {
            faulty: report.faulty,
            row: &first.row,
            why: first.why,
            took,
        },
    };
    event.emit();
    Ok(report)
}

/// Proofs that operators ask for: one at a time.
pub(crate) struct Proving(Semaphore);

impl Part for Proving {}

impl Default for Proving {
    fn default() -> Self {
        Self(Semaphore::new(1))
    }
}

/// The outcome of a proof of the ledger.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = LedgerProof)]
pub struct Proof {
    /// Whether no fault was found.
    is_balanced: bool,
    /// The first time that was proved, epoch ms; absent when everything was.
    #[serde(skip_serializing_if = "Option::is_none")]
    since_ms: Option<i64>,
    /// Numbers of rows that were proved.
    proved: Proved,
    /// The sum that the platform owes to members and teams, fen.
    guarded_fen: i64,
    /// The platform's commission, fen.
    platform_fen: i64,
    /// Payments to the world less those from it, fen. The three sums are zero together.
    outside_fen: i64,
    /// How many faults there are.
    faulty: u64,
    /// The first of them, at most 100.
    faults: Vec<Fault>,
}

/// Numbers of rows.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = LedgerRows)]
pub(crate) struct Proved {
    transfers: u64,
    postings: u64,
    /// Wallets, fees, held prices, incomes and payouts.
    accounts: u64,
    /// Months of teams' incomes.
    months: u64,
    orders: u64,
    /// Balances that went back to where they came from.
    pay_backs: u64,
    credits: u64,
    consults: u64,
    services: u64,
    refunds: u64,
    withdrawals: u64,
    /// Entries VAS_CONFIRMED of charged services.
    entries: u64,
}

/// A row that is not as it must be.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = LedgerFault)]
pub(crate) struct Fault {
    /// Its kind and id.
    #[schema(example = "transfer:5")]
    row: String,
    /// The rule that it breaks, in English.
    why: &'static str,
}

impl From<Report> for Proof {
    fn from(report: Report) -> Self {
        let (counts, sums) = (report.counts, report.sums);
        // Sums of a ledger that balances fit by far.
        let fen = |sum: i128| i64::try_from(sum).unwrap_or(if sum < 0 { i64::MIN } else { i64::MAX });
        Self {
            is_balanced: report.is_balanced(),
            since_ms: report.since_ms,
            proved: Proved {
                transfers: counts.transfers,
                postings: counts.postings,
                accounts: counts.accounts,
                months: counts.months,
                orders: counts.orders,
                pay_backs: counts.pay_backs,
                credits: counts.credits,
                consults: counts.consults,
                services: counts.services,
                refunds: counts.refunds,
                withdrawals: counts.withdrawals,
                entries: counts.entries,
            },
            guarded_fen: fen(sums.guarded_fen),
            platform_fen: fen(sums.platform_fen),
            outside_fen: fen(sums.outside_fen),
            faulty: report.faulty,
            faults: report
                .faults
                .into_iter()
                .map(|fault| Fault {
                    row: fault.row,
                    why: fault.why,
                })
                .collect(),
        }
    }
}

/// Proves the ledger
///
/// At one moment, while money moves: each transfer sums to zero and is what its cause demands, each account's postings lead to
/// its balance without falling below zero, the months of income are the sums of their postings, and each order, consult,
/// service, refund, withdrawal and credit has its transfers. The answer comes when all of it is proved: with ten million
/// postings after some minutes. One proof runs at a time.
#[utoipa::path(
    operation_id = "getLedgerProof",
    get, path = "/operator/reconcile", tag = "operator",
    responses(
        (status = 200, body = Envelope<Proof>),
        (status = 403, description = "`operator.only`"),
        (status = 409, description = "`operator.reconcile_running`")
    ),
    security(("access_token" = []), ("bearer" = []))
)]
pub(crate) async fn show(State(app): State<App>, operator: Operator) -> Result<Answer, Error> {
    let Ok(_one) = app.part::<Proving>().0.try_acquire() else {
        return Err(ErrorCode::ReconcileRunning.into());
    };
    app.database
        .transaction(move |tx| {
            Box::pin(async move {
                let now_ms = now_ms();
                write(tx, Row::by(operator.id, Act::LedgerProved), now_ms).await?;
                account::lock_device(tx, &operator).await
            })
        })
        .await?;
    let report = prove(&app.database, None, |_| ()).await?;
    Answer::one(&Proof::from(report))
}
