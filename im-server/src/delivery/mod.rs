//! Catching up and delivery: each session gets each entry that its user may see once, in the order of seq (I3, I5).
//!
//! For each session and conversation one seq is known exactly, `reached`: the session was given everything up to it that
//! its user may see. Two owners hand it to each other:
//!
//! - A [`room::Room`] owns it while entries are *pushed*: the room puts entries in order ([`order`]), each once, and its
//!   one drainer writes them to the sockets of the live members.
//! - The session's task owns it while entries are *pulled* from the journal ([`feed`]): after Sync, after being
//!   brought in, after falling behind. The task does one thing at a time. When it has reached what the room has
//!   delivered, the room takes over under its lock ([`room::Room::go_live`]).
//!
//! What neither owns is kept in the session's [`books::Books`]: conversations that the user has left, and those that wait
//! for another Sync. A failure hands `reached` to the books, so the next Sync continues exactly there.
//!
//! Leaving and coming back follow two rules. A live member leaves when the room delivers the entry that says
//! so. Any other learns it from the page that it reads: each page tells whether the user was in as it was read.

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

/// What became of frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pushed {
    /// Written or queued.
    Taken,
    /// Nothing was taken: the session is behind.
    Full,
    /// The connection is ending; nothing is taken any more.
    Ended,
}

/// A session, as delivery sees it.
pub(crate) trait Receiver: Clone + Send + Sync + 'static {
    /// Its name on this node.
    fn id(&self) -> u64;

    fn user(&self) -> UserId;

    fn books(&self) -> &Mutex<Books>;

    /// Writes or enqueues frames that leave together: all of them or none.
    fn push(&self, frames: &[Bytes]) -> Pushed;

    /// Enqueues a frame that leaves with the next ones pushed, or by [`Self::flush`].
    fn queue(&self, frame: &Bytes) -> Pushed;

    /// Writes what is queued.
    fn flush(&self);

    /// Whether there is room for a page of entries beside what waits.
    fn has_room(&self) -> bool;

    /// Wakes the session's task.
    fn wake(&self);

    /// Asks the session's task to look after a conversation: to attach, to feed, or to find that nothing is owed.
    fn feed(&self, conversation: ConversationId) {
        if self.books().lock().feed(conversation) {
            self.wake();
        }
    }
}
