//! One conversation with sessions on this node: entries arrive in any order, and leave to the live members once and
//! in order. One drainer at a time writes to sockets, outside the lock, so that the order holds.

use std::{
    collections::VecDeque,
    sync::atomic::{AtomicBool, Ordering},
};

use bytes::Bytes;
use journal::Published;
use parking_lot::Mutex;
use proto::{ConversationId, Seq, UserId};
use telemetry::events::im::SESSIONS_BEHIND;

use super::{
    Pushed, Receiver,
    books::Kept,
    member::{Attempt, Change, Members, Position, Recipient, changes_participants},
    order::Order,
};

/// Inbox capacity, entries; overflow is dropped and re-read as a gap.
const INBOX_ENTRIES: usize = 4 * 1024;
/// Frames pushed to a session together, so that the segment of a slow session fits its outbox.
pub(crate) const FRAMES_TOGETHER: usize = 32;
/// Members of a room that is drained by a task of its own, so that the batch behind its entries does not wait.
const LARGE_ROOM: usize = 64;

/// A conversation on this node. Lock order: `state`, then a session's books; `inbox` alone. No lock is held while a
/// socket is written.
pub(crate) struct Room<R> {
    pub(crate) id: ConversationId,
    state: Mutex<State<R>>,
    inbox: Mutex<Inbox>,
    /// A gap is being read.
    filling: AtomicBool,
}

struct State<R> {
    order: Order,
    /// Due entries for the drainer.
    ready: VecDeque<Published>,
    members: Members<R>,
    /// When the last member was detached, seconds of the monotonic clock.
    empty_since_s: u32,
}

#[derive(Default)]
struct Inbox {
    entries: Vec<Published>,
    /// The highest dropped seq.
    dropped: Seq,
    /// A drainer is at work and takes new entries too.
    draining: bool,
}

/// Entries that leave together and their recipients: collected under the lock, written after it.
struct Segment<R> {
    entries: Vec<Published>,
    recipients: Vec<Recipient<R>>,
}

impl<R: Receiver> Room<R> {
    /// A room that counts entries up to `delivered` as delivered.
    pub(crate) fn new(id: ConversationId, delivered: Seq) -> Self {
        Self {
            id,
            state: Mutex::new(State {
                order: Order::after(delivered),
                ready: VecDeque::new(),
                members: Members::default(),
                empty_since_s: 0,
            }),
            inbox: Mutex::default(),
            filling: AtomicBool::new(false),
        }
    }

    /// Attaches a session whose task feeds it. The room pushes nothing to it before [`Self::go_live`].
    pub(crate) fn attach(&self, receiver: &R) {
        let mut state = self.state.lock();
        if state.members.attach(receiver) {
            receiver.books().lock().attach(self.id);
        }
    }

    /// Detaches a session. Its position goes to its books under the lock, so that it is always in one place.
    pub(crate) fn detach(&self, receiver: &R, kept: Option<Kept>, now_s: u32) {
        let mut state = self.state.lock();
        state.members.detach(receiver);
        let mut books = receiver.books().lock();
        books.detach(self.id);
        if let Some(kept) = kept {
            books.keep(self.id, kept);
        }
        drop(books);
        if state.members.is_empty() {
            state.empty_since_s = now_s;
        }
    }

    pub(crate) fn position(&self, receiver: &R) -> Option<Position> {
        self.state.lock().members.position(receiver)
    }

    /// Makes a session live that was fed up to `reached`, if the room has not delivered more.
    pub(crate) fn go_live(&self, receiver: &R, reached: Seq) -> Attempt {
        let mut state = self.state.lock();
        let delivered = state.order.delivered();
        state.members.go_live(receiver, reached, delivered)
    }

    pub(crate) fn delivered(&self) -> Seq {
        self.state.lock().order.delivered()
    }

    /// Whether a user is in the conversation, as far as this room knows.
    pub(crate) fn has_user(&self, user: UserId) -> bool {
        self.state.lock().members.has_user(user)
    }

    /// Whether no session has been attached since `since_s`, seconds of the monotonic clock.
    pub(crate) fn is_empty_since(&self, since_s: u32) -> bool {
        let state = self.state.lock();
        state.members.is_empty() && state.empty_since_s <= since_s
    }

    /// Whether a task of its own drains it.
    pub(crate) fn is_large(&self) -> bool {
        self.state.lock().members.len() >= LARGE_ROOM
    }

    /// Accepts entries; true when the caller must [`Self::drain`], false when the drainer at work takes them.
    pub(crate) fn put(&self, entries: impl IntoIterator<Item = Published>) -> bool {
        let mut inbox = self.inbox.lock();
        for entry in entries {
            if inbox.entries.len() < INBOX_ENTRIES {
                inbox.entries.push(entry);
            } else {
                inbox.dropped = inbox.dropped.max(entry.seq);
            }
        }
        !std::mem::replace(&mut inbox.draining, true)
    }

    /// Records that the database has entries up to `seq`; true when some are missing.
    pub(crate) fn exists(&self, seq: Seq) -> bool {
        let mut state = self.state.lock();
        state.order.exists(seq);
        state.order.gap().is_some()
    }

    /// The missing entries, both ends included.
    pub(crate) fn gap(&self) -> Option<(Seq, Seq)> {
        self.state.lock().order.gap()
    }

    /// Acquires the right to read the gap; false while it is being read.
    pub(crate) fn begin_filling(&self) -> bool {
        !self.filling.swap(true, Ordering::AcqRel)
    }

    pub(crate) fn end_filling(&self) {
        self.filling.store(false, Ordering::Release);
    }

    // protocol: "From the first Sync on you get each entry once"
    /// Delivers the inbox until it is empty; true when entries are missing.
    pub(crate) fn drain(&self) -> bool {
        loop {
            let (entries, dropped) = {
                let mut inbox = self.inbox.lock();
                if inbox.entries.is_empty() {
                    inbox.draining = false;
                    break;
                }
                (
                    std::mem::take(&mut inbox.entries),
                    std::mem::take(&mut inbox.dropped),
                )
            };
            let mut segment = {
                let mut state = self.state.lock();
                let State { order, ready, .. } = &mut *state;
                for entry in entries {
                    order.offer(entry, ready);
                }
                order.exists(dropped);
                state.next_segment()
            };
            while let Some(leaving) = segment {
                segment = self.write(leaving);
            }
        }
        self.gap().is_some()
    }

    /// Writes a segment to the sockets of its recipients, and returns the next one.
    fn write(&self, segment: Segment<R>) -> Option<Segment<R>> {
        let Segment { entries, recipients } = segment;
        let frames: Vec<Bytes> = entries.iter().map(Published::frame).collect();
        let mut full = Vec::new();
        for (receiver, skip) in recipients {
            if receiver.push(&frames[skip..]) == Pushed::Full {
                SESSIONS_BEHIND.increment();
                full.push((receiver.id(), entries[skip].seq.previous()));
            }
        }
        let change = entries.last().and_then(Change::of);
        let mut state = self.state.lock();
        state
            .members
            .fall_behind(&mut full, |receiver| receiver.feed(self.id));
        if let Some(change) = change {
            state.apply(self.id, change);
        }
        state.next_segment()
    }

    /// Sends a transient frame to the live members, except the sessions of `but`. A session that is behind misses it.
    pub(crate) fn pass(&self, frame: &Bytes, but: Option<UserId>) {
        let receivers = self.state.lock().members.live(but);
        for receiver in receivers {
            if receiver.has_capacity() {
                let _ = receiver.push(std::slice::from_ref(frame));
            }
        }
    }
}

impl<R: Receiver> State<R> {
    /// The next entries to leave: up to and including one that changes the participants.
    fn next_segment(&mut self) -> Option<Segment<R>> {
        if self.ready.is_empty() {
            return None;
        }
        let changing = self
            .ready
            .iter()
            .take(FRAMES_TOGETHER)
            .position(|entry| changes_participants(entry.kind));
        let end = changing.map_or(FRAMES_TOGETHER.min(self.ready.len()), |at| at + 1);
        let entries: Vec<Published> = self.ready.drain(..end).collect();
        let recipients = self.members.recipients(&entries);
        Some(Segment { entries, recipients })
    }

    /// Detaches the live sessions of a user who has left.
    fn apply(&mut self, id: ConversationId, change: Change) {
        self.members.apply(change, |receiver| {
            let mut books = receiver.books().lock();
            books.detach(id);
            books.keep(id, Kept::Left(change.seq()));
            drop(books);
            // The notice of coming back may have arrived while the session was still live here.
            receiver.feed(id);
        });
    }
}
