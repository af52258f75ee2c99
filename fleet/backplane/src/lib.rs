//! What may vanish at any moment: publish and subscribe between the processes of a fleet, IM passwords, who is logged in
//! where, and the directory of live nodes.
//!
//! Everything here may be emptied, frozen or cut off at any moment, and no message may be lost, doubled or put out of
//! order by that: whoever listens compares what came with the database. An engine is one file with the same names as
//! the others ([`memory`], [`redis`]).

mod complaint;
mod directory;
mod identity;
pub mod memory;
mod password;
mod presence;
pub mod redis;

use std::sync::Arc;

use bytes::Bytes;
pub use complaint::Complaint;
pub use directory::{NodeAddress, NodeRecord};
pub use identity::Identity;
pub use password::{PASSWORDS_PER_DEVICE, PasswordHash, hash_password};
pub use presence::{DevicePresence, HeldSession, Outdone, Presence};
use proto::{ConversationId, UserId, wire::Platform};

/// The handle; cloning it is cheap.
#[derive(Clone)]
pub enum Backplane {
    /// Everything in this process.
    Memory(Arc<memory::Memory>),
    /// Redis, for a fleet.
    Redis(Arc<redis::Redis>),
}

/// Why a backplane cannot be opened; trying again would not help.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// The address cannot be used.
    #[error("--redis-url: {0}")]
    Address(String),
    /// Redis answers, and refuses.
    #[error(
        "Redis at {redis} refuses: {reason}. Check user and password in --redis-url, whether it is redis:// or rediss:// \
         (TLS, with ca_cert=FILE for an authority of your own), and that the user may run all commands on the prefix"
    )]
    Refused {
        /// Its address.
        redis: String,
        /// What it says.
        reason: String,
    },
    /// Nothing can be sealed.
    #[error("this machine's build has no AES-256-GCM")]
    Cipher,
}

/// The backplane cannot be reached now. Nothing was accepted unchecked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the backplane cannot be reached now")]
pub struct Unavailable;

/// Where a payload is published.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Channel {
    /// The entries, marks and typing of one conversation, for every node with a participant on it.
    Conversation(ConversationId),
    /// What concerns one person, for every node they are logged in to.
    User(UserId),
}

/// One process in publish and subscribe.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SubscriberId(u64);

/// What a subscriber does with a payload: hand it over and return at once. It is called from wherever a publisher is.
pub type Handler = Arc<dyn Fn(Channel, Bytes) + Send + Sync>;

/// A login's place among the logins of its device: the higher one wins, wherever it arrived first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Generation(pub u64);

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
        let redis = Box::pin(redis::Redis::open(url, Some(identity))).await?;
        redis.announce_fleet();
        Ok(Self::Redis(Arc::new(redis)))
    }

    /// The same for a look ([`Self::complaints`]), which no other process learns of. The identity is that of the fleet that
    /// is looked at, if it is known.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub async fn open_to_look(url: &str, identity: Option<&Identity>) -> Result<Self, OpenError> {
        Ok(Self::Redis(Arc::new(
            Box::pin(redis::Redis::open(url, identity)).await?,
        )))
    }

    /// Changes each time when publications or what is kept here may have been lost and the backplane answers again:
    /// whoever relies on it then compares with the database, renews its sessions and announces itself.
    pub fn resumed(&self) -> tokio::sync::watch::Receiver<u64> {
        match self {
            Self::Memory(memory) => memory.resumed(),
            Self::Redis(redis) => redis.resumed(),
        }
    }

    /// The server's clock, epoch milliseconds; `None` in memory, which has none of its own.
    ///
    /// # Errors
    /// [`Unavailable`].
    pub async fn clock_ms(&self) -> Result<Option<i64>, Unavailable> {
        match self {
            Self::Memory(_) => Ok(None),
            Self::Redis(redis) => redis.clock_ms().await.map(Some),
        }
    }

    /// Joins publish and subscribe: `handler` gets what is published on the channels that are subscribed to.
    pub fn join(&self, handler: Handler) -> SubscriberId {
        match self {
            Self::Memory(memory) => memory.join(handler),
            Self::Redis(redis) => redis.join(handler),
        }
    }

    /// Leaves publish and subscribe; the handler is not called any more, but by a publisher that is just about to.
    pub fn leave(&self, subscriber: SubscriberId) {
        match self {
            Self::Memory(memory) => memory.leave(subscriber),
            Self::Redis(redis) => redis.leave(subscriber),
        }
    }

    /// Subscribes; what is published after this has returned reaches the handler (while nothing fails).
    ///
    /// # Errors
    /// [`Unavailable`]. The subscription is made when the backplane is back, unless [`Self::unsubscribe`] is called.
    pub async fn subscribe(&self, subscriber: SubscriberId, channel: Channel) -> Result<(), Unavailable> {
        match self {
            Self::Memory(memory) => memory.subscribe(subscriber, channel),
            Self::Redis(redis) => redis.subscribe(subscriber, channel).await,
        }
    }

    /// Ends a subscription. Not waited for: a payload that still comes is ignored by who gets it.
    pub fn unsubscribe(&self, subscriber: SubscriberId, channel: Channel) {
        match self {
            Self::Memory(memory) => memory.unsubscribe(subscriber, channel),
            Self::Redis(redis) => redis.unsubscribe(subscriber, channel),
        }
    }

    /// Publishes to the subscribers of a channel, but for the one (if any) that has served itself already. Never waits
    /// and never fails: what is lost is found again by comparing with the database.
    pub fn publish(&self, channel: Channel, payload: Bytes, but: Option<SubscriberId>) {
        match self {
            Self::Memory(memory) => memory.publish(channel, &payload, but),
            Self::Redis(redis) => redis.publish(channel, &payload, but),
        }
    }

    /// Keeps an IM password until it expires. Several of one device are valid at once; past
    /// [`PASSWORDS_PER_DEVICE`] the oldest goes.
    ///
    /// # Errors
    /// [`Unavailable`].
    pub async fn put_im_password(
        &self,
        user: UserId,
        device_id: &str,
        password: PasswordHash,
        expires_at_ms: i64,
    ) -> Result<(), Unavailable> {
        match self {
            Self::Memory(memory) => memory.put_im_password(user, device_id, password, expires_at_ms),
            Self::Redis(redis) => {
                redis
                    .put_im_password(user, device_id, password, expires_at_ms)
                    .await
            }
        }
    }

    /// When this password of this user and device expires, epoch milliseconds; none when it is not theirs or has
    /// expired at `now_ms`. Looks at as many bytes whether or not it finds one.
    ///
    /// # Errors
    /// [`Unavailable`].
    pub async fn check_im_password(
        &self,
        user: UserId,
        device_id: &str,
        password: &PasswordHash,
        now_ms: i64,
    ) -> Result<Option<i64>, Unavailable> {
        match self {
            Self::Memory(memory) => memory.check_im_password(user, device_id, password, now_ms),
            Self::Redis(redis) => redis.check_im_password(user, device_id, password, now_ms).await,
        }
    }

    /// Forgets what has expired, where the engine does not do so by itself; somebody calls it now and then.
    pub fn forget_expired(&self, now_ms: i64) {
        match self {
            Self::Memory(memory) => memory.forget_expired(now_ms),
            Self::Redis(_) => {}
        }
    }

    /// Ends all IM passwords of a device. Gives a generation above those of its logins so far and below those to come: what
    /// ends them names it, so that it ends no later one when it comes late or again.
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

    /// Puts a login of a device into the books and gives it the next generation; an older login of the same device
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

    /// A generation above those of all logins of a person so far, and not above those to come.
    ///
    /// # Errors
    /// [`Unavailable`].
    pub async fn next_generation(&self, user: UserId) -> Result<Generation, Unavailable> {
        match self {
            Self::Memory(memory) => memory.next_generation(user),
            Self::Redis(redis) => redis.next_generation(user).await,
        }
    }

    /// The session of this generation has ended at `now_ms`; does nothing when a newer one has the device.
    pub fn release_session(&self, user: UserId, device_id: &str, generation: Generation, now_ms: i64) {
        match self {
            Self::Memory(memory) => memory.release_session(user, device_id, generation, now_ms),
            Self::Redis(redis) => redis.release_session(user, device_id, generation, now_ms),
        }
    }

    /// Renews the logins that a node holds, at least three times a minute; gives which of them (by index) must end,
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

    /// Who of these people is logged in, in the order asked for.
    ///
    /// # Errors
    /// [`Unavailable`].
    pub async fn presence(&self, users: &[UserId]) -> Result<Vec<Presence>, Unavailable> {
        match self {
            Self::Memory(memory) => Ok(users.iter().map(|user| memory.presence(*user)).collect()),
            Self::Redis(redis) => redis.presence(users).await,
        }
    }

    /// Puts a node into the directory at `now_ms`, or renews it, for `lasts_ms`.
    ///
    /// # Errors
    /// [`Unavailable`].
    pub async fn announce_node(
        &self,
        node: NodeRecord,
        now_ms: i64,
        lasts_ms: i64,
    ) -> Result<(), Unavailable> {
        match self {
            Self::Memory(memory) => memory.announce_node(node, now_ms + lasts_ms),
            Self::Redis(redis) => redis.announce_node(&node, lasts_ms).await,
        }
    }

    /// Takes a node out of the directory at once.
    pub async fn withdraw_node(&self, node_id: &str) {
        match self {
            Self::Memory(memory) => memory.withdraw_node(node_id),
            Self::Redis(redis) => redis.withdraw_node(node_id).await,
        }
    }

    /// The live nodes, those of the newest version first, of those the least loaded.
    ///
    /// # Errors
    /// [`Unavailable`].
    pub async fn nodes(&self, now_ms: i64) -> Result<Vec<NodeRecord>, Unavailable> {
        let mut nodes = match self {
            Self::Memory(memory) => memory.nodes(now_ms)?,
            Self::Redis(redis) => redis.nodes().await?,
        };
        directory::sort(&mut nodes);
        Ok(nodes)
    }

    /// What an operator should mend, though the backplane answers: rights that are missing, limits that lose something.
    /// It tries what it looks at, for which a process that only looks is the right one.
    ///
    /// # Errors
    /// [`Unavailable`].
    pub async fn complaints(&self) -> Result<Vec<Complaint>, Unavailable> {
        match self {
            Self::Memory(_) => Ok(Vec::new()),
            Self::Redis(redis) => redis.complaints().await,
        }
    }

    /// Whether the backplane answers and takes what is written; if not, what is wrong.
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

    /// Whether the backplane answers and takes what is written.
    pub async fn is_available(&self) -> bool {
        match self {
            Self::Memory(memory) => memory.is_available(),
            Self::Redis(redis) => redis.is_available(),
        }
    }
}
