//! The backplane of a fleet: Redis. Two connections are kept ([`link`]): one listens, one asks and publishes. Nothing in
//! Redis is needed for long: it may be emptied, frozen or restarted, and whoever listens is told to compare with the
//! database once it is back.

mod address;
mod books;
mod link;
mod publisher;
mod sentinels;
mod source;
mod subscriptions;
mod supervisor;

use std::{sync::Arc, time::Duration};

use ::redis::{ErrorKind, PushInfo, PushKind, Value};
use address::Address;
use books::Books;
use bytes::Bytes;
use link::Link;
use proto::{UserId, wire::Platform};
use publisher::Publisher;
use subscriptions::{Distribution, Subscriptions};
use supervisor::Supervisor;
use tokio::sync::watch;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::{
    Channel, Generation, Handler, HeldSession, NodeRecord, OpenError, Outdone, PasswordHash, Presence,
    SubscriberId, Unavailable,
};

/// How often it is looked whether Redis has been emptied.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How long the mark by which that is seen stands unrenewed.
const MARK_LASTS: Duration = Duration::from_secs(60);

/// The handle.
pub struct Redis {
    books: Books,
    asking: Arc<Link>,
    listening: Link,
    publisher: Publisher,
    subscriptions: Arc<Subscriptions>,
    supervisor: Supervisor,
    resumed: watch::Sender<u64>,
    _stop: DropGuard,
}

impl Redis {
    /// Connects; a Redis that is away is waited for in the background, one that refuses is an error.
    pub(crate) async fn open(url: &str) -> Result<Self, OpenError> {
        let Address {
            source,
            prefix,
            shown,
        } = Address::parse(url)?;
        if let Err(error) = source.connect(|_| {}).await {
            if error.kind() == ErrorKind::MasterNameNotFoundBySentinel {
                return Err(OpenError::Address(error.to_string()));
            }
            if link::is_refusal(&error) {
                return Err(OpenError::Refused {
                    redis: shown,
                    reason: error.to_string(),
                });
            }
            tracing::warn!(%error, redis = shown, "Redis cannot be reached yet; logins wait for it");
        }
        let stop = CancellationToken::new();
        let subscriptions = Arc::new(Subscriptions::new(prefix.clone()));
        let (resumed, _) = watch::channel(0);
        let distribution = Distribution::start(subscriptions.clone());
        let let_go = resumed.clone();
        let on_push = move |push: PushInfo| {
            if push.kind == PushKind::Message
                && let Ok([Value::BulkString(name), Value::BulkString(payload)]) =
                    <[Value; 2]>::try_from(push.data)
            {
                metrics::counter!("huizhen_backplane_received_total").increment(1);
                if !distribution.take(&name, payload) {
                    metrics::counter!("huizhen_backplane_lost_total", "why" => "slow").increment(1);
                    let_go.send_modify(|times| *times += 1);
                }
            }
        };
        let listening = Link::keep(
            "listening",
            source.clone(),
            shown.clone(),
            Arc::new(on_push),
            stop.clone(),
        );
        let asking = Arc::new(Link::keep(
            "asking",
            source,
            shown,
            Arc::new(|_| {}),
            stop.clone(),
        ));
        let supervisor = Supervisor::start(&listening, subscriptions.clone(), resumed.clone(), stop.clone());
        let publisher = Publisher::start(asking.clone(), stop.clone());
        let mark = format!("{prefix}mark:{:016x}", rand::random::<u64>());
        let looking = look_for_emptiness(asking.clone(), mark, resumed.clone());
        let stops = stop.clone();
        tokio::spawn(async move {
            tokio::select! {
                () = stops.cancelled() => {}
                () = looking => {}
            }
        });
        Ok(Self {
            books: Books { prefix },
            asking,
            listening,
            publisher,
            subscriptions,
            supervisor,
            resumed,
            _stop: stop.drop_guard(),
        })
    }

    pub(crate) fn is_available(&self) -> bool {
        self.asking.now().is_some() && self.listening.now().is_some()
    }

    pub(crate) fn resumed(&self) -> watch::Receiver<u64> {
        self.resumed.subscribe()
    }

    pub(crate) fn join(&self, handler: Handler) -> SubscriberId {
        self.subscriptions.join(handler)
    }

    pub(crate) fn leave(&self, subscriber: SubscriberId) {
        for channel in self.subscriptions.leave(subscriber) {
            self.supervisor.unsubscribe(channel);
        }
    }

    pub(crate) async fn subscribe(
        &self,
        subscriber: SubscriberId,
        channel: Channel,
    ) -> Result<(), Unavailable> {
        self.subscriptions.want(subscriber, channel);
        self.supervisor.subscribe(channel).await
    }

    pub(crate) fn unsubscribe(&self, subscriber: SubscriberId, channel: Channel) {
        if self.subscriptions.unwant(subscriber, channel) {
            self.supervisor.unsubscribe(channel);
        }
    }

    pub(crate) fn publish(&self, channel: Channel, payload: &Bytes, but: Option<SubscriberId>) {
        let mut publish = ::redis::cmd("PUBLISH");
        publish
            .arg(self.subscriptions.name(channel))
            .arg(subscriptions::envelope(but, payload));
        self.publisher.send(publish, payload.len() + 64);
    }

    pub(crate) async fn put_im_password(
        &self,
        user: UserId,
        device_id: &str,
        hash: PasswordHash,
        expires_at_ms: i64,
    ) -> Result<(), Unavailable> {
        self.books
            .put_im_password(&self.asking, user, device_id, hash, expires_at_ms)
            .await
    }

    pub(crate) async fn check_im_password(
        &self,
        user: UserId,
        device_id: &str,
        hash: &PasswordHash,
        now_ms: i64,
    ) -> Result<Option<i64>, Unavailable> {
        self.books
            .check_im_password(&self.asking, user, device_id, hash, now_ms)
            .await
    }

    pub(crate) async fn revoke_im_passwords(&self, user: UserId, device_id: &str) -> Result<(), Unavailable> {
        self.books
            .revoke_im_passwords(&self.asking, user, device_id)
            .await
    }

    pub(crate) async fn claim_session(
        &self,
        user: UserId,
        device_id: &str,
        platform: Platform,
    ) -> Result<Generation, Unavailable> {
        self.books
            .claim_session(&self.asking, user, device_id, platform)
            .await
    }

    pub(crate) async fn renew_sessions(
        &self,
        sessions: &[HeldSession],
    ) -> Result<Vec<(usize, Outdone)>, Unavailable> {
        self.books.renew_sessions(&self.asking, sessions).await
    }

    pub(crate) fn release_session(&self, user: UserId, device_id: &str, generation: Generation, now_ms: i64) {
        let release = self.books.release_session(user, device_id, generation, now_ms);
        self.publisher.send(release, 1_024);
    }

    pub(crate) async fn presence(&self, users: &[UserId]) -> Result<Vec<Presence>, Unavailable> {
        self.books.presence(&self.asking, users).await
    }

    pub(crate) async fn announce_node(&self, node: &NodeRecord, lasts_ms: i64) -> Result<(), Unavailable> {
        self.books.announce_node(&self.asking, node, lasts_ms).await
    }

    pub(crate) async fn withdraw_node(&self, node_id: &str) {
        // Where that fails the line expires.
        let _ = self.books.withdraw_node(&self.asking, node_id).await;
    }

    pub(crate) async fn nodes(&self) -> Result<Vec<NodeRecord>, Unavailable> {
        self.books.nodes(&self.asking).await
    }
}

/// A server that was restarted or emptied, or another that has taken over, does not know this process's mark.
async fn look_for_emptiness(asking: Arc<Link>, mark: String, resumed: watch::Sender<u64>) {
    let mut look = ::redis::cmd("SET");
    let lasts_ms = u64::try_from(MARK_LASTS.as_millis()).unwrap_or(u64::MAX);
    look.arg(&mark).arg(1).arg("PX").arg(lasts_ms).arg("GET");
    let mut is_first = true;
    loop {
        if let Ok(before) = asking.ask::<Option<i64>>(&look).await {
            if before.is_none() && !is_first {
                tracing::warn!("Redis has been emptied; what it held is put back");
                metrics::counter!("huizhen_backplane_emptied_total").increment(1);
                resumed.send_modify(|times| *times += 1);
            }
            is_first = false;
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}
