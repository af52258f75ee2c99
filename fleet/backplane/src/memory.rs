//! The backplane of one process.

use std::{
    collections::HashMap,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
};

use bytes::Bytes;
use dashmap::DashMap;
use parking_lot::{Mutex, RwLock};
use proto::{UserId, wire::Platform};

use crate::{
    Channel, DevicePresence, Generation, Handler, NodeRecord, PasswordHash, Presence, SubscriberId,
    Unavailable, password::PASSWORDS_PER_DEVICE,
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
        self.check()?;
        let mut subscribers = self
            .subscriptions
            .entry(channel)
            .or_insert_with(|| Vec::with_capacity(1));
        if !subscribers.contains(&subscriber) {
            subscribers.push(subscriber);
        }
        Ok(())
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

    pub(crate) fn revoke_im_passwords(&self, user: UserId, device_id: &str) -> Result<(), Unavailable> {
        self.check()?;
        self.passwords.remove_if_mut(&user, |_, passwords| {
            passwords.retain(|password| *password.device_id != *device_id);
            passwords.is_empty()
        });
        Ok(())
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
        let mut live: Vec<NodeRecord> = nodes
            .values()
            .filter(|(_, until_ms)| *until_ms > now_ms)
            .map(|(node, _)| node.clone())
            .collect();
        live.sort_by(|a, b| (a.sessions, &a.node_id).cmp(&(b.sessions, &b.node_id)));
        Ok(live)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{Backplane, hash_password};

    const USER: UserId = UserId::from_database(7);

    #[tokio::test]
    async fn a_password_is_good_for_its_user_device_and_time_only() {
        let backplane = Backplane::memory();
        let hash = hash_password("secret");
        backplane
            .put_im_password(USER, "phone", hash, 1_000)
            .await
            .unwrap();
        let other = UserId::from_database(8);
        assert_eq!(
            backplane.check_im_password(USER, "phone", &hash, 999).await,
            Ok(Some(1_000))
        );
        assert_eq!(
            backplane.check_im_password(USER, "pad", &hash, 999).await,
            Ok(None)
        );
        assert_eq!(
            backplane.check_im_password(other, "phone", &hash, 999).await,
            Ok(None)
        );
        assert_eq!(
            backplane
                .check_im_password(USER, "phone", &hash_password("x"), 999)
                .await,
            Ok(None)
        );
        assert_eq!(
            backplane.check_im_password(USER, "phone", &hash, 1_000).await,
            Ok(None)
        );
    }

    #[tokio::test]
    async fn logging_a_device_out_leaves_the_other_devices_passwords() {
        let backplane = Backplane::memory();
        let (one, two) = (hash_password("one"), hash_password("two"));
        backplane
            .put_im_password(USER, "phone", one, 1_000)
            .await
            .unwrap();
        backplane.put_im_password(USER, "pad", two, 1_000).await.unwrap();
        backplane.revoke_im_passwords(USER, "phone").await.unwrap();
        assert_eq!(
            backplane.check_im_password(USER, "phone", &one, 1).await,
            Ok(None)
        );
        assert_eq!(
            backplane.check_im_password(USER, "pad", &two, 1).await,
            Ok(Some(1_000))
        );
    }

    #[tokio::test]
    async fn an_older_session_does_not_release_a_newer_one() {
        let backplane = Backplane::memory();
        let older = backplane
            .claim_session(USER, "phone", Platform::Ios)
            .await
            .unwrap();
        let newer = backplane
            .claim_session(USER, "phone", Platform::Ios)
            .await
            .unwrap();
        assert!(newer > older);
        backplane.release_session(USER, "phone", older, 5);
        assert_eq!(backplane.presence(&[USER]).await.unwrap()[0].devices.len(), 1);
        backplane.release_session(USER, "phone", newer, 6);
        let presence = backplane.presence(&[USER]).await.unwrap().remove(0);
        assert_eq!((presence.devices.len(), presence.last_seen_ms), (0, Some(6)));
    }

    #[tokio::test]
    async fn a_payload_reaches_every_subscriber_but_the_one_that_served_itself() {
        let backplane = Backplane::memory();
        let got = Arc::new(Mutex::new(Vec::new()));
        let join = |name: &'static str| {
            let got = got.clone();
            backplane.join(Arc::new(move |_, payload| got.lock().push((name, payload))))
        };
        let (a, b) = (join("a"), join("b"));
        let channel = Channel::User(USER);
        backplane.subscribe(a, channel).await.unwrap();
        backplane.subscribe(b, channel).await.unwrap();
        backplane.publish(channel, Bytes::from_static(b"1"), Some(a));
        backplane.unsubscribe(b, channel);
        backplane.publish(channel, Bytes::from_static(b"2"), None);
        assert_eq!(
            *got.lock(),
            [("b", Bytes::from_static(b"1")), ("a", Bytes::from_static(b"2"))]
        );
    }

    #[tokio::test]
    async fn while_it_is_away_nothing_is_accepted() {
        let backplane = Backplane::memory();
        let Backplane::Memory(memory) = &backplane;
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
    async fn the_oldest_password_of_a_device_makes_room_and_no_other_device_s() {
        let backplane = Backplane::memory();
        let kept = hash_password("pad");
        backplane.put_im_password(USER, "pad", kept, 1_000).await.unwrap();
        let hashes: Vec<_> = (0..=PASSWORDS_PER_DEVICE)
            .map(|at| hash_password(&at.to_string()))
            .collect();
        for hash in &hashes {
            backplane
                .put_im_password(USER, "phone", *hash, 1_000)
                .await
                .unwrap();
        }
        let good = async |device, hash| {
            let expires = backplane.check_im_password(USER, device, hash, 1).await.unwrap();
            expires.is_some()
        };
        assert!(!good("phone", &hashes[0]).await);
        for hash in &hashes[1..] {
            assert!(good("phone", hash).await);
        }
        assert!(good("pad", &kept).await);
    }

    #[tokio::test]
    async fn what_has_expired_is_forgotten_and_nothing_else() {
        let backplane = Backplane::memory();
        let Backplane::Memory(memory) = &backplane;
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
        let Backplane::Memory(memory) = &backplane;
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
        let Backplane::Memory(memory) = &backplane;
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

    #[tokio::test]
    async fn live_nodes_come_least_loaded_first_and_dead_ones_not_at_all() {
        let backplane = Backplane::memory();
        let node = |node_id: &str, sessions| NodeRecord {
            node_id: node_id.into(),
            address: crate::NodeAddress {
                ip: "127.0.0.1".into(),
                port: 1,
                tls_port: None,
                ws_port: None,
            },
            sessions,
            version: "0".into(),
        };
        for (node_id, sessions, until_ms) in [
            ("b", 5, 100),
            ("a", 5, 100),
            ("c", 1, 100),
            ("d", 0, 50),
            ("e", 0, 100),
        ] {
            backplane
                .announce_node(node(node_id, sessions), until_ms)
                .await
                .unwrap();
        }
        backplane.withdraw_node("e").await;
        let live = async |now_ms| {
            let nodes = backplane.nodes(now_ms).await.unwrap();
            nodes.into_iter().map(|node| node.node_id).collect::<Vec<_>>()
        };
        assert_eq!(live(50).await, ["c", "a", "b"]);
        assert_eq!(live(100).await, Vec::<String>::new());
        backplane.announce_node(node("a", 0), 200).await.unwrap();
        assert_eq!(live(100).await, ["a"]);
    }
}
