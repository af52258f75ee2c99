//! One connection that is kept: made again for ever, asked each second whether it lives, given up at once when it does
//! not answer.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use ::redis::{
    Cmd, ErrorKind, FromRedisValue, Pipeline, PushInfo, PushKind, RedisError, Value,
    aio::MultiplexedConnection,
};
use parking_lot::Mutex;
use tokio::{
    sync::{Notify, watch},
    time::{Instant, timeout},
};
use tokio_util::sync::CancellationToken;

use super::source::{ANSWER_LIMIT, Source};
use crate::Unavailable;

/// How often an idle connection is asked; with the limit of an answer a frozen server is noticed within 3 s.
const ASK_EVERY: Duration = Duration::from_secs(1);
/// How long a command waits for a connection that is being made.
const LINK_WAIT: Duration = Duration::from_millis(300);
const BACKOFF: [Duration; 4] = [
    Duration::from_millis(50),
    Duration::from_millis(100),
    Duration::from_millis(250),
    Duration::from_millis(500),
];
/// The wait before a server that was a replica is connected to again.
const REPLICA_PAUSE: Duration = Duration::from_millis(500);
/// How often the log repeats that Redis is away.
const SAY_EVERY: Duration = Duration::from_secs(30);

/// How often the log repeats that Redis refuses.
const SAY_REFUSAL_EVERY: Duration = Duration::from_secs(1);

/// Where pushes go; it must only hand over.
pub(super) type OnPush = Arc<dyn Fn(PushInfo) + Send + Sync>;

/// The connections of one kind, of which a cluster needs several.
#[derive(Clone)]
pub(super) struct Kept {
    name: &'static str,
    wanted: Arc<AtomicUsize>,
    standing: Arc<AtomicUsize>,
}

impl Kept {
    pub(super) fn new(name: &'static str) -> Self {
        Self {
            name,
            wanted: Arc::default(),
            standing: Arc::default(),
        }
    }

    fn count(&self, counter: &Arc<AtomicUsize>) -> Counted {
        counter.fetch_add(1, Ordering::Relaxed);
        self.show();
        Counted {
            kept: self.clone(),
            counter: counter.clone(),
        }
    }

    fn show(&self) {
        let is_up = self.wanted.load(Ordering::Relaxed) == self.standing.load(Ordering::Relaxed);
        metrics::gauge!("huizhen_backplane_up", "link" => self.name).set(f64::from(u8::from(is_up)));
    }
}

/// One more, until it is dropped.
struct Counted {
    kept: Kept,
    counter: Arc<AtomicUsize>,
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.counter.fetch_sub(1, Ordering::Relaxed);
        self.kept.show();
    }
}

/// A connection that is kept.
pub(super) struct Link {
    current: watch::Receiver<Option<Arc<Live>>>,
}

/// A connection that lives, as far as is known.
pub(super) struct Live {
    connection: MultiplexedConnection,
    /// Counts connections.
    pub(super) number: u64,
    is_broken: AtomicBool,
    /// It is one to a replica, which is said of the server and not of each connection.
    is_to_replica: AtomicBool,
    broken: Notify,
    /// When the log last had a refusal.
    said: Mutex<Option<Instant>>,
}

impl Live {
    /// Gives the connection up.
    pub(super) fn give_up(&self) {
        self.is_broken.store(true, Ordering::Release);
        self.broken.notify_one();
    }

    /// Runs a command.
    pub(super) async fn run<T: FromRedisValue>(&self, command: &Cmd) -> Result<T, RedisError> {
        let mut connection = self.connection.clone();
        let answer = timeout(ANSWER_LIMIT, command.query_async(&mut connection)).await;
        self.judge(answer)
    }

    /// Runs several commands together.
    pub(super) async fn run_all<T: FromRedisValue>(&self, commands: &Pipeline) -> Result<T, RedisError> {
        let mut connection = self.connection.clone();
        let answer = timeout(ANSWER_LIMIT, commands.query_async(&mut connection)).await;
        self.judge(answer)
    }

    /// Runs several commands together; each has an answer or an error of its own.
    pub(super) async fn run_each(
        &self,
        mut commands: Pipeline,
    ) -> Result<Vec<Result<Value, RedisError>>, RedisError> {
        commands.ignore_errors();
        let answers: Vec<Result<Value, RedisError>> = self.run_all(&commands).await?;
        if let Some(error) = answers.iter().find_map(|answer| answer.as_ref().err()) {
            self.note(error);
        }
        Ok(answers)
    }

    /// Subscribes to channels of a cluster, and waits until Redis has confirmed it or said which are elsewhere.
    pub(super) async fn subscribe_sharded(&self, channels: &[Vec<u8>]) -> Result<Vec<bool>, RedisError> {
        let answers = self.run_each(one_by_one("SSUBSCRIBE", channels)).await?;
        Ok(answers.iter().map(Result::is_ok).collect())
    }

    /// Ends subscriptions to channels of a cluster.
    pub(super) async fn unsubscribe_sharded(&self, channels: &[Vec<u8>]) -> Result<(), RedisError> {
        // What has moved away has ended by that.
        self.run_each(one_by_one("SUNSUBSCRIBE", channels))
            .await
            .map(drop)
    }

    /// Subscribes and waits until Redis has confirmed it.
    pub(super) async fn subscribe(&self, channels: &[Vec<u8>]) -> Result<(), RedisError> {
        let mut connection = self.connection.clone();
        let answer = timeout(ANSWER_LIMIT, connection.subscribe(channels)).await;
        self.judge(answer)
    }

    /// Ends subscriptions.
    pub(super) async fn unsubscribe(&self, channels: &[Vec<u8>]) -> Result<(), RedisError> {
        let mut connection = self.connection.clone();
        let answer = timeout(ANSWER_LIMIT, connection.unsubscribe(channels)).await;
        self.judge(answer)
    }

    fn judge<T>(
        &self,
        answer: Result<Result<T, RedisError>, tokio::time::error::Elapsed>,
    ) -> Result<T, RedisError> {
        let answer = answer.unwrap_or_else(|_| {
            Err(RedisError::from(std::io::Error::new(
                std::io::ErrorKind::TimedOut,
                "Redis does not answer",
            )))
        });
        if let Err(error) = &answer {
            self.note(error);
        }
        answer
    }

    fn note(&self, error: &RedisError) {
        // A server that has become a replica or is starting will not do for a while; another may by then.
        let has_changed = matches!(
            error.code(),
            Some("READONLY" | "LOADING" | "MASTERDOWN" | "NOAUTH")
        );
        if error.code() == Some("READONLY") {
            self.is_to_replica.store(true, Ordering::Release);
        }
        if error.is_io_error() || error.is_timeout() || error.is_unrecoverable_error() || has_changed {
            self.give_up();
        } else if !error.is_cluster_error() {
            metrics::counter!("huizhen_backplane_refused_total").increment(1);
            // The shard says once that its server takes no writes.
            if takes_no_writes(error) {
                return;
            }
            let mut said = self.said.lock();
            if said.is_none_or(|said| said.elapsed() >= SAY_REFUSAL_EVERY) {
                *said = Some(Instant::now());
                tracing::warn!(%error, "Redis refused a command");
            }
        }
    }
}

impl Link {
    /// Keeps a connection until `stop`. `ask` is what it is asked each second.
    pub(super) fn keep(
        kept: Kept,
        source: Source,
        shown: String,
        on_push: OnPush,
        stop: CancellationToken,
    ) -> Self {
        let (sender, current) = watch::channel(None);
        tokio::spawn(async move {
            let keeping = keep(&kept, &source, &shown, on_push, &sender);
            tokio::select! {
                () = stop.cancelled() => {}
                () = keeping => {}
            }
            sender.send_replace(None);
        });
        Self { current }
    }

    /// The connection, now.
    pub(super) fn now(&self) -> Option<Arc<Live>> {
        self.current
            .borrow()
            .clone()
            .filter(|live| !live.is_broken.load(Ordering::Acquire))
    }

    /// The connection; one that is being made is waited for, but not long.
    pub(super) async fn live(&self) -> Result<Arc<Live>, Unavailable> {
        if let Some(live) = self.now() {
            return Ok(live);
        }
        let mut current = self.current.clone();
        let found = timeout(
            LINK_WAIT,
            current.wait_for(|live| {
                live.as_ref()
                    .is_some_and(|live| !live.is_broken.load(Ordering::Acquire))
            }),
        )
        .await;
        match found {
            Ok(Ok(live)) => live.clone().ok_or(Unavailable),
            _ => Err(Unavailable),
        }
    }

    /// Tells of every change of the connection.
    pub(super) fn changes(&self) -> watch::Receiver<Option<Arc<Live>>> {
        self.current.clone()
    }
}

/// The same command for each channel: those of a cluster fall to different slots, of which a command takes one only.
fn one_by_one(command: &str, channels: &[Vec<u8>]) -> Pipeline {
    let mut together = Pipeline::with_capacity(channels.len());
    for channel in channels {
        together.cmd(command).arg(channel);
    }
    together
}

/// Whether a server that answers refuses what writes: its memory is full, its disk or its replicas fail, or it is a replica.
pub(super) fn takes_no_writes(error: &RedisError) -> bool {
    matches!(
        error.code(),
        Some("OOM" | "MISCONF" | "NOREPLICAS" | "READONLY" | "MASTERDOWN")
    )
}

/// Whether trying again is of no use before somebody changes something.
pub(super) fn is_refusal(error: &RedisError) -> bool {
    error.kind() == ErrorKind::AuthenticationFailed
        || error.kind() == ErrorKind::RESP3NotSupported
        || matches!(error.code(), Some("NOAUTH" | "WRONGPASS" | "NOPERM" | "NOPROTO"))
        || is_about_a_certificate(error)
}

/// Whether the other side's certificate is not trusted.
pub(super) fn is_about_a_certificate(error: &RedisError) -> bool {
    error.to_string().contains("certificate")
}

async fn keep(
    kept: &Kept,
    source: &Source,
    shown: &str,
    on_push: OnPush,
    sender: &watch::Sender<Option<Arc<Live>>>,
) {
    let name = kept.name;
    let _wanted = kept.count(&kept.wanted);
    let (mut number, mut failures) = (0, 0);
    let mut said: Option<Instant> = None;
    let mut was_replica = false;
    loop {
        let ended = Arc::new(Notify::new());
        let (ends, hands_on) = (ended.clone(), on_push.clone());
        let connection = source
            .connect(move |push: PushInfo| {
                if push.kind == PushKind::Disconnection {
                    ends.notify_one();
                } else {
                    hands_on(push);
                }
            })
            .await;
        match usable(connection).await {
            Ok((connection, place)) => {
                if (failures > 0 || number > 0) && !was_replica {
                    tracing::info!(redis = shown, link = name, "Redis is back");
                }
                (number, failures, said) = (number + 1, 0, None);
                metrics::counter!("huizhen_backplane_connections_total", "link" => name).increment(1);
                let live = Arc::new(Live {
                    connection,
                    number,
                    is_broken: AtomicBool::new(false),
                    is_to_replica: AtomicBool::new(false),
                    broken: Notify::new(),
                    said: Mutex::default(),
                });
                let standing = kept.count(&kept.standing);
                sender.send_replace(Some(live.clone()));
                tokio::select! {
                    () = until_broken(&live, &ended) => {}
                    () = source.until_moved(place.as_ref()) => {}
                }
                live.give_up();
                drop(standing);
                sender.send_replace(None);
                was_replica = live.is_to_replica.load(Ordering::Acquire);
                if was_replica {
                    // The next connection may reach its master.
                    tokio::time::sleep(REPLICA_PAUSE).await;
                } else {
                    tracing::warn!(redis = shown, link = name, "the connection to Redis is gone");
                }
            }
            Err(error) => {
                if said.is_none_or(|said| said.elapsed() >= SAY_EVERY) {
                    said = Some(Instant::now());
                    tracing::warn!(%error, redis = shown, link = name, "Redis cannot be reached; trying again");
                }
                tokio::time::sleep(BACKOFF[failures.min(BACKOFF.len() - 1)]).await;
                failures += 1;
            }
        }
    }
}

/// A server that is loading, or is cut off from its master, takes connections and no commands.
async fn usable<P>(
    connection: Result<(MultiplexedConnection, P), RedisError>,
) -> Result<(MultiplexedConnection, P), RedisError> {
    let (mut connection, place) = connection?;
    ::redis::cmd("PING").query_async::<Value>(&mut connection).await?;
    Ok((connection, place))
}

async fn until_broken(live: &Live, ended: &Notify) {
    let ping = ::redis::cmd("PING");
    loop {
        tokio::select! {
            () = ended.notified() => return,
            () = live.broken.notified() => return,
            () = tokio::time::sleep(ASK_EVERY) => {}
        }
        if live.run::<()>(&ping).await.is_err() {
            return;
        }
    }
}
