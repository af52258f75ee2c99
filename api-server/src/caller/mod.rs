//! Callers, as types. Only an extractor or a lock in the transaction constructs them, so that a handler that has one has
//! checked it.
//!
//! [`User`] is logged in; [`Member`], [`Doctor`] and [`Operator`] have that role. [`Led`] is a team or clinic that the caller
//! leads, [`Seated`] a consult in which the caller's seat permits the operation.

mod device;
mod led;
mod role;
mod seated;
mod user;

pub use device::Device;
pub(crate) use led::{Lead, Led};
pub(crate) use role::{Doctor, DoctorsOnly, Member, MembersOnly, Operator};
pub(crate) use seated::{Seated, Seating};
pub use user::{Authentication, Role, TokenHash, User};
