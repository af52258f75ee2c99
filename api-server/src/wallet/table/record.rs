//! Postings of a wallet, and their causes.

use std::collections::HashMap;

use database::{Database, Row, Value, params};
use ledger::{Account, Kind};
use proto::UserId;
use serde::Serialize;
use utoipa::ToSchema;

use crate::http::{error::Error, input::PageQuery};

/// A posting of a wallet.
pub(in crate::wallet) struct Posting {
    pub(in crate::wallet) place: i64,
    pub(in crate::wallet) transfer: i64,
    pub(in crate::wallet) kind: Kind,
    cause: String,
    pub(in crate::wallet) amount_fen: i64,
    /// Moved into a fee by the same transfer.
    pub(in crate::wallet) fee_fen: i64,
    pub(in crate::wallet) balance_fen: i64,
    pub(in crate::wallet) created_ms: i64,
    /// Of a reversal.
    reversed: Option<Reversed>,
}

struct Reversed {
    transfer: i64,
    kind: Kind,
    cause: String,
}

impl Posting {
    /// The kind of the event: of a reversal, that of the transfer that it takes back.
    pub(in crate::wallet) fn event(&self) -> Kind {
        self.reversed.as_ref().map_or(self.kind, |reversed| reversed.kind)
    }

    pub(in crate::wallet) fn reverses(&self) -> Option<i64> {
        self.reversed.as_ref().map(|reversed| reversed.transfer)
    }

    /// The kind of a cause and its ids.
    fn cause(&self) -> Result<(&str, Vec<i64>), Error> {
        let cause = self
            .reversed
            .as_ref()
            .map_or(&self.cause, |reversed| &reversed.cause);
        let mut parts = cause.split(':');
        let kind = parts.next().unwrap_or_default();
        let ids = parts.map(str::parse).collect::<Result<Vec<i64>, _>>();
        Ok((kind, ids.map_err(Error::internal)?))
    }
}

/// A fee's account sorts before those of a consult and of a wallet, so its posting is the first of a transfer.
const POSTINGS: &str =
    "SELECT p.place, p.transfer_id, t.kind, t.cause, p.amount_fen, p.balance_after_fen, t.created_ms,
            f.account, f.amount_fen, r.id, r.kind, r.cause
     FROM posting p JOIN transfer t ON t.id = p.transfer_id
     LEFT JOIN posting f ON f.transfer_id = p.transfer_id AND f.line = 0
     LEFT JOIN transfer r ON r.id = t.reverses
     WHERE p.account = $1 AND p.place < $2 ORDER BY p.place DESC LIMIT $3";

fn kind(word: &str) -> Result<Kind, Error> {
    Kind::from_word(word).ok_or_else(|| Error::internal("transfer.kind is unknown"))
}

fn posting_row(row: &Row) -> Result<Posting, Error> {
    let first: Option<String> = row.get(7)?;
    let is_fee = first.is_some_and(|account| account.starts_with("fee:"));
    let reversed: Option<i64> = row.get(9)?;
    let reversed = match reversed {
        None => None,
        Some(transfer) => Some(Reversed {
            transfer,
            kind: kind(&row.get::<String>(10)?)?,
            cause: row.get(11)?,
        }),
    };
    Ok(Posting {
        place: row.get(0)?,
        transfer: row.get(1)?,
        kind: kind(&row.get::<String>(2)?)?,
        cause: row.get(3)?,
        amount_fen: row.get(4)?,
        fee_fen: if is_fee { row.get(8)? } else { 0 },
        balance_fen: row.get(5)?,
        created_ms: row.get(6)?,
        reversed,
    })
}

/// One more than the page holds, the newest first.
pub(in crate::wallet) async fn postings(
    database: &Database,
    user: UserId,
    page: &PageQuery,
) -> Result<Vec<Posting>, Error> {
    let account = Account::Wallet(user).to_string();
    let parameters = params![account, page.start().at, page.limit + 1];
    let rows = database.query(POSTINGS, parameters).await?;
    rows.iter().map(posting_row).collect()
}

const COUNT: &str = "SELECT postings FROM ledger_account WHERE account = $1";

/// Counts the postings of a wallet, which its row knows.
pub(in crate::wallet) async fn count(database: &Database, user: UserId) -> Result<i64, Error> {
    let account = Account::Wallet(user).to_string();
    let row = database.query_first(COUNT, params![account]).await?;
    Ok(row.map_or(Ok(0), |row| row.get(0))?)
}

/// The cause of a posting.
#[derive(Clone, Debug, Default, Serialize, ToSchema)]
pub(in crate::wallet) struct Cause {
    #[serde(skip_serializing_if = "Option::is_none")]
    consultation_id: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    vas_id: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    vas_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    team_id: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    team_name: Option<String>,
    /// The order that was paid, or that is paid back.
    #[serde(skip_serializing_if = "Option::is_none")]
    order_id: Option<i64>,
    /// Of a refund, of a price or to a payment provider.
    #[serde(skip_serializing_if = "Option::is_none")]
    refund_id: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    credit_id: Option<i64>,
    /// Of a refund of a price, or a credit by hand.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

/// The statements that name causes: kind, statement up to the ids, columns as in [`Cause`].
const NAMED: [(&str, &str); 6] = [
    (
        "consult",
        "SELECT c.id, c.id, NULL, NULL, t.id, t.name, NULL, NULL, NULL, NULL
         FROM consult c JOIN team t ON t.id = c.team_id WHERE c.id IN ",
    ),
    (
        "vas",
        "SELECT v.id, v.consult_id, v.id, v.name, t.id, t.name, NULL, NULL, NULL, NULL
         FROM vas v JOIN team t ON t.id = v.team_id WHERE v.id IN ",
    ),
    (
        "refund",
        "SELECT r.id, r.consult_id, r.vas_id, v.name, t.id, t.name, NULL, r.id, NULL, r.reason
         FROM refund r JOIN team t ON t.id = r.team_id LEFT JOIN vas v ON v.id = r.vas_id WHERE r.id IN ",
    ),
    (
        "membership",
        "SELECT t.id, NULL, NULL, NULL, t.id, t.name, NULL, NULL, NULL, NULL FROM team t WHERE t.id IN ",
    ),
    (
        "pay_back",
        "SELECT r.id, NULL, NULL, NULL, NULL, NULL, r.order_id, r.id, NULL, NULL
         FROM payment_refund r WHERE r.id IN ",
    ),
    (
        "credit",
        "SELECT c.id, NULL, NULL, NULL, NULL, NULL, NULL, NULL, c.id, c.reason FROM credit c WHERE c.id IN ",
    ),
];

fn cause_row(row: &Row) -> Result<(i64, Cause), Error> {
    let cause = Cause {
        consultation_id: row.get(1)?,
        vas_id: row.get(2)?,
        vas_name: row.get(3)?,
        team_id: row.get(4)?,
        team_name: row.get(5)?,
        order_id: row.get(6)?,
        refund_id: row.get(7)?,
        credit_id: row.get(8)?,
        reason: row.get(9)?,
    };
    Ok((row.get(0)?, cause))
}

/// A statement over ids. Their number is rounded up by repeating one, so that few texts are prepared.
fn over(sql: &str, mut ids: Vec<i64>) -> (String, Vec<Value>) {
    let first = ids.first().copied().unwrap_or_default();
    ids.resize(ids.len().next_power_of_two(), first);
    let places: Vec<String> = (1..=ids.len()).map(|place| format!("${place}")).collect();
    let sql = format!("{sql}({})", places.join(", "));
    (sql, ids.into_iter().map(Value::from).collect())
}

/// The causes of postings, in their order.
pub(in crate::wallet) async fn causes(
    database: &Database,
    postings: &[Posting],
) -> Result<Vec<Cause>, Error> {
    let mut ids: HashMap<&str, Vec<i64>> = HashMap::new();
    for posting in postings {
        let (kind, cause) = posting.cause()?;
        ids.entry(kind).or_default().extend(cause.first());
    }
    let mut named: HashMap<(&str, i64), Cause> = HashMap::new();
    for (kind, sql) in NAMED {
        let Some(ids) = ids.remove(kind) else { continue };
        let (sql, parameters) = over(sql, ids);
        for row in database.query(sql, parameters).await? {
            let (id, cause) = cause_row(&row)?;
            named.insert((kind, id), cause);
        }
    }
    let cause = |posting: &Posting| {
        let (kind, ids) = posting.cause()?;
        let id = ids.first().copied().unwrap_or_default();
        // An order is its own name.
        let order = Cause {
            order_id: (kind == "order").then_some(id),
            ..Cause::default()
        };
        Ok(named.get(&(kind, id)).cloned().unwrap_or(order))
    };
    postings.iter().map(cause).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::walks_an_index;

    #[tokio::test]
    async fn statements_walk_an_index() {
        walks_an_index(POSTINGS, params!["wallet:1", 1_i64, 1_i64]).await;
        walks_an_index(COUNT, params!["wallet:1"]).await;
        for (_, sql) in NAMED {
            let (sql, parameters) = over(sql, vec![1, 2, 3]);
            walks_an_index(&sql, parameters).await;
        }
    }
}
