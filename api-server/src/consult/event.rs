//! Events of a consult, on which other domains act.

use database::{Transaction, TransactionFuture};
use journal::{Journal, record::Unpublished};
use proto::{ConversationId, UserId};

use super::life::Status;
use crate::{app::Part, http::error::Error};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// A doctor was removed, went, or handed over their seat.
    DoctorLeft(UserId),
    /// The consult was finished or cancelled.
    Ended(Status),
}

/// An event, its circumstances, and the means to act on it.
pub(crate) struct Happened {
    pub(crate) event: Event,
    /// Its row is locked.
    pub(crate) consult: ConversationId,
    /// The user whose act raised the event.
    pub(crate) by: UserId,
    pub(crate) now_ms: i64,
    pub(crate) journal: Journal,
}

/// Acts on an event in the transaction that raised it: a refusal or failure rolls back both.
pub(crate) type Subscriber =
    for<'t, 'c> fn(&'t mut Transaction<'c>, &'t Happened) -> TransactionFuture<'t, Unpublished, Error>;

/// The subscribers, in the order in which they act.
pub(crate) struct Subscribers(pub(crate) &'static [Subscriber]);

impl Part for Subscribers {}
