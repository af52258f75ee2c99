//! Changes of the books by hand, which two operators make together: credits, and reversals of mistakes.

pub(crate) mod credit;
mod decide;
pub(crate) mod reversal;
