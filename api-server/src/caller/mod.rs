//! Who calls, as types. Each is made by its extractor, or by its lock in the transaction, and by nothing else: a handler
//! that has one has asked.
//!
//! [`User`] is logged in, [`Member`], [`Doctor`] and [`Operator`] in a role. [`Led`] is a team or a clinic that the caller
//! leads, [`Seated`] a consult in which their seat may do what is asked.

mod led;
mod role;
mod seated;
mod user;

pub(crate) use led::{Lead, Led};
pub(crate) use role::{Doctor, DoctorsOnly, Member, MembersOnly, Operator};
pub(crate) use seated::{Seated, Seating};
pub use user::{Authentication, Role, TokenHash, User};
