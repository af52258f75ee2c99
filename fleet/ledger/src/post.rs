//! Posting a transfer.

use database::{Row, Transaction, Value, params};
use proto::UserId;

use crate::{
    Account, Error, Fen, Kind, Month, Movement,
    movement::{Earned, Leg},
};

/// The sequence of transfer ids.
pub const SEQUENCE: &str = "transfer";

/// A movement that is to be posted.
#[derive(Clone, Debug)]
pub struct Transfer {
    /// Of [`SEQUENCE`], allocated before the transaction.
    pub id: i64,
    /// The movement.
    pub movement: Movement,
    /// The user who did it; `None` for background work.
    pub by: Option<UserId>,
    /// Epoch milliseconds; also says the month.
    pub now_ms: i64,
}

/// The outcome of a posting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Posted {
    /// The money moved now.
    Now,
    /// The same was posted before, or nothing is to be moved: nothing was written.
    Before,
}

const INSERT: &str =
    "INSERT INTO transfer (id, kind, cause, reverses, by_id, month, earned_month, created_ms)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (kind, cause) DO NOTHING RETURNING id";

const POSTED: &str = "SELECT p.account, p.amount_fen FROM transfer t JOIN posting p ON p.transfer_id = t.id
     WHERE t.kind = $1 AND t.cause = $2 ORDER BY p.line";

const REVERSED: &str = "SELECT kind, earned_month FROM transfer WHERE id = $1";

const LEGS: &str = "SELECT account, amount_fen FROM posting WHERE transfer_id = $1 ORDER BY line";

const TAKE: &str = "UPDATE ledger_account SET balance_fen = balance_fen - $1, postings = postings + 1,
                               consumed_fen = consumed_fen + $3
     WHERE account = $2 AND balance_fen >= $1 AND EXISTS (SELECT 1 FROM transfer WHERE id = $4)
     RETURNING balance_fen, postings";

const GIVE: &str =
    "INSERT INTO ledger_account (account, kind, owner_id, part_id, balance_fen, postings, consumed_fen)
     SELECT $1, $2, $3, $4, $5, 1, $6 WHERE EXISTS (SELECT 1 FROM transfer WHERE id = $7)
     ON CONFLICT (account) DO UPDATE SET balance_fen = ledger_account.balance_fen + excluded.balance_fen,
                                         postings = ledger_account.postings + 1,
                                         consumed_fen = ledger_account.consumed_fen + excluded.consumed_fen
     RETURNING balance_fen, postings";

const COUNT_INCOME: &str =
    "INSERT INTO income_month (team_id, month, posted_fen, earned_fen) VALUES ($1, $2, $3, $4)
     ON CONFLICT (team_id, month) DO UPDATE SET posted_fen = income_month.posted_fen + excluded.posted_fen,
                                               earned_fen = income_month.earned_fen + excluded.earned_fen";

pub(crate) const STATEMENTS: [&str; 8] = [
    INSERT,
    POSTED,
    REVERSED,
    LEGS,
    TAKE,
    GIVE,
    COUNT_INCOME,
    "INSERT INTO posting (transfer_id, line, account, amount_fen, balance_after_fen, place, month)
     VALUES ($1, $3, $4, $5, $6, $7, $2), ($1, $8, $9, $10, $11, $12, $2)",
];

const NO_OUTCOME: Error = Error::Invalid("a statement has no outcome");

/// Posts a transfer within its cause's transaction. The unique index over kind and cause decides between racing requests.
/// Accounts are locked in the order of their texts, so no two transactions of one transfer each wait for each other.
///
/// # Errors
/// [`Error::Insufficient`], [`Error::TooLarge`], [`Error::Reversed`]; [`Error::Invalid`] when other amounts were posted for its
/// cause before; the database's. After an error the transaction can only be rolled back.
pub async fn post(tx: &mut Transaction<'_>, transfer: Transfer) -> Result<Posted, Error> {
    let movement = &transfer.movement;
    check(movement)?;
    let month = Month::at(transfer.now_ms);
    if movement.legs.is_empty() {
        return Ok(Posted::Before);
    }
    let mut postings: Vec<Posting> = movement.legs.iter().map(|leg| Posting::of(*leg)).collect();
    postings.sort_by(|one, other| one.text.cmp(&other.text));
    if !move_money(tx, &transfer, month, &mut postings).await? {
        return same(tx, movement).await;
    }
    count_income(tx, movement, month).await?;
    write(tx, transfer.id, month, &postings).await?;
    Ok(Posted::Now)
}

struct Posting {
    leg: Leg,
    text: String,
    /// Balance and place of a guarded account.
    settled: Option<(i64, i64)>,
}

impl Posting {
    fn of(leg: Leg) -> Self {
        Self {
            leg,
            text: leg.account.to_string(),
            settled: None,
        }
    }
}

/// Legs sum to zero, are of one account each, and within the limits of an amount.
fn check(movement: &Movement) -> Result<(), Error> {
    let mut sum = 0_i64;
    let legs = &movement.legs;
    for (at, leg) in legs.iter().enumerate() {
        let is_paid_by_fee = movement.consumed_fen != 0 && matches!(leg.account, Account::Wallet(_));
        let is_nothing = leg.amount_fen == 0 && !is_paid_by_fee;
        if is_nothing || leg.amount_fen.unsigned_abs() > Fen::MAX.get().unsigned_abs() {
            return Err(Error::Invalid("an amount is zero or too large"));
        }
        if legs[..at].iter().any(|other| other.account == leg.account) {
            return Err(Error::Invalid("an account has two legs"));
        }
        sum = sum
            .checked_add(leg.amount_fen)
            .ok_or(Error::Invalid("the sum overflows"))?;
    }
    if sum == 0 {
        Ok(())
    } else {
        Err(Error::Invalid("the legs do not sum to zero"))
    }
}

/// Inserts the transfer and moves the balances of its guarded accounts, in one round trip: each statement looks whether the
/// transfer is this one. False when its cause has one already; then nothing was written.
async fn move_money(
    tx: &mut Transaction<'_>,
    transfer: &Transfer,
    month: Month,
    postings: &mut [Posting],
) -> Result<bool, Error> {
    let movement = &transfer.movement;
    let guarded = postings
        .iter_mut()
        .filter(|posting| posting.leg.account.is_guarded());
    let guarded: Vec<&mut Posting> = guarded.collect();
    let mut asked = vec![(INSERT, transfer.params(month))];
    asked.extend(guarded.iter().map(|posting| posting.settle(transfer)));
    let mut outcomes = tx.pipeline(asked).await.into_iter();
    match outcomes.next() {
        Some(Ok(rows)) if rows.is_empty() => return Ok(false),
        Some(Err(error)) if error.constraint() == Some("transfer_reverses_key") => {
            return Err(Error::Reversed(movement.reverses.unwrap_or_default()));
        }
        Some(inserted) => inserted?,
        None => return Err(NO_OUTCOME),
    };
    for posting in guarded {
        let account = posting.leg.account;
        let row = match outcomes.next().ok_or(NO_OUTCOME)? {
            Err(error) if error.constraint() == Some("ledger_account_balance_fen_check") => {
                return Err(Error::TooLarge(account));
            }
            settled => settled?.into_iter().next(),
        };
        let row = row.ok_or(Error::Insufficient(account))?;
        posting.settled = Some((row.get(0)?, row.get(1)?));
    }
    Ok(true)
}

impl Transfer {
    fn params(&self, month: Month) -> Vec<Value> {
        let movement = &self.movement;
        params![
            self.id,
            movement.kind.as_str(),
            movement.cause.as_str(),
            movement.reverses,
            self.by.map(UserId::get),
            month.get(),
            movement.earned_month(month).map(Month::get),
            self.now_ms
        ]
    }
}

impl Posting {
    /// Moves the balance of its guarded account; returns the balance and the place of the posting.
    fn settle(&self, transfer: &Transfer) -> (&'static str, Vec<Value>) {
        let Leg { account, amount_fen } = self.leg;
        let consumed_fen = match account {
            Account::Wallet(_) => transfer.movement.consumed_fen,
            _ => 0,
        };
        let text = self.text.as_str();
        if amount_fen < 0 {
            return (TAKE, params![-amount_fen, text, consumed_fen, transfer.id]);
        }
        let (owner, part) = account.parts();
        let given = params![
            text,
            account.kind(),
            owner,
            part,
            amount_fen,
            consumed_fen,
            transfer.id
        ];
        (GIVE, given)
    }
}

/// Compares a movement with the transfer that was posted for its cause.
async fn same(tx: &mut Transaction<'_>, movement: &Movement) -> Result<Posted, Error> {
    let rows = tx
        .query(POSTED, params![movement.kind.as_str(), movement.cause.as_str()])
        .await?;
    let mut posted = rows.iter().map(leg).collect::<Result<Vec<Leg>, Error>>()?;
    let mut legs = movement.legs.clone();
    for legs in [&mut posted, &mut legs] {
        legs.sort_by_key(|leg| leg.account.to_string());
    }
    if posted == legs {
        Ok(Posted::Before)
    } else {
        Err(Error::Invalid("other amounts were posted for its cause"))
    }
}

/// Counts a team's income by month. Its account is locked.
async fn count_income(tx: &mut Transaction<'_>, movement: &Movement, month: Month) -> Result<(), Error> {
    let Some((team, fen)) = movement.income() else {
        return Ok(());
    };
    let counts = match movement.earned_month(month) {
        Some(of) if of == month => vec![(month, fen, fen)],
        Some(of) => vec![(month, fen, 0), (of, 0, fen)],
        None => vec![(month, fen, 0)],
    };
    for (month, posted, earned) in counts {
        tx.enqueue(COUNT_INCOME, params![team, month.get(), posted, earned])
            .await?;
    }
    Ok(())
}

async fn write(
    tx: &mut Transaction<'_>,
    transfer: i64,
    month: Month,
    postings: &[Posting],
) -> Result<(), Error> {
    /// Parameters of a posting beside transfer and month.
    const OWN: usize = 5;
    let mut values: Vec<Value> = params![transfer, month.get()];
    let mut rows = Vec::with_capacity(postings.len());
    for (line, posting) in (0_i64..).zip(postings) {
        let first = values.len() + 1;
        let [line_at, account, amount, balance, place] = std::array::from_fn(|at| first + at);
        rows.push(format!(
            "($1, ${line_at}, ${account}, ${amount}, ${balance}, ${place}, $2)"
        ));
        let own: [Value; OWN] = [
            line.into(),
            posting.text.as_str().into(),
            posting.leg.amount_fen.into(),
            posting.settled.map(|(balance, _)| balance).into(),
            posting.settled.map(|(_, place)| place).into(),
        ];
        values.extend(own);
    }
    let rows = rows.join(", ");
    let sql = format!(
        "INSERT INTO posting (transfer_id, line, account, amount_fen, balance_after_fen, place, month) VALUES {rows}"
    );
    tx.enqueue(sql, values).await?;
    Ok(())
}

impl Movement {
    /// The reversal of a transfer: each of its postings back. `None` when there is no such transfer.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a transfer that is a reversal itself; the database's.
    pub async fn reversal(tx: &mut Transaction<'_>, transfer: i64) -> Result<Option<Self>, Error> {
        let row = tx.query_first(REVERSED, params![transfer]).await?;
        let Some(row) = row else { return Ok(None) };
        let (kind, earned): (String, Option<i64>) = (row.get(0)?, row.get(1)?);
        let kind = Kind::from_word(&kind).ok_or(Error::Invalid("transfer.kind is unknown"))?;
        if kind == Kind::Reversal {
            return Err(Error::Invalid("a reversal is not reversed"));
        }
        let rows = tx.query(LEGS, params![transfer]).await?;
        let legs = rows.iter().map(leg).collect::<Result<Vec<Leg>, Error>>()?;
        let earned = earned.and_then(Month::new);
        Ok(Some(Self::reversing(transfer, kind, legs, earned)))
    }

    /// The reversal of a transfer by its legs and the month for which its income counted.
    pub(crate) fn reversing(transfer: i64, kind: Kind, legs: Vec<Leg>, earned: Option<Month>) -> Self {
        let legs = legs.into_iter().map(|leg| Leg {
            amount_fen: -leg.amount_fen,
            ..leg
        });
        Self {
            reverses: Some(transfer),
            earned: earned.map(Earned::In),
            ..Self::of(
                Kind::Reversal,
                format!("transfer:{transfer}"),
                legs.collect(),
                kind.is_consumption(),
            )
        }
    }
}

fn leg(row: &Row) -> Result<Leg, Error> {
    let account: String = row.get(0)?;
    Ok(Leg {
        account: account
            .parse()
            .map_err(|_| Error::Invalid("posting.account is unknown"))?,
        amount_fen: row.get(1)?,
    })
}
