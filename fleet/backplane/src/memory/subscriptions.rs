//! Publish and subscribe within the process.

use std::{
    collections::HashMap,
    sync::atomic::{AtomicU64, Ordering},
};

use bytes::Bytes;
use dashmap::DashMap;
use parking_lot::RwLock;

use super::Memory;
use crate::{Channel, Handler, SubscriberId, Unavailable};

#[derive(Default)]
pub(super) struct Subscriptions {
    next_subscriber: AtomicU64,
    subscribers: RwLock<HashMap<SubscriberId, Handler>>,
    channels: DashMap<Channel, Vec<SubscriberId>>,
}

impl Subscriptions {
    /// The number of channels with a subscriber.
    pub(super) fn channels(&self) -> usize {
        self.channels.len()
    }
}

impl Memory {
    pub(crate) fn join(&self, handler: Handler) -> SubscriberId {
        let subscriber = SubscriberId(self.subscriptions.next_subscriber.fetch_add(1, Ordering::Relaxed));
        self.subscriptions.subscribers.write().insert(subscriber, handler);
        subscriber
    }

    pub(crate) fn leave(&self, subscriber: SubscriberId) {
        self.subscriptions.subscribers.write().remove(&subscriber);
        self.subscriptions.channels.retain(|_, subscribers| {
            subscribers.retain(|other| *other != subscriber);
            !subscribers.is_empty()
        });
    }

    pub(crate) fn subscribe(&self, subscriber: SubscriberId, channel: Channel) -> Result<(), Unavailable> {
        // Kept also while the backplane is away: the subscription then holds when it is back.
        let mut subscribers = self
            .subscriptions
            .channels
            .entry(channel)
            .or_insert_with(|| Vec::with_capacity(1));
        if !subscribers.contains(&subscriber) {
            subscribers.push(subscriber);
        }
        self.check()
    }

    pub(crate) fn unsubscribe(&self, subscriber: SubscriberId, channel: Channel) {
        self.subscriptions
            .channels
            .remove_if_mut(&channel, |_, subscribers| {
                subscribers.retain(|other| *other != subscriber);
                subscribers.is_empty()
            });
    }

    pub(crate) fn publish(&self, channel: Channel, payload: &Bytes, but: Option<SubscriberId>) {
        if !self.is_available() {
            return;
        }
        // Copied out, so that a handler may subscribe and publish itself.
        let Some(subscribers) = self
            .subscriptions
            .channels
            .get(&channel)
            .map(|subscribers| subscribers.clone())
        else {
            return;
        };
        for subscriber in subscribers {
            if Some(subscriber) == but {
                continue;
            }
            let Some(handler) = self.subscriptions.subscribers.read().get(&subscriber).cloned() else {
                continue;
            };
            if self.faulty.load(Ordering::Acquire) {
                let left = match self.fault.lock().as_mut() {
                    Some(fault) => fault(subscriber, channel, payload.clone()),
                    None => vec![(channel, payload.clone())],
                };
                for (channel, payload) in left {
                    handler(channel, payload);
                }
            } else {
                handler(channel, payload.clone());
            }
        }
    }
}
