//! Payment providers behind one seam: money comes in by them, and goes back.
//!
//! A provider makes an order, decides about a notice, tells an order's state, refunds, and gives a day's bill. Deciding
//! about a notice is pure: bytes and headers in, an [`Event`] out. Nothing here writes our database: the caller compares an
//! event with its own order before anything moves.

pub mod alipay;
mod day;
mod driver;
pub mod mockpay;
mod notice;
mod order;
pub mod wechat;
mod wire;

pub use self::{
    day::Day,
    driver::{Driver, Drivers},
    mockpay::Mockpay,
    notice::{Decided, Event, NOTICE_MAX_BYTES, Notice, NoticeError, Payment, Reply},
    order::{BillRow, Failure, NewOrder, NewRefund, OrderState, RefundState, Scene, Ticket},
    wire::{Clock, SettingsError},
};
