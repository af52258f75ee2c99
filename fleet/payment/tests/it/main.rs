//! The drivers of vendors, against stand-ins that sign, seal, repeat, forget, hang and lie.

#![allow(clippy::unwrap_used, reason = "a test that fails says where")]

mod alipay;
mod certificates;
mod keys;
mod server;
mod wechat;
