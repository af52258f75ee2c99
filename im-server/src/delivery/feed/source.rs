//! The source and sink of feeding.

use std::{future::Future, sync::Arc};

use journal::{
    hidden::Hidden,
    history::Feed,
    overview::{Overview, Page},
};
use proto::{ConversationId, Seq};

use crate::delivery::{Receiver, room::Room};

/// Why feeding stopped.
#[derive(Debug)]
pub(crate) enum Stopped {
    /// The session has ended.
    Ended,
    /// The database fails.
    Unavailable(database::Error),
    /// A machine of the database does not answer: its conversations are missing, and all others were fed.
    Partly,
}

impl From<database::Error> for Stopped {
    fn from(error: database::Error) -> Self {
        Self::Unavailable(error)
    }
}

impl From<journal::Error> for Stopped {
    fn from(error: journal::Error) -> Self {
        Self::Unavailable(match error {
            journal::Error::Database(error) => error,
            other => database::Error::Engine(other.to_string()),
        })
    }
}

/// Fields of a Conversation frame that depend on the feeding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Notes {
    /// The app must drop its copy.
    pub(crate) reset: bool,
    /// The first entry that follows; 0 when none does.
    pub(crate) from_seq: Seq,
}

/// Rooms in the order of overviews; `None` where the user is not in.
pub(crate) type OpenRooms<R> = Vec<Option<Arc<Room<R>>>>;

/// Journal, rooms and socket of one session.
pub(crate) trait Source: Sync {
    type Receiver: Receiver;

    fn receiver(&self) -> &Self::Receiver;

    /// Seconds of the monotonic clock.
    fn now_s(&self) -> u32;

    /// A page of the user's conversations with `from <= id < before`, from the newest id to the oldest.
    fn overviews(
        &self,
        before: ConversationId,
        from: ConversationId,
    ) -> impl Future<Output = Result<Page, Stopped>> + Send;

    /// The overview of one conversation.
    fn overview(&self, id: ConversationId) -> impl Future<Output = Result<Option<Overview>, Stopped>> + Send;

    /// An open room.
    fn room(&self, id: ConversationId) -> Option<Arc<Room<Self::Receiver>>>;

    /// The rooms of the conversations that the user is in; opens missing ones.
    fn open(
        &self,
        overviews: &[Overview],
    ) -> impl Future<Output = Result<OpenRooms<Self::Receiver>, Stopped>> + Send;

    /// Entries of the journal that the user may see.
    fn feed(
        &self,
        id: ConversationId,
        after: Seq,
        limit: usize,
    ) -> impl Future<Output = Result<Feed, Stopped>> + Send;

    /// Sends the Conversation frame before a conversation's entries.
    fn announce(&self, overview: &Overview, notes: Notes)
    -> impl Future<Output = Result<(), Stopped>> + Send;

    /// A page of the conversations with `from <= id < before` that the user has hidden or put back since a number of the
    /// order, from the newest id to the oldest.
    fn hidden(
        &self,
        before: ConversationId,
        from: ConversationId,
        since: i64,
    ) -> impl Future<Output = Result<Vec<Hidden>, Stopped>> + Send;

    /// Sends that a conversation is hidden or on lists again.
    fn tell(&self, hidden: Hidden) -> impl Future<Output = Result<(), Stopped>> + Send;

    /// Waits until a page fits.
    fn has_capacity(&self) -> impl Future<Output = Result<(), Stopped>> + Send;

    /// Waits until the outbox is empty, so that it accepts a frame of any size.
    fn is_drained(&self) -> impl Future<Output = Result<(), Stopped>> + Send;
}
