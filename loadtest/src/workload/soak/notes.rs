//! What all devices of a soak write down.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Result;
use tokio::sync::watch;

use super::book::Book;
use super::recovery::Recovery;
use crate::generator::recorder::Recorder;
use crate::judge::tape::Tape;
use crate::world::World;

/// What is kept of faults in words; the rest is only counted.
const MOST_FAULTS: usize = 50;

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
    /// Whether clients read what comes; while not, they are the slow readers of a fault.
    pub(super) reads: watch::Sender<bool>,
    /// Whether everybody is to be there and to catch up: the end of a run.
    pub(super) quiet: watch::Sender<bool>,
}

impl Notes {
    pub(super) fn new(world: &World) -> Result<Self> {
        Ok(Self {
            start: Instant::now(),
            recorder: Mutex::new(Recorder::new(Duration::ZERO, Duration::from_secs(7 * 24 * 3600))),
            books: world.conversations.iter().map(|_| Mutex::default()).collect(),
            faults: Mutex::default(),
            tape: Tape::create()?,
            disturbances: Mutex::default(),
            recovery: Mutex::default(),
            failed_syncs: AtomicU64::new(0),
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

    pub(super) fn recovery<R>(&self, with: impl FnOnce(&mut Recovery) -> R) -> R {
        with(&mut self.recovery.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn disturbed(&self, fault: &'static str, target: usize) {
        self.disturbance(self.now_us(), "fault", fault, target);
        self.recovery(Recovery::disturbed);
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

    /// Sends without an answer.
    pub(super) fn unanswered(&self) -> u64 {
        (0..self.books.len())
            .map(|conversation| self.book(conversation, |book| book.unanswered()))
            .sum()
    }
}
