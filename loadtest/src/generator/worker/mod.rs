//! One load thread: its sessions, its share of the sends.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail};
use proto::client::Reader;
use tokio::sync::{Notify, mpsc, watch};
use tokio::task::LocalSet;
use tokio::time::{MissedTickBehavior, interval, sleep_until};

mod connect;
mod pings;

use super::payload::{self, Mark, Payload};
use super::recorder::{Counts, Recorder};
use super::scan::{SendFields, write_send};
use super::schedule::{Chance, Pace, Schedule};
use super::session::{Effect, Session};
use super::{Board, Plan, Share, Slot, Stage};
pub(super) use connect::shares;
use pings::{PING, Pings};

/// How fine the clock of sends is.
const TICK: Duration = Duration::from_millis(1);
/// How many faults are kept; more would only repeat them.
const MAX_FAULTS: usize = 50;
const CLIENT_MSG_ID_BYTES: usize = 16;

/// Runs one thread to its end.
pub(super) fn run(
    plan: Arc<Plan>,
    board: Arc<Board>,
    number: usize,
    users: Vec<u32>,
    staged: watch::Receiver<Stage>,
    ready: mpsc::Sender<Result<()>>,
) -> Result<Share> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start a runtime")?;
    let local = LocalSet::new();
    let worker = Rc::new(Worker::new(plan, board, number));
    runtime.block_on(local.run_until(worker.clone().work(users, staged, ready)))?;
    // Ends the sessions' tasks, which hold the worker.
    drop(local);
    drop(runtime);
    match Rc::try_unwrap(worker) {
        Ok(worker) => Ok(worker.into_share()),
        Err(_) => bail!("a session outlived its thread"),
    }
}

pub(super) struct Worker {
    pub(super) plan: Arc<Plan>,
    pub(super) recorder: RefCell<Recorder>,
    board: Arc<Board>,
    number: usize,
    start: Cell<Instant>,
    is_loading: Cell<bool>,
    is_stopping: Cell<bool>,
    /// Distinguishes the ids of this run from those of earlier ones on the same fleet.
    nonce: u32,
    sessions: RefCell<Vec<Rc<Session>>>,
    /// Who may send where: a session's place, a membership's place in it.
    senders: RefCell<Vec<(usize, usize)>>,
    chance: RefCell<Chance>,
    dirty: RefCell<Vec<Rc<Session>>>,
    blocked: RefCell<Vec<Rc<Session>>>,
    /// Sends that replace refused ones: when, µs, and whose.
    postponed: RefCell<Vec<(u64, Rc<Session>)>>,
    body: RefCell<Vec<u8>>,
    frame: RefCell<Vec<u8>>,
    synced: Cell<usize>,
    all_synced: Notify,
    faults: RefCell<Vec<String>>,
    refused: RefCell<BTreeMap<String, u64>>,
}

impl Worker {
    fn new(plan: Arc<Plan>, board: Arc<Board>, number: usize) -> Self {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let nonce = (since_epoch.as_millis() as u32) << 8 | u32::from(plan.run);
        Self {
            recorder: RefCell::new(Recorder::new(plan.warm_up, plan.duration)),
            board,
            number,
            start: Cell::new(Instant::now()),
            is_loading: Cell::new(false),
            is_stopping: Cell::new(false),
            nonce,
            sessions: RefCell::default(),
            senders: RefCell::default(),
            chance: RefCell::new(Chance::new(
                plan.seed ^ (number as u64) << 32 ^ u64::from(plan.run) << 48,
            )),
            dirty: RefCell::default(),
            blocked: RefCell::default(),
            postponed: RefCell::default(),
            body: RefCell::new(vec![b'x'; plan.payload_bytes]),
            frame: RefCell::default(),
            synced: Cell::new(0),
            all_synced: Notify::new(),
            faults: RefCell::default(),
            refused: RefCell::default(),
            plan,
        }
    }

    async fn work(
        self: Rc<Self>,
        users: Vec<u32>,
        mut staged: watch::Receiver<Stage>,
        ready: mpsc::Sender<Result<()>>,
    ) -> Result<()> {
        if let Err(error) = self.connect(users).await {
            // The run ends with this error; the thread has nothing to add.
            let _ = ready.send(Err(error)).await;
            return Ok(());
        }
        let _ = ready.send(Ok(())).await;
        let start = loop {
            match *staged.borrow_and_update() {
                Stage::Connect => {}
                Stage::Load { start } => break start,
                Stage::Stop => return Ok(()),
            }
            if staged.changed().await.is_err() {
                return Ok(());
            }
        };
        self.load(start, &mut staged).await;
        self.is_stopping.set(true);
        Ok(())
    }

    /// Reads for one session until it ends.
    async fn read(self: Rc<Self>, session: Rc<Session>, mut reader: Reader) {
        loop {
            let mut effect = Effect::default();
            let received = {
                let mut now_us = None;
                reader
                    .receive_with(|frame| {
                        // One look at the clock for all that one read brought.
                        let now_us = *now_us.get_or_insert_with(|| self.now_us());
                        session.take(&self, frame, now_us, &mut effect);
                    })
                    .await
            };
            self.react(&session, effect);
            let end = match received {
                Ok(true) => continue,
                Ok(false) => "the node closed the connection".to_owned(),
                Err(error) => error.to_string(),
            };
            if !self.is_stopping.get() {
                self.fault(format!("user {}: {end}", session.user_id));
            }
            return;
        }
    }

    /// Sends what the pace wants after something came.
    fn react(self: &Rc<Self>, session: &Rc<Session>, effect: Effect) {
        if effect.synced_now {
            self.synced.set(self.synced.get() + 1);
            self.all_synced.notify_one();
        }
        if effect.received > 0 {
            self.add(|slot| &slot.received, effect.received);
        }
        if effect.acked > 0 {
            self.add(|slot| &slot.acked, effect.acked.into());
        }
        if !self.is_loading.get() {
            return;
        }
        let now_us = self.now_us();
        match self.plan.pace {
            Pace::Windows { .. } => {
                if let Some(after_ms) = effect.refused_for_ms {
                    let at = now_us + u64::from(after_ms) * 1000;
                    self.postponed.borrow_mut().push((at, session.clone()));
                }
                for _ in 0..effect.acked {
                    self.send(session, 0, now_us);
                }
            }
            Pace::Outstanding { .. } => self.replenish(now_us),
            Pace::Open { .. } => {}
        }
        self.flush_dirty();
    }

    async fn load(self: &Rc<Self>, start: Instant, staged: &mut watch::Receiver<Stage>) {
        // Before waiting: another thread may be a little earlier, and what it sends is timed from here.
        self.start.set(start);
        sleep_until(start.into()).await;
        self.is_loading.set(true);
        let length = self.plan.warm_up + self.plan.duration;
        let share = |per_second: f64| {
            let all: usize = self
                .plan
                .world
                .conversations
                .iter()
                .map(|c| c.members.len())
                .sum();
            per_second * self.senders.borrow().len() as f64 / all.max(1) as f64
        };
        let mut schedule = match self.plan.pace {
            Pace::Open { per_second } => Some(Schedule::new(share(per_second), length)),
            Pace::Outstanding { .. } => None,
            Pace::Windows { window } => {
                self.fill_windows(window);
                None
            }
        };
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut pings = Pings::new(self.sessions.borrow().len());
        loop {
            tokio::select! {
                _ = ticks.tick() => {}
                changed = staged.changed() => {
                    if changed.is_err() || matches!(*staged.borrow_and_update(), Stage::Stop) {
                        return;
                    }
                }
            }
            let now_us = self.now_us();
            if now_us >= length.as_micros() as u64 {
                self.is_loading.set(false);
            }
            while let Some(due) = schedule.as_mut().and_then(|schedule| schedule.next(now_us)) {
                for _ in 0..due.count {
                    self.send_somewhere(due.at_us);
                }
            }
            if self.is_loading.get() {
                if matches!(self.plan.pace, Pace::Outstanding { .. }) {
                    self.replenish(now_us);
                }
                self.send_postponed(now_us);
            }
            let sessions = self.sessions.borrow();
            for place in pings.due(now_us) {
                sessions[place].writer.borrow_mut().queue_bytes(&PING);
                self.mark_dirty(&sessions[place]);
            }
            drop(sessions);
            let blocked = std::mem::take(&mut *self.blocked.borrow_mut());
            for session in &blocked {
                self.mark_dirty(session);
            }
            self.flush_dirty();
            self.show();
        }
    }

    fn fill_windows(&self, window: u32) {
        let now_us = self.now_us();
        let senders = self.senders.borrow().clone();
        for (place, membership) in senders {
            let session = self.sessions.borrow()[place].clone();
            for _ in 0..window {
                self.send(&session, membership, now_us);
            }
        }
        self.flush_dirty();
    }

    fn replenish(&self, now_us: u64) {
        let Pace::Outstanding { window } = self.plan.pace else {
            return;
        };
        let conversation = &self.plan.world.conversations[0];
        let limit = u64::from(window) * conversation.members.len() as u64;
        while self.board.in_flight() + conversation.members.len() as u64 <= limit {
            if !self.send_somewhere(now_us) {
                return;
            }
        }
    }

    fn send_somewhere(&self, due_us: u64) -> bool {
        let (place, membership) = {
            let senders = self.senders.borrow();
            if senders.is_empty() {
                return false;
            }
            senders[self.chance.borrow_mut().below(senders.len())]
        };
        let session = self.sessions.borrow()[place].clone();
        self.send(&session, membership, due_us);
        true
    }

    fn send_postponed(&self, now_us: u64) {
        if self.postponed.borrow().is_empty() {
            return;
        }
        let (due, later) = std::mem::take(&mut *self.postponed.borrow_mut())
            .into_iter()
            .partition::<Vec<_>, _>(|(at, _)| *at <= now_us);
        *self.postponed.borrow_mut() = later;
        for (_, session) in due {
            self.send(&session, 0, now_us);
        }
    }

    fn send(&self, session: &Rc<Session>, membership: usize, due_us: u64) {
        let members = session.queue_send(self, membership, due_us);
        self.recorder.borrow_mut().sent(self.now_us());
        self.add(|slot| &slot.expected, members.into());
        self.add(|slot| &slot.sent, 1);
        self.mark_dirty(session);
    }

    /// Writes a message into a buffer of the thread and shows it to `queue`.
    pub(super) fn encode_send(
        &self,
        request_id: u64,
        conversation_id: i64,
        payload: Payload,
        queue: impl FnOnce(&[u8]),
    ) {
        let mut body = self.body.borrow_mut();
        payload.write(&mut body);
        let mut client_msg_id = [0; CLIENT_MSG_ID_BYTES];
        let id = u64::from(self.nonce) << 32 | u64::from(payload.mark.number());
        payload::hex(id, &mut client_msg_id);
        let mut frame = self.frame.borrow_mut();
        frame.clear();
        write_send(
            SendFields {
                request_id,
                conversation_id,
                client_msg_id: &client_msg_id,
                body: &body,
            },
            &mut frame,
        );
        queue(&frame);
    }

    /// Whether a message was sent by this run; only then do its times mean something.
    pub(super) fn is_of_this_run(&self, mark: Mark) -> bool {
        self.is_started() && mark.run() == self.plan.run
    }

    fn is_started(&self) -> bool {
        self.slot().expected.load(Ordering::Relaxed) > 0 || self.board.sum(|slot| &slot.expected) > 0
    }

    /// A message was refused that this many members would have got.
    pub(super) fn refused(&self, code: &str, members: u32) {
        *self.refused.borrow_mut().entry(code.to_owned()).or_default() += 1;
        self.add(|slot| &slot.refused, 1);
        let expected = &self.slot().expected;
        expected.store(
            expected.load(Ordering::Relaxed).saturating_sub(members.into()),
            Ordering::Relaxed,
        );
    }

    /// Something went wrong that is not a matter of seqs.
    pub(super) fn fault(&self, text: String) {
        let mut faults = self.faults.borrow_mut();
        if faults.len() < MAX_FAULTS {
            faults.push(text);
        }
    }

    fn has_faults(&self) -> bool {
        !self.faults.borrow().is_empty()
    }

    fn mark_dirty(&self, session: &Rc<Session>) {
        if !session.is_dirty.replace(true) {
            self.dirty.borrow_mut().push(session.clone());
        }
    }

    /// Flushes the user's session soon: at the next turn of the clock, or of the pace.
    pub(super) fn mark_dirty_by_user(&self, user: u32) {
        let sessions = self.sessions.borrow();
        if let Some(session) = sessions.iter().find(|session| session.user == user) {
            self.flush(session);
        }
    }

    fn flush_dirty(&self) {
        let dirty = std::mem::take(&mut *self.dirty.borrow_mut());
        for session in &dirty {
            session.is_dirty.set(false);
            self.flush(session);
        }
    }

    fn flush(&self, session: &Rc<Session>) {
        // An error shows where the session reads, too, and is reported there.
        if let Ok(false) = session.writer.borrow_mut().try_flush() {
            self.blocked.borrow_mut().push(session.clone());
        }
    }

    fn show(&self) {
        let Counts { delivered, .. } = self.recorder.borrow().whole;
        self.slot().delivered.store(delivered, Ordering::Relaxed);
    }

    fn slot(&self) -> &Slot {
        &self.board.slots[self.number]
    }

    fn add(&self, counter: impl Fn(&Slot) -> &AtomicU64, count: u64) {
        // Only this thread writes here, so that a plain load and store is enough.
        let counter = counter(self.slot());
        counter.store(counter.load(Ordering::Relaxed) + count, Ordering::Relaxed);
    }

    fn now_us(&self) -> u64 {
        self.start.get().elapsed().as_micros() as u64
    }

    fn into_share(self) -> Share {
        let mut share = Share {
            recorder: self.recorder.into_inner(),
            faults: self.faults.into_inner(),
            refused: self.refused.into_inner(),
            ..Share::default()
        };
        drop((self.dirty, self.blocked, self.postponed));
        for session in self.sessions.into_inner() {
            if let Ok(session) = Rc::try_unwrap(session) {
                let (got, own) = session.into_results();
                share.got.extend(got);
                share.own.push(own);
            }
        }
        share
    }
}
