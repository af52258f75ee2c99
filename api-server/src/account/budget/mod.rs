//! Budgets that all api-servers share: how often an operation runs for one phone, device or address in a span of time.
//!
//! A budget is a row, and one statement spends from it or refuses. A span begins with the first spending and ends by the
//! database's clock, so that servers need not agree on the time.

mod guesses;

use std::{net::IpAddr, sync::LazyLock};

use database::{Transaction, params};
use jobs::{Failure, Turn};
use program::address::{Refusals, Subscriber};
use sha2::{Digest, Sha256};
use telemetry::events::rest::Event;

pub(super) use guesses::Attempt;
pub use guesses::Budgets;
pub(crate) use guesses::Guesser;

use crate::http::error::{Error, ErrorCode};

/// A minute, milliseconds.
pub(crate) const MINUTE_MS: i64 = 60 * 1000;
/// An hour, milliseconds.
pub(crate) const HOUR_MS: i64 = 60 * MINUTE_MS;
/// A day, milliseconds.
pub(crate) const DAY_MS: i64 = 24 * HOUR_MS;
/// An end further ahead than a whole span and this comes from a wrong clock, milliseconds.
const SLACK_MS: i64 = MINUTE_MS;

/// A limit within a span of time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Budget {
    /// A budget of another span has another name.
    name: &'static str,
    limit: i64,
    span_ms: i64,
    /// The refusal.
    code: ErrorCode,
}

/// One unit of a budget.
#[derive(Clone, Debug)]
pub(crate) struct Spending {
    budget: Budget,
    /// SHA-256 of the budget's name and its owner: phones and addresses stay out of the table.
    key: [u8; 32],
    /// The owner of an address's budget, for the log.
    address: Option<IpAddr>,
}

/// Exhausted budgets of addresses: one log line a minute for each.
static REFUSED: LazyLock<Refusals> = LazyLock::new(Refusals::default);

impl Budget {
    pub(crate) const fn new(name: &'static str, limit: i64, span_ms: i64, code: ErrorCode) -> Self {
        Self {
            name,
            limit,
            span_ms,
            code,
        }
    }

    /// One unit of an owner's budget.
    pub(crate) fn of(self, whom: &str) -> Spending {
        let mut hash = Sha256::new();
        hash.update(self.name.as_bytes());
        hash.update([0]);
        hash.update(whom.as_bytes());
        Spending {
            budget: self,
            key: hash.finalize().into(),
            address: None,
        }
    }

    /// One unit of an address's budget; an IPv6 /64 network has one budget.
    pub(crate) fn of_address(self, address: IpAddr) -> Spending {
        Spending {
            address: Some(address),
            ..self.of(&format!("{:032x}", Subscriber::of(address).number()))
        }
    }
}

const SPEND: &str = "INSERT INTO budget (budget_key, spent, ends_ms) VALUES ($1, 1, $2)
     ON CONFLICT (budget_key) DO UPDATE SET
       spent = CASE WHEN budget.ends_ms <= $3 OR budget.ends_ms > $4 THEN 1 ELSE budget.spent + 1 END,
       ends_ms = CASE WHEN budget.ends_ms <= $3 OR budget.ends_ms > $4 THEN excluded.ends_ms
                      ELSE budget.ends_ms END
     WHERE budget.ends_ms <= $3 OR budget.ends_ms > $4 OR budget.spent < $5";

/// Spends one unit of each budget. All callers must pass budgets in one order, in which rows are locked. The first exhausted
/// budget refuses, and the transaction must be rolled back.
pub(crate) async fn spend(tx: &mut Transaction<'_>, spendings: &[Spending]) -> Result<(), Error> {
    let now_ms = tx.now_ms().await?;
    for Spending { budget, key, address } in spendings {
        let ends_ms = now_ms + budget.span_ms;
        let spent = tx
            .execute(
                SPEND,
                params![&key[..], ends_ms, now_ms, ends_ms + SLACK_MS, budget.limit],
            )
            .await?;
        if spent == 1 {
            continue;
        }
        if let Some(line) = address.and_then(|address| REFUSED.line(address)) {
            Event::AddressBudgetExhausted {
                address: &line.address,
                untold: line.untold,
                budget: budget.name,
            }
            .emit();
        }
        let sql = "SELECT ends_ms FROM budget WHERE budget_key = $1";
        let row = tx.query_first(sql, params![&key[..]]).await?;
        let full_ms: i64 = row.map_or(Ok(ends_ms), |row| row.get(0))?;
        // A concurrent request may have begun the span after this one read the clock.
        let wait_ms = (full_ms - now_ms).clamp(0, budget.span_ms);
        let wait_s = wait_ms.unsigned_abs().div_ceil(1000).max(1);
        return Err(Error::new(budget.code).retry_after(wait_s));
    }
    Ok(())
}

/// Refunds spendings of an operation that did not happen, or was not a guess.
pub(crate) async fn refund(tx: &mut Transaction<'_>, spendings: &[Spending]) -> Result<(), Error> {
    for Spending { key, .. } in spendings {
        tx.execute(
            "UPDATE budget SET spent = spent - 1 WHERE budget_key = $1 AND spent > 0",
            params![&key[..]],
        )
        .await?;
    }
    Ok(())
}

/// Refills a budget.
pub(crate) async fn clear(tx: &mut Transaction<'_>, spending: &Spending) -> Result<(), Error> {
    tx.execute(
        "UPDATE budget SET spent = 0 WHERE budget_key = $1",
        params![&spending.key[..]],
    )
    .await?;
    Ok(())
}

const FORGET: &str = "DELETE FROM budget WHERE budget_key IN (
         SELECT budget_key FROM budget WHERE ends_ms <= $1 ORDER BY ends_ms LIMIT $2)";

/// Deletes budgets whose span has ended, few at a time so that messages do not wait. True when more may follow.
pub(crate) async fn forget_full(turn: &Turn, now_ms: i64) -> Result<bool, Failure> {
    /// Rows of one transaction: a few milliseconds.
    const AT_ONCE: i64 = 500;
    let forgotten = turn.transaction::<_, Error, _>(move |tx| {
        Box::pin(async move { Ok(tx.execute(FORGET, params![now_ms, AT_ONCE]).await?) })
    });
    let forgotten = forgotten.await?;
    Ok(i64::try_from(forgotten).is_ok_and(|forgotten| forgotten == AT_ONCE))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::walks_an_index;

    #[tokio::test]
    async fn forgetting_walks_an_index() {
        walks_an_index(FORGET, params![1_i64, 500_i64]).await;
    }
}
