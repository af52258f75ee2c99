//! Amounts, and the platform's share of them.

mod commission;
mod fen;

pub(crate) use self::commission::FORCE;
pub use self::{
    commission::Commission,
    fen::{Fen, MAX_BALANCE_FEN},
};
