//! Alipay.

mod bills;
mod certificates;
mod notices;
mod requests;
mod stand_in;
