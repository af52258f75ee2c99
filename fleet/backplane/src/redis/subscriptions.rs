//! The subscribers of this process and their channels, and the distribution of payloads to them.

use std::{collections::HashMap, sync::Arc};

use dashmap::DashMap;
use parking_lot::RwLock;
use proto::{ConversationId, UserId};
use telemetry::task::{self, Name, Stopped};
use tokio::sync::mpsc;

use super::seal::{Opened, Place, Seal, forgery};
use crate::{Channel, Handler, SubscriberId};

/// Capacity of the queue of each distributing task, payloads.
const WAITING: usize = 16 * 1024;

/// All wanted channels, confirmed or not.
pub(super) struct Subscriptions {
    /// Of every channel: the prefix and the fleet's id.
    prefix: String,
    seal: Seal,
    handlers: RwLock<HashMap<SubscriberId, Handler>>,
    wanted: DashMap<Channel, Vec<SubscriberId>>,
}

impl Subscriptions {
    pub(super) fn new(prefix: String, seal: Seal) -> Self {
        Self {
            prefix,
            seal,
            handlers: RwLock::default(),
            wanted: DashMap::new(),
        }
    }

    pub(super) fn join(&self, handler: Handler) -> SubscriberId {
        // Unique in the fleet: it travels with each publication. 0 stands for none.
        let subscriber = SubscriberId(rand::random::<u64>().max(1));
        self.handlers.write().insert(subscriber, handler);
        subscriber
    }

    /// Returns the channels that have lost their last subscriber.
    pub(super) fn leave(&self, subscriber: SubscriberId) -> Vec<Channel> {
        self.handlers.write().remove(&subscriber);
        let mut unwanted = Vec::new();
        self.wanted.retain(|channel, subscribers| {
            subscribers.retain(|other| *other != subscriber);
            if subscribers.is_empty() {
                unwanted.push(*channel);
            }
            !subscribers.is_empty()
        });
        unwanted
    }

    pub(super) fn want(&self, subscriber: SubscriberId, channel: Channel) {
        let mut subscribers = self
            .wanted
            .entry(channel)
            .or_insert_with(|| Vec::with_capacity(1));
        if !subscribers.contains(&subscriber) {
            subscribers.push(subscriber);
        }
    }

    /// True when the channel has lost its last subscriber.
    pub(super) fn unwant(&self, subscriber: SubscriberId, channel: Channel) -> bool {
        let removed = self.wanted.remove_if_mut(&channel, |_, subscribers| {
            subscribers.retain(|other| *other != subscriber);
            subscribers.is_empty()
        });
        removed.is_some()
    }

    pub(super) fn is_wanted(&self, channel: Channel) -> bool {
        self.wanted.contains_key(&channel)
    }

    pub(super) fn all(&self) -> Vec<Channel> {
        self.wanted.iter().map(|entry| *entry.key()).collect()
    }

    /// A channel's name in Redis.
    pub(super) fn name(&self, channel: Channel) -> Vec<u8> {
        let prefix = &self.prefix;
        match channel {
            Channel::Conversation(id) => format!("{prefix}c:{}", id.get()),
            Channel::User(user) => format!("{prefix}u:{}", user.get()),
        }
        .into_bytes()
    }

    fn channel(&self, name: &[u8]) -> Option<Channel> {
        let name = std::str::from_utf8(name).ok()?.strip_prefix(&*self.prefix)?;
        let (kind, id) = name.split_once(':')?;
        let id: i64 = id.parse().ok()?;
        match kind {
            "c" => ConversationId::new(id).map(Channel::Conversation),
            "u" => UserId::new(id).map(Channel::User),
            _ => None,
        }
    }

    /// A payload as it goes to Redis, for the channel of this name.
    pub(super) fn seal(&self, name: &[u8], but: Option<SubscriberId>, payload: &[u8]) -> Option<Vec<u8>> {
        self.seal.seal(name, but, payload).ok()
    }

    /// Opens a payload of the channel of this name; `None` when it was not made by this fleet.
    pub(super) fn open(&self, name: &[u8], sealed: Vec<u8>) -> Option<Opened> {
        self.seal.open(name, sealed)
    }

    fn distribute(&self, incoming: Incoming) {
        let Incoming {
            channel,
            name,
            sealed,
        } = incoming;
        // Copied out, so that a handler may subscribe and publish itself.
        let Some(subscribers) = self.wanted.get(&channel).map(|subscribers| subscribers.clone()) else {
            return;
        };
        let Some(opened) = self.open(&name, sealed) else {
            return forgery::found(Place::Publication);
        };
        for subscriber in subscribers {
            if subscriber.0 == opened.but {
                continue;
            }
            let handler = self.handlers.read().get(&subscriber).cloned();
            if let Some(handler) = handler {
                handler(channel, opened.payload.clone());
            }
        }
    }
}

/// A payload as it came, sealed.
struct Incoming {
    channel: Channel,
    /// The channel's name in Redis.
    name: Vec<u8>,
    sealed: Vec<u8>,
}

/// Distributes payloads in tasks of their own: the task that reads from Redis must do nothing else. All payloads of one
/// channel go through one of them, in their order.
pub(super) struct Distribution {
    subscriptions: Arc<Subscriptions>,
    tasks: Vec<mpsc::Sender<Incoming>>,
}

impl Distribution {
    /// Starts the tasks; they end with it.
    pub(super) fn start(subscriptions: Arc<Subscriptions>) -> Self {
        let tasks = std::thread::available_parallelism().map_or(1, usize::from).min(8);
        let tasks = (0..tasks)
            .map(|_| {
                let (sender, mut receiver) = mpsc::channel::<Incoming>(WAITING);
                let subscriptions = subscriptions.clone();
                task::vital(Name::RedisDistribution, async move {
                    while let Some(incoming) = receiver.recv().await {
                        subscriptions.distribute(incoming);
                    }
                    Stopped
                });
                sender
            })
            .collect();
        Self { subscriptions, tasks }
    }

    /// Queues a payload; false when its queue is full, and comparing with the database recovers it.
    pub(super) fn enqueue(&self, name: Vec<u8>, sealed: Vec<u8>) -> bool {
        let Some(channel) = self.subscriptions.channel(&name) else {
            return true;
        };
        let id = match channel {
            Channel::Conversation(id) => id.get(),
            Channel::User(user) => user.get(),
        };
        let task = usize::try_from(id.unsigned_abs()).unwrap_or_default() % self.tasks.len();
        let incoming = Incoming {
            channel,
            name,
            sealed,
        };
        self.tasks[task].try_send(incoming).is_ok()
    }
}
