//! Refusals of the ledger.

use crate::Account;

/// Why a transfer was not posted. The transaction can only be rolled back.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    /// The account holds less than the transfer takes from it.
    #[error("{0} holds too little")]
    Insufficient(Account),
    /// The account would exceed [`crate::MAX_BALANCE_FEN`].
    #[error("{0} would exceed the largest balance")]
    TooLarge(Account),
    /// The transfer was reversed before.
    #[error("transfer {0} was reversed before")]
    Reversed(i64),
    /// The postings are not those of a transfer. A fault of the program.
    #[error("a transfer is invalid: {0}")]
    Invalid(&'static str),
    /// The database refused or failed.
    #[error(transparent)]
    Database(#[from] database::Error),
}
