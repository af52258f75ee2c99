//! Balances, and the income of teams.

use database::{Database, Row, Transaction, params};
use proto::UserId;

use crate::{Account, Error, Fen, Window};

const BALANCE: &str = "SELECT balance_fen FROM ledger_account WHERE account = $1";

const WALLET: &str = "SELECT balance_fen, consumed_fen FROM ledger_account WHERE account = $1";

const EARNED: &str =
    "SELECT CAST(coalesce(sum(earned_fen), 0) AS BIGINT) FROM income_month WHERE team_id = $1";

const EARNED_SINCE: &str = "SELECT CAST(coalesce(sum(earned_fen), 0) AS BIGINT) FROM income_month WHERE team_id = $1 AND month >= $2";

pub(crate) const STATEMENTS: [&str; 4] = [BALANCE, WALLET, EARNED, EARNED_SINCE];

/// The balance of a guarded account; zero when it has no postings.
///
/// # Errors
/// The database's.
pub async fn balance(database: &Database, account: Account) -> Result<i64, Error> {
    number(
        database
            .query_first(BALANCE, params![account.to_string()])
            .await?,
    )
}

/// A member's wallet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wallet {
    /// Balance (余额), fen.
    pub balance_fen: i64,
    /// All that consults and services were charged (已消费总数), by the wallet and by fees, less what went back, fen.
    pub consumed_fen: i64,
}

impl Wallet {
    /// A member's wallet.
    ///
    /// # Errors
    /// The database's.
    pub async fn of(database: &Database, member: UserId) -> Result<Self, Error> {
        let account = Account::Wallet(member).to_string();
        Self::read(database.query_first(WALLET, params![account]).await?)
    }

    /// As [`Wallet::of`], within a transaction.
    ///
    /// # Errors
    /// The database's.
    pub async fn of_in(tx: &mut Transaction<'_>, member: UserId) -> Result<Self, Error> {
        let account = Account::Wallet(member).to_string();
        Self::read(tx.query_first(WALLET, params![account]).await?)
    }

    fn read(row: Option<Row>) -> Result<Self, Error> {
        let Some(row) = row else {
            return Ok(Self::default());
        };
        Ok(Self {
            balance_fen: row.get(0)?,
            consumed_fen: row.get(1)?,
        })
    }
}

/// As [`balance`], within a transaction.
///
/// # Errors
/// The database's.
pub async fn balance_in(tx: &mut Transaction<'_>, account: Account) -> Result<i64, Error> {
    number(tx.query_first(BALANCE, params![account.to_string()]).await?)
}

/// As [`balance_in`]; the account is locked to the end of the transaction.
///
/// # Errors
/// The database's.
pub async fn lock_balance(tx: &mut Transaction<'_>, account: Account) -> Result<Fen, Error> {
    let locked = tx.lock(BALANCE, params![account.to_string()]).await?;
    let balance = number(locked.into_iter().next())?;
    // Of a fee or an income: sums of amounts, each far below the largest. More than one transfer can move is not used.
    Ok(Fen::new(balance.min(Fen::MAX.get())).unwrap_or_default())
}

/// All that a team has earned (团队总所得), less refunds, fen.
///
/// # Errors
/// The database's.
pub async fn earned(database: &Database, team: i64) -> Result<i64, Error> {
    number(database.query_first(EARNED, params![team]).await?)
}

/// The sum that a team may withdraw in a window (可提现总数), fen: its income but for what was earned in the window's month
/// and later. Outside a window: the sum of the next one, as of now.
///
/// # Errors
/// The database's.
pub async fn withdrawable(database: &Database, team: i64, window: Window) -> Result<i64, Error> {
    let balance = balance(database, Account::Income(team)).await?;
    let row = database
        .query_first(EARNED_SINCE, params![team, window.month.get()])
        .await?;
    Ok(earned_before(balance, number(row)?))
}

/// As [`withdrawable`], with the team's income locked to the end of the transaction.
///
/// # Errors
/// The database's.
pub async fn withdrawable_in(tx: &mut Transaction<'_>, team: i64, window: Window) -> Result<i64, Error> {
    tx.prefetch(EARNED_SINCE, params![team, window.month.get()]);
    let locked = tx
        .lock(BALANCE, params![Account::Income(team).to_string()])
        .await?;
    let balance = number(locked.into_iter().next())?;
    let row = tx
        .query_first(EARNED_SINCE, params![team, window.month.get()])
        .await?;
    Ok(earned_before(balance, number(row)?))
}

/// The part of a balance that was earned before a month, when `since` was earned in it and later. Refunds of an income that
/// was withdrawn already may have used it up.
pub const fn earned_before(balance: i64, since: i64) -> i64 {
    let rest = balance - since;
    if rest > 0 { rest } else { 0 }
}

fn number(row: Option<Row>) -> Result<i64, Error> {
    Ok(row.map_or(Ok(0), |row| row.get(0))?)
}
