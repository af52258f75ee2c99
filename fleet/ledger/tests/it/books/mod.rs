//! Books that are kept twice: by the ledger with the rows of its causes on an engine ([`stored`]), and by a naive one in
//! memory ([`naive`]), which shares no line with it. Scripts and the model compare them.

#![allow(dead_code, reason = "each binary that includes it uses a part")]

pub mod act;
pub mod naive;
pub mod random;
pub mod stored;

pub use self::{act::Act, naive::Naive, stored::Stored};

/// A line of a transfer: account, amount, and of a guarded account its balance after it.
pub type Line = (String, i64, Option<i64>);

/// The postings of an act in the order of their accounts, none when it was done before; or why it is refused.
pub type Outcome = Result<Vec<Line>, String>;
