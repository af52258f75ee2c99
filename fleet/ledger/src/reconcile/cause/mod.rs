//! Causes: what each row of a domain demands of the ledger. Both directions are proved by the same [`Demand`]: each transfer
//! is demanded by its cause, and each demand has its transfer.

mod charge;
mod credit;
mod membership;
mod payment;
mod reversal;
mod withdrawal;

pub(super) use self::reversal::reversed_kind;

use std::collections::{HashMap, HashSet};

use database::{Row, params};

use super::{
    Counts, Proof,
    page::{ROWS, is_full, of_keys, with_keys},
    transfer::Posted,
};
use crate::{Error, Kind, Leg, Month, Movement};

/// A table whose rows cause transfers.
struct Source {
    /// The first word of their causes.
    word: &'static str,
    kinds: &'static [Kind],
    /// `SELECT … FROM …` with the columns that `read` wants; the first is the id. Rows of other tables are looked up in the
    /// columns: PostgreSQL may join a page with all of the other table from its beginning.
    select: &'static str,
    /// The column of the id.
    id: &'static str,
    /// When the row changed last.
    changed: &'static str,
    read: fn(&Row) -> Result<Demand, Error>,
    count: fn(&mut Counts) -> &mut u64,
}

const SOURCES: [&Source; 7] = [
    &payment::ORDERS,
    &payment::PAY_BACKS,
    &credit::CREDITS,
    &charge::CONSULTS,
    &charge::SERVICES,
    &charge::REFUNDS,
    &withdrawal::WITHDRAWALS,
];

/// The transfers that a row demands.
#[derive(Default)]
struct Demand {
    movements: Vec<Movement>,
    /// The month that the row keeps for these kinds.
    month: Option<(i64, &'static [Kind])>,
    /// The rule that the row breaks by itself.
    fault: Option<&'static str>,
}

impl Demand {
    fn of(movements: Vec<Movement>) -> Self {
        Self {
            movements,
            ..Self::default()
        }
    }

    fn faulty(why: &'static str) -> Self {
        Self {
            fault: Some(why),
            ..Self::default()
        }
    }

    /// The rule that a transfer breaks.
    fn fault(&self, kind: Kind, transfer: &Posted) -> Option<&'static str> {
        let demanded = self.movements.iter().filter(|movement| movement.kind == kind);
        let faults: Vec<Option<&'static str>> =
            demanded.map(|movement| disagrees(movement, transfer)).collect();
        // One of several ways to move it is as good as another.
        let Some(fault) = faults.iter().find(|fault| fault.is_none()).or(faults.first()) else {
            return Some("its cause does not demand it");
        };
        let differs = self
            .month
            .is_some_and(|(month, kinds)| kinds.contains(&kind) && month != transfer.month);
        if differs {
            return Some("its month is not that of its cause");
        }
        *fault
    }
}

/// Whether a transfer is the movement that it should be.
fn disagrees(demanded: &Movement, transfer: &Posted) -> Option<&'static str> {
    let month = Month::new(transfer.month);
    let earned = month.and_then(|month| demanded.earned_month(month));
    if sorted(&demanded.legs) != sorted(&transfer.legs) {
        Some("its postings are not those of its cause")
    } else if earned.map(Month::get) != transfer.earned_month {
        Some("its income counts for another month than that of its cause")
    } else if demanded.reverses != transfer.reverses {
        Some("it names another transfer than its cause")
    } else {
        None
    }
}

fn sorted(legs: &[Leg]) -> Vec<Leg> {
    let mut legs = legs.to_vec();
    legs.sort_by_key(|leg| leg.account.to_string());
    legs
}

const POSTED: &str = "SELECT cause FROM transfer WHERE kind = $1 AND cause IN ({keys})";

pub(super) fn statements() -> Vec<String> {
    let mut statements = vec![with_keys(POSTED, 1, 8)];
    statements.extend(reversal::STATEMENTS.map(str::to_owned));
    statements.push(membership::TIMES.to_owned());
    for source in SOURCES {
        statements.extend([source.page(), with_keys(&source.of_ids(), 0, 8)]);
    }
    statements
}

impl Source {
    fn page(&self) -> String {
        let (select, id, changed) = (self.select, self.id, self.changed);
        format!("{select} WHERE {id} > $1 AND {changed} >= $2 ORDER BY {id} LIMIT $3")
    }

    fn of_ids(&self) -> String {
        format!("{} WHERE {} IN ({{keys}})", self.select, self.id)
    }

    /// The id in a cause.
    fn id_of(&self, cause: &str) -> Option<i64> {
        let id = cause.strip_prefix(self.word)?.strip_prefix(':')?.parse().ok()?;
        (self.cause(id) == cause).then_some(id)
    }

    fn cause(&self, id: i64) -> String {
        format!("{}:{id}", self.word)
    }
}

/// Proves the transfers of a page by their causes.
pub(super) async fn prove_page(proof: &mut Proof<'_>, page: &[Posted]) -> Result<(), Error> {
    for source in SOURCES {
        prove_by(proof, source, page).await?;
    }
    for transfer in page {
        let why = match transfer.kind {
            None => Some("its kind is unknown"),
            Some(kind @ (Kind::Join | Kind::Leave)) => {
                membership::fault(proof.snapshot, kind, transfer).await?
            }
            Some(Kind::Reversal) => reversal::fault(proof.snapshot, transfer).await?,
            // Proved by its source.
            Some(_) => None,
        };
        if let Some(why) = why {
            proof.report.fault(format!("transfer:{}", transfer.id), why);
        }
    }
    Ok(())
}

async fn prove_by(proof: &mut Proof<'_>, source: &Source, page: &[Posted]) -> Result<(), Error> {
    let of_source = |transfer: &&Posted| transfer.kind.is_some_and(|kind| source.kinds.contains(&kind));
    let caused = page.iter().filter(of_source);
    let caused: Vec<(&Posted, Option<i64>)> = caused
        .map(|transfer| (transfer, source.id_of(&transfer.cause)))
        .collect();
    let ids: HashSet<i64> = caused.iter().filter_map(|(_, id)| *id).collect();
    let ids: Vec<i64> = ids.into_iter().collect();
    let rows = of_keys(proof.snapshot, &source.of_ids(), params![], &ids).await?;
    let mut demands = HashMap::with_capacity(rows.len());
    for row in &rows {
        demands.insert(row.get::<i64>(0)?, (source.read)(row)?);
    }
    for (transfer, id) in caused {
        let demand = id.and_then(|id| demands.get(&id));
        let why = match (demand, transfer.kind) {
            (Some(demand), Some(kind)) => demand.fault(kind, transfer),
            _ => Some("it has no cause"),
        };
        if let Some(why) = why {
            proof.report.fault(format!("transfer:{}", transfer.id), why);
        }
    }
    Ok(())
}

/// Proves that each row has its transfers.
pub(super) async fn prove(proof: &mut Proof<'_>) -> Result<(), Error> {
    let total = SOURCES.len() as u64;
    for (done, source) in (0..).zip(SOURCES) {
        proof.progress("causes", done, total);
        prove_source(proof, source).await?;
    }
    proof.progress("causes", total, total);
    Ok(())
}

async fn prove_source(proof: &mut Proof<'_>, source: &Source) -> Result<(), Error> {
    let mut last = i64::MIN;
    loop {
        let rows = proof
            .snapshot
            .query(source.page(), params![last, proof.first_ms(), ROWS])
            .await?;
        // In the order of the rows, so that the first faulty ones are named.
        let mut demanded: HashMap<Kind, Vec<String>> = HashMap::new();
        for row in &rows {
            last = row.get(0)?;
            let demand = (source.read)(row)?;
            if let Some(why) = demand.fault {
                proof.report.fault(source.cause(last), why);
            }
            for movement in demand.movements {
                let causes = demanded.entry(movement.kind).or_default();
                // A price may have gone back in two ways.
                if !movement.legs.is_empty() && causes.last() != Some(&movement.cause) {
                    causes.push(movement.cause);
                }
            }
        }
        *(source.count)(&mut proof.report.counts) += rows.len() as u64;
        for (kind, causes) in source.kinds.iter().filter_map(|kind| demanded.remove_entry(kind)) {
            let posted = of_keys(proof.snapshot, POSTED, params![kind.as_str()], &causes).await?;
            let posted: HashSet<String> = posted.iter().map(|row| row.get(0)).collect::<Result<_, _>>()?;
            for cause in causes {
                if !posted.contains(&cause) {
                    proof.report.fault(cause, missing(kind));
                }
            }
        }
        if !is_full(&rows) {
            return Ok(());
        }
    }
}

const fn missing(kind: Kind) -> &'static str {
    match kind {
        Kind::TopUp => "it has no transfer top_up",
        Kind::Begin => "it has no transfer begin",
        Kind::Finish => "it has no transfer finish",
        Kind::Cancel => "it has no transfer cancel",
        Kind::Vas => "it has no transfer vas",
        Kind::Refund => "it has no transfer refund",
        Kind::Withdrawal => "it has no transfer withdrawal",
        Kind::Paid => "it has no transfer paid",
        Kind::Failed => "it has no transfer failed",
        Kind::PayBack => "it has no transfer pay_back",
        Kind::PayBackFailed => "it has no transfer pay_back_failed",
        Kind::Credit => "it has no transfer credit",
        Kind::Join | Kind::Leave | Kind::Reversal => "it has no transfer",
    }
}
