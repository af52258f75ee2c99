//! The backplane of one process.

use std::{
    collections::HashMap,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
};

use bytes::Bytes;
use dashmap::DashMap;
use parking_lot::{Mutex, RwLock};
use proto::{UserId, wire::Platform};
use tokio::sync::watch;

use crate::{
    Channel, DevicePresence, Generation, Handler, HeldSession, NodeRecord, Outdone, PasswordHash, Presence,
    SubscriberId, Unavailable, password::PASSWORDS_PER_DEVICE,
};

/// What a test does to a payload on its way to one subscriber.
pub type Fault = Box<dyn FnMut(SubscriberId, Channel, Bytes) -> Vec<(Channel, Bytes)> + Send>;

/// Everything in this process; nothing survives it.
#[derive(Default)]
pub struct Memory {
    next_subscriber: AtomicU64,
    subscribers: RwLock<HashMap<SubscriberId, Handler>>,
    subscriptions: DashMap<Channel, Vec<SubscriberId>>,
    passwords: DashMap<UserId, Vec<Password>>,
    people: DashMap<UserId, Person>,
    nodes: Mutex<HashMap<String, (NodeRecord, i64)>>,
    away: AtomicBool,
    faulty: AtomicBool,
    resumed: watch::Sender<u64>,
    fault: Mutex<Option<Fault>>,
}

struct Password {
    device_id: Box<str>,
    hash: PasswordHash,
    expires_at_ms: i64,
}

#[derive(Default)]
struct Person {
    /// Counted per person, so that a device that was gone long does not begin again at 1.
    last_generation: u64,
    devices: Vec<Login>,
    last_seen_ms: i64,
}

struct Login {
    device_id: Box<str>,
    platform: Platform,
    generation: Generation,
}

impl Memory {
    /// Makes the backplane unreachable, or reachable again. For tests of what then happens.
    pub fn set_away(&self, away: bool) {
        self.away.store(away, Ordering::Release);
        if !away {
            self.resumed.send_modify(|times| *times += 1);
        }
    }

    pub(crate) fn resumed(&self) -> watch::Receiver<u64> {
        self.resumed.subscribe()
    }

    /// Lets `fault` decide what becomes of each payload: nothing, itself, several, or others that it kept back. For
    /// tests of what then happens; none ends it.
    pub fn set_fault(&self, fault: Option<Fault>) {
        self.faulty.store(fault.is_some(), Ordering::Release);
        *self.fault.lock() = fault;
    }

    /// How many channels somebody is subscribed to.
    pub fn channels(&self) -> usize {
        self.subscriptions.len()
    }

    pub(crate) fn is_available(&self) -> bool {
        !self.away.load(Ordering::Acquire)
    }

    fn check(&self) -> Result<(), Unavailable> {
        if self.is_available() {
            Ok(())
        } else {
            Err(Unavailable)
        }
    }

    pub(crate) fn join(&self, handler: Handler) -> SubscriberId {
        let subscriber = SubscriberId(self.next_subscriber.fetch_add(1, Ordering::Relaxed));
        self.subscribers.write().insert(subscriber, handler);
        subscriber
    }

    pub(crate) fn leave(&self, subscriber: SubscriberId) {
        self.subscribers.write().remove(&subscriber);
        self.subscriptions.retain(|_, subscribers| {
            subscribers.retain(|other| *other != subscriber);
            !subscribers.is_empty()
        });
    }

    pub(crate) fn subscribe(&self, subscriber: SubscriberId, channel: Channel) -> Result<(), Unavailable> {
        // Kept also while it is away: it is then made when it is back.
        let mut subscribers = self
            .subscriptions
            .entry(channel)
            .or_insert_with(|| Vec::with_capacity(1));
        if !subscribers.contains(&subscriber) {
            subscribers.push(subscriber);
        }
        self.check()
    }

    pub(crate) fn unsubscribe(&self, subscriber: SubscriberId, channel: Channel) {
        self.subscriptions.remove_if_mut(&channel, |_, subscribers| {
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
            .get(&channel)
            .map(|subscribers| subscribers.clone())
        else {
            return;
        };
        for subscriber in subscribers {
            if Some(subscriber) == but {
                continue;
            }
            let Some(handler) = self.subscribers.read().get(&subscriber).cloned() else {
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

    pub(crate) fn put_im_password(
        &self,
        user: UserId,
        device_id: &str,
        hash: PasswordHash,
        expires_at_ms: i64,
    ) -> Result<(), Unavailable> {
        self.check()?;
        let mut passwords = self
            .passwords
            .entry(user)
            .or_insert_with(|| Vec::with_capacity(1));
        let of_device = passwords
            .iter()
            .filter(|password| *password.device_id == *device_id)
            .count();
        if of_device >= PASSWORDS_PER_DEVICE
            && let Some(oldest) = passwords
                .iter()
                .position(|password| *password.device_id == *device_id)
        {
            passwords.remove(oldest);
        }
        passwords.push(Password {
            device_id: device_id.into(),
            hash,
            expires_at_ms,
        });
        Ok(())
    }

    pub(crate) fn check_im_password(
        &self,
        user: UserId,
        device_id: &str,
        hash: &PasswordHash,
        now_ms: i64,
    ) -> Result<Option<i64>, Unavailable> {
        self.check()?;
        let Some(mut passwords) = self.passwords.get_mut(&user) else {
            return Ok(None);
        };
        passwords.retain(|password| password.expires_at_ms > now_ms);
        // Hashes are compared, so the time a comparison takes tells nothing about a password.
        let found = passwords
            .iter()
            .find(|password| password.hash == *hash && *password.device_id == *device_id);
        Ok(found.map(|password| password.expires_at_ms))
    }

    pub(crate) fn revoke_im_passwords(
        &self,
        user: UserId,
        device_id: &str,
    ) -> Result<Generation, Unavailable> {
        self.check()?;
        self.passwords.remove_if_mut(&user, |_, passwords| {
            passwords.retain(|password| *password.device_id != *device_id);
            passwords.is_empty()
        });
        self.next_generation(user)
    }

    pub(crate) fn next_generation(&self, user: UserId) -> Result<Generation, Unavailable> {
        self.check()?;
        // Whom nobody has seen log in has nothing that could end.
        let last = self.people.get(&user).map_or(0, |person| person.last_generation);
        Ok(Generation(last + 1))
    }

    pub(crate) fn forget_expired(&self, now_ms: i64) {
        self.passwords.retain(|_, passwords| {
            passwords.retain(|password| password.expires_at_ms > now_ms);
            !passwords.is_empty()
        });
        self.nodes.lock().retain(|_, (_, until_ms)| *until_ms > now_ms);
    }

    pub(crate) fn claim_session(
        &self,
        user: UserId,
        device_id: &str,
        platform: Platform,
    ) -> Result<Generation, Unavailable> {
        self.check()?;
        let mut person = self.people.entry(user).or_default();
        person.last_generation += 1;
        let generation = Generation(person.last_generation);
        match person
            .devices
            .iter_mut()
            .find(|login| *login.device_id == *device_id)
        {
            Some(login) => {
                *login = Login {
                    device_id: device_id.into(),
                    platform,
                    generation,
                }
            }
            None => {
                person.devices.reserve_exact(1);
                person.devices.push(Login {
                    device_id: device_id.into(),
                    platform,
                    generation,
                });
            }
        }
        Ok(generation)
    }

    /// A login that is not the device's newest is outdone. No notice is lost here, so of a logout it has been told.
    pub(crate) fn renew_sessions(
        &self,
        sessions: &[HeldSession],
    ) -> Result<Vec<(usize, Outdone)>, Unavailable> {
        self.check()?;
        let outdone = sessions.iter().enumerate().filter_map(|(at, session)| {
            let person = self.people.get(&session.user)?;
            let newest = person
                .devices
                .iter()
                .find(|login| login.device_id == session.device_id)
                .map(|login| login.generation);
            newest
                .is_some_and(|newest| newest > session.generation)
                .then_some((at, Outdone::Replaced))
        });
        Ok(outdone.collect())
    }

    pub(crate) fn release_session(&self, user: UserId, device_id: &str, generation: Generation, now_ms: i64) {
        if let Some(mut person) = self.people.get_mut(&user) {
            person
                .devices
                .retain(|login| *login.device_id != *device_id || login.generation != generation);
            person.last_seen_ms = now_ms;
        }
    }

    pub(crate) fn presence(&self, user: UserId) -> Presence {
        let Some(person) = self.people.get(&user) else {
            return Presence {
                user,
                devices: Vec::new(),
                last_seen_ms: None,
            };
        };
        let devices = person
            .devices
            .iter()
            .map(|login| DevicePresence {
                device_id: login.device_id.to_string(),
                platform: login.platform,
            })
            .collect();
        Presence {
            user,
            devices,
            last_seen_ms: (person.last_seen_ms > 0).then_some(person.last_seen_ms),
        }
    }

    pub(crate) fn announce_node(&self, node: NodeRecord, until_ms: i64) -> Result<(), Unavailable> {
        self.check()?;
        self.nodes.lock().insert(node.node_id.clone(), (node, until_ms));
        Ok(())
    }

    pub(crate) fn withdraw_node(&self, node_id: &str) {
        self.nodes.lock().remove(node_id);
    }

    pub(crate) fn nodes(&self, now_ms: i64) -> Result<Vec<NodeRecord>, Unavailable> {
        self.check()?;
        let nodes = self.nodes.lock();
        let live = nodes.values().filter(|(_, until_ms)| *until_ms > now_ms);
        Ok(live.map(|(node, _)| node.clone()).collect())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{Backplane, hash_password};

    const USER: UserId = UserId::from_database(7);

    #[tokio::test]
    async fn while_it_is_away_nothing_is_accepted() {
        let backplane = Backplane::memory();
        let Backplane::Memory(memory) = &backplane else {
            panic!("not in memory")
        };
        memory.set_away(true);
        assert_eq!(
            backplane
                .check_im_password(USER, "phone", &hash_password("x"), 1)
                .await,
            Err(Unavailable)
        );
        assert_eq!(
            backplane.claim_session(USER, "phone", Platform::Ios).await,
            Err(Unavailable)
        );
        assert!(!backplane.is_available().await);
    }

    #[tokio::test]
    async fn what_has_expired_is_forgotten_and_nothing_else() {
        let backplane = Backplane::memory();
        let Backplane::Memory(memory) = &backplane else {
            panic!("not in memory")
        };
        let (old, young) = (hash_password("old"), hash_password("young"));
        backplane.put_im_password(USER, "phone", old, 10).await.unwrap();
        backplane.put_im_password(USER, "phone", young, 20).await.unwrap();
        let other = UserId::from_database(8);
        backplane.put_im_password(other, "phone", old, 10).await.unwrap();
        backplane.forget_expired(10);
        assert_eq!(memory.passwords.len(), 1);
        assert_eq!(
            backplane.check_im_password(USER, "phone", &young, 19).await,
            Ok(Some(20))
        );
        backplane.forget_expired(20);
        assert_eq!(memory.passwords.len(), 0);
    }

    #[tokio::test]
    async fn leaving_ends_every_subscription_and_leaves_those_of_others() {
        let backplane = Backplane::memory();
        let Backplane::Memory(memory) = &backplane else {
            panic!("not in memory")
        };
        let got = Arc::new(Mutex::new(0));
        let counting = got.clone();
        let stays = backplane.join(Arc::new(move |_, _| *counting.lock() += 1));
        let leaves = backplane.join(Arc::new(|_, _| panic!("it has left")));
        let (shared, own) = (Channel::User(USER), Channel::User(UserId::from_database(8)));
        backplane.subscribe(stays, shared).await.unwrap();
        // Twice is once.
        backplane.subscribe(stays, shared).await.unwrap();
        backplane.subscribe(leaves, shared).await.unwrap();
        backplane.subscribe(leaves, own).await.unwrap();
        assert_eq!(memory.channels(), 2);
        backplane.leave(leaves);
        assert_eq!(memory.channels(), 1);
        backplane.publish(shared, Bytes::from_static(b"1"), None);
        backplane.publish(own, Bytes::from_static(b"2"), None);
        assert_eq!(*got.lock(), 1);
    }

    #[tokio::test]
    async fn a_fault_decides_what_becomes_of_a_payload() {
        let backplane = Backplane::memory();
        let Backplane::Memory(memory) = &backplane else {
            panic!("not in memory")
        };
        let got = Arc::new(Mutex::new(Vec::new()));
        let hearing = got.clone();
        let subscriber = backplane.join(Arc::new(move |_, payload| hearing.lock().push(payload)));
        let channel = Channel::User(USER);
        backplane.subscribe(subscriber, channel).await.unwrap();
        let publish = |text: &'static str| backplane.publish(channel, Bytes::from(text), None);
        // Loses a, doubles b, keeps c back until d.
        let mut kept = None;
        memory.set_fault(Some(Box::new(move |_, channel, payload| match &payload[..] {
            b"a" => vec![],
            b"b" => vec![(channel, payload.clone()), (channel, payload)],
            b"c" => {
                kept = Some(payload);
                vec![]
            }
            _ => std::iter::once((channel, payload))
                .chain(kept.take().map(|kept| (channel, kept)))
                .collect(),
        })));
        for text in ["a", "b", "c", "d"] {
            publish(text);
        }
        memory.set_fault(None);
        publish("a");
        assert_eq!(*got.lock(), ["b", "b", "d", "c", "a"]);
    }
}
