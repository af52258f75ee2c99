//! Orders: a member tops up by a payment provider.

pub(crate) mod number;
pub(crate) mod read;
pub(crate) mod top_up;

pub(crate) use number::{order_of, out_refund_no, out_trade_no, refund_of};
