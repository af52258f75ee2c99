//! soak: clients of the good kind send while the server is killed again and again; nothing acknowledged may be lost,
//! doubled or put out of order.

mod audit;
mod book;
mod device;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use tokio::time::{interval, sleep, timeout};

use super::fleet::Fleet;
use crate::arguments::{SoakArguments, Transport};
use crate::generator::payload::{Mark, Payload};
use crate::generator::recorder::Recorder;
use crate::generator::schedule::{Chance, Schedule};
use crate::generator::verdict::Verdict;
use crate::progress::Progress;
use crate::report::{Moment, Percentiles, Report};
use crate::world::rest::RestDirectory;
use crate::world::{User, World};
use book::Book;
use device::Device;

/// How long after the last send everything must be acknowledged and delivered: a restart and a few attempts.
const SETTLE_LIMIT: Duration = Duration::from_secs(90);
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
}

impl Notes {
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
    let connections = (arguments.conversations * (arguments.members + 1)) as usize;
    let seed = arguments.output.seed;
    let mut fleet = Box::pin(Fleet::open(
        arguments.target.clone(),
        seed,
        connections,
        Transport::Tcp,
    ))
    .await?;
    let builder = fleet.builder.clone().with_second_devices();
    let world = Box::pin(builder.consults(arguments.conversations, arguments.members)).await?;
    let second = Box::pin(builder.second_devices(arguments.conversations)).await?;
    let notes = Arc::new(Notes {
        start: Instant::now(),
        recorder: Mutex::new(Recorder::new(Duration::ZERO, Duration::from_secs(7 * 24 * 3600))),
        books: world
            .conversations
            .iter()
            .map(|conversation| Mutex::new(Book::new(conversation.members.len() + 1)))
            .collect(),
        faults: Mutex::default(),
    });
    let devices = Arc::new(start_devices(&fleet, &world, &second, &notes));
    wait_until_connected(&notes).await?;

    let sending_from = notes.now_us();
    let sending = tokio::spawn(send_all(
        arguments.clone(),
        world
            .conversations
            .iter()
            .map(|conversation| conversation.id)
            .collect(),
        devices.clone(),
        notes.clone(),
        sending_from,
    ));
    let kills = Box::pin(kill_while(&mut fleet, &arguments, sending.abort_handle())).await;
    sending.await.context("sending was cut short")?;
    let kills = kills?;
    settle(&notes).await;

    let mut verdict = Verdict::default();
    for (conversation, of_it) in devices.iter().enumerate() {
        let journal = Box::pin(audit::journal(
            &of_it[0].client,
            world.conversations[conversation].id,
        ))
        .await;
        notes.book(conversation, |book| {
            let journal = journal.as_ref().map_err(ToString::to_string);
            book.judge(world.conversations[conversation].id, journal, &mut verdict);
        });
    }
    let report = report(&arguments, &notes, &verdict, kills, connections);
    for device in devices.iter().flatten() {
        // It has ended by itself if it does not take this.
        let _ = device.client.close().await;
    }
    fleet.close().await?;
    report.publish(arguments.output.report.as_deref())?;
    Ok(report.is_clean())
}

/// The devices of each conversation: those of its members in order, then the first one's second.
fn start_devices(fleet: &Fleet, world: &World, second: &[User], notes: &Arc<Notes>) -> Vec<Vec<Device>> {
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
                    let directory = RestDirectory::new(fleet.rest.clone(), &user.access_token);
                    Device::start(directory, user, what.id, conversation, place, notes.clone())
                })
                .collect()
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

/// Sends at the rate; somebody with two devices now and then from both at once.
async fn send_all(
    arguments: SoakArguments,
    conversations: Vec<i64>,
    devices: Arc<Vec<Vec<Device>>>,
    notes: Arc<Notes>,
    from_us: u64,
) {
    let mut schedule = Schedule::new(arguments.rate, arguments.duration);
    let mut chance = Chance::new(arguments.output.seed);
    let mut ticks = interval(Duration::from_millis(1));
    let mut numbers = vec![0; conversations.len()];
    let end_us = from_us + arguments.duration.as_micros() as u64;
    while notes.now_us() < end_us {
        ticks.tick().await;
        while let Some(due) = schedule.next(notes.now_us() - from_us) {
            for _ in 0..due.count {
                let conversation = chance.below(conversations.len());
                let of_it = &devices[conversation];
                let sender = chance.below(of_it.len());
                let second = of_it.len() - 1;
                let has_two = sender == 0 || sender == second;
                let doubled = has_two && chance.below(100) < arguments.doubled_percent as usize;
                numbers[conversation] += 1;
                let payload = Payload {
                    due_us: from_us + due.at_us,
                    mark: Mark::new(RUN, conversation as u32, numbers[conversation]),
                };
                let senders: &[usize] = if doubled { &[0, second] } else { &[sender] };
                notes.book(conversation, |book| book.sent(payload, senders.len() as u32));
                notes.record(|recorder| recorder.sent(notes.now_us()));
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

/// Kills the server again and again until sending has ended.
async fn kill_while(
    fleet: &mut Fleet,
    arguments: &SoakArguments,
    sending: tokio::task::AbortHandle,
) -> Result<u64> {
    let begun = Instant::now();
    let mut progress = Progress::begin("soaking", arguments.duration.as_secs());
    let mut kills = 0;
    let mut next_kill = arguments.kill_every;
    while !sending.is_finished() {
        sleep(Duration::from_millis(100)).await;
        progress.at(begun.elapsed().as_secs(), &format!("s; {kills} kills"));
        if begun.elapsed() < next_kill {
            continue;
        }
        next_kill += arguments.kill_every;
        if let Some(own) = &mut fleet.own {
            own.kill()?;
            if let Err(error) = own.start_again().await {
                sending.abort();
                return Err(error.context("the killed server does not start again"));
            }
            kills += 1;
        }
    }
    Ok(kills)
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
    verdict: &Verdict,
    kills: u64,
    connections: usize,
) -> Report {
    let mut report = Report::new("soak", arguments.output.seed)
        .parameter("conversations", arguments.conversations)
        .parameter("members", arguments.members)
        .parameter("rate", arguments.rate)
        .parameter("kill_every_s", arguments.kill_every.as_secs_f64())
        .parameter("doubled_percent", arguments.doubled_percent);
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
    report.kills = kills;
    report.with_verdict(verdict);
    let faults = notes.faults.lock().unwrap_or_else(PoisonError::into_inner);
    report.faults.extend(faults.iter().cloned());
    report
}
