//! Months, and when income may be withdrawn.

mod month;
mod window;

pub use self::{
    month::Month,
    window::{FIRST_DAY, LAST_DAY, Window},
};
