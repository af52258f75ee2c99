//! The notes of all devices of a soak.

pub(super) mod book;
pub(super) mod scribe;
pub(super) mod tap;

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Result;
use tokio::sync::watch;

use super::notes::book::Book;
use super::verdict::recovery::Recovery;
use crate::generator::recorder::Recorder;
use crate::judge::deadline::Promise;
use crate::judge::tape::Tape;
use crate::world::{Clock, User, World};

/// Faults that are kept in words; further ones are only counted.
const MOST_FAULTS: usize = 50;

/// A user who reads a journal by History beside their devices: the team's assistant of a conversation.
pub(super) struct Reader {
    pub(super) number: u32,
    pub(super) conversation: usize,
    pub(super) conversation_id: i64,
    pub(super) user: User,
}

/// The promises of the teams of a run.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Promises {
    /// Whether there are any.
    pub(super) are_made: bool,
    /// Whether they can be timed by the run's clock: no fault shifts the database's.
    pub(super) are_timed: bool,
}

/// A consult that was opened while the run went on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Opened {
    pub(super) id: i64,
    /// When it was asked for.
    pub(super) asked_us: u64,
    /// By how much its end by silence may have been brought forward past the servers.
    pub(super) aged_ms: Option<i64>,
}

pub(super) struct Notes {
    start: Instant,
    pub(super) recorder: Mutex<Recorder>,
    books: Vec<Mutex<Book>>,
    pub(super) faults: Mutex<Vec<String>>,
    pub(super) tape: Tape,
    /// When, `fault` or `heal`, which, and at what it was aimed.
    pub(super) disturbances: Mutex<Vec<(u64, &'static str, &'static str, usize)>>,
    recovery: Mutex<Recovery>,
    failed_syncs: AtomicU64,
    readers: OnceLock<Vec<Reader>>,
    /// Messages of visitors, which count apart: they may have waited on a device that was away.
    visitors_acked: AtomicU64,
    /// Consults that were opened while the run went on, by the first conversation of their patient.
    opened: Mutex<HashMap<usize, Vec<Opened>>>,
    promises: Promises,
    /// Whether clients read what comes; while not, they are the slow readers of a fault.
    pub(super) reads: watch::Sender<bool>,
    /// Whether everybody is to be there and to catch up: the end of a run.
    pub(super) quiet: watch::Sender<bool>,
}

impl Notes {
    pub(super) fn new(world: &World, promises: Promises) -> Result<Self> {
        Ok(Self {
            start: Instant::now(),
            recorder: Mutex::new(Recorder::new(Duration::ZERO, Duration::from_secs(7 * 24 * 3600))),
            books: world.conversations.iter().map(|_| Mutex::default()).collect(),
            faults: Mutex::default(),
            tape: Tape::create()?,
            disturbances: Mutex::default(),
            recovery: Mutex::default(),
            failed_syncs: AtomicU64::new(0),
            readers: OnceLock::new(),
            visitors_acked: AtomicU64::new(0),
            opened: Mutex::default(),
            promises,
            reads: watch::Sender::new(true),
            quiet: watch::Sender::new(false),
        })
    }

    /// Waits while clients do not read.
    pub(super) async fn reading(&self) {
        if !*self.reads.borrow() {
            let _ = self.reads.subscribe().wait_for(|reads| *reads).await;
        }
    }

    pub(super) fn is_quiet(&self) -> bool {
        *self.quiet.borrow()
    }

    /// A Sync was answered with an Error.
    pub(super) fn sync_failed(&self) {
        self.failed_syncs.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn failed_syncs(&self) -> u64 {
        self.failed_syncs.load(Ordering::Relaxed)
    }

    /// A visitor's message was acknowledged.
    pub(super) fn visitors_ack(&self, is_first: bool) {
        self.visitors_acked
            .fetch_add(u64::from(is_first), Ordering::Relaxed);
    }

    pub(super) fn visitors_acked(&self) -> u64 {
        self.visitors_acked.load(Ordering::Relaxed)
    }

    /// Says who reads journals; their numbers follow those of the devices, from `first` on.
    pub(super) fn has_readers(&self, world: &World, first: u32) {
        let readers = world
            .conversations
            .iter()
            .enumerate()
            .map(|(conversation, what)| Reader {
                number: first + conversation as u32,
                conversation,
                conversation_id: what.id,
                // The second member of a consult.
                user: world.users[what.members[1] as usize].clone(),
            });
        // It is said once.
        let _ = self.readers.set(readers.collect());
    }

    pub(super) fn readers(&self) -> &[Reader] {
        self.readers.get().map(Vec::as_slice).unwrap_or_default()
    }

    /// Another fleet could not talk.
    pub(super) fn foreign(&self, why: String) {
        eprintln!("another fleet on this Redis ends: {why}");
    }

    /// A consult was opened beside this conversation.
    pub(super) fn opened(&self, conversation: usize, id: i64, asked_us: u64) {
        let mut opened = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        let opened = opened.entry(conversation).or_default();
        opened.push(Opened {
            id,
            asked_us,
            aged_ms: None,
        });
    }

    /// The end by silence of a consult beside this conversation is about to be brought forward.
    pub(super) fn aged(&self, conversation: usize, id: i64, by_ms: i64) {
        let mut opened = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        let of_it = opened.get_mut(&conversation).into_iter().flatten();
        of_it
            .filter(|opened| opened.id == id)
            .for_each(|opened| opened.aged_ms = Some(by_ms));
    }

    /// All that were opened beside this conversation.
    pub(super) fn opened_beside(&self, conversation: usize) -> Vec<Opened> {
        let opened = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        opened.get(&conversation).cloned().unwrap_or_default()
    }

    /// The promise to the patient of this conversation, for that or for a consult that was opened beside it.
    pub(super) fn promise(&self, conversation: usize, opened: Option<Opened>) -> Option<Promise> {
        let minutes_ms = |minutes: i64| minutes * 60_000;
        let clock = self.promises.are_made.then(|| Clock::of(conversation))?;
        Some(Promise {
            answer_ms: minutes_ms(clock.answer_minutes),
            reminder_ms: (clock.reminder_minutes > 0).then(|| minutes_ms(clock.reminder_minutes)),
            asked_us: opened
                .map(|opened| opened.asked_us)
                .filter(|_| self.promises.are_timed),
            aged_ms: opened.and_then(|opened| opened.aged_ms),
        })
    }

    pub(super) fn opened_count(&self) -> usize {
        let opened = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        opened.values().map(Vec::len).sum()
    }

    pub(super) fn recovery<R>(&self, with: impl FnOnce(&mut Recovery) -> R) -> R {
        with(&mut self.recovery.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn disturbed(&self, fault: &'static str, target: usize) {
        let now_us = self.now_us();
        self.disturbance(now_us, "fault", fault, target);
        self.recovery(|recovery| recovery.disturbed(now_us));
    }

    pub(super) fn healed(&self, fault: &'static str, target: usize) {
        let now_us = self.now_us();
        self.disturbance(now_us, "heal", fault, target);
        self.recovery(|recovery| recovery.healed(fault, now_us));
    }

    fn disturbance(&self, t_us: u64, event: &'static str, fault: &'static str, target: usize) {
        let mut all = self.disturbances.lock().unwrap_or_else(PoisonError::into_inner);
        all.push((t_us, event, fault, target));
    }

    pub(super) fn now_us(&self) -> u64 {
        self.start.elapsed().as_micros() as u64
    }

    pub(super) fn book<R>(&self, conversation: usize, with: impl FnOnce(&mut Book) -> R) -> R {
        with(
            &mut self.books[conversation]
                .lock()
                .unwrap_or_else(PoisonError::into_inner),
        )
    }

    pub(super) fn record(&self, with: impl FnOnce(&mut Recorder)) {
        with(&mut self.recorder.lock().unwrap_or_else(PoisonError::into_inner));
    }

    pub(super) fn fault(&self, text: String) {
        let mut faults = self.faults.lock().unwrap_or_else(PoisonError::into_inner);
        if faults.len() < MOST_FAULTS {
            faults.push(text);
        }
    }

    /// The newest entry that was acknowledged, of each conversation.
    pub(super) fn acked_seqs(&self) -> Vec<i64> {
        (0..self.books.len())
            .map(|conversation| self.book(conversation, |book| book.acked_seq()))
            .collect()
    }

    /// Sends without an answer.
    pub(super) fn unanswered(&self) -> u64 {
        (0..self.books.len())
            .map(|conversation| self.book(conversation, |book| book.unanswered()))
            .sum()
    }
}
