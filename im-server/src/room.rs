//! One conversation with somebody here in it: its entries come in, in whatever order, and go out to the sessions of its
//! participants, once and in order (invariants I3, I5).

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use bytes::Bytes;
use journal::{Journal, Published};
use parking_lot::Mutex;
use proto::{
    ConversationId, Seq, UserId,
    wire::{EntryKind, entry::Event},
};

use crate::{
    delivery::Delivery,
    outbox::{self, Pushed},
    session::Session,
};

/// Entries that wait to be taken up. Beyond that they are let go and fetched from the journal as a gap.
const INBOX_ENTRIES: usize = 4 * 1024;
/// Entries that are fetched at once to fill a gap.
const GAP_ENTRIES: usize = 200;
/// Frames handed to a session together: a slow one then holds no more than its outbox may.
const FRAMES_TOGETHER: usize = 32;
/// Members from which on a room is served by a task of its own, so that the batch it came with does not wait for it.
const LARGE_ROOM: usize = 64;

/// A conversation on this node. Lock order: `state`, then a session's books or outbox; `inbox` alone.
pub(crate) struct Room {
    pub(crate) id: ConversationId,
    state: Mutex<State>,
    inbox: Mutex<Inbox>,
    filling: AtomicBool,
}

struct State {
    delivery: Delivery,
    members: Vec<Member>,
    /// Since when nobody is here, epoch seconds.
    empty_since_s: u32,
}

#[derive(Default)]
struct Inbox {
    entries: Vec<Published>,
    /// The highest seq that was let go.
    let_go: Seq,
    /// Somebody is taking up what comes.
    taking: bool,
}

/// A session of a participant.
struct Member {
    session: Arc<Session>,
    position: Position,
    /// The user left while the session was not live: it is fed up to there, and no further.
    left: bool,
}

/// How far a session is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Position {
    /// It gets what comes after this; it got that from the journal, where it may stand before it is delivered here.
    Live(Seq),
    /// It got everything up to this, and its task feeds it the rest.
    Feeding(Seq),
    /// It got everything up to this and its outbox was full then; its task will feed it the rest.
    Behind(Seq),
    /// It got everything up to this and must Sync for more.
    Paused(Seq),
}

impl Position {
    /// It got everything up to this.
    fn reached(self) -> Seq {
        match self {
            Self::Live(reached) | Self::Feeding(reached) | Self::Behind(reached) | Self::Paused(reached) => {
                reached
            }
        }
    }
}

/// Where a session stands after it tried to become live.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// It is live.
    Live,
    /// More was delivered meanwhile, up to this.
    More(Seq),
    /// Its user has left, and it got everything up to there.
    Gone,
}

impl Room {
    /// A room that has delivered everything up to `delivered` (to nobody).
    pub(crate) fn new(id: ConversationId, delivered: Seq) -> Self {
        Self {
            id,
            state: Mutex::new(State {
                delivery: Delivery::after(delivered),
                members: Vec::new(),
                empty_since_s: 0,
            }),
            inbox: Mutex::default(),
            filling: AtomicBool::new(false),
        }
    }

    /// Takes a session in at a position, unless it is in already. It gets nothing live before [`Self::go_live`].
    pub(crate) fn attach(&self, session: &Arc<Session>, position: Position) -> Option<Position> {
        let mut state = self.state.lock();
        if let Some(member) = state
            .members
            .iter()
            .find(|member| member.session.id == session.id)
        {
            return Some(member.position);
        }
        state.members.reserve_exact(1);
        state.members.push(Member {
            session: session.clone(),
            position,
            left: false,
        });
        session.remember_attached(self.id);
        None
    }

    pub(crate) fn detach(&self, session: &Session, now_s: u32) {
        let mut state = self.state.lock();
        if let Some(at) = state
            .members
            .iter()
            .position(|member| member.session.id == session.id)
        {
            state.members.swap_remove(at);
        }
        if state.members.is_empty() {
            state.members = Vec::new();
            state.empty_since_s = now_s;
        }
    }

    /// A session's position; none when it is not in.
    pub(crate) fn position(&self, session: &Session) -> Option<Position> {
        let state = self.state.lock();
        state
            .members
            .iter()
            .find(|member| member.session.id == session.id)
            .map(|member| member.position)
    }

    pub(crate) fn set_position(&self, session: &Session, position: Position) {
        let mut state = self.state.lock();
        if let Some(member) = state
            .members
            .iter_mut()
            .find(|member| member.session.id == session.id)
        {
            member.position = position;
        }
    }

    /// Makes a session live that got everything up to `reached`, if that is everything.
    pub(crate) fn go_live(&self, session: &Session, reached: Seq) -> Standing {
        let mut state = self.state.lock();
        let delivered = state.delivery.delivered();
        let Some(at) = state
            .members
            .iter()
            .position(|member| member.session.id == session.id)
        else {
            return Standing::Gone;
        };
        if reached < delivered {
            state.members[at].position = Position::Feeding(reached);
            return Standing::More(delivered);
        }
        if state.members[at].left {
            state.members.swap_remove(at);
            session.depart(self.id, reached);
            return Standing::Gone;
        }
        state.members[at].position = Position::Live(reached);
        Standing::Live
    }

    /// The last entry delivered.
    pub(crate) fn delivered(&self) -> Seq {
        self.state.lock().delivery.delivered()
    }

    pub(crate) fn is_member(&self, user: UserId) -> bool {
        self.state
            .lock()
            .members
            .iter()
            .any(|member| member.session.user == user && !member.left)
    }

    /// Whether nobody has been here since a time, epoch seconds.
    pub(crate) fn is_empty_since(&self, since_s: u32) -> bool {
        let state = self.state.lock();
        state.members.is_empty() && state.empty_since_s <= since_s
    }

    /// Takes entries in; true when the caller must now [`Self::take_up`], false when somebody does that already and takes
    /// these up too.
    pub(crate) fn put(&self, entries: impl IntoIterator<Item = Published>) -> bool {
        let mut inbox = self.inbox.lock();
        for entry in entries {
            if inbox.entries.len() < INBOX_ENTRIES {
                inbox.entries.push(entry);
            } else {
                inbox.let_go = inbox.let_go.max(entry.seq);
            }
        }
        !std::mem::replace(&mut inbox.taking, true)
    }

    /// Takes entries in and delivers what can be delivered.
    pub(crate) fn offer(self: &Arc<Self>, journal: &Journal, entries: impl IntoIterator<Item = Published>) {
        if self.put(entries) {
            self.serve(journal);
        }
    }

    /// Delivers what was put in, in a task of its own where that takes long.
    pub(crate) fn serve(self: &Arc<Self>, journal: &Journal) {
        if self.state.lock().members.len() >= LARGE_ROOM {
            let (room, journal) = (self.clone(), journal.clone());
            tokio::spawn(async move { room.take_up(&journal) });
        } else {
            self.take_up(journal);
        }
    }

    /// Learns that entries up to `seq` exist, from the database.
    pub(crate) fn exists(self: &Arc<Self>, journal: &Journal, seq: Seq) {
        let missing = {
            let mut state = self.state.lock();
            state.delivery.exists(seq);
            state.delivery.gap().is_some()
        };
        if missing {
            self.fill(journal);
        }
    }

    fn take_up(self: &Arc<Self>, journal: &Journal) {
        loop {
            let (entries, let_go) = {
                let mut inbox = self.inbox.lock();
                if inbox.entries.is_empty() {
                    inbox.taking = false;
                    return;
                }
                (
                    std::mem::take(&mut inbox.entries),
                    std::mem::take(&mut inbox.let_go),
                )
            };
            let mut state = self.state.lock();
            let mut ready = Vec::with_capacity(entries.len());
            for entry in entries {
                state.delivery.offer(entry, &mut ready);
            }
            state.delivery.exists(let_go);
            self.deliver(&mut state, &ready);
            let missing = state.delivery.gap().is_some();
            drop(state);
            if missing {
                self.fill(journal);
            }
        }
    }

    /// Fetches what is missing, in a task of its own, one at a time.
    fn fill(self: &Arc<Self>, journal: &Journal) {
        if self.filling.swap(true, Ordering::AcqRel) {
            return;
        }
        let (room, journal) = (self.clone(), journal.clone());
        tokio::spawn(async move {
            loop {
                let Some((low, high)) = room.state.lock().delivery.gap() else {
                    break;
                };
                metrics::counter!("huizhen_im_gaps_total").increment(1);
                match journal.entries(room.id, low, high, GAP_ENTRIES).await {
                    // What is announced is committed, so this is a conversation of another epoch; the sweep looks again.
                    Ok(entries) if entries.is_empty() => break,
                    Ok(entries) => {
                        let mut state = room.state.lock();
                        let mut ready = Vec::with_capacity(entries.len());
                        for entry in entries {
                            state.delivery.offer(Published::new(entry), &mut ready);
                        }
                        room.deliver(&mut state, &ready);
                    }
                    Err(error) => {
                        tracing::warn!(%error, conversation = room.id.get(), "a gap could not be fetched; the sweep tries again");
                        break;
                    }
                }
            }
            room.filling.store(false, Ordering::Release);
        });
    }

    /// Gives entries to the live members, in order. `state` is locked all the while: that is the order.
    fn deliver(&self, state: &mut State, ready: &[Published]) {
        let mut begin = 0;
        while begin < ready.len() {
            // Up to and with the next one that changes who is in.
            let end = ready[begin..]
                .iter()
                .position(|entry| changes_participants(entry.kind))
                .map_or(ready.len(), |at| begin + at + 1)
                .min(begin + FRAMES_TOGETHER);
            let frames: Vec<Bytes> = ready[begin..end].iter().map(Published::frame).collect();
            let before = ready[begin].seq.previous();
            for member in &mut state.members {
                let Position::Live(after) = member.position else {
                    continue;
                };
                let fed = ready[begin..end]
                    .iter()
                    .take_while(|entry| entry.seq <= after)
                    .count();
                if fed == frames.len() {
                    continue;
                }
                match member.session.push(&frames[fed..]) {
                    Pushed::Taken | Pushed::Ended => {}
                    Pushed::Full => {
                        metrics::counter!("huizhen_im_sessions_behind_total").increment(1);
                        member.position = Position::Behind(before.max(after));
                        member.session.feed(self.id, i64::MAX);
                    }
                }
            }
            let last = &ready[end - 1];
            if changes_participants(last.kind) {
                self.apply(state, last);
            }
            begin = end;
        }
    }

    /// Sends a frame that is not stored to the live members but for the sessions of `but`. Who is behind misses it.
    pub(crate) fn pass(&self, frame: &Bytes, but: Option<UserId>) {
        let state = self.state.lock();
        for member in &state.members {
            let live = matches!(member.position, Position::Live(_));
            if live && Some(member.session.user) != but && member.session.outbox.has_room() {
                let _ = member.session.push(std::slice::from_ref(frame));
            }
        }
    }

    /// Does what an entry says about who is in.
    fn apply(&self, state: &mut State, entry: &Published) {
        let Some(Event::Participant(participant)) = entry.decode().and_then(|entry| entry.event) else {
            return;
        };
        let about = |member: &Member| member.session.user.get() == participant.user_id;
        match entry.kind {
            EntryKind::ParticipantLeft => {
                state.members.retain_mut(|member| {
                    // Who has come back since, and got that from the journal, is ahead of the room.
                    if !about(member) || entry.seq <= member.position.reached() {
                        return true;
                    }
                    member.left = true;
                    let is_live = matches!(member.position, Position::Live(_));
                    if is_live {
                        member.session.depart(self.id, entry.seq);
                    }
                    !is_live
                });
            }
            _ => {
                // Somebody who left and came back while they were being fed.
                for member in state.members.iter_mut().filter(|member| about(member)) {
                    member.left = false;
                }
            }
        }
    }
}

fn changes_participants(kind: EntryKind) -> bool {
    matches!(kind, EntryKind::ParticipantJoined | EntryKind::ParticipantLeft)
}

const _: () = assert!(
    FRAMES_TOGETHER * 256 <= outbox::MAX_BYTES,
    "frames of usual size fit together"
);
