//! The backplane of a fleet: Redis. Two connections to each server are kept ([`link`], [`cluster`]): one listens, one asks
//! and publishes. Redis may be emptied, frozen or restarted at any moment; once it is back, listeners compare with the
//! database. Records and publications that were not made with the fleet's key are ignored ([`seal`]).

mod address;
mod books;
mod cluster;
mod examination;
mod link;
mod seal;
mod sentinel;
mod server;
mod subscriptions;

use std::sync::Arc;

use ::redis::{ErrorKind, RedisError};
use bytes::Bytes;
use proto::{UserId, wire::Platform};
use telemetry::task::{self, Name};
use tokio::sync::watch;
use tokio_util::sync::{CancellationToken, DropGuard};

use self::{
    address::{Address, Way},
    books::Books,
    cluster::{Common, Layout, Map, Routes, Shard, count_lost},
    examination::fleets::Fleets,
    link::Kept,
    seal::{Records, Seal},
    server::refusal::is_refusal,
    subscriptions::{Distribution, Subscriptions},
};
use crate::{
    Channel, Complaint, Generation, Handler, HeldSession, Identity, NodeRecord, OpenError, Outdone,
    PasswordHash, Presence, SubscriberId, Unavailable,
};

/// The handle.
pub struct Redis {
    books: Books,
    routes: Arc<Routes>,
    subscriptions: Arc<Subscriptions>,
    fleets: Fleets,
    resumed: watch::Sender<u64>,
    stop: CancellationToken,
    _stop: DropGuard,
}

impl Redis {
    /// Connects; a Redis that is away is waited for in the background, one that refuses is an error. An examination may have no
    /// identity and gets a random one.
    pub(crate) async fn open(url: &str, identity: Option<&Identity>) -> Result<Self, OpenError> {
        let Address { way, prefix, shown } = Address::parse(url)?;
        if let Err(error) = way.check().await
            && let Some(error) = permanent(&error, &shown)
        {
            return Err(error);
        }
        let fleets = Fleets::new(&prefix, identity.map(Identity::id));
        let identity = identity.cloned().unwrap_or_else(Identity::random);
        let names = format!("{prefix}{}:", identity.id());
        let seal = Seal::new(&identity).map_err(|_| OpenError::Cipher)?;
        let records = Records::new(&identity);
        let stop = CancellationToken::new();
        let subscriptions = Arc::new(Subscriptions::new(names.clone(), seal));
        let routes = Arc::new(Routes::new(matches!(way, Way::Cluster(_))));
        let (resumed, _) = watch::channel(0);
        let common = Arc::new(Common {
            routes: routes.clone(),
            subscriptions: subscriptions.clone(),
            distribution: Distribution::start(subscriptions.clone()),
            resumed: resumed.clone(),
            listening: Kept::new("listening"),
            asking: Kept::new("asking"),
            mark: format!("{names}mark:{:016x}", rand::random::<u64>()),
            stop: stop.clone(),
        });
        start(way, common, &shown);
        Ok(Self {
            books: Books {
                prefix: names,
                records,
            },
            routes,
            subscriptions,
            fleets,
            resumed,
            _stop: stop.clone().drop_guard(),
            stop,
        })
    }

    /// Registers this fleet for the other users of this Redis, now and then, and logs other fleets.
    pub(crate) fn announce_fleet(&self) {
        let (fleets, routes, stop) = (self.fleets.clone(), self.routes.clone(), self.stop.clone());
        task::vital_until(Name::RedisFleets, stop.cancelled_owned(), async move {
            fleets.keep(&routes).await;
        });
    }

    pub(crate) fn is_available(&self) -> bool {
        self.routes.is_available()
    }

    pub(crate) fn problem(&self) -> Option<String> {
        self.routes.problem()
    }

    pub(crate) async fn complaints(&self) -> Result<Vec<Complaint>, Unavailable> {
        let mut complaints = examination::complaints(&self.routes, &self.books.prefix).await?;
        complaints.extend(self.fleets.complaint(&self.routes).await?);
        Ok(complaints)
    }

    pub(crate) async fn clock_ms(&self) -> Result<i64, Unavailable> {
        books::time_ms(&self.routes, &self.books.prefix).await
    }

    pub(crate) fn resumed(&self) -> watch::Receiver<u64> {
        self.resumed.subscribe()
    }

    pub(crate) fn join(&self, handler: Handler) -> SubscriberId {
        self.subscriptions.join(handler)
    }

    pub(crate) fn leave(&self, subscriber: SubscriberId) {
        for channel in self.subscriptions.leave(subscriber) {
            self.routes
                .unsubscribe(&self.subscriptions.name(channel), channel);
        }
    }

    pub(crate) async fn subscribe(
        &self,
        subscriber: SubscriberId,
        channel: Channel,
    ) -> Result<(), Unavailable> {
        self.subscriptions.want(subscriber, channel);
        self.routes
            .subscribe(&self.subscriptions.name(channel), channel)
            .await
    }

    pub(crate) fn unsubscribe(&self, subscriber: SubscriberId, channel: Channel) {
        if self.subscriptions.unwant(subscriber, channel) {
            self.routes
                .unsubscribe(&self.subscriptions.name(channel), channel);
        }
    }

    pub(crate) fn publish(&self, channel: Channel, payload: &Bytes, but: Option<SubscriberId>) {
        let name = self.subscriptions.name(channel);
        let Some(sealed) = self.subscriptions.seal(&name, but, payload) else {
            return count_lost("unsealed", 1);
        };
        let bytes = name.len() + sealed.len();
        let mut publish = ::redis::cmd(if self.routes.is_cluster {
            "SPUBLISH"
        } else {
            "PUBLISH"
        });
        publish.arg(&name).arg(sealed);
        self.routes.send(&name, publish, bytes);
    }

    pub(crate) async fn put_im_password(
        &self,
        user: UserId,
        device_id: &str,
        hash: PasswordHash,
        lasts_ms: i64,
    ) -> Result<(), Unavailable> {
        self.books
            .put_im_password(&self.routes, user, device_id, hash, lasts_ms)
            .await
    }

    pub(crate) async fn check_im_password(
        &self,
        user: UserId,
        device_id: &str,
        hash: &PasswordHash,
    ) -> Result<Option<i64>, Unavailable> {
        self.books
            .check_im_password(&self.routes, user, device_id, hash)
            .await
    }

    pub(crate) async fn revoke_im_passwords(
        &self,
        user: UserId,
        device_id: &str,
    ) -> Result<Generation, Unavailable> {
        self.books
            .revoke_im_passwords(&self.routes, user, device_id)
            .await
    }

    pub(crate) async fn claim_session(
        &self,
        user: UserId,
        device_id: &str,
        platform: Platform,
    ) -> Result<Generation, Unavailable> {
        self.books
            .claim_session(&self.routes, user, device_id, platform)
            .await
    }

    pub(crate) async fn next_generation(&self, user: UserId) -> Result<Generation, Unavailable> {
        self.books.next_generation(&self.routes, user).await
    }

    pub(crate) async fn renew_sessions(
        &self,
        sessions: &[HeldSession],
    ) -> Result<Vec<(usize, Outdone)>, Unavailable> {
        self.books.renew_sessions(&self.routes, sessions).await
    }

    pub(crate) fn release_session(&self, user: UserId, device_id: &str, generation: Generation, now_ms: i64) {
        let (key, release) = self.books.release_session(user, device_id, generation, now_ms);
        self.routes.send(key.as_bytes(), release, 1_024);
    }

    pub(crate) async fn presence(&self, users: &[UserId]) -> Result<Vec<Presence>, Unavailable> {
        self.books.presence(&self.routes, users).await
    }

    pub(crate) async fn announce_node(&self, node: &NodeRecord, lasts_ms: i64) -> Result<(), Unavailable> {
        self.books.announce_node(&self.routes, node, lasts_ms).await
    }

    pub(crate) async fn remove_node(&self, node_id: &str) {
        // Where this fails the record expires.
        let _ = self.books.remove_node(&self.routes, node_id).await;
    }

    pub(crate) async fn nodes(&self) -> Result<Vec<NodeRecord>, Unavailable> {
        self.books.nodes(&self.routes).await
    }
}

fn start(way: Way, common: Arc<Common>, shown: &str) {
    match way {
        Way::Server(source) => {
            let shards = vec![Shard::start(&common, source, None, shown)];
            let layout = Layout::default();
            common.routes.looked(Some(Map { shards, layout }));
        }
        Way::Cluster(cluster) => {
            let stop = common.stop.clone();
            task::vital_until(Name::RedisCluster, stop.cancelled_owned(), cluster.keep(common));
        }
    }
}

/// The error for what waiting does not mend.
fn permanent(error: &RedisError, shown: &str) -> Option<OpenError> {
    if matches!(
        error.kind(),
        ErrorKind::MasterNameNotFoundBySentinel | ErrorKind::InvalidClientConfig
    ) {
        return Some(OpenError::Address(error.to_string()));
    }
    is_refusal(error).then(|| OpenError::Refused {
        redis: shown.to_owned(),
        reason: error.to_string(),
    })
}

/// The sealing of a payload without Redis, to measure its cost.
pub struct Sealed(Subscriptions);

impl Sealed {
    /// Seals as a process of this fleet.
    ///
    /// # Panics
    /// When there is no cipher.
    pub fn new(identity: &Identity) -> Self {
        let seal = Seal::new(identity).unwrap_or_else(|error| panic!("{error}"));
        let names = format!("huizhen:{}:", identity.id());
        Self(Subscriptions::new(names, seal))
    }

    /// Seals a payload.
    ///
    /// # Panics
    /// When it cannot be sealed.
    pub fn seal(&self, channel: Channel, payload: &[u8]) -> Vec<u8> {
        let sealed = self.0.seal(&self.0.name(channel), None, payload);
        sealed.unwrap_or_else(|| panic!("a payload of {} bytes", payload.len()))
    }

    /// Opens one; returns its length.
    ///
    /// # Panics
    /// When it was not sealed so.
    pub fn open(&self, channel: Channel, sealed: Vec<u8>) -> usize {
        let opened = self.0.open(&self.0.name(channel), sealed);
        opened
            .unwrap_or_else(|| panic!("no publication of ours"))
            .payload
            .len()
    }
}
