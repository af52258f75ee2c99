//! The simulated world. Each read and each write of a task yields before and after, so that anything may happen between;
//! a push to a socket may run other tasks, as it may on another core.

use std::{
    collections::{BTreeMap, VecDeque},
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker},
};

use bytes::Bytes;
use journal::{
    Entry, Published,
    conversation::Conversation,
    history::{Feed, Span},
    order::Horizon,
    overview::Overview,
};
use parking_lot::Mutex;
use prost::Message;
use proto::{
    ConversationId, Seq, UserId,
    frame::HEADER_BYTES,
    wire::{
        ConversationKind, EntryKind, ParticipantEvent, Role, ServerFrame, entry::Event, server_frame::Body,
    },
};

use super::super::{
    Pushed, Receiver,
    books::Books,
    catching_up::{self, Request},
    room::Room,
    source::{Notes, OpenRooms, Source, Stopped},
};

pub(super) type Task = Pin<Box<dyn Future<Output = Option<Answer>> + Send>>;

/// The answer to a Sync; `None` of a task that looked after conversations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    Done { more: bool },
    Unavailable,
}

/// A frame as it came off the socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Frame {
    Conversation {
        id: i64,
        reset: bool,
        from_seq: i64,
        last_seq: i64,
    },
    Entry {
        id: i64,
        seq: i64,
    },
}

/// One conversation of the simulated journal.
#[derive(Default)]
pub(super) struct Record {
    entries: Vec<(EntryKind, i64)>,
    /// Spans and their numbers, by user.
    spans: BTreeMap<i64, Vec<(Span, i64)>>,
    changed_no: i64,
}

impl Record {
    pub(super) fn last_seq(&self) -> i64 {
        self.entries.len() as i64
    }

    pub(super) fn has(&self, user: i64) -> bool {
        let last = self.spans.get(&user).and_then(|spans| spans.last());
        last.is_some_and(|(span, _)| span.to.is_none())
    }

    /// The first seq after `seq` that a user may see.
    pub(super) fn next_visible(&self, user: i64, seq: i64) -> Option<i64> {
        let spans = self.spans.get(&user)?;
        spans.iter().find_map(|(span, _)| {
            let first = span.from.get().max(seq + 1);
            (first <= span.to.map_or(self.last_seq(), Seq::get)).then_some(first)
        })
    }

    pub(super) fn last_visible(&self, user: i64) -> Option<i64> {
        let (span, _) = self.spans.get(&user)?.last()?;
        Some(span.to.map_or(self.last_seq(), Seq::get))
    }

    /// Spans as numbers, for a failure's text.
    pub(super) fn spans_of(&self, user: i64) -> Vec<(i64, Option<i64>)> {
        let spans = self.spans.get(&user).into_iter().flatten();
        spans
            .map(|(span, _)| (span.from.get(), span.to.map(Seq::get)))
            .collect()
    }

    fn overview(&self, id: i64, user: i64) -> Option<Overview> {
        let spans = self.spans.get(&user)?;
        let (last, last_no) = *spans.last()?;
        Some(Overview {
            conversation: Conversation {
                id: ConversationId::from_database(id),
                kind: ConversationKind::Consult,
                consult_id: None,
                epoch: 1,
                open: true,
                title: String::new(),
                last_seq: Seq::from_database(self.last_seq()),
                updated_ms: 0,
            },
            spans: spans.iter().map(|(span, _)| *span).collect(),
            span_nos: spans.iter().map(|(_, no)| *no).collect(),
            changed_no: if last.to.is_none() {
                self.changed_no
            } else {
                last_no
            },
            role: Role::Doctor,
            received_seq: Seq::ZERO,
            read_seq: Seq::ZERO,
        })
    }

    fn feed(&self, user: i64, after: i64, limit: usize, id: i64) -> Feed {
        let mut seqs = Vec::new();
        let mut at = after;
        while let Some(next) = self.next_visible(user, at)
            && seqs.len() <= limit
        {
            seqs.push(next);
            at = next;
        }
        let has_more = seqs.len() > limit;
        seqs.truncate(limit);
        let end = self.last_visible(user).unwrap_or(0);
        let through = match seqs.last() {
            Some(last) if has_more => *last,
            _ => end.max(after),
        };
        Feed {
            entries: seqs.iter().map(|seq| self.entry(id, *seq)).collect(),
            through: Seq::from_database(through),
            has_more,
            has_left: !self.has(user),
        }
    }

    pub(super) fn entry(&self, id: i64, seq: i64) -> Entry {
        let (kind, user) = self.entries[seq as usize - 1];
        let event = (kind != EntryKind::Message).then(|| {
            Event::Participant(ParticipantEvent {
                user_id: user,
                ..Default::default()
            })
        });
        Entry {
            conversation: ConversationId::from_database(id),
            seq: Seq::from_database(seq),
            sender: UserId::from_database(user),
            kind,
            created_ms: 0,
            client_msg_id: String::new(),
            mime_type: String::new(),
            body: Bytes::new(),
            reply_to_seq: Seq::ZERO,
            corrects_seq: Seq::ZERO,
            mentions: Vec::new(),
            event,
            recalled: false,
        }
    }
}

/// Everything that tasks read: a lock is held for one look only.
#[derive(Default)]
pub(super) struct World {
    pub(super) records: Mutex<BTreeMap<i64, Record>>,
    pub(super) rooms: Mutex<BTreeMap<i64, Arc<Room<SimSession>>>>,
    /// Published, and not yet at the node.
    pub(super) publications: Mutex<VecDeque<Published>>,
    /// Notices of being brought in, not yet at the node: user, conversation.
    pub(super) notices: Mutex<VecDeque<(i64, i64)>>,
    /// Numbers of the order.
    numbers: Mutex<i64>,
    /// Reads that fail from now on; a large number is an outage.
    pub(super) failures: Mutex<usize>,
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

    /// Appends a message, publishing it.
    pub(super) fn say(&self, id: i64) {
        self.append(id, EntryKind::Message, 9);
    }

    /// Brings a user in; false when they are in already.
    pub(super) fn join(&self, id: i64, user: i64) -> bool {
        if self.records.lock().entry(id).or_default().has(user) {
            return false;
        }
        let (seq, number) = self.append(id, EntryKind::ParticipantJoined, user);
        let span = Span {
            from: Seq::from_database(seq),
            to: None,
        };
        let mut records = self.records.lock();
        let record = records.entry(id).or_default();
        record.spans.entry(user).or_default().push((span, number));
        self.notices.lock().push_back((user, id));
        true
    }

    /// Takes a user out; false when they are not in.
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

    /// A notice of being brought in arrives.
    pub(super) fn notify(&self, user: i64, id: i64, sessions: &[SimSession]) {
        for session in sessions.iter().filter(|session| session.user().get() == user) {
            session.feed(ConversationId::from_database(id));
        }
    }

    /// Closes rooms that are empty.
    pub(super) fn close_empty(&self) {
        let mut rooms = self.rooms.lock();
        rooms.retain(|_, room| Arc::strong_count(room) > 1 || !room.is_empty_since(u32::MAX));
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

/// A session.
#[derive(Clone)]
pub(super) struct SimSession {
    inner: Arc<Inner>,
}

struct Inner {
    id: u64,
    user: UserId,
    world: Arc<World>,
    books: Mutex<Books>,
    socket: Mutex<Socket>,
    task: Mutex<Option<Task>>,
    answer: Mutex<Option<Answer>>,
}

struct Socket {
    /// Frames that came off it.
    frames: VecDeque<Frame>,
    /// Frames that it takes yet before it is full.
    capacity: usize,
    ended: bool,
}

/// Frames that an outbox takes of a session that does not read.
pub(super) const CAPACITY: usize = 4;
/// The capacity of a session that reads.
const READS: usize = usize::MAX / 2;

impl SimSession {
    pub(super) fn new(world: &Arc<World>, id: u64, user: i64) -> Self {
        Self {
            inner: Arc::new(Inner {
                id,
                user: UserId::from_database(user),
                world: world.clone(),
                books: Mutex::default(),
                socket: Mutex::new(Socket {
                    frames: VecDeque::new(),
                    capacity: READS,
                    ended: false,
                }),
                task: Mutex::default(),
                answer: Mutex::default(),
            }),
        }
    }

    pub(super) fn reads(&self) -> bool {
        self.inner.socket.lock().capacity > CAPACITY
    }

    pub(super) fn set_reading(&self, reads: bool) {
        self.inner.socket.lock().capacity = if reads { READS } else { CAPACITY };
    }

    pub(super) fn take_frames(&self) -> Vec<Frame> {
        self.inner.socket.lock().frames.drain(..).collect()
    }

    pub(super) fn is_busy(&self) -> bool {
        self.inner.task.lock().is_some()
    }

    pub(super) fn has_ended(&self) -> bool {
        self.inner.socket.lock().ended
    }

    /// Begins a Sync.
    pub(super) fn sync(&self, request: Request, horizon: Horizon) {
        let source = SimSource {
            world: self.inner.world.clone(),
            session: self.clone(),
        };
        *self.inner.task.lock() = Some(Box::pin(async move {
            match catching_up::sync(&source, &request, horizon).await {
                Ok(more) => Some(Answer::Done { more }),
                Err(Stopped::Ended) => None,
                Err(Stopped::Unavailable(_)) => Some(Answer::Unavailable),
            }
        }));
    }

    /// Runs the session's task to where it waits next.
    pub(super) fn poll(&self) {
        let mut task = match self.inner.task.lock().take() {
            Some(task) => task,
            None if self.books().lock().has_to_feed() && self.has_room() => self.look_after(),
            None => return,
        };
        match task.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(None) => {}
            Poll::Ready(answer) => *self.inner.answer.lock() = answer,
            Poll::Pending => *self.inner.task.lock() = Some(task),
        }
    }

    /// The answer of a Sync that is done.
    pub(super) fn take_answer(&self) -> Option<Answer> {
        self.inner.answer.lock().take()
    }

    pub(super) fn has_work(&self) -> bool {
        self.is_busy() || self.books().lock().has_to_feed()
    }

    fn look_after(&self) -> Task {
        let source = SimSource {
            world: self.inner.world.clone(),
            session: self.clone(),
        };
        let to_feed = self.books().lock().take_to_feed();
        Box::pin(async move {
            for id in to_feed {
                if let Err(Stopped::Unavailable(_)) = catching_up::look_after(&source, id).await {
                    source.session.inner.socket.lock().ended = true;
                }
            }
            None
        })
    }

    /// The connection ends: its task is dropped wherever it is.
    pub(super) fn end(&self) {
        self.inner.socket.lock().ended = true;
        drop(self.inner.task.lock().take());
        let attached = self.books().lock().take_attached();
        for id in attached {
            let room = self.inner.world.rooms.lock().get(&id.get()).cloned();
            if let Some(room) = room {
                room.detach(self, None, 0);
            }
        }
    }

    fn take(&self, frames: &[Bytes]) -> Pushed {
        let mut socket = self.inner.socket.lock();
        if socket.ended {
            return Pushed::Ended;
        }
        if socket.capacity < frames.len() {
            return Pushed::Full;
        }
        socket.capacity -= frames.len();
        socket.frames.extend(frames.iter().map(decode));
        Pushed::Taken
    }
}

fn decode(frame: &Bytes) -> Frame {
    let frame = ServerFrame::decode(&frame[HEADER_BYTES..]).unwrap();
    match frame.body {
        Some(Body::Entry(entry)) => Frame::Entry {
            id: entry.conversation_id,
            seq: entry.seq,
        },
        other => panic!("{other:?}"),
    }
}

impl Receiver for SimSession {
    fn id(&self) -> u64 {
        self.inner.id
    }

    fn user(&self) -> UserId {
        self.inner.user
    }

    fn books(&self) -> &Mutex<Books> {
        &self.inner.books
    }

    fn push(&self, frames: &[Bytes]) -> Pushed {
        // Tasks on the other core.
        let concurrent = std::mem::take(&mut *self.inner.world.concurrent.lock());
        for session in concurrent {
            session.poll();
        }
        self.take(frames)
    }

    fn queue(&self, frame: &Bytes) -> Pushed {
        self.take(std::slice::from_ref(frame))
    }

    fn flush(&self) {}

    fn has_room(&self) -> bool {
        let socket = self.inner.socket.lock();
        socket.capacity > 0
    }

    fn wake(&self) {}
}

/// Yields once.
async fn step() {
    let mut yielded = false;
    std::future::poll_fn(|_| {
        if std::mem::replace(&mut yielded, true) {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    })
    .await;
}

struct SimSource {
    world: Arc<World>,
    session: SimSession,
}

impl SimSource {
    /// A look at the journal: other things happen before and after it.
    async fn look<T>(&self, read: impl FnOnce(&BTreeMap<i64, Record>) -> T) -> Result<T, Stopped> {
        step().await;
        self.world.fails()?;
        let seen = read(&self.world.records.lock());
        step().await;
        Ok(seen)
    }

    fn user(&self) -> i64 {
        self.session.user().get()
    }
}

impl Source for SimSource {
    type Receiver = SimSession;

    fn receiver(&self) -> &SimSession {
        &self.session
    }

    fn now_s(&self) -> u32 {
        0
    }

    async fn overviews(
        &self,
        before: ConversationId,
        from: ConversationId,
    ) -> Result<Vec<Overview>, Stopped> {
        /// Conversations in a page.
        const PAGE: usize = 2;
        let user = self.user();
        self.look(|records| {
            let range = records.range(from.get()..before.get()).rev();
            range
                .filter_map(|(id, record)| record.overview(*id, user))
                .take(PAGE)
                .collect()
        })
        .await
    }

    async fn overview(&self, id: ConversationId) -> Result<Option<Overview>, Stopped> {
        let user = self.user();
        self.look(|records| records.get(&id.get())?.overview(id.get(), user))
            .await
    }

    fn room(&self, id: ConversationId) -> Option<Arc<Room<SimSession>>> {
        self.world.rooms.lock().get(&id.get()).cloned()
    }

    async fn open(&self, overviews: &[Overview]) -> Result<OpenRooms<SimSession>, Stopped> {
        let mut rooms = Vec::new();
        let mut new = Vec::new();
        for overview in overviews {
            let conversation = &overview.conversation;
            let id = conversation.id.get();
            if !overview.is_in() {
                rooms.push(None);
                continue;
            }
            step().await;
            let mut open = self.world.rooms.lock();
            let room = open.entry(id).or_insert_with(|| {
                new.push(id);
                Arc::new(Room::new(conversation.id, conversation.last_seq))
            });
            rooms.push(Some(room.clone()));
        }
        for id in new {
            let last_seq = self.look(|records| records[&id].last_seq()).await?;
            if let Some(room) = self.room(ConversationId::from_database(id)) {
                room.exists(Seq::from_database(last_seq));
            }
        }
        Ok(rooms)
    }

    async fn feed(&self, id: ConversationId, after: Seq, limit: usize) -> Result<Feed, Stopped> {
        let user = self.user();
        self.look(|records| records[&id.get()].feed(user, after.get(), limit, id.get()))
            .await
    }

    async fn announce(&self, overview: &Overview, notes: Notes) -> Result<(), Stopped> {
        self.look(|_| ()).await?;
        self.has_room().await?;
        let mut socket = self.session.inner.socket.lock();
        socket.capacity -= 1;
        socket.frames.push_back(Frame::Conversation {
            id: overview.conversation.id.get(),
            reset: notes.reset,
            from_seq: notes.from_seq.get(),
            last_seq: overview.last_visible().get(),
        });
        Ok(())
    }

    async fn has_room(&self) -> Result<(), Stopped> {
        loop {
            if self.session.has_ended() {
                return Err(Stopped::Ended);
            }
            if self.session.has_room() {
                return Ok(());
            }
            step().await;
        }
    }

    async fn is_idle(&self) -> Result<(), Stopped> {
        self.has_room().await
    }
}
