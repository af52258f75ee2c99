//! The SQL of wallets.

pub(super) mod by_hand;
pub(super) mod notice;
pub(super) mod order;
pub(super) mod record;
pub(super) mod refund;

use database::Row;

use crate::http::error::Error;

/// A column that holds one of a few words.
fn word<const N: usize>(row: &Row, column: usize, words: [&'static str; N]) -> Result<&'static str, Error> {
    let text: String = row.get(column)?;
    let known = words.into_iter().find(|word| *word == text);
    known.ok_or_else(|| Error::internal("a column of a wallet holds an unknown word"))
}
