//! The handle: each call passed on to the engine.

use std::sync::Arc;

use bytes::Bytes;
use proto::{UserId, wire::Platform};
use tokio::sync::watch;

use crate::{
    Channel, Complaint, Generation, Handler, HeldSession, Identity, NodeRecord, OpenError, Outdone,
    PasswordHash, Presence, SubscriberId, Unavailable, directory, memory::Memory, redis::Redis,
};

/// The handle; cloning it is cheap.
#[derive(Clone)]
pub enum Backplane {
    /// All of it in this process.
    Memory(Arc<Memory>),
    /// Redis, for a fleet.
    Redis(Arc<Redis>),
}

impl Backplane {
    /// A backplane within this process.
    pub fn memory() -> Self {
        Self::Memory(Arc::default())
    }

    /// A backplane in Redis: `redis://[user:password@]host[:port][/db][?prefix=TEXT]`, `rediss://` for TLS;
    /// `redis+sentinel://[user:password@]host[:port],…/master-name`; `redis+cluster://[user:password@]host[:port],…`. A
    /// Redis that is away is waited for in the background. Only processes of the same identity meet there.
    ///
    /// # Errors
    /// When the address is wrong or Redis refuses, with what to do.
    pub async fn open(url: &str, identity: &Identity) -> Result<Self, OpenError> {
        let redis = Box::pin(Redis::open(url, Some(identity))).await?;
        redis.announce_fleet();
        Ok(Self::Redis(Arc::new(redis)))
    }

    /// The same for an examination ([`Self::complaints`]), of which no other process learns. The identity is that of the
    /// examined fleet, if it is known.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub async fn open_to_look(url: &str, identity: Option<&Identity>) -> Result<Self, OpenError> {
        let redis = Box::pin(Redis::open(url, identity)).await?;
        Ok(Self::Redis(Arc::new(redis)))
    }

    /// Changes each time when publications or records may have been lost and the backplane answers again: a node then
    /// compares with the database, renews its sessions and announces itself.
    pub fn resumed(&self) -> watch::Receiver<u64> {
        match self {
            Self::Memory(memory) => memory.resumed(),
            Self::Redis(redis) => redis.resumed(),
        }
    }

    /// The server's time of day, epoch milliseconds; `None` in memory, whose clock knows none.
    ///
    /// # Errors
    /// [`Unavailable`].
    pub async fn clock_ms(&self) -> Result<Option<i64>, Unavailable> {
        match self {
            Self::Memory(_) => Ok(None),
            Self::Redis(redis) => redis.clock_ms().await.map(Some),
        }
    }

    /// Joins publish and subscribe: `handler` receives the payloads of the channels that are subscribed to.
    pub fn join(&self, handler: Handler) -> SubscriberId {
        match self {
            Self::Memory(memory) => memory.join(handler),
            Self::Redis(redis) => redis.join(handler),
        }
    }

    /// Leaves publish and subscribe; only a publisher that is about to call the handler still calls it.
    pub fn leave(&self, subscriber: SubscriberId) {
        match self {
            Self::Memory(memory) => memory.leave(subscriber),
            Self::Redis(redis) => redis.leave(subscriber),
        }
    }

    /// Subscribes; payloads that are published after this has returned reach the handler (while nothing fails).
    ///
    /// # Errors
    /// [`Unavailable`]. The subscription is made when the backplane is back, unless [`Self::unsubscribe`] is called.
    pub async fn subscribe(&self, subscriber: SubscriberId, channel: Channel) -> Result<(), Unavailable> {
        match self {
            Self::Memory(memory) => memory.subscribe(subscriber, channel),
            Self::Redis(redis) => redis.subscribe(subscriber, channel).await,
        }
    }

    /// Ends a subscription, without waiting for it: the handler ignores a payload that still comes.
    pub fn unsubscribe(&self, subscriber: SubscriberId, channel: Channel) {
        match self {
            Self::Memory(memory) => memory.unsubscribe(subscriber, channel),
            Self::Redis(redis) => redis.unsubscribe(subscriber, channel),
        }
    }

    /// Publishes to the subscribers of a channel, but for the one (if any) that has served itself already. Never waits
    /// and never fails: subscribers recover a lost payload by comparing with the database.
    pub fn publish(&self, channel: Channel, payload: Bytes, but: Option<SubscriberId>) {
        match self {
            Self::Memory(memory) => memory.publish(channel, &payload, but),
            Self::Redis(redis) => redis.publish(channel, &payload, but),
        }
    }

    /// Keeps an IM password for `lasts_ms` by the backplane's own clock. Several passwords of one device are valid at once; past
    /// [`crate::PASSWORDS_PER_DEVICE`] the oldest is dropped.
    ///
    /// # Errors
    /// [`Unavailable`].
    pub async fn put_im_password(
        &self,
        user: UserId,
        device_id: &str,
        password: PasswordHash,
        lasts_ms: i64,
    ) -> Result<(), Unavailable> {
        match self {
            Self::Memory(memory) => memory.put_im_password(user, device_id, password, lasts_ms),
            Self::Redis(redis) => redis.put_im_password(user, device_id, password, lasts_ms).await,
        }
    }

    /// The lifetime that this password has left, milliseconds; `None` when it is not this device's, or has expired. It
    /// reads as many bytes whether or not it finds one.
    ///
    /// # Errors
    /// [`Unavailable`].
    pub async fn check_im_password(
        &self,
        user: UserId,
        device_id: &str,
        password: &PasswordHash,
    ) -> Result<Option<i64>, Unavailable> {
        match self {
            Self::Memory(memory) => memory.check_im_password(user, device_id, password),
            Self::Redis(redis) => redis.check_im_password(user, device_id, password).await,
        }
    }

    /// Forgets expired records, where the engine does not do so by itself. To be called now and then.
    pub fn forget_expired(&self) {
        match self {
            Self::Memory(memory) => memory.forget_expired(),
            Self::Redis(_) => {}
        }
    }

    /// Ends all IM passwords of a device. Returns a generation above those of its logins so far and below those to come: the
    /// notice that ends them names it, so that a late or repeated notice ends no later login.
    ///
    /// # Errors
    /// [`Unavailable`].
    pub async fn revoke_im_passwords(
        &self,
        user: UserId,
        device_id: &str,
    ) -> Result<Generation, Unavailable> {
        match self {
            Self::Memory(memory) => memory.revoke_im_passwords(user, device_id),
            Self::Redis(redis) => redis.revoke_im_passwords(user, device_id).await,
        }
    }

    /// Records a login of a device and returns its generation, the next one; an older login of the same device
    /// must end when it learns of it.
    ///
    /// # Errors
    /// [`Unavailable`].
    pub async fn claim_session(
        &self,
        user: UserId,
        device_id: &str,
        platform: Platform,
    ) -> Result<Generation, Unavailable> {
        match self {
            Self::Memory(memory) => memory.claim_session(user, device_id, platform),
            Self::Redis(redis) => redis.claim_session(user, device_id, platform).await,
        }
    }

    /// A generation above those of all logins of a user so far, and not above those to come.
    ///
    /// # Errors
    /// [`Unavailable`].
    pub async fn next_generation(&self, user: UserId) -> Result<Generation, Unavailable> {
        match self {
            Self::Memory(memory) => memory.next_generation(user),
            Self::Redis(redis) => redis.next_generation(user).await,
        }
    }

    /// Records that the session of this generation ended at `now_ms`; does nothing when a newer one has the device.
    pub fn release_session(&self, user: UserId, device_id: &str, generation: Generation, now_ms: i64) {
        match self {
            Self::Memory(memory) => memory.release_session(user, device_id, generation, now_ms),
            Self::Redis(redis) => redis.release_session(user, device_id, generation, now_ms),
        }
    }

    /// Renews the logins that a node holds, at least three times a minute; returns those (by index) that must end,
    /// whatever notice was lost: the device has logged in elsewhere since, or was logged out.
    ///
    /// # Errors
    /// [`Unavailable`].
    pub async fn renew_sessions(
        &self,
        sessions: &[HeldSession],
    ) -> Result<Vec<(usize, Outdone)>, Unavailable> {
        match self {
            Self::Memory(memory) => memory.renew_sessions(sessions),
            Self::Redis(redis) => redis.renew_sessions(sessions).await,
        }
    }

    /// The presence of these users, in their order.
    ///
    /// # Errors
    /// [`Unavailable`].
    pub async fn presence(&self, users: &[UserId]) -> Result<Vec<Presence>, Unavailable> {
        match self {
            Self::Memory(memory) => Ok(users.iter().map(|user| memory.presence(*user)).collect()),
            Self::Redis(redis) => redis.presence(users).await,
        }
    }

    /// Announces a node to the directory, or renews it, for `lasts_ms` by the backplane's own clock.
    ///
    /// # Errors
    /// [`Unavailable`].
    pub async fn announce_node(&self, node: NodeRecord, lasts_ms: i64) -> Result<(), Unavailable> {
        match self {
            Self::Memory(memory) => memory.announce_node(node, lasts_ms),
            Self::Redis(redis) => redis.announce_node(&node, lasts_ms).await,
        }
    }

    /// Removes a node from the directory at once.
    pub async fn remove_node(&self, node_id: &str) {
        match self {
            Self::Memory(memory) => memory.remove_node(node_id),
            Self::Redis(redis) => redis.remove_node(node_id).await,
        }
    }

    /// The live nodes, those of the newest version first, of those the least loaded.
    ///
    /// # Errors
    /// [`Unavailable`].
    pub async fn nodes(&self) -> Result<Vec<NodeRecord>, Unavailable> {
        let mut nodes = match self {
            Self::Memory(memory) => memory.nodes()?,
            Self::Redis(redis) => redis.nodes().await?,
        };
        directory::sort(&mut nodes);
        Ok(nodes)
    }

    /// Findings for the operator though the backplane answers: missing rights, limits that lose publications. It tries
    /// the commands that it needs, so it belongs into a process that only examines.
    ///
    /// # Errors
    /// [`Unavailable`].
    pub async fn complaints(&self) -> Result<Vec<Complaint>, Unavailable> {
        match self {
            Self::Memory(_) => Ok(Vec::new()),
            Self::Redis(redis) => redis.complaints().await,
        }
    }

    /// Whether the backplane answers and accepts writes.
    ///
    /// # Errors
    /// A sentence for the operator.
    pub async fn is_ready(&self) -> Result<(), String> {
        match self {
            Self::Memory(memory) if memory.is_available() => Ok(()),
            Self::Memory(_) => Err("cannot be reached".to_owned()),
            Self::Redis(redis) => redis.problem().map_or(Ok(()), Err),
        }
    }

    /// Whether the backplane answers and accepts writes.
    pub async fn is_available(&self) -> bool {
        match self {
            Self::Memory(memory) => memory.is_available(),
            Self::Redis(redis) => redis.is_available(),
        }
    }
}
