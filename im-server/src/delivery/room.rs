//! One conversation with sessions on this node: its entries come in, in whatever order, and go out to the live members,
//! once and in order. Sockets are written outside the lock: by one drainer at a time, so that the order holds.

use std::{
    collections::VecDeque,
    sync::atomic::{AtomicBool, Ordering},
};

use bytes::Bytes;
use journal::Published;
use parking_lot::Mutex;
use proto::{
    ConversationId, Seq, UserId,
    wire::{EntryKind, entry::Event},
};

use super::{Pushed, Receiver, books::Kept, order::Order};

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
    members: Vec<Member<R>>,
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

/// A session that is attached.
struct Member<R> {
    receiver: R,
    position: Position,
    /// The room has delivered that the user left, and the session's task has yet to learn it.
    left: bool,
}

/// How far an attached session is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Position {
    /// The room pushes to it what comes after this.
    Live(Seq),
    /// Its task pulls from the journal, and knows how far it is.
    Feeding,
    /// It was given everything up to this, and its outbox was full then; its task will pull the rest.
    Behind(Seq),
}

/// What became of an attempt to go live.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Attempt {
    Live,
    /// The room has delivered more than the session has.
    More,
    /// The session is not attached: it has ended.
    Detached,
}

/// Entries that leave together, and to whom.
struct Segment<R> {
    entries: Vec<Published>,
    frames: Vec<Bytes>,
    /// Each with the number of leading frames that it has already.
    recipients: Vec<(R, usize)>,
}

impl<R: Receiver> Room<R> {
    /// A room that counts entries up to `delivered` as delivered.
    pub(crate) fn new(id: ConversationId, delivered: Seq) -> Self {
        Self {
            id,
            state: Mutex::new(State {
                order: Order::after(delivered),
                ready: VecDeque::new(),
                members: Vec::new(),
                empty_since_s: 0,
            }),
            inbox: Mutex::default(),
            filling: AtomicBool::new(false),
        }
    }

    /// Attaches a session whose task pulls from the journal. It is pushed nothing before [`Self::go_live`].
    pub(crate) fn attach(&self, receiver: &R) {
        let mut state = self.state.lock();
        if let Some(member) = state.member(receiver) {
            member.position = Position::Feeding;
            return;
        }
        state.members.reserve_exact(1);
        state.members.push(Member {
            receiver: receiver.clone(),
            position: Position::Feeding,
            left: false,
        });
        receiver.books().lock().attach(self.id);
    }

    /// Detaches a session; what it keeps of the conversation is written to its books under the room's lock.
    pub(crate) fn detach(&self, receiver: &R, kept: Option<Kept>, now_s: u32) {
        let mut state = self.state.lock();
        state
            .members
            .retain(|member| member.receiver.id() != receiver.id());
        let mut books = receiver.books().lock();
        books.detach(self.id);
        if let Some(kept) = kept {
            books.keep(self.id, kept);
        }
        drop(books);
        if state.members.is_empty() {
            state.members = Vec::new();
            state.empty_since_s = now_s;
        }
    }

    /// A session's position; `None` when it is not attached.
    pub(crate) fn position(&self, receiver: &R) -> Option<Position> {
        self.state.lock().member(receiver).map(|member| member.position)
    }

    /// Makes a session live that has everything up to `reached`, if the room has delivered no more than that.
    pub(crate) fn go_live(&self, receiver: &R, reached: Seq) -> Attempt {
        let mut state = self.state.lock();
        let delivered = state.order.delivered();
        match state.member(receiver) {
            None => Attempt::Detached,
            Some(_) if reached < delivered => Attempt::More,
            Some(member) => {
                member.position = Position::Live(reached);
                member.left = false;
                Attempt::Live
            }
        }
    }

    /// The last entry that was delivered.
    pub(crate) fn delivered(&self) -> Seq {
        self.state.lock().order.delivered()
    }

    /// Whether a user is in the conversation, as far as this room knows.
    pub(crate) fn has_user(&self, user: UserId) -> bool {
        let state = self.state.lock();
        let mut here = state.members.iter().filter(|member| !member.left);
        here.any(|member| member.receiver.user() == user)
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
                for entry in entries {
                    state.offer(entry);
                }
                state.order.exists(dropped);
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
        let mut full = Vec::new();
        for (receiver, skip) in segment.recipients {
            if receiver.push(&segment.frames[skip..]) == Pushed::Full {
                metrics::counter!("huizhen_im_sessions_behind_total").increment(1);
                full.push((receiver, segment.entries[skip].seq.previous()));
            }
        }
        let mut state = self.state.lock();
        for (receiver, reached) in full {
            if let Some(member) = state.member(&receiver) {
                member.position = Position::Behind(reached);
                receiver.feed(self.id);
            }
        }
        if let Some(last) = segment.entries.last() {
            state.apply(self.id, last);
        }
        state.next_segment()
    }

    /// Sends a frame that is not stored to the live members but for the sessions of `but`. A session that is behind misses
    /// it.
    pub(crate) fn pass(&self, frame: &Bytes, but: Option<UserId>) {
        let receivers: Vec<R> = {
            let state = self.state.lock();
            let live = state
                .members
                .iter()
                .filter(|member| matches!(member.position, Position::Live(_)));
            live.map(|member| &member.receiver)
                .filter(|receiver| Some(receiver.user()) != but)
                .cloned()
                .collect()
        };
        for receiver in receivers {
            if receiver.has_room() {
                let _ = receiver.push(std::slice::from_ref(frame));
            }
        }
    }
}

impl<R: Receiver> State<R> {
    fn member(&mut self, receiver: &R) -> Option<&mut Member<R>> {
        self.members
            .iter_mut()
            .find(|member| member.receiver.id() == receiver.id())
    }

    fn offer(&mut self, entry: Published) {
        self.order.offer(entry, &mut self.ready);
    }

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
        let mut recipients = Vec::with_capacity(self.members.len());
        for member in &self.members {
            if let Position::Live(after) = member.position {
                let skip = entries.iter().take_while(|entry| entry.seq <= after).count();
                if skip < entries.len() {
                    recipients.push((member.receiver.clone(), skip));
                }
            }
        }
        Some(Segment {
            frames: entries.iter().map(Published::frame).collect(),
            entries,
            recipients,
        })
    }

    /// Detaches the live members whose user has left by this entry. The others learn it from the pages that they read.
    fn apply(&mut self, id: ConversationId, entry: &Published) {
        if !changes_participants(entry.kind) {
            return;
        }
        let Some(Event::Participant(event)) = entry.decode().and_then(|entry| entry.event) else {
            return;
        };
        let has_left = entry.kind == EntryKind::ParticipantLeft;
        self.members.retain_mut(|member| {
            let receiver = &member.receiver;
            let leaves = match member.position {
                _ if receiver.user().get() != event.user_id => return true,
                // Live after this entry: the user came back, and the session is ahead of the room.
                Position::Live(after) if after >= entry.seq => return true,
                Position::Live(_) => has_left,
                Position::Feeding | Position::Behind(_) => {
                    member.left = has_left;
                    return true;
                }
            };
            if leaves {
                let mut books = receiver.books().lock();
                books.detach(id);
                books.keep(id, Kept::Left(entry.seq));
                drop(books);
                // The notice of coming back may have been heard while the session was still live here.
                receiver.feed(id);
            }
            !leaves
        });
    }
}

fn changes_participants(kind: EntryKind) -> bool {
    matches!(kind, EntryKind::ParticipantJoined | EntryKind::ParticipantLeft)
}
