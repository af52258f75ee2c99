//! The daily proof of the ledger.

use jobs::{Failure, Next, Turn};
use payment::Day;

use crate::{app::App, http::error::Error, operator};

/// After midnight in Asia/Shanghai: few are awake.
const AT_MS: i64 = 4 * 3_600_000;

/// Proves the ledger once a day, by the database's clock. The faults are the backlog of the job: they wait for an operator.
pub(super) async fn prove(app: App, turn: Turn) -> Result<Next, Failure> {
    let now_ms = turn.database().now_ms().await?;
    let day = Day::at(now_ms - AT_MS).get().to_string();
    if turn.cursor() == day {
        return Ok(Next::Usual);
    }
    let report = operator::prove(&app.database, None, |_| ())
        .await
        .map_err(Error::from)?;
    turn.set_backlog(i64::try_from(report.faulty).unwrap_or(i64::MAX));
    let of = turn.clone();
    let saved = turn
        .transaction::<_, Error, _>(move |tx| Box::pin(async move { Ok(of.save_cursor(tx, &day).await?) }));
    saved.await?;
    Ok(Next::Usual)
}
