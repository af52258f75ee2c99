//! Large rooms and several cores: sockets are written outside the room's lock, and each session keeps its order (I3).

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
        mpsc::sync_channel,
    },
    thread,
};

use bytes::Bytes;
use journal::{Entry, Published};
use parking_lot::Mutex;
use proto::{ConversationId, Seq, UserId, wire::EntryKind};
use testkit::PATIENCE;

use crate::delivery::{
    Pushed, Receiver,
    books::Books,
    member::{Attempt, Position},
    room::Room,
};

const SESSIONS: u64 = 2_000;

/// A session that records the frames that it was given.
#[derive(Clone)]
struct Recorder(Arc<Inner>);

struct Inner {
    id: u64,
    books: Mutex<Books>,
    frames: Mutex<Vec<Bytes>>,
    /// Runs before the first frame is taken.
    before: Mutex<Option<Box<dyn FnOnce() + Send>>>,
    /// Pushes that are refused before one is taken.
    refusals: AtomicUsize,
}

impl Recorder {
    fn new(id: u64) -> Self {
        Self(Arc::new(Inner {
            id,
            books: Mutex::default(),
            frames: Mutex::default(),
            before: Mutex::default(),
            refusals: AtomicUsize::new(0),
        }))
    }

    fn live(id: u64, room: &Room<Self>) -> Self {
        let session = Self::new(id);
        room.attach(&session);
        assert_eq!(session.go_live(room, 0), Attempt::Live);
        session
    }

    fn go_live(&self, room: &Room<Self>, reached: i64) -> Attempt {
        room.go_live(self, Seq::from_database(reached))
    }

    fn has(&self, entries: &[Published]) -> bool {
        *self.0.frames.lock() == entries.iter().map(Published::frame).collect::<Vec<_>>()
    }
}

impl Receiver for Recorder {
    fn id(&self) -> u64 {
        self.0.id
    }

    fn user(&self) -> UserId {
        UserId::from_database(1)
    }

    fn books(&self) -> &Mutex<Books> {
        &self.0.books
    }

    fn push(&self, frames: &[Bytes]) -> Pushed {
        if let Some(before) = self.0.before.lock().take() {
            before();
        }
        let refusals = &self.0.refusals;
        let is_full = refusals.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1));
        if is_full.is_ok() {
            return Pushed::Full;
        }
        self.0.frames.lock().extend_from_slice(frames);
        Pushed::Taken
    }

    fn queue(&self, frame: &Bytes) -> Pushed {
        self.push(std::slice::from_ref(frame))
    }

    fn flush(&self) {}

    fn has_capacity(&self) -> bool {
        true
    }

    fn wake(&self) {}
}

fn entry(seq: i64) -> Published {
    Published::new(Entry {
        conversation: ConversationId::from_database(1),
        seq: Seq::from_database(seq),
        sender: UserId::from_database(1),
        kind: EntryKind::Message,
        created_ms: 0,
        client_msg_id: String::new(),
        mime_type: String::new(),
        body: Bytes::new(),
        reply_to_seq: Seq::ZERO,
        corrects_seq: Seq::ZERO,
        mentions: Vec::new(),
        event: None,
        recalled: false,
    })
}

fn room() -> Arc<Room<Recorder>> {
    Arc::new(Room::new(ConversationId::from_database(1), Seq::ZERO))
}

/// While one socket of 2,000 is written, another core attaches a session, makes it live and brings the next entry. With
/// the room's lock held over the writes neither could end before the fan-out does.
#[test]
fn a_session_attaches_while_a_message_is_fanned_out() {
    let room = room();
    let sessions: Vec<Recorder> = (1..=SESSIONS).map(|id| Recorder::live(id, &room)).collect();
    let newcomer = Recorder::new(SESSIONS + 1);
    let (other, arriving) = (room.clone(), newcomer.clone());
    let meanwhile = move || {
        let (done, is_done) = sync_channel(1);
        thread::spawn(move || {
            other.attach(&arriving);
            // The room counts the entry as delivered; the newcomer was fed it from the journal.
            let attempts = [arriving.go_live(&other, 0), arriving.go_live(&other, 1)];
            // The drainer that is at work delivers it.
            let drains = other.put([entry(2)]);
            let _ = done.send((attempts, drains));
        });
        let (attempts, drains) = is_done
            .recv_timeout(PATIENCE)
            .expect("nothing waits for the fan-out");
        assert_eq!(attempts, [Attempt::More, Attempt::Live]);
        assert!(!drains);
    };
    *sessions[sessions.len() / 2].0.before.lock() = Some(Box::new(meanwhile));
    assert!(room.put([entry(1)]));
    assert!(!room.drain(), "nothing is missing");
    assert!(sessions.iter().all(|session| session.has(&[entry(1), entry(2)])));
    assert!(newcomer.has(&[entry(2)]));
}

/// Sessions whose outbox is full fall behind alone; a fan-out that finds many of them does so in one pass.
#[test]
fn full_sessions_fall_behind_and_the_others_go_on() {
    let room = room();
    let sessions: Vec<Recorder> = (1..=SESSIONS).map(|id| Recorder::live(id, &room)).collect();
    let (slow, fast): (Vec<_>, Vec<_>) = sessions.iter().partition(|session| session.id() % 3 == 0);
    for session in &slow {
        session.0.refusals.store(1, Ordering::Relaxed);
    }
    for seq in 1..=2 {
        assert!(room.put([entry(seq)]));
        room.drain();
    }
    assert!(fast.iter().all(|session| session.has(&[entry(1), entry(2)])));
    for session in slow {
        assert!(session.has(&[]));
        assert_eq!(room.position(session), Some(Position::Behind(Seq::ZERO)));
    }
}

/// Entries that several cores bring at once, doubled and out of order, leave once and in order to each session.
#[test]
fn i3_racing_fan_outs_keep_the_order_of_each_session() {
    const CORES: i64 = 4;
    const ENTRIES: i64 = 2_000;
    let room = room();
    let sessions: Vec<Recorder> = (1..=20).map(|id| Recorder::live(id, &room)).collect();
    thread::scope(|scope| {
        for core in 0..CORES {
            let room = &room;
            scope.spawn(move || {
                // Each core brings every second entry of its own and of its neighbour.
                for seq in (1..=ENTRIES).filter(|seq| [core, (core + 1) % CORES].contains(&(seq % CORES))) {
                    if room.put([entry(seq)]) {
                        room.drain();
                    }
                }
            });
        }
    });
    // Early entries beyond the room's capacity are read again as a gap.
    while let Some((low, high)) = room.gap() {
        if room.put((low.get()..=high.get()).map(entry)) {
            room.drain();
        }
    }
    let all: Vec<Published> = (1..=ENTRIES).map(entry).collect();
    assert!(sessions.iter().all(|session| session.has(&all)));
}
