//! Keeps Redis subscribed to what is wanted, whatever happens to the connection.

use std::{collections::HashSet, sync::Arc, time::Duration};

use tokio::{
    sync::{mpsc, oneshot, watch},
    time::{Instant, MissedTickBehavior},
};
use tokio_util::sync::CancellationToken;

use super::{
    link::{Link, Live},
    shard::{Common, Ends},
};
use crate::{Channel, Unavailable};

/// Requests that wait.
const WAITING: usize = 16 * 1024;
/// Channels in one command.
const TOGETHER: usize = 500;
/// How often Redis is asked how many subscriptions it knows of.
const COUNT_EVERY: Duration = Duration::from_secs(10);
/// How long slots that move away one after the other are waited for.
const MOVE_WAIT: Duration = Duration::from_millis(300);

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
    common: Arc<Common>,
    ends: Arc<Ends>,
    /// The shard's.
    number: u64,
    live: Option<Arc<Live>>,
    /// What this connection is subscribed to.
    standing: HashSet<Channel>,
    /// The map of the cluster after which that was arranged.
    arranged: u64,
    /// Redis has said of some that they are elsewhere.
    is_incomplete: bool,
    /// Publications were lost and nobody has been told yet.
    is_behind: bool,
    shown: Shown,
}

/// This shard's part of the number of subscriptions.
struct Shown(usize);

impl Shown {
    fn set(&mut self, now: usize) {
        let gauge = metrics::gauge!("huizhen_backplane_subscriptions");
        gauge.increment(now as f64 - self.0 as f64);
        self.0 = now;
    }
}

impl Drop for Shown {
    fn drop(&mut self) {
        self.set(0);
    }
}

impl Supervisor {
    pub(super) fn start(
        link: &Link,
        common: &Arc<Common>,
        number: u64,
        ends: Arc<Ends>,
        stop: CancellationToken,
    ) -> Self {
        let (sender, receiver) = mpsc::channel(WAITING);
        let changes = link.changes();
        let task = Task {
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
                taken = requests.recv_many(&mut waiting, TOGETHER) => {
                    if taken == 0 {
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
        } else {
            // In a cluster another may have taken over.
            self.common.routes.look.notify_one();
        }
    }

    /// What is wanted of this shard.
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

    /// The cluster has been looked at: what has come here is subscribed to, what has gone is forgotten (Redis has ended
    /// it). Publications may have been lost on the way.
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
        self.tell();
    }

    /// Whoever listens is told to compare with the database, if there is reason to.
    fn tell(&mut self) {
        if std::mem::take(&mut self.is_behind) {
            metrics::counter!("huizhen_backplane_resumed_total").increment(1);
            self.common.resumed.send_modify(|times| *times += 1);
        }
    }

    /// Redis has ended subscriptions by itself: their slots have moved away. The driver takes such news for an answer, so
    /// this connection's answers cannot be trusted any more.
    async fn begin_again(&mut self) {
        self.common.routes.look.notify_one();
        tokio::time::sleep(MOVE_WAIT).await;
        if let Some(live) = &self.live {
            live.give_up();
        }
    }

    /// Sends everything that is wanted; when Redis has confirmed it, whoever waits for that compares with the database.
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
        self.tell();
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
        let taken = if self.common.routes.is_cluster {
            live.subscribe_sharded(&names).await
        } else {
            live.subscribe(&names).await.map(|()| vec![true; channels.len()])
        };
        let Ok(taken) = taken else {
            // Whatever it was, a new connection is the way to be sure of what stands.
            live.give_up();
            return Err(Unavailable);
        };
        let standing = channels.iter().zip(&taken).filter(|(_, is_taken)| **is_taken);
        self.standing.extend(standing.map(|(channel, _)| *channel));
        if taken.contains(&false) {
            self.is_incomplete = true;
            // They are elsewhere; whoever has them subscribes once that is known.
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
        // Whoever wants it again by now has asked, or will after this.
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

    /// Compares what Redis thinks this connection is subscribed to with what should stand; where it differs, or Redis
    /// does not say, everything is sent again.
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
            // More may stand there than should, for slots that have come and gone: only a new connection has none.
            live.give_up();
        } else if known != Some(self.standing.len()) || !is_whole {
            self.subscribe_all().await;
        }
        self.unsubscribe(unwanted).await;
    }
}
