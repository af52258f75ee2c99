//! Passwords, logins and nodes.

use std::collections::HashMap;

use dashmap::DashMap;
use parking_lot::Mutex;
use proto::{UserId, wire::Platform};

use super::Memory;
use crate::{
    DevicePresence, Generation, HeldSession, NodeRecord, Outdone, PASSWORDS_PER_DEVICE, PasswordHash,
    Presence, Unavailable,
};

#[derive(Default)]
pub(super) struct Books {
    pub(super) passwords: DashMap<UserId, Vec<Password>>,
    logins: DashMap<UserId, Logins>,
    /// Each with its end by [`super::clock`], milliseconds.
    nodes: Mutex<HashMap<String, (NodeRecord, i64)>>,
}

pub(super) struct Password {
    device_id: Box<str>,
    hash: PasswordHash,
    /// By [`super::clock`].
    expires_at_ms: i64,
}

#[derive(Default)]
struct Logins {
    /// Counted per user, so that a device that was gone long does not begin again at 1.
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
    pub(crate) fn forget_expired(&self) {
        let now_ms = self.clock.now_ms();
        self.books.passwords.retain(|_, passwords| {
            passwords.retain(|password| password.expires_at_ms > now_ms);
            !passwords.is_empty()
        });
        self.books
            .nodes
            .lock()
            .retain(|_, (_, until_ms)| *until_ms > now_ms);
    }

    pub(crate) fn put_im_password(
        &self,
        user: UserId,
        device_id: &str,
        hash: PasswordHash,
        lasts_ms: i64,
    ) -> Result<(), Unavailable> {
        self.check()?;
        let mut passwords = self
            .books
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
            expires_at_ms: self.clock.now_ms().saturating_add(lasts_ms),
        });
        Ok(())
    }

    pub(crate) fn check_im_password(
        &self,
        user: UserId,
        device_id: &str,
        hash: &PasswordHash,
    ) -> Result<Option<i64>, Unavailable> {
        self.check()?;
        let Some(mut passwords) = self.books.passwords.get_mut(&user) else {
            return Ok(None);
        };
        let now_ms = self.clock.now_ms();
        passwords.retain(|password| password.expires_at_ms > now_ms);
        // Hashes are compared, so the time a comparison takes tells nothing about a password.
        let found = passwords
            .iter()
            .find(|password| password.hash == *hash && *password.device_id == *device_id);
        Ok(found.map(|password| password.expires_at_ms - now_ms))
    }

    pub(crate) fn revoke_im_passwords(
        &self,
        user: UserId,
        device_id: &str,
    ) -> Result<Generation, Unavailable> {
        self.check()?;
        self.books.passwords.remove_if_mut(&user, |_, passwords| {
            passwords.retain(|password| *password.device_id != *device_id);
            passwords.is_empty()
        });
        self.next_generation(user)
    }

    pub(crate) fn next_generation(&self, user: UserId) -> Result<Generation, Unavailable> {
        self.check()?;
        // A user who never logged in has nothing that could end.
        let last = self
            .books
            .logins
            .get(&user)
            .map_or(0, |logins| logins.last_generation);
        Ok(Generation(last + 1))
    }

    pub(crate) fn claim_session(
        &self,
        user: UserId,
        device_id: &str,
        platform: Platform,
    ) -> Result<Generation, Unavailable> {
        self.check()?;
        let mut logins = self.books.logins.entry(user).or_default();
        logins.last_generation += 1;
        let generation = Generation(logins.last_generation);
        match logins
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
                logins.devices.reserve_exact(1);
                logins.devices.push(Login {
                    device_id: device_id.into(),
                    platform,
                    generation,
                });
            }
        }
        Ok(generation)
    }

    /// A login that is not the newest of its device is outdone. No notice is lost here, so a logout has ended its login.
    pub(crate) fn renew_sessions(
        &self,
        sessions: &[HeldSession],
    ) -> Result<Vec<(usize, Outdone)>, Unavailable> {
        self.check()?;
        let outdone = sessions.iter().enumerate().filter_map(|(at, session)| {
            let logins = self.books.logins.get(&session.user)?;
            let newest = logins
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
        if let Some(mut logins) = self.books.logins.get_mut(&user) {
            logins
                .devices
                .retain(|login| *login.device_id != *device_id || login.generation != generation);
            logins.last_seen_ms = now_ms;
        }
    }

    pub(crate) fn presence(&self, user: UserId) -> Presence {
        let Some(logins) = self.books.logins.get(&user) else {
            return Presence {
                user,
                devices: Vec::new(),
                last_seen_ms: None,
            };
        };
        let devices = logins
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
            last_seen_ms: (logins.last_seen_ms > 0).then_some(logins.last_seen_ms),
        }
    }

    pub(crate) fn announce_node(&self, node: NodeRecord, lasts_ms: i64) -> Result<(), Unavailable> {
        self.check()?;
        let until_ms = self.clock.now_ms().saturating_add(lasts_ms);
        self.books
            .nodes
            .lock()
            .insert(node.node_id.clone(), (node, until_ms));
        Ok(())
    }

    pub(crate) fn remove_node(&self, node_id: &str) {
        self.books.nodes.lock().remove(node_id);
    }

    pub(crate) fn nodes(&self) -> Result<Vec<NodeRecord>, Unavailable> {
        self.check()?;
        let now_ms = self.clock.now_ms();
        let nodes = self.books.nodes.lock();
        let live = nodes.values().filter(|(_, until_ms)| *until_ms > now_ms);
        Ok(live.map(|(node, _)| node.clone()).collect())
    }
}
