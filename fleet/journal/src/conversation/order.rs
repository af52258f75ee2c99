//! The order of changes by the database: no clock decides which changes a node or an app has seen.
//!
//! Each change carries a number: on SQLite the id of its newest entry, on PostgreSQL the id of its transaction. A
//! *horizon* divides them: each change below it was visible when the horizon was read, so a reader asks for changes from
//! its last horizon on and misses none. Numbers of one history can be compared; a copy or a restore begins another
//! *lineage*.

use database::{Error, Row, params};

use crate::Journal;

/// The sequence whose value names the lineage; a copy or a restore advances it.
const LINEAGE: &str = "SELECT next_value FROM sequence WHERE name = 'order_lineage'";

/// Every statement here.
pub(crate) const STATEMENTS: &[&str] = &[LINEAGE];

/// The numbers of a conversation's newest entry and of a participant's newest change, from three columns that begin at `at`.
/// By the third one PostgreSQL's numbers are extended to 64 bits; it is 0 on SQLite.
pub(crate) fn numbers(row: &Row, at: usize) -> Result<(i64, i64), Error> {
    let (conversation, participant): (i64, i64) = (row.get(at)?, row.get(at + 1)?);
    let beyond: i64 = row.get(at + 2)?;
    Ok((extended(conversation, beyond), extended(participant, beyond)))
}

/// PostgreSQL keeps the low 32 bits of a transaction's id: the newest id below `beyond` with these bits. A row unchanged for
/// 2^32 transactions may look newer than it is, never older.
fn extended(number: i64, beyond: i64) -> i64 {
    if beyond == 0 {
        return number;
    }
    beyond - ((beyond - number) & 0xffff_ffff)
}

/// A moment in the order of one history.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Horizon {
    /// Changes with smaller numbers were visible.
    pub number: i64,
    /// The history that the number belongs to.
    lineage: i64,
}

/// Set in tokens: epoch milliseconds, the tokens of older releases, lie below it, and numbers below 2^53 are exact in
/// JavaScript.
const TOKEN_BIT: i64 = 1 << 52;
const NUMBER_BITS: u32 = 44;
const LINEAGES: i64 = 1 << 8;

impl Horizon {
    /// A horizon for tests of what compares horizons.
    pub fn new(number: i64, lineage: i64) -> Self {
        let lineage = lineage.rem_euclid(LINEAGES);
        Self { number, lineage }
    }

    /// The form that an app stores, `SyncDone.synced_ms`.
    pub fn token(self) -> i64 {
        TOKEN_BIT | (self.lineage << NUMBER_BITS) | (self.number & ((1 << NUMBER_BITS) - 1))
    }

    /// The number of a token; `None` when it belongs to another history, lies beyond this horizon, or is a time from an
    /// older release.
    pub fn number_of(self, token: i64) -> Option<i64> {
        if !(TOKEN_BIT..TOKEN_BIT << 1).contains(&token) {
            return None;
        }
        let lineage = (token & (TOKEN_BIT - 1)) >> NUMBER_BITS;
        let number = token & ((1 << NUMBER_BITS) - 1);
        (lineage == self.lineage && number <= self.number).then_some(number)
    }
}

impl Journal {
    /// The horizon now. Read it before the changes that it is to divide.
    ///
    /// # Errors
    /// As the database says.
    pub async fn horizon(&self) -> Result<Horizon, Error> {
        let number = self.database.query_first(self.dialect.horizon, params![]).await?;
        let lineage = self.database.query_first(LINEAGE, params![]).await?;
        let first = |row: Option<Row>| row.map_or(Ok(0), |row| row.get::<i64>(0));
        Ok(Horizon::new(first(number)?, first(lineage)?))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_token_gives_its_number_back(number in 0i64..1 << 44, lineage in 0i64..10_000, ahead in 0i64..1000) {
            let horizon = Horizon::new(number, lineage);
            let token = horizon.token();
            prop_assert!(token < 1 << 53);
            let later = Horizon::new(number + ahead, lineage);
            prop_assert_eq!(later.number_of(token), Some(number));
            prop_assert_eq!(Horizon::new(number + ahead, lineage + 1).number_of(token), None);
            if number > 0 {
                prop_assert_eq!(Horizon::new(number - 1, lineage).number_of(token), None);
            }
        }

        #[test]
        fn low_bits_are_extended_to_the_newest_id(id in 3i64..1 << 44, younger in 1i64..1 << 31) {
            prop_assert_eq!(extended(id & 0xffff_ffff, id + younger), id);
        }
    }

    #[test]
    fn a_time_is_no_token() {
        let horizon = Horizon::new(1 << 40, 1);
        for time in [0, -1, 1_795_478_400_000, i64::MAX, i64::MIN, 1 << 53] {
            assert_eq!(horizon.number_of(time), None, "{time}");
        }
    }
}
