//! One conversation with sessions on this node: its entries come in, in whatever order, and go out to the live members,
//! once and in order. Sockets are written outside the lock: by one drainer at a time, so that the order holds.

use std::{
    collections::VecDeque,
    sync::atomic::{AtomicBool, Ordering},
};

use bytes::Bytes;
use journal::Published;
use parking_lot::Mutex;
use proto::{ConversationId, Seq, UserId};

use super::{
    Pushed, Receiver,
    books::Kept,
    member::{Attempt, Change, Members, Position, Recipient, changes_participants},
    order::Order,
};

/// Inbox capacity, entries; overflow is dropped and read again as a gap.
const INBOX_ENTRIES: usize = 4 * 1024;
/// Frames pushed to a session together: a slow one then holds no more than its outbox may.
pub(crate) const FRAMES_TOGETHER: usize = 32;
/// Members from which on a room is drained by a task of its own, so that the batch that it came with does not wait.
const LARGE_ROOM: usize = 64;

/// A conversation on this node. Lock order: `state`, then a session's books; `inbox` alone; no lock while a socket is
/// written.
pub(crate) struct Room<R> {
    pub(crate) id: ConversationId,
    state: Mutex<State<R>>,
    inbox: Mutex<Inbox>,
    /// A gap is being fetched.
    filling: AtomicBool,
}

struct State<R> {
    order: Order,
    /// Entries in order that the drainer has yet to write.
    ready: VecDeque<Published>,
    members: Members<R>,
    /// When the last member left, seconds of the monotonic clock.
    empty_since_s: u32,
}

#[derive(Default)]
struct Inbox {
    entries: Vec<Published>,
    /// The highest seq that was dropped.
    dropped: Seq,
    /// A drainer is at work and takes these up too.
    draining: bool,
}

/// Entries that leave together, and to whom: collected under the lock, written after it.
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

    /// Attaches a session whose task pulls from the journal. It is pushed nothing before [`Self::go_live`].
    pub(crate) fn attach(&self, receiver: &R) {
        let mut state = self.state.lock();
        if state.members.attach(receiver) {
            receiver.books().lock().attach(self.id);
        }
    }

    /// Detaches a session; what it keeps of the conversation is written to its books under the room's lock.
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

    /// A session's position; `None` when it is not attached.
    pub(crate) fn position(&self, receiver: &R) -> Option<Position> {
        self.state.lock().members.position(receiver)
    }

    /// Makes a session live that has everything up to `reached`, if the room has delivered no more than that.
    pub(crate) fn go_live(&self, receiver: &R, reached: Seq) -> Attempt {
        let mut state = self.state.lock();
        let delivered = state.order.delivered();
        state.members.go_live(receiver, reached, delivered)
    }

    /// The last entry that was delivered.
    pub(crate) fn delivered(&self) -> Seq {
        self.state.lock().order.delivered()
    }

    /// Whether a user is in the conversation, as far as this room knows.
    pub(crate) fn has_user(&self, user: UserId) -> bool {
        self.state.lock().members.has_user(user)
    }

    /// Whether the last member left at `since_s` (seconds of the monotonic clock) or before.
    pub(crate) fn is_empty_since(&self, since_s: u32) -> bool {
        let state = self.state.lock();
        state.members.is_empty() && state.empty_since_s <= since_s
    }

    /// Whether it is drained by a task of its own.
    pub(crate) fn is_large(&self) -> bool {
        self.state.lock().members.len() >= LARGE_ROOM
    }

    /// Takes entries in; true when the caller must [`Self::drain`] now, false when a drainer takes these up too.
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

    /// Learns that entries up to `seq` exist, from the database; true when some are missing.
    pub(crate) fn exists(&self, seq: Seq) -> bool {
        let mut state = self.state.lock();
        state.order.exists(seq);
        state.order.gap().is_some()
    }

    /// The entries to be fetched, both ends included.
    pub(crate) fn gap(&self) -> Option<(Seq, Seq)> {
        self.state.lock().order.gap()
    }

    /// Claims the fetching of the gap; false when it is being fetched.
    pub(crate) fn begin_filling(&self) -> bool {
        !self.filling.swap(true, Ordering::AcqRel)
    }

    pub(crate) fn end_filling(&self) {
        self.filling.store(false, Ordering::Release);
    }

    /// Delivers what was put in, until nothing is left; true when entries are missing.
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

    /// Writes a segment to the sockets of its recipients, and gives the next one.
    fn write(&self, segment: Segment<R>) -> Option<Segment<R>> {
        let Segment { entries, recipients } = segment;
        let frames: Vec<Bytes> = entries.iter().map(Published::frame).collect();
        let mut full = Vec::new();
        for (receiver, skip) in recipients {
            if receiver.push(&frames[skip..]) == Pushed::Full {
                metrics::counter!("huizhen_im_sessions_behind_total").increment(1);
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

    /// Sends a frame that is not stored to the live members but for the sessions of `but`. A session that is behind misses
    /// it.
    pub(crate) fn pass(&self, frame: &Bytes, but: Option<UserId>) {
        let receivers = self.state.lock().members.live(but);
        for receiver in receivers {
            if receiver.has_room() {
                let _ = receiver.push(std::slice::from_ref(frame));
            }
        }
    }
}

impl<R: Receiver> State<R> {
    /// The entries that leave next: up to and with the next one that changes who is in.
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

    /// Detaches the live sessions whose user has left.
    fn apply(&mut self, id: ConversationId, change: Change) {
        self.members.apply(change, |receiver| {
            let mut books = receiver.books().lock();
            books.detach(id);
            books.keep(id, Kept::Left(change.seq()));
            drop(books);
            // The notice of coming back may have been heard while the session was still live here.
            receiver.feed(id);
        });
    }
}
