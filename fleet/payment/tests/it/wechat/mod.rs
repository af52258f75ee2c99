//! WeChat Pay.

mod bills;
mod notices;
mod partner;
mod requests;
mod rotation;
mod stand_in;
