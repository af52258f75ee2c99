//! The outcome of a proof.

use crate::Account;

/// Faults that a report names.
pub const MAX_NAMED: usize = 100;

/// The outcome of a proof: the rows that it proved, and the faults.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// The first time that was proved, epoch milliseconds; `None`: everything.
    pub since_ms: Option<i64>,
    /// Rows that were proved.
    pub counts: Counts,
    /// Sums of the postings that were proved.
    pub sums: Sums,
    /// How many faults there are.
    pub faulty: u64,
    /// The first of them, at most [`MAX_NAMED`].
    pub faults: Vec<Fault>,
}

/// Numbers of rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "a number of rows each")]
pub struct Counts {
    pub transfers: u64,
    pub postings: u64,
    /// Guarded accounts.
    pub accounts: u64,
    /// Months of teams' incomes.
    pub months: u64,
    pub orders: u64,
    /// Balances that went back to where they came from.
    pub pay_backs: u64,
    pub credits: u64,
    pub consults: u64,
    pub services: u64,
    pub refunds: u64,
    pub withdrawals: u64,
    /// VAS_CONFIRMED entries of charged services, and REFUNDED entries.
    pub entries: u64,
}

impl Counts {
    /// Each with its name.
    pub const fn named(&self) -> [(&'static str, u64); 12] {
        [
            ("transfers", self.transfers),
            ("postings", self.postings),
            ("accounts", self.accounts),
            ("months", self.months),
            ("orders", self.orders),
            ("pay_backs", self.pay_backs),
            ("credits", self.credits),
            ("consults", self.consults),
            ("services", self.services),
            ("refunds", self.refunds),
            ("withdrawals", self.withdrawals),
            ("entries", self.entries),
        ]
    }
}

/// Sums of postings, fen. Together they are zero.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sums {
    /// Of guarded accounts: what the platform owes to members and teams.
    pub guarded_fen: i128,
    /// Of the platform's commission.
    pub platform_fen: i128,
    /// Of the world: below zero by what came in and did not go out.
    pub outside_fen: i128,
}

impl Sums {
    pub(super) fn add(&mut self, account: Account, amount_fen: i64) {
        let sum = match account {
            Account::Platform => &mut self.platform_fen,
            Account::Outside(_) => &mut self.outside_fen,
            _ => &mut self.guarded_fen,
        };
        *sum += i128::from(amount_fen);
    }

    pub(super) const fn total(&self) -> i128 {
        self.guarded_fen + self.platform_fen + self.outside_fen
    }
}

/// A row that is not as it must be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Table and id, as in `transfer:5`, `wallet:12`, `order:7`.
    pub row: String,
    /// The rule that it breaks.
    pub why: &'static str,
}

impl Report {
    /// Whether no fault was found.
    pub const fn is_balanced(&self) -> bool {
        self.faulty == 0
    }

    pub(super) fn fault(&mut self, row: impl Into<String>, why: &'static str) {
        self.faulty += 1;
        if self.faults.len() < MAX_NAMED {
            self.faults.push(Fault { row: row.into(), why });
        }
    }
}
