//! Delivery: each session receives each entry that its user may see once, in the order of seq (I3, I5).
//!
//! For each session and conversation one seq is known exactly, `reached`: everything up to it that the user may see
//! was delivered. Two owners hand it over to each other:
//!
//! - A [`room::Room`] owns it while entries are *pushed*: the room orders entries ([`order`]), each once, and its one
//!   drainer writes them to the sockets of the live members ([`member`]).
//! - The session's task owns it while entries are *pulled* from the journal ([`feed`]): after Sync, after joining,
//!   after falling behind. The task does one thing at a time. When it has reached what the room has delivered, the room
//!   takes over under its lock ([`room::Room::go_live`]).
//!
//! The session's [`books::Books`] hold it meanwhile, for conversations that the user has left and those that wait for
//! another Sync. A failure returns `reached` to the books, so the next Sync continues exactly there.
//!
//! Leaving and coming back follow two rules. A live member leaves when the room delivers the entry of leaving. Any
//! other member finds out from the page that it reads: each page says whether the user was in when it was read.

pub(crate) mod books;
pub(crate) mod fanout;
pub(crate) mod feed;
mod member;
mod order;
pub(crate) mod room;
pub(crate) mod rooms;
#[cfg(test)]
mod tests;

use bytes::Bytes;
use parking_lot::Mutex;
use proto::{ConversationId, UserId};

use books::Books;

/// The outcome of pushing frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pushed {
    /// Written or queued.
    Taken,
    /// Rejected: the session is behind.
    Full,
    /// Rejected: the connection is ending.
    Ended,
}

/// A session, as delivery sees it.
pub(crate) trait Receiver: Clone + Send + Sync + 'static {
    /// Unique on this node.
    fn id(&self) -> u64;

    fn user(&self) -> UserId;

    fn books(&self) -> &Mutex<Books>;

    /// Writes or queues frames that leave together: all or none.
    fn push(&self, frames: &[Bytes]) -> Pushed;

    /// Queues a frame for the next push or [`Self::flush`].
    fn queue(&self, frame: &Bytes) -> Pushed;

    /// Writes the queued frames.
    fn flush(&self);

    /// Whether a page of entries fits beside the queue.
    fn has_capacity(&self) -> bool;

    fn wake(&self);

    /// Asks the session's task to look after a conversation: to attach, to feed, or to find that nothing is owed.
    fn feed(&self, conversation: ConversationId) {
        if self.books().lock().feed(conversation) {
            self.wake();
        }
    }

    /// Asks the session's task whether its user has hidden a conversation or put it back.
    fn tell(&self, conversation: ConversationId) {
        if self.books().lock().tell(conversation) {
            self.wake();
        }
    }
}
