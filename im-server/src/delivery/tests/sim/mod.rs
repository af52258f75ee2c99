//! The simulated world. Each read and write of a task yields before and after, so that anything may happen in
//! between; a push to a socket may run other tasks, as it may on another core.

mod record;
mod session;
mod source;

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
};

use journal::{Published, history::spans::Span, order::Horizon, record::Shown};
use parking_lot::Mutex;
use proto::{ConversationId, Seq, wire::EntryKind};

pub(super) use self::record::Record;
pub(super) use self::session::{Answer, Frame, SimSession};
use crate::delivery::{Receiver, feed::source::Stopped, room::Room};

/// State that tasks read; a lock is held for one read only.
#[derive(Default)]
pub(super) struct World {
    pub(super) records: Mutex<BTreeMap<i64, Record>>,
    pub(super) rooms: Mutex<BTreeMap<i64, Arc<Room<SimSession>>>>,
    /// Published, not yet received by the node.
    pub(super) publications: Mutex<VecDeque<Published>>,
    /// Notices of joining, not yet received by the node: user, conversation.
    pub(super) notices: Mutex<VecDeque<(i64, i64)>>,
    /// The last number of the order.
    numbers: Mutex<i64>,
    /// Reads that fail from now on; a large number is an outage.
    pub(super) failures: Mutex<usize>,
    /// Conversations whose machine does not answer.
    pub(super) away: Mutex<BTreeSet<i64>>,
    /// Sessions whose tasks run while the next socket is written.
    pub(super) concurrent: Mutex<Vec<SimSession>>,
}

impl World {
    fn number(&self) -> i64 {
        let mut numbers = self.numbers.lock();
        *numbers += 1;
        *numbers
    }

    pub(super) fn horizon(&self) -> Horizon {
        Horizon::new(*self.numbers.lock() + 1, 1)
    }

    /// Appends and publishes a message.
    pub(super) fn say(&self, id: i64) {
        self.append(id, EntryKind::Message, 9);
    }

    /// Adds a participant; false when the user is in already.
    pub(super) fn join(&self, id: i64, user: i64, history: Shown) -> bool {
        if self.records.lock().entry(id).or_default().has(user) {
            return false;
        }
        let (seq, number) = self.append(id, EntryKind::ParticipantJoined, user);
        let span = Span {
            from: Seq::from_database(seq),
            to: None,
            sees_from: match history {
                Shown::All => Seq::from_database(1),
                Shown::FromNow => Seq::from_database(seq),
            },
        };
        let mut records = self.records.lock();
        let record = records.entry(id).or_default();
        record.spans.entry(user).or_default().push((span, number));
        self.notices.lock().push_back((user, id));
        true
    }

    /// Removes a participant; false when the user is not in.
    pub(super) fn leave(&self, id: i64, user: i64) -> bool {
        if !self
            .records
            .lock()
            .get(&id)
            .is_some_and(|record| record.has(user))
        {
            return false;
        }
        let (seq, number) = self.append(id, EntryKind::ParticipantLeft, user);
        let mut records = self.records.lock();
        let spans = records
            .get_mut(&id)
            .and_then(|record| record.spans.get_mut(&user));
        if let Some(last) = spans.and_then(|spans| spans.last_mut()) {
            last.0.to = Some(Seq::from_database(seq));
            last.1 = number;
        }
        true
    }

    fn append(&self, id: i64, kind: EntryKind, user: i64) -> (i64, i64) {
        let number = self.number();
        let mut records = self.records.lock();
        let record = records.entry(id).or_default();
        record.entries.push((kind, user));
        record.changed_no = number;
        let seq = record.last_seq();
        let published = Published::new(record.entry(id, seq));
        self.publications.lock().push_back(published);
        (seq, number)
    }

    /// A publication arrives.
    pub(super) fn hear(&self, published: Published) {
        let room = self.rooms.lock().get(&published.conversation.get()).cloned();
        if let Some(room) = room
            && room.put([published])
        {
            room.drain();
        }
    }

    /// Reads up to `limit` missing entries of a room.
    pub(super) fn fill(&self, id: i64, limit: i64) -> bool {
        let Some(room) = self.rooms.lock().get(&id).cloned() else {
            return false;
        };
        let Some((low, high)) = room.gap() else {
            return false;
        };
        let entries: Vec<Published> = {
            let records = self.records.lock();
            let record = &records[&id];
            let high = high.get().min(low.get() + limit - 1).min(record.last_seq());
            (low.get()..=high)
                .map(|seq| Published::new(record.entry(id, seq)))
                .collect()
        };
        if room.put(entries) {
            room.drain();
        }
        true
    }

    /// Compares rooms and participants with the journal, from the order's `number` on.
    pub(super) fn sweep(&self, number: i64, sessions: &[SimSession]) -> i64 {
        let next = self.horizon().number;
        let mut changed = Vec::new();
        let rooms: Vec<_> = self.rooms.lock().values().cloned().collect();
        {
            let records = self.records.lock();
            for room in &rooms {
                room.exists(Seq::from_database(records[&room.id.get()].last_seq()));
            }
            for (id, record) in records.iter() {
                for (user, spans) in &record.spans {
                    if spans.iter().any(|(_, no)| *no >= number) {
                        changed.push((*user, *id));
                    }
                }
            }
        }
        for (user, id) in changed {
            self.notify(user, id, sessions);
        }
        next
    }

    /// A notice of joining arrives.
    pub(super) fn notify(&self, user: i64, id: i64, sessions: &[SimSession]) {
        for session in sessions.iter().filter(|session| session.user().get() == user) {
            session.feed(ConversationId::from_database(id));
        }
    }

    /// Closes empty rooms.
    pub(super) fn close_empty(&self) {
        let mut rooms = self.rooms.lock();
        rooms.retain(|_, room| Arc::strong_count(room) > 1 || !room.is_empty_since(u32::MAX));
    }

    fn reaches(&self, id: ConversationId) -> Result<(), Stopped> {
        match self.away.lock().contains(&id.get()) {
            true => Err(Stopped::Unavailable(database::Error::Closed)),
            false => Ok(()),
        }
    }

    fn fails(&self) -> Result<(), Stopped> {
        let mut failures = self.failures.lock();
        if *failures == 0 {
            return Ok(());
        }
        *failures -= 1;
        Err(Stopped::Unavailable(database::Error::Closed))
    }
}
