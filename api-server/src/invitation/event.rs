//! Events of invitations, on which teams and clinics act.

use database::{Transaction, TransactionFuture};
use proto::UserId;

use super::Place;
use crate::{app::Part, http::error::Error};

/// A doctor accepts an invitation in person, and is to join.
pub(crate) struct Accepted {
    pub(crate) place: Place,
    pub(crate) place_id: i64,
    pub(crate) doctor: UserId,
    pub(crate) inviter: UserId,
    pub(crate) now_ms: i64,
}

/// Acts on the event in its transaction: a refusal rolls back both. A place of another kind is left alone.
pub(crate) type Subscriber =
    for<'t, 'c> fn(&'t mut Transaction<'c>, &'t Accepted) -> TransactionFuture<'t, (), Error>;

/// The subscribers, in the order in which they act.
pub(crate) struct Subscribers(pub(crate) &'static [Subscriber]);

impl Part for Subscribers {}
