//! Keeps Redis subscribed to the wanted channels, whatever happens to the connection.

use std::{
    collections::HashSet,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use telemetry::{
    events::backplane::{RESUMED, SUBSCRIPTIONS},
    task::{self, Name},
};
use tokio::{
    sync::{mpsc, oneshot, watch},
    time::{Instant, MissedTickBehavior},
};
use tokio_util::sync::CancellationToken;

use super::shard::{Common, Ends};
use crate::{
    Channel, Unavailable,
    redis::link::{Link, Live},
};

/// Capacity of the queue, requests.
const WAITING: usize = 16 * 1024;
/// Channels of one command.
const TOGETHER: usize = 500;
/// How often the subscriptions are compared with the number that Redis counts.
const COUNT_EVERY: Duration = Duration::from_secs(10);
/// How long further slots that move away are waited for.
const MOVE_WAIT: Duration = Duration::from_millis(300);

/// A request to the supervisor.
enum Request {
    Subscribe(Channel, oneshot::Sender<Result<(), Unavailable>>),
    /// The channel has lost its last subscriber here.
    Unsubscribe(Channel),
}

/// The handle.
pub(crate) struct Supervisor {
    requests: mpsc::Sender<Request>,
}

struct Task {
    common: Arc<Common>,
    ends: Arc<Ends>,
    /// The shard's.
    number: u64,
    live: Option<Arc<Live>>,
    /// The channels that this connection is subscribed to.
    standing: HashSet<Channel>,
    /// The version of the cluster's map that they follow.
    arranged: u64,
    /// Redis has answered that some are elsewhere.
    is_incomplete: bool,
    /// Publications were lost, and the listeners have not been notified yet.
    is_behind: bool,
    shown: Shown,
}

/// Subscriptions of all shards of this process.
static SUBSCRIBED: AtomicUsize = AtomicUsize::new(0);

/// This shard's part of them.
struct Shown(usize);

impl Shown {
    fn set(&mut self, now: usize) {
        SUBSCRIBED.fetch_add(now, Ordering::Relaxed);
        let all = SUBSCRIBED.fetch_sub(self.0, Ordering::Relaxed) - self.0;
        SUBSCRIPTIONS.set(all as f64);
        self.0 = now;
    }
}

impl Drop for Shown {
    fn drop(&mut self) {
        self.set(0);
    }
}

impl Supervisor {
    pub(crate) fn start(
        link: &Link,
        common: &Arc<Common>,
        number: u64,
        ends: Arc<Ends>,
        stop: CancellationToken,
    ) -> Self {
        let (sender, receiver) = mpsc::channel(WAITING);
        let changes = link.changes();
        let supervising = Task {
            common: common.clone(),
            ends,
            number,
            live: None,
            standing: HashSet::new(),
            arranged: 0,
            is_incomplete: false,
            is_behind: false,
            shown: Shown(0),
        };
        let work = supervising.work(receiver, changes);
        task::vital_until(Name::RedisSupervisor, stop.cancelled_owned(), work);
        Self { requests: sender }
    }

    /// Subscribes; confirmed when it returns.
    pub(crate) async fn subscribe(&self, channel: Channel) -> Result<(), Unavailable> {
        let (answer, answered) = oneshot::channel();
        self.requests
            .try_send(Request::Subscribe(channel, answer))
            .map_err(|_| Unavailable)?;
        answered.await.map_err(|_| Unavailable)?
    }

    /// Returns at once. A request that finds the queue full is dropped; the next comparison repeats it.
    pub(crate) fn unsubscribe(&self, channel: Channel) {
        let _ = self.requests.try_send(Request::Unsubscribe(channel));
    }
}

impl Task {
    async fn work(
        mut self,
        mut requests: mpsc::Receiver<Request>,
        mut changes: watch::Receiver<Option<Arc<Live>>>,
    ) {
        let ends = self.ends.clone();
        let mut looks = self.common.routes.looks();
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
                received = requests.recv_many(&mut waiting, TOGETHER) => {
                    if received == 0 {
                        return;
                    }
                    self.serve(&mut waiting).await;
                }
                Ok(()) = looks.changed() => self.settle().await,
                () = ends.unasked.notified() => self.begin_again().await,
                _ = counts.tick() => self.count().await,
            }
            self.shown.set(self.standing.len());
        }
    }

    /// Switches to another connection, or to none.
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
        } else {
            // In a cluster another server may have taken over.
            self.common.routes.look.notify_one();
        }
    }

    /// The wanted channels of this shard.
    fn wanted(&self) -> Vec<Channel> {
        let mut all = self.common.subscriptions.all();
        all.retain(|channel| self.is_mine(*channel));
        all
    }

    fn is_mine(&self, channel: Channel) -> bool {
        let Common {
            routes,
            subscriptions,
            ..
        } = &*self.common;
        !routes.is_cluster || routes.is_owner(self.number, &subscriptions.name(channel))
    }

    /// Follows a new map of the cluster: subscribes to the channels that came here, and forgets those that left (Redis has
    /// ended them). Publications may have been lost meanwhile.
    async fn settle(&mut self) {
        let version = self.common.routes.version();
        let is_arranged = self.arranged == version && !self.is_incomplete && !self.is_behind;
        if self.live.is_none() || is_arranged {
            return;
        }
        self.arranged = version;
        self.is_incomplete = false;
        let wanted = self.wanted();
        let missing: Vec<Channel> = wanted
            .into_iter()
            .filter(|channel| !self.standing.contains(channel))
            .collect();
        let gone: Vec<Channel> = self
            .standing
            .iter()
            .filter(|channel| !self.is_mine(**channel))
            .copied()
            .collect();
        for channel in gone {
            self.standing.remove(&channel);
        }
        self.is_behind |= !missing.is_empty();
        for channels in missing.chunks(TOGETHER) {
            if self.subscribe(channels).await.is_err() {
                return;
            }
        }
        self.resume();
    }

    /// Notifies the listeners to compare with the database, if publications were lost.
    fn resume(&mut self) {
        if std::mem::take(&mut self.is_behind) {
            RESUMED.increment();
            self.common.resumed.send_modify(|times| *times += 1);
        }
    }

    /// Redis has ended subscriptions by itself: their slots have moved away. The driver takes such a push for an answer, so
    /// this connection's answers can no longer be trusted.
    async fn begin_again(&mut self) {
        self.common.routes.look.notify_one();
        tokio::time::sleep(MOVE_WAIT).await;
        if let Some(live) = &self.live {
            live.give_up();
        }
    }

    /// Subscribes to all wanted channels; once Redis has confirmed them, the listeners compare with the database.
    async fn subscribe_all(&mut self) {
        let began = Instant::now();
        let wanted = self.wanted();
        self.is_behind = true;
        for channels in wanted.chunks(TOGETHER) {
            if self.subscribe(channels).await.is_err() {
                return;
            }
        }
        tracing::debug!(channels = wanted.len(), took = ?began.elapsed(), "subscribed to everything");
        self.resume();
    }

    fn names(&self, channels: &[Channel]) -> Vec<Vec<u8>> {
        let subscriptions = &self.common.subscriptions;
        channels
            .iter()
            .map(|channel| subscriptions.name(*channel))
            .collect()
    }

    async fn subscribe(&mut self, channels: &[Channel]) -> Result<(), Unavailable> {
        let live = self.live.clone().ok_or(Unavailable)?;
        let names = self.names(channels);
        let accepted = if self.common.routes.is_cluster {
            live.subscribe_sharded(&names).await
        } else {
            live.subscribe(&names).await.map(|()| vec![true; channels.len()])
        };
        let Ok(accepted) = accepted else {
            // After any error, only a new connection has a known set of subscriptions.
            live.give_up();
            return Err(Unavailable);
        };
        let standing = channels
            .iter()
            .zip(&accepted)
            .filter(|(_, is_accepted)| **is_accepted);
        self.standing.extend(standing.map(|(channel, _)| *channel));
        if accepted.contains(&false) {
            self.is_incomplete = true;
            // They are elsewhere; their shard subscribes once the map shows that.
            self.common.routes.look.notify_one();
            return Err(Unavailable);
        }
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
        // A subscriber that wants it again has sent a request, or will after this.
        let subscriptions = &self.common.subscriptions;
        unwanted.retain(|channel| !subscriptions.is_wanted(*channel) && self.standing.contains(channel));
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
        let names = self.names(&channels);
        for channel in channels {
            self.standing.remove(&channel);
        }
        let ended = if self.common.routes.is_cluster {
            self.ends.ask(&names);
            let ended = live.unsubscribe_sharded(&names).await;
            self.ends.done();
            ended
        } else {
            live.unsubscribe(&names).await
        };
        if ended.is_err() {
            live.give_up();
        }
    }

    /// Compares the number of subscriptions that Redis counts for this connection with ours; where they differ, or Redis
    /// does not answer, subscribes to all again.
    async fn count(&mut self) {
        let Some(live) = self.live.clone() else { return };
        let counted = if self.common.routes.is_cluster {
            "ssub="
        } else {
            "sub="
        };
        let known = live
            .run::<String>(::redis::cmd("CLIENT").arg("INFO"))
            .await
            .ok()
            .and_then(|info| {
                let field = info
                    .split_whitespace()
                    .find_map(|field| field.strip_prefix(counted))?;
                field.parse::<usize>().ok()
            });
        let unwanted: Vec<Channel> = self
            .standing
            .iter()
            .filter(|channel| !self.common.subscriptions.is_wanted(**channel))
            .copied()
            .collect();
        let wanted = self.wanted();
        let is_whole = wanted.iter().all(|channel| self.standing.contains(channel));
        if known != Some(self.standing.len()) && self.common.routes.is_cluster {
            // Subscriptions of slots that came and went may be left: only a new connection has none.
            live.give_up();
        } else if known != Some(self.standing.len()) || !is_whole {
            self.subscribe_all().await;
        }
        self.unsubscribe(unwanted).await;
    }
}
