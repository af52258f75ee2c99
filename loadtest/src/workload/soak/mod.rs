//! soak: clients of the good kind send while one server is killed again and again, or a whole fleet is disturbed in
//! every way; nothing acknowledged may be lost, doubled or put out of order, and nobody may see what they must not.

mod audit;
mod backplane;
mod book;
mod device;
mod ground;
mod history;
mod newcomer;
pub(crate) mod plan;
pub(super) mod recover;
mod recovery;
mod spans;
mod stage;
mod visitor;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use tokio::sync::watch;
use tokio::time::{interval, sleep, timeout};

use crate::arguments::SoakArguments;
use crate::generator::payload::{Mark, Payload};
use crate::generator::recorder::Recorder;
use crate::generator::schedule::{Chance, Schedule};
use crate::generator::verdict::Verdict;
use crate::progress::Progress;
use crate::report::{Moment, Percentiles, Report};
use crate::world::rest::{Rest, RestDirectory};
use crate::world::{User, World};
use audit::Record;
use book::Book;
use device::Device;
use ground::Ground;
use history::{History, Who};
use recovery::Recovery;
use visitor::Visitor;

/// How long after the last send everything must be acknowledged and delivered: a restart and a few attempts.
const SETTLE_LIMIT: Duration = Duration::from_secs(90);
/// How long visitors may take to get the rest.
const VISITOR_LIMIT: Duration = Duration::from_secs(60);
/// How long the first connection of all clients may take.
const CONNECT_LIMIT: Duration = Duration::from_secs(120);
const PAYLOAD_BYTES: usize = 200;
const RUN: u8 = 1;

/// What all clients of a soak write down.
pub(super) struct Notes {
    start: Instant,
    recorder: Mutex<Recorder>,
    books: Vec<Mutex<Book>>,
    faults: Mutex<Vec<String>>,
    history: History,
    recovery: Mutex<Recovery>,
    /// Whether clients read what comes; while not, they are the slow readers of a fault.
    reads: watch::Sender<bool>,
}

/// What was done to the servers.
#[derive(Debug, Default)]
pub(super) struct Disturbed {
    kills: u64,
    by_fault: BTreeMap<&'static str, u64>,
}

impl Disturbed {
    fn count(&mut self, fault: &'static str) {
        *self.by_fault.entry(fault).or_default() += 1;
    }

    fn faults(&self) -> u64 {
        self.by_fault.values().sum()
    }
}

impl Notes {
    fn new(world: &World, history: History) -> Self {
        Self {
            start: Instant::now(),
            recorder: Mutex::new(Recorder::new(Duration::ZERO, Duration::from_secs(7 * 24 * 3600))),
            books: world
                .conversations
                .iter()
                .map(|conversation| Mutex::new(Book::new(conversation.members.len() + 1)))
                .collect(),
            faults: Mutex::default(),
            history,
            recovery: Mutex::default(),
            reads: watch::Sender::new(true),
        }
    }

    /// Waits while clients do not read.
    async fn reading(&self) {
        if !*self.reads.borrow() {
            let _ = self.reads.subscribe().wait_for(|reads| *reads).await;
        }
    }

    fn recovery<R>(&self, with: impl FnOnce(&mut Recovery) -> R) -> R {
        with(&mut self.recovery.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn disturbed(&self, fault: &'static str, target: usize) {
        self.history.disturbance(self.now_us(), "fault", fault, target);
        self.recovery(Recovery::disturbed);
    }

    fn healed(&self, fault: &'static str, target: usize) {
        let now_us = self.now_us();
        self.history.disturbance(now_us, "heal", fault, target);
        self.recovery(|recovery| recovery.healed(fault, now_us));
    }

    fn now_us(&self) -> u64 {
        self.start.elapsed().as_micros() as u64
    }

    fn book<R>(&self, conversation: usize, with: impl FnOnce(&mut Book) -> R) -> R {
        with(
            &mut self.books[conversation]
                .lock()
                .unwrap_or_else(PoisonError::into_inner),
        )
    }

    fn record(&self, with: impl FnOnce(&mut Recorder)) {
        with(&mut self.recorder.lock().unwrap_or_else(PoisonError::into_inner));
    }

    fn fault(&self, text: String) {
        let mut faults = self.faults.lock().unwrap_or_else(PoisonError::into_inner);
        if faults.len() < 50 {
            faults.push(text);
        }
    }

    /// Answers that are awaited, and entries that devices lack.
    fn missing(&self) -> (u64, u64) {
        (0..self.books.len())
            .map(|conversation| self.book(conversation, |book| (book.unanswered(), book.undelivered())))
            .fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1))
    }
}

/// Runs `loadtest soak`.
pub(super) async fn run(arguments: SoakArguments) -> Result<bool> {
    // A member's second device, and a visitor, in each conversation; a newcomer.
    let connections = (arguments.conversations * (arguments.members + 2) + 1) as usize;
    let mut ground = Box::pin(Ground::open(&arguments, connections)).await?;
    let builder = ground.builder().clone().with_second_devices();
    let world = Box::pin(builder.consults(arguments.conversations, arguments.members)).await?;
    let second = Box::pin(builder.second_devices(arguments.conversations)).await?;
    let strangers = Box::pin(builder.visitors(&world)).await?;
    let newcomer = Box::pin(builder.third_device()).await?;
    let history = match &arguments.histories {
        Some(path) => History::create(path)?,
        None => History::default(),
    };
    let notes = Arc::new(Notes::new(&world, history));
    let devices = Arc::new(start_devices(ground.rest(), &world, &second, &notes));
    let visitors = Arc::new(start_visitors(ground.rest(), &world, &strangers, &notes));
    wait_until_connected(&notes).await?;

    let sending_from = notes.now_us();
    let ended = Arc::new(AtomicBool::new(false));
    let plan = Sending {
        rate: arguments.rate,
        duration: arguments.duration,
        doubled_percent: arguments.doubled_percent,
        seed: arguments.output.seed,
    };
    let sending = tokio::spawn(send_all(
        plan,
        devices.clone(),
        notes.clone(),
        sending_from,
        ended.clone(),
    ));
    let coming = tokio::spawn(visitor::come_and_go(
        visitors.clone(),
        ground.rest().clone(),
        arguments.output.seed,
        ended.clone(),
    ));
    let disturbed =
        Box::pin(ground.disturb_while(&arguments, &notes, &newcomer, sending.abort_handle())).await;
    sending.await.context("sending was cut short")?;
    let disturbed = disturbed?;
    ended.store(true, Ordering::Relaxed);
    let changes = coming.await.context("visitors stopped coming")?;
    settle(&notes).await;

    let found = Box::pin(judge(&notes, &world, &devices, &visitors)).await;
    let report = report(&arguments, &notes, found, &disturbed, changes, connections);
    for device in devices.iter().flatten() {
        // It has ended by itself if it does not take this.
        let _ = device.client.close().await;
    }
    for visitor in visitors.iter() {
        let _ = visitor.client.close().await;
    }
    Box::pin(ground.close()).await?;
    drop((devices, visitors));
    if let Some(notes) = wait_until_alone(notes).await {
        notes.history.close()?;
    }
    report.publish(arguments.output.report.as_deref())?;
    Ok(report.is_clean())
}

/// The notes, once the listeners of clients that have ended have let go of them.
async fn wait_until_alone(mut notes: Arc<Notes>) -> Option<Notes> {
    for _ in 0..500 {
        match Arc::try_unwrap(notes) {
            Ok(alone) => return Some(alone),
            Err(shared) => notes = shared,
        }
        sleep(Duration::from_millis(10)).await;
    }
    None
}

/// What the checks found.
#[derive(Default)]
struct Found {
    verdict: Verdict,
    /// Entries that somebody got and must not see.
    leaked: u64,
    /// Spans of participation of visitors.
    spans: u64,
}

/// Reads every journal again and compares it with what every device got.
async fn judge(notes: &Notes, world: &World, devices: &[Vec<Device>], visitors: &[Visitor]) -> Found {
    let mut found = Found::default();
    let mut journals: Vec<Vec<Record>> = Vec::new();
    for (conversation, of_it) in devices.iter().enumerate() {
        let id = world.conversations[conversation].id;
        let journal = Box::pin(audit::journal(&of_it[0].client, id)).await;
        notes.book(conversation, |book| {
            let journal = journal
                .as_ref()
                .map(Vec::as_slice)
                .map_err(|error| format!("{error:#}"));
            book.judge(id, journal, &mut found.verdict);
        });
        let journal = journal.unwrap_or_default();
        for record in &journal {
            notes.history.journal(id, record.seq, record.mark, record.change);
        }
        journals.push(journal);
    }
    for visitor in visitors {
        let journal = &journals[visitor.conversation()];
        let begun = Instant::now();
        let (wrong, spans) = loop {
            let (wrong, spans) = visitor.judge(journal);
            if wrong.lost == 0 || begun.elapsed() > VISITOR_LIMIT {
                break (wrong, spans);
            }
            sleep(Duration::from_millis(50)).await;
        };
        found.spans += spans as u64;
        found.verdict.lost += wrong.lost;
        found.verdict.duplicated += wrong.duplicated;
        found.verdict.reordered += wrong.reordered;
        found.leaked += wrong.leaked;
        let id = world.conversations[visitor.conversation()].id;
        for example in wrong.examples {
            found
                .verdict
                .example(|| format!("the visitor of conversation {id}: {example}"));
        }
    }
    found
}

/// The devices of each conversation: those of its members in order, then the first one's second.
fn start_devices(rest: &Rest, world: &World, second: &[User], notes: &Arc<Notes>) -> Vec<Vec<Device>> {
    world
        .conversations
        .iter()
        .zip(second)
        .enumerate()
        .map(|(conversation, (what, second))| {
            what.members
                .iter()
                .map(|member| &world.users[*member as usize])
                .chain([second])
                .enumerate()
                .map(|(place, user)| {
                    let directory = RestDirectory::new(rest.clone(), &user.access_token);
                    let who = Who {
                        conversation,
                        place,
                        user_id: user.user_id,
                        conversation_id: what.id,
                    };
                    Device::start(directory, user, who, notes.clone())
                })
                .collect()
        })
        .collect()
}

/// One visitor for each conversation.
fn start_visitors(rest: &Rest, world: &World, visitors: &[User], notes: &Arc<Notes>) -> Vec<Visitor> {
    world
        .conversations
        .iter()
        .zip(visitors)
        .enumerate()
        .map(|(conversation, (what, user))| {
            let directory = RestDirectory::new(rest.clone(), &user.access_token);
            let who = Who {
                conversation,
                place: what.members.len() + 1,
                user_id: user.user_id,
                conversation_id: what.id,
            };
            // The second member of a consult is the team's assistant.
            let assistant = &world.users[what.members[1] as usize];
            Visitor::start(directory, user, who, assistant, notes.clone())
        })
        .collect()
}

async fn wait_until_connected(notes: &Notes) -> Result<()> {
    let mut progress = Progress::begin("connecting", notes.books.len() as u64);
    let all = async {
        loop {
            let ready = (0..notes.books.len())
                .filter(|conversation| notes.book(*conversation, |book| book.is_ready()))
                .count();
            progress.at(ready as u64, "conversations");
            if ready == notes.books.len() {
                return;
            }
            sleep(Duration::from_millis(50)).await;
        }
    };
    timeout(CONNECT_LIMIT, all)
        .await
        .with_context(|| format!("not every client was connected and synced within {CONNECT_LIMIT:?}"))
}

/// How a soak sends.
#[derive(Clone, Copy, Debug)]
struct Sending {
    rate: f64,
    duration: Duration,
    doubled_percent: u32,
    seed: u64,
}

/// Sends at the rate until its time is over or `ended` is set; somebody with two devices now and then from both at once.
async fn send_all(
    plan: Sending,
    devices: Arc<Vec<Vec<Device>>>,
    notes: Arc<Notes>,
    from_us: u64,
    ended: Arc<AtomicBool>,
) {
    let mut schedule = Schedule::new(plan.rate, plan.duration);
    let mut chance = Chance::new(plan.seed);
    let mut ticks = interval(Duration::from_millis(1));
    let mut numbers = vec![0; devices.len()];
    let end_us = from_us + plan.duration.as_micros() as u64;
    while notes.now_us() < end_us && !ended.load(Ordering::Relaxed) {
        ticks.tick().await;
        while let Some(due) = schedule.next(notes.now_us() - from_us) {
            for _ in 0..due.count {
                let conversation = chance.below(devices.len());
                let of_it = &devices[conversation];
                let sender = chance.below(of_it.len());
                let second = of_it.len() - 1;
                let has_two = sender == 0 || sender == second;
                let doubled = has_two && chance.below(100) < plan.doubled_percent as usize;
                numbers[conversation] += 1;
                let payload = Payload {
                    due_us: from_us + due.at_us,
                    mark: Mark::new(RUN, conversation as u32, numbers[conversation]),
                };
                let senders: &[usize] = if doubled { &[0, second] } else { &[sender] };
                notes.book(conversation, |book| book.sent(payload, senders.len() as u32));
                let now_us = notes.now_us();
                notes.record(|recorder| recorder.sent(now_us));
                for sender in senders {
                    notes.history.send(now_us, of_it[*sender].who(), payload.mark);
                }
                let sends = senders
                    .iter()
                    .map(|sender| of_it[*sender].send(payload, PAYLOAD_BYTES));
                for sent in sends.collect::<Vec<_>>() {
                    if sent.await.is_err() {
                        return notes.fault("a client has ended while it should send".to_owned());
                    }
                }
            }
        }
    }
}

/// Waits until everything is acknowledged and everything acknowledged is delivered.
async fn settle(notes: &Notes) {
    let begun = Instant::now();
    let mut progress = Progress::begin("waiting for the rest", 1);
    loop {
        let (unanswered, undelivered) = notes.missing();
        if unanswered == 0 && undelivered == 0 {
            return;
        }
        if begun.elapsed() > SETTLE_LIMIT {
            return notes.fault(format!(
                "{SETTLE_LIMIT:?} after the last send {unanswered} sends had no answer and {undelivered} deliveries were missing"
            ));
        }
        progress.at(0, &format!("{unanswered} answers, {undelivered} deliveries"));
        sleep(Duration::from_millis(100)).await;
    }
}

fn report(
    arguments: &SoakArguments,
    notes: &Notes,
    found: Found,
    disturbed: &Disturbed,
    changes: u64,
    connections: usize,
) -> Report {
    let mut report = Report::new("soak", arguments.output.seed)
        .parameter("conversations", arguments.conversations)
        .parameter("members", arguments.members)
        .parameter("rate", arguments.rate)
        .parameter("doubled_percent", arguments.doubled_percent);
    report = if arguments.target.nodes > 0 {
        report
            .parameter("nodes", arguments.target.nodes)
            .parameter("api_servers", arguments.target.api_servers)
            .parameter("redis", arguments.target.redis.name())
    } else {
        report.parameter("kill_every_s", arguments.kill_every.as_secs_f64())
    };
    let recorder = notes
        .recorder
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .clone();
    let seconds = arguments.duration.as_secs_f64();
    report.method =
        "open loop through good clients; every conversation's journal is read again at the end".to_owned();
    report.duration_s = seconds;
    report.sent = recorder.whole.sent;
    report.acked = recorder.whole.acked;
    report.delivered = recorder.whole.delivered;
    report.acked_per_s = recorder.whole.acked as f64 / seconds;
    report.delivered_per_s = recorder.whole.delivered as f64 / seconds;
    report.ack_ms = Percentiles::from(&recorder.ack);
    report.delivery_ms = Percentiles::from(&recorder.delivery);
    report.course = Moment::course(&recorder.seconds);
    report.connections = connections as u64;
    report.kills = disturbed.kills;
    report.disturbances = disturbed
        .by_fault
        .iter()
        .map(|(fault, count)| ((*fault).to_owned(), *count))
        .collect();
    let longest = notes.recovery(|recovery| recovery.longest_ms(notes.now_us()));
    let by_name = |times: Vec<(&'static str, f64)>| {
        let named = times.into_iter().map(|(fault, ms)| (fault.to_owned(), ms));
        named.collect()
    };
    report.recovery_ms = by_name(longest);
    report.login_after_ms = by_name(notes.recovery(|recovery| recovery.longest_login_ms()));
    report.participation_changes = changes;
    report.spans = found.spans;
    report.leaked = found.leaked;
    report.with_verdict(&found.verdict);
    let faults = notes.faults.lock().unwrap_or_else(PoisonError::into_inner);
    report.faults.extend(faults.iter().cloned());
    report
}
