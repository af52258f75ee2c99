//! Sessions that send at a pace and check what they receive. A few threads drive all of them, since they share the
//! machine with what they measure.

pub mod crowd;
pub mod payload;
pub mod quiet;
pub mod received;
pub mod recorder;
pub mod scan;
pub mod schedule;
mod session;
mod worker;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};
use tokio::sync::{mpsc, watch};
use tokio::time::{sleep, timeout};

use crate::progress::Progress;
use crate::server::usage::{Backplane, Usage, Watch};
use crate::world::World;
use received::verdict::{Got, Own, Verdict};
use recorder::Recorder;
use schedule::Pace;

/// How long after the last send everything acknowledged must have been delivered.
const DRAIN_LIMIT: Duration = Duration::from_secs(30);
/// After this long without progress waiting ends.
const DRAIN_STALL: Duration = Duration::from_secs(5);
/// How long connecting, logging in and catching up of all sessions may take.
const CONNECT_LIMIT: Duration = Duration::from_secs(180);

/// One run.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The nodes; sessions are spread over them in turn.
    pub addresses: Vec<SocketAddr>,
    /// Users and their conversations.
    pub world: Arc<World>,
    /// How fast.
    pub pace: Pace,
    /// Makes the choice of senders repeatable.
    pub seed: u64,
    /// Which run of this program it is; marks its messages.
    pub run: u8,
    /// How long the load runs before it is measured.
    pub warm_up: Duration,
    /// How long is measured.
    pub duration: Duration,
    /// How many threads make load.
    pub threads: usize,
    /// How long a body is.
    pub payload_bytes: usize,
}

/// The outcome of a run.
#[derive(Debug)]
pub struct Outcome {
    /// Counts and times.
    pub recorder: Recorder,
    /// Whether each member got each entry once, in order, without gaps.
    pub verdict: Verdict,
    /// Other failures: lost connections, messages without an answer.
    pub faults: Vec<String>,
    /// Refused messages by error code.
    pub refused: BTreeMap<String, u64>,
    /// How many sessions there were.
    pub connections: usize,
    /// How long connecting, login and Sync of all of them took.
    pub connect: Duration,
    /// The measurements.
    pub measured: Duration,
    /// The server processes' usage while it was measured.
    pub usage: Vec<Usage>,
    /// Publications between nodes while it was measured.
    pub backplane: Option<Backplane>,
    /// CPU time of this process while it was measured, s.
    pub generator_cpu_s: f64,
}

/// The stage of all threads.
#[derive(Clone, Copy, Debug)]
enum Stage {
    Connect,
    Load { start: Instant },
    Stop,
}

/// One thread's counters, read by the others; written by that thread alone.
#[derive(Debug, Default)]
struct Slot {
    connected: AtomicU64,
    sent: AtomicU64,
    acked: AtomicU64,
    refused: AtomicU64,
    delivered: AtomicU64,
    /// Entries that members are to get, of all that was sent and not refused.
    expected: AtomicU64,
    /// Entries that members got.
    received: AtomicU64,
}

#[derive(Debug)]
struct Board {
    slots: Vec<Slot>,
}

impl Board {
    fn sum(&self, counter: impl Fn(&Slot) -> &AtomicU64) -> u64 {
        self.slots
            .iter()
            .map(|slot| counter(slot).load(Ordering::Relaxed))
            .sum()
    }

    /// Entries on their way.
    fn in_flight(&self) -> u64 {
        let received = self.sum(|slot| &slot.received);
        self.sum(|slot| &slot.expected).saturating_sub(received)
    }

    fn unanswered(&self) -> u64 {
        let answered = self.sum(|slot| &slot.acked) + self.sum(|slot| &slot.refused);
        self.sum(|slot| &slot.sent).saturating_sub(answered)
    }
}

/// The outcome of one thread.
#[derive(Debug, Default)]
struct Share {
    recorder: Recorder,
    got: Vec<Got>,
    own: Vec<Own>,
    faults: Vec<String>,
    refused: BTreeMap<String, u64>,
}

/// Connects all sessions, sends at the plan's pace, waits until everything acknowledged is delivered, and judges.
///
/// # Errors
/// When the sessions cannot be connected.
pub async fn run(plan: Plan, watch: &Watch) -> Result<Outcome> {
    let plan = Arc::new(plan);
    let board = Arc::new(Board {
        slots: (0..plan.threads).map(|_| Slot::default()).collect(),
    });
    let (stage, staged) = watch::channel(Stage::Connect);
    let (ready, mut readied) = mpsc::channel(plan.threads);
    let mut threads = Vec::new();
    for (number, users) in worker::shares(&plan.world, plan.threads).into_iter().enumerate() {
        let (plan, board, staged, ready) = (plan.clone(), board.clone(), staged.clone(), ready.clone());
        threads.push(
            thread::Builder::new()
                .name(format!("load-{number}"))
                .spawn(move || worker::run(plan, board, number, users, staged, ready))
                .context("cannot start a thread")?,
        );
    }
    drop(ready);
    let connections = plan.world.users.len();
    let connecting = Instant::now();
    wait_until_connected(&board, &mut readied, threads.len(), connections).await?;
    let connect = connecting.elapsed();

    let start = Instant::now() + Duration::from_millis(50);
    stage.send_replace(Stage::Load { start });
    sleep(start + plan.warm_up - Instant::now()).await;
    let (before, own_before) = (watch.sample().await?, crate::server::usage::own_cpu_s()?);
    let counts_before = watch.backplane().await?;
    let measuring = Instant::now();
    show_load(&plan, &board, start).await;
    let measured = measuring.elapsed();
    let usage = watch.since(&before, connections).await?;
    let generator_cpu_s = crate::server::usage::own_cpu_s()? - own_before;
    let counts = counts_before.zip(watch.backplane().await?);

    let mut faults = drain(&board).await;
    stage.send_replace(Stage::Stop);
    let mut recorder = Recorder::default();
    let (mut got, mut own, mut refused) = (Vec::new(), Vec::new(), BTreeMap::new());
    for thread in threads {
        let share = tokio::task::spawn_blocking(move || thread.join())
            .await?
            .map_err(|_| anyhow!("a load thread panicked"))??;
        recorder.add(&share.recorder);
        got.extend(share.got);
        own.extend(share.own);
        faults.extend(share.faults);
        for (code, count) in share.refused {
            *refused.entry(code).or_default() += count;
        }
    }
    Ok(Outcome {
        verdict: Verdict::of(&got, &own),
        recorder,
        faults,
        refused,
        connections,
        connect,
        measured,
        usage,
        backplane: counts.map(|(before, after)| Backplane {
            published: after.published - before.published,
            received: after.received - before.received,
        }),
        generator_cpu_s,
    })
}

async fn wait_until_connected(
    board: &Board,
    readied: &mut mpsc::Receiver<Result<()>>,
    threads: usize,
    connections: usize,
) -> Result<()> {
    let mut progress = Progress::begin("connecting", connections as u64);
    let mut ready = 0;
    let all = async {
        while ready < threads {
            match timeout(Duration::from_millis(200), readied.recv()).await {
                Ok(Some(connected)) => {
                    connected?;
                    ready += 1;
                }
                Ok(None) => bail!("a load thread ended before its sessions were connected"),
                Err(_) => progress.at(board.sum(|slot| &slot.connected), "sessions"),
            }
        }
        Ok(())
    };
    match timeout(CONNECT_LIMIT, all).await {
        Ok(connected) => connected,
        Err(_) => bail!(
            "only {} of {connections} sessions were connected and synced within {CONNECT_LIMIT:?}",
            board.sum(|slot| &slot.connected)
        ),
    }
}

/// Shows how it goes until sending stops.
async fn show_load(plan: &Plan, board: &Board, start: Instant) {
    let end = start + plan.warm_up + plan.duration;
    let mut progress = Progress::begin("sending", (plan.warm_up + plan.duration).as_secs());
    let mut last = (Instant::now(), 0, 0);
    while let Some(left) = end
        .checked_duration_since(Instant::now())
        .filter(|left| !left.is_zero())
    {
        sleep(left.min(Duration::from_millis(500))).await;
        let now = (
            Instant::now(),
            board.sum(|slot| &slot.acked),
            board.sum(|slot| &slot.delivered),
        );
        let seconds = (now.0 - last.0).as_secs_f64();
        progress.at(
            start.elapsed().as_secs(),
            &format!(
                "s; {:.0} acked/s, {:.0} delivered/s",
                (now.1 - last.1) as f64 / seconds,
                (now.2 - last.2) as f64 / seconds
            ),
        );
        last = now;
    }
}

/// Waits until everything that was sent is answered, and everything acknowledged has reached every member.
async fn drain(board: &Board) -> Vec<String> {
    let begun = Instant::now();
    let mut progressed = (Instant::now(), 0);
    loop {
        // The threads write their counters every millisecond.
        sleep(Duration::from_millis(20)).await;
        let (unanswered, in_flight) = (board.unanswered(), board.in_flight());
        if unanswered == 0 && in_flight == 0 {
            return Vec::new();
        }
        let sum = board.sum(|slot| &slot.received) + board.sum(|slot| &slot.acked);
        if sum != progressed.1 {
            progressed = (Instant::now(), sum);
        }
        if begun.elapsed() > DRAIN_LIMIT || progressed.0.elapsed() > DRAIN_STALL {
            return vec![format!(
                "{:.0?} after the last send {unanswered} messages had no answer and {in_flight} deliveries were missing",
                begun.elapsed()
            )];
        }
    }
}
