//! Publications are sealed with AES-256-GCM. Each publisher has a key of its own, derived from the fleet's key. The nonce is a
//! counter; the name of the channel is authenticated as associated data. Without the fleet's key a publication can neither be
//! made, changed nor read, nor be replayed on another channel.
//!
//! A sealed payload: version (1 byte), publisher (16), counter (8); sealed: the subscriber in the publisher's process that has
//! served itself (8) and the payload; then the tag (16).

pub(crate) mod forgery;
mod record;

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use bytes::Bytes;
use parking_lot::RwLock;
use ring::{
    aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey},
    error::Unspecified,
    hmac,
};

use self::record::derive;
pub(crate) use self::{
    forgery::Place,
    record::{AUTHENTICATOR_BYTES, Records},
};
use crate::{Identity, SubscriberId};

const VERSION: u8 = 1;
const PUBLISHER_BYTES: usize = 16;
const COUNTER_BYTES: usize = 8;
/// Bytes before the ciphertext.
const HEADER_BYTES: usize = 1 + PUBLISHER_BYTES + COUNTER_BYTES;
const SUBSCRIBER_BYTES: usize = 8;
const TAG_BYTES: usize = 16;
/// Bytes that a payload grows by.
pub(crate) const SEAL_BYTES: usize = HEADER_BYTES + SUBSCRIBER_BYTES + TAG_BYTES;
/// Separates the keys of publishers from the key of records.
const PURPOSE: &[u8] = b"huizhen publications 1";
/// Publishers whose keys are kept: more than a fleet has processes in a day of restarts. Past that all are dropped and derived
/// again, one HMAC each.
const KEPT_PUBLISHERS: usize = 1_024;

type Publisher = [u8; PUBLISHER_BYTES];

/// Seals and opens publications.
pub(crate) struct Seal {
    /// Makes the keys of publishers.
    keys: hmac::Key,
    publisher: Publisher,
    key: LessSafeKey,
    /// Never the same twice in this process, so that no nonce is used twice with a key.
    counter: AtomicU64,
    kept: RwLock<HashMap<Publisher, Arc<LessSafeKey>>>,
}

/// The content of a publication.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Opened {
    /// The subscriber that has served itself; 0 stands for none.
    pub(crate) but: u64,
    pub(crate) payload: Bytes,
}

impl Seal {
    /// The seal of a process that publishes.
    pub(crate) fn new(identity: &Identity) -> Result<Self, Unspecified> {
        let keys = derive(identity.key(), PURPOSE);
        let publisher: Publisher = rand::random();
        Ok(Self {
            key: key_of(&keys, &publisher)?,
            keys,
            publisher,
            counter: AtomicU64::new(0),
            kept: RwLock::default(),
        })
    }

    /// Seals a payload for a channel.
    pub(crate) fn seal(
        &self,
        channel: &[u8],
        but: Option<SubscriberId>,
        payload: &[u8],
    ) -> Result<Vec<u8>, Unspecified> {
        let counter = self.counter.fetch_add(1, Ordering::Relaxed);
        let mut sealed = Vec::with_capacity(SEAL_BYTES + payload.len());
        sealed.push(VERSION);
        sealed.extend_from_slice(&self.publisher);
        sealed.extend_from_slice(&counter.to_be_bytes());
        sealed.extend_from_slice(&but.map_or(0, |but| but.0).to_be_bytes());
        sealed.extend_from_slice(payload);
        let tag = self.key.seal_in_place_separate_tag(
            nonce(counter),
            Aad::from(channel),
            &mut sealed[HEADER_BYTES..],
        )?;
        sealed.extend_from_slice(tag.as_ref());
        Ok(sealed)
    }

    /// Opens a payload of a channel; `None` when no process of this fleet sealed it for that channel.
    pub(crate) fn open(&self, channel: &[u8], mut sealed: Vec<u8>) -> Option<Opened> {
        let header = sealed.first_chunk::<HEADER_BYTES>()?;
        let (version, rest) = header.split_first()?;
        let (publisher, counter) = rest.split_first_chunk::<PUBLISHER_BYTES>()?;
        let (publisher, counter) = (*publisher, u64::from_be_bytes(counter.try_into().ok()?));
        if *version != VERSION {
            return None;
        }
        let kept = self.kept.read().get(&publisher).cloned();
        let is_kept = kept.is_some();
        let key = match kept {
            Some(key) => key,
            None => Arc::new(key_of(&self.keys, &publisher).ok()?),
        };
        let opened = key
            .open_in_place(nonce(counter), Aad::from(channel), &mut sealed[HEADER_BYTES..])
            .ok()?
            .len();
        if !is_kept {
            // Only now, so that forgeries cannot fill it.
            self.keep(publisher, key);
        }
        let opened = Bytes::from(sealed).slice(HEADER_BYTES..HEADER_BYTES + opened);
        Some(Opened {
            but: u64::from_be_bytes(*opened.first_chunk()?),
            payload: opened.slice(SUBSCRIBER_BYTES..),
        })
    }

    fn keep(&self, publisher: Publisher, key: Arc<LessSafeKey>) {
        let mut kept = self.kept.write();
        if kept.len() >= KEPT_PUBLISHERS {
            kept.clear();
        }
        kept.insert(publisher, key);
    }
}

fn key_of(keys: &hmac::Key, publisher: &Publisher) -> Result<LessSafeKey, Unspecified> {
    let key = hmac::sign(keys, publisher);
    Ok(LessSafeKey::new(UnboundKey::new(&AES_256_GCM, key.as_ref())?))
}

fn nonce(counter: u64) -> Nonce {
    let mut nonce = [0; 12];
    nonce[4..].copy_from_slice(&counter.to_be_bytes());
    Nonce::assume_unique_for_key(nonce)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that fails says where")]

    use super::*;

    const CHANNEL: &[u8] = b"huizhen:0000000000000001:c:5";

    fn seal(key: u8) -> Seal {
        Seal::new(&Identity::new(1, [key; 32])).unwrap()
    }

    #[test]
    fn a_publication_is_opened_by_every_process_of_the_fleet() {
        let (one, other) = (seal(7), seal(7));
        for payload in [&b""[..], b"payload"] {
            for but in [None, Some(SubscriberId(9))] {
                let sealed = one.seal(CHANNEL, but, payload).unwrap();
                assert_eq!(sealed.len(), payload.len() + SEAL_BYTES);
                let opened = Opened {
                    but: but.map_or(0, |but| but.0),
                    payload: Bytes::copy_from_slice(payload),
                };
                assert_eq!(other.open(CHANNEL, sealed.clone()), Some(opened));
                assert!(one.open(CHANNEL, sealed).is_some(), "its own too");
            }
        }
    }

    #[test]
    fn nothing_is_opened_on_another_channel_or_with_another_key() {
        let sealed = seal(7).seal(CHANNEL, None, b"payload").unwrap();
        for channel in [
            &CHANNEL[..CHANNEL.len() - 1],
            b"huizhen:0000000000000001:u:5",
            b"",
        ] {
            assert_eq!(seal(7).open(channel, sealed.clone()), None);
        }
        assert_eq!(seal(8).open(CHANNEL, sealed), None);
    }

    #[test]
    fn no_bit_may_be_changed_and_nothing_cut_off_or_put_behind() {
        let seal = seal(7);
        let sealed = seal.seal(CHANNEL, None, b"payload").unwrap();
        for at in 0..sealed.len() {
            for bit in 0..8 {
                let mut changed = sealed.clone();
                changed[at] ^= 1 << bit;
                assert_eq!(seal.open(CHANNEL, changed), None, "{at} {bit}");
            }
            assert_eq!(seal.open(CHANNEL, sealed[..at].to_vec()), None, "{at}");
        }
        assert_eq!(seal.open(CHANNEL, [sealed, vec![0]].concat()), None);
    }

    #[test]
    fn what_is_published_cannot_be_read_and_no_two_look_the_same() {
        let seal = seal(7);
        let twice = [(); 2].map(|()| seal.seal(CHANNEL, None, b"a long payload").unwrap());
        assert_ne!(twice[0], twice[1]);
        assert_ne!(twice[0][HEADER_BYTES..], twice[1][HEADER_BYTES..]);
        for sealed in twice {
            assert!(!sealed.windows(7).any(|window| window == b"payload"));
        }
    }

    #[test]
    fn forgeries_do_not_fill_what_is_kept_and_many_publishers_do_not_grow_it() {
        let listener = seal(7);
        for _ in 0..3 {
            assert_eq!(
                listener.open(CHANNEL, [&[VERSION][..], &rand::random::<[u8; 64]>()].concat()),
                None
            );
        }
        assert!(listener.kept.read().is_empty());
        for _ in 0..KEPT_PUBLISHERS + 3 {
            let sealed = seal(7).seal(CHANNEL, None, b"payload").unwrap();
            assert!(listener.open(CHANNEL, sealed).is_some());
        }
        assert_eq!(listener.kept.read().len(), 3);
    }
}
