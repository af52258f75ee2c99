//! One load thread: its sessions, its share of the sends.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail};
use proto::PROTOCOL_VERSION;
use proto::bye::{Advice, advice};
use proto::client::{Address, Connection, Reader};
use proto::wire::{self, ClientFrame, Platform, client_frame, server_frame};
use tokio::sync::{Notify, Semaphore, mpsc, watch};
use tokio::task::{JoinSet, LocalSet};
use tokio::time::{MissedTickBehavior, interval, sleep, sleep_until, timeout};

use super::payload::{self, Mark, Payload};
use super::recorder::{Counts, Recorder};
use super::scan::{SendFields, write_send};
use super::schedule::{Chance, Pace, Schedule};
use super::session::{Effect, Session};
use super::{Board, Plan, Share, Slot, Stage};
use crate::world::World;

/// How many sessions of a thread are being connected at once.
const CONNECTING_AT_ONCE: usize = 64;
/// How long one login may take, all its attempts together.
const LOGIN_LIMIT: Duration = Duration::from_secs(60);
/// How fine the clock of sends is.
const TICK: Duration = Duration::from_millis(1);
/// Every session is heard of this often; a node takes one for dead after 2.5 heartbeats of 30 s.
const PING_EVERY: Duration = Duration::from_secs(20);
/// How many faults are kept; more would only repeat them.
const MAX_FAULTS: usize = 50;
const CLIENT_MSG_ID_BYTES: usize = 16;

/// Which users each thread drives: conversations stay together when there are many, users are spread when there are few.
pub(super) fn shares(world: &World, threads: usize) -> Vec<Vec<u32>> {
    let mut shares = vec![Vec::new(); threads];
    let by_conversation = world.conversations.len() >= threads * 4;
    let mut given = vec![false; world.users.len()];
    for (number, conversation) in world.conversations.iter().enumerate() {
        for (place, member) in conversation.members.iter().enumerate() {
            if !std::mem::replace(&mut given[*member as usize], true) {
                let share = if by_conversation { number } else { place };
                shares[share % threads].push(*member);
            }
        }
    }
    shares
}

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
    /// Tells the ids of this run from those of earlier ones on the same fleet.
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

    async fn connect(self: &Rc<Self>, users: Vec<u32>) -> Result<()> {
        let expected = users.len();
        let conversations = self.conversations_of(&users);
        let permits = Arc::new(Semaphore::new(CONNECTING_AT_ONCE));
        let mut connecting = JoinSet::new();
        for (user, conversations) in users.into_iter().zip(conversations) {
            let (worker, permits) = (self.clone(), permits.clone());
            connecting.spawn_local(async move {
                let _permit = permits.acquire_owned().await?;
                worker.connect_one(user, &conversations).await
            });
        }
        while let Some(connected) = connecting.join_next().await {
            connected.context("a task panicked")??;
        }
        while self.synced.get() < expected {
            if self.has_faults() {
                bail!("{}", self.faults.borrow().join("; "));
            }
            // Bounded by the limit of the whole stage; looks up again for faults.
            let _ = timeout(Duration::from_millis(500), self.all_synced.notified()).await;
        }
        // In the order of users, so that a seed chooses the same senders again.
        self.sessions
            .borrow_mut()
            .sort_unstable_by_key(|session| session.user);
        self.choose_senders();
        Ok(())
    }

    fn conversations_of(&self, users: &[u32]) -> Vec<Vec<(usize, i64, u32)>> {
        let mut places = vec![None; self.plan.world.users.len()];
        for (place, user) in users.iter().enumerate() {
            places[*user as usize] = Some(place);
        }
        let mut of = vec![Vec::new(); users.len()];
        for (number, conversation) in self.plan.world.conversations.iter().enumerate() {
            for member in &conversation.members {
                if let Some(place) = places[*member as usize] {
                    of[place].push((number, conversation.id, conversation.members.len() as u32));
                }
            }
        }
        of
    }

    async fn connect_one(self: Rc<Self>, user: u32, conversations: &[(usize, i64, u32)]) -> Result<()> {
        let person = &self.plan.world.users[user as usize];
        let address = Address::tcp(self.plan.addresses[user as usize % self.plan.addresses.len()]);
        let login = ClientFrame {
            request_id: 0,
            body: Some(client_frame::Body::Login(wire::Login {
                protocol_version: PROTOCOL_VERSION,
                user_id: person.user_id,
                password: person.password.clone(),
                device_id: person.device_id.clone(),
                platform: Platform::Android as i32,
                app_version: "loadtest".to_owned(),
            })),
        };
        let (reader, writer) = match timeout(LOGIN_LIMIT, log_in(&address, &login)).await {
            Ok(connection) => connection
                .with_context(|| format!("user {} cannot log in at {}", person.user_id, address.address))?
                .split(),
            Err(_) => bail!("user {} was not logged in within {LOGIN_LIMIT:?}", person.user_id),
        };
        let session = Rc::new(Session::new(user, person.user_id, writer, conversations));
        session.queue_sync();
        self.sessions.borrow_mut().push(session.clone());
        self.add(|slot| &slot.connected, 1);
        tokio::task::spawn_local(self.clone().read(session.clone(), reader));
        self.flush(&session);
        Ok(())
    }

    fn choose_senders(&self) {
        let mut senders = self.senders.borrow_mut();
        for (place, session) in self.sessions.borrow().iter().enumerate() {
            for (membership, conversation) in session.conversations().into_iter().enumerate() {
                let first = self.plan.world.conversations[conversation].members.first();
                if !matches!(self.plan.pace, Pace::Windows { .. }) || first == Some(&session.user) {
                    senders.push((place, membership));
                }
            }
        }
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

    /// A message was refused that so many members would have got.
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

/// An encoded Ping: length 2, field 4 (ping), empty.
const PING: [u8; 6] = [0, 0, 0, 2, 0x22, 0];

/// Which sessions are to be heard of next.
struct Pings {
    sessions: usize,
    given: u64,
}

impl Pings {
    fn new(sessions: usize) -> Self {
        Self { sessions, given: 0 }
    }

    fn due(&mut self, now_us: u64) -> impl Iterator<Item = usize> + use<> {
        let due = u128::from(now_us) * self.sessions as u128 / PING_EVERY.as_micros();
        let from = std::mem::replace(&mut self.given, due as u64);
        let sessions = self.sessions as u64;
        (from..due as u64).map(move |number| (number % sessions) as usize)
    }
}

/// Connects and logs in; comes back when told to.
async fn log_in(address: &Address, login: &ClientFrame) -> Result<Connection> {
    loop {
        let mut connection = Connection::connect(address).await?;
        connection.send(login).await?;
        match connection.receive().await?.and_then(|frame| frame.body) {
            Some(server_frame::Body::LoginOk(_)) => return Ok(connection),
            Some(server_frame::Body::Bye(bye)) if advice(bye.reason) == Advice::ComeBack => {
                sleep(Duration::from_millis(bye.retry_after_ms.max(50).into())).await;
            }
            Some(server_frame::Body::Bye(bye)) => {
                bail!("the node refuses: {} {}", bye.reason().as_str_name(), bye.detail)
            }
            Some(other) => bail!("the node answered a login with {other:?}"),
            None => bail!("the node closed the connection without a goodbye"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use prost::Message;

    use super::*;

    #[test]
    fn the_encoded_ping_is_a_ping() {
        let frame = ClientFrame::decode(&PING[4..]).unwrap();
        assert_eq!(frame.body, Some(client_frame::Body::Ping(wire::Ping {})));
    }

    #[test]
    fn everybody_is_pinged_in_turn() {
        let mut pings = Pings::new(10);
        let first: Vec<usize> = pings.due(10_000_000).collect();
        assert_eq!(first, [0, 1, 2, 3, 4]);
        let rest: Vec<usize> = pings.due(20_000_000).collect();
        assert_eq!(rest, [5, 6, 7, 8, 9]);
        assert_eq!(Pings::new(0).due(1_000_000).count(), 0);
    }

    #[test]
    fn shares_are_whole_and_keep_conversations_together_when_there_are_many() {
        let many = World::of_strangers(40, 5);
        let shares = shares(&many, 2);
        assert_eq!(
            shares.iter().flatten().copied().collect::<BTreeSet<u32>>().len(),
            200
        );
        for share in &shares {
            let conversations: BTreeSet<u32> = share.iter().map(|user| user / 5).collect();
            assert_eq!(share.len(), conversations.len() * 5);
        }
        let room = World::of_strangers(1, 7);
        assert_eq!(super::shares(&room, 2), [vec![0, 2, 4, 6], vec![1, 3, 5]]);
    }
}
