//! Keeps Redis subscribed to what is wanted, whatever happens to the connection.

use std::{collections::HashSet, sync::Arc, time::Duration};

use tokio::{
    sync::{mpsc, oneshot, watch},
    time::{Instant, MissedTickBehavior},
};
use tokio_util::sync::CancellationToken;

use super::{
    link::{Link, Live},
    subscriptions::Subscriptions,
};
use crate::{Channel, Unavailable};

/// Requests that wait.
const WAITING: usize = 16 * 1024;
/// Channels in one command.
const TOGETHER: usize = 500;
/// How often Redis is asked how many subscriptions it knows of.
const COUNT_EVERY: Duration = Duration::from_secs(10);

/// What is asked of the supervisor.
enum Request {
    Subscribe(Channel, oneshot::Sender<Result<(), Unavailable>>),
    /// Nobody here wants the channel any more.
    Unsubscribe(Channel),
}

/// The handle.
pub(super) struct Supervisor {
    requests: mpsc::Sender<Request>,
}

struct Task {
    subscriptions: Arc<Subscriptions>,
    resumed: watch::Sender<u64>,
    live: Option<Arc<Live>>,
    /// What this connection is subscribed to.
    standing: HashSet<Channel>,
}

impl Supervisor {
    pub(super) fn start(
        link: &Link,
        subscriptions: Arc<Subscriptions>,
        resumed: watch::Sender<u64>,
        stop: CancellationToken,
    ) -> Self {
        let (sender, receiver) = mpsc::channel(WAITING);
        let changes = link.changes();
        let task = Task {
            subscriptions,
            resumed,
            live: None,
            standing: HashSet::new(),
        };
        tokio::spawn(async move {
            tokio::select! {
                () = stop.cancelled() => {}
                () = task.work(receiver, changes) => {}
            }
        });
        Self { requests: sender }
    }

    /// Subscribes; confirmed when it returns.
    pub(super) async fn subscribe(&self, channel: Channel) -> Result<(), Unavailable> {
        let (answer, answered) = oneshot::channel();
        self.requests
            .try_send(Request::Subscribe(channel, answer))
            .map_err(|_| Unavailable)?;
        answered.await.map_err(|_| Unavailable)?
    }

    /// Not waited for. One that is let go here costs Redis a subscription that nobody hears, until the next comparison.
    pub(super) fn unsubscribe(&self, channel: Channel) {
        let _ = self.requests.try_send(Request::Unsubscribe(channel));
    }
}

impl Task {
    async fn work(
        mut self,
        mut requests: mpsc::Receiver<Request>,
        mut changes: watch::Receiver<Option<Arc<Live>>>,
    ) {
        let mut counts = tokio::time::interval(COUNT_EVERY);
        counts.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut waiting = Vec::with_capacity(TOGETHER);
        let live = changes.borrow_and_update().clone();
        self.begin(live).await;
        loop {
            tokio::select! {
                biased;
                changed = changes.changed() => {
                    if changed.is_err() {
                        return;
                    }
                    let live = changes.borrow_and_update().clone();
                    self.begin(live).await;
                }
                taken = requests.recv_many(&mut waiting, TOGETHER) => {
                    if taken == 0 {
                        return;
                    }
                    self.serve(&mut waiting).await;
                }
                _ = counts.tick() => self.count().await,
            }
            metrics::gauge!("huizhen_backplane_subscriptions").set(self.standing.len() as f64);
        }
    }

    /// Takes up another connection, or none.
    async fn begin(&mut self, live: Option<Arc<Live>>) {
        let is_same = match (&self.live, &live) {
            (Some(old), Some(new)) => old.number == new.number,
            _ => false,
        };
        if is_same {
            return;
        }
        self.standing.clear();
        self.live = live;
        if self.live.is_some() {
            self.subscribe_all().await;
        }
    }

    /// Sends everything that is wanted; when Redis has confirmed it, whoever waits for that compares with the database.
    async fn subscribe_all(&mut self) {
        let began = Instant::now();
        let wanted = self.subscriptions.all();
        for channels in wanted.chunks(TOGETHER) {
            if self.subscribe(channels).await.is_err() {
                return;
            }
        }
        metrics::counter!("huizhen_backplane_resumed_total").increment(1);
        tracing::debug!(channels = wanted.len(), took = ?began.elapsed(), "subscribed to everything");
        self.resumed.send_modify(|times| *times += 1);
    }

    async fn subscribe(&mut self, channels: &[Channel]) -> Result<(), Unavailable> {
        let live = self.live.clone().ok_or(Unavailable)?;
        let names: Vec<Vec<u8>> = channels
            .iter()
            .map(|channel| self.subscriptions.name(*channel))
            .collect();
        if live.subscribe(&names).await.is_err() {
            // Whatever it was, a new connection is the way to be sure of what stands.
            live.give_up();
            return Err(Unavailable);
        }
        self.standing.extend(channels);
        Ok(())
    }

    async fn serve(&mut self, waiting: &mut Vec<Request>) {
        let (mut asked, mut answers, mut unwanted) = (Vec::new(), Vec::new(), Vec::new());
        for request in waiting.drain(..) {
            match request {
                Request::Subscribe(channel, answer) => {
                    if !self.standing.contains(&channel) && !asked.contains(&channel) {
                        asked.push(channel);
                    }
                    answers.push(answer);
                }
                Request::Unsubscribe(channel) => unwanted.push(channel),
            }
        }
        // Whoever wants it again by now has asked, or will after this.
        unwanted.retain(|channel| !self.subscriptions.is_wanted(*channel) && self.standing.contains(channel));
        asked.retain(|channel| !unwanted.contains(channel));
        let outcome = match (&self.live, asked.is_empty()) {
            (None, _) => Err(Unavailable),
            (Some(_), true) => Ok(()),
            (Some(_), false) => self.subscribe(&asked).await,
        };
        for answer in answers {
            let _ = answer.send(outcome);
        }
        self.unsubscribe(unwanted).await;
    }

    async fn unsubscribe(&mut self, channels: Vec<Channel>) {
        let Some(live) = self.live.clone().filter(|_| !channels.is_empty()) else {
            return;
        };
        let names: Vec<Vec<u8>> = channels
            .iter()
            .map(|channel| self.subscriptions.name(*channel))
            .collect();
        for channel in channels {
            self.standing.remove(&channel);
        }
        if live.unsubscribe(&names).await.is_err() {
            live.give_up();
        }
    }

    /// Compares what Redis thinks this connection is subscribed to with what should stand; where it differs, or Redis
    /// does not say, everything is sent again.
    async fn count(&mut self) {
        let Some(live) = self.live.clone() else { return };
        let known = live
            .run::<String>(::redis::cmd("CLIENT").arg("INFO"))
            .await
            .ok()
            .and_then(|info| {
                let field = info
                    .split_whitespace()
                    .find_map(|field| field.strip_prefix("sub="))?;
                field.parse::<usize>().ok()
            });
        let unwanted: Vec<Channel> = self
            .standing
            .iter()
            .filter(|channel| !self.subscriptions.is_wanted(**channel))
            .copied()
            .collect();
        let missing = self.subscriptions.all();
        let is_whole = missing.iter().all(|channel| self.standing.contains(channel));
        if known != Some(self.standing.len()) || !is_whole {
            self.subscribe_all().await;
        }
        self.unsubscribe(unwanted).await;
    }
}
