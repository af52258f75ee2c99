//! Each record in Redis begins with an authenticator: HMAC-SHA256, truncated to 16 bytes, over its key, its field and its text.
//! Without the fleet's key a record can neither be made, changed nor moved to another place.
//!
//! An older record of the same place can be put back, and then counts until the end that it holds (docs/decisions/0006).

use ring::hmac;
use subtle::ConstantTimeEq;

use super::forgery::{self, Place};
use crate::Identity;

/// Bytes of an authenticator. Scripts know it too: they read the text behind it.
pub(crate) const AUTHENTICATOR_BYTES: usize = 16;
/// Separates the key of records from the keys of publishers.
const PURPOSE: &[u8] = b"huizhen records 1";

/// Makes and reads records.
pub(crate) struct Records {
    key: hmac::Key,
}

impl Records {
    pub(crate) fn new(identity: &Identity) -> Self {
        Self {
            key: derive(identity.key(), PURPOSE),
        }
    }

    /// The record of a text under a key and, in a hash, a field.
    pub(crate) fn make(&self, key: &str, field: &[u8], text: &[u8]) -> Vec<u8> {
        let mut record = Vec::with_capacity(AUTHENTICATOR_BYTES + text.len());
        record.extend_from_slice(&self.authenticator(key, field, text));
        record.extend_from_slice(text);
        record
    }

    /// The text of a record that was found under a key and field; `None` when it was not made for them.
    pub(crate) fn read<'r>(
        &self,
        place: Place,
        key: &str,
        field: &[u8],
        record: &'r [u8],
    ) -> Option<&'r [u8]> {
        let text = record
            .split_first_chunk::<AUTHENTICATOR_BYTES>()
            .filter(|(found, text)| found.ct_eq(&self.authenticator(key, field, text)).into())
            .map(|(_, text)| text);
        if text.is_none() {
            forgery::found(place);
        }
        text
    }

    fn authenticator(&self, key: &str, field: &[u8], text: &[u8]) -> [u8; AUTHENTICATOR_BYTES] {
        let mut hmac = hmac::Context::with_key(&self.key);
        // Each with its length: no two places read the same.
        for part in [key.as_bytes(), field] {
            hmac.update(&(part.len() as u64).to_be_bytes());
            hmac.update(part);
        }
        hmac.update(text);
        let mut authenticator = [0; AUTHENTICATOR_BYTES];
        authenticator.copy_from_slice(&hmac.sign().as_ref()[..AUTHENTICATOR_BYTES]);
        authenticator
    }
}

/// A key for one purpose.
pub(crate) fn derive(key: &[u8], purpose: &[u8]) -> hmac::Key {
    let derived = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), purpose);
    hmac::Key::new(hmac::HMAC_SHA256, derived.as_ref())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn records(identity: &Identity) -> Records {
        Records::new(identity)
    }

    #[test]
    fn a_record_is_read_where_it_was_made_for_and_nowhere_else() {
        let records = records(&Identity::new(1, [7; 32]));
        let record = records.make("key", b"field", b"text");
        let read = |key, field: &[u8]| records.read(Place::Login, key, field, &record);
        assert_eq!(read("key", b"field"), Some(&b"text"[..]));
        for (key, field) in [
            ("keyf", &b"ield"[..]),
            ("key", b"fiel"),
            ("other", b"field"),
            ("key", b""),
        ] {
            assert_eq!(read(key, field), None, "{key}");
        }
    }

    #[test]
    fn no_bit_may_be_changed_and_nothing_cut_off() {
        let records = records(&Identity::new(1, [7; 32]));
        let record = records.make("key", b"", b"text");
        for at in 0..record.len() {
            for bit in 0..8 {
                let mut changed = record.clone();
                changed[at] ^= 1 << bit;
                assert_eq!(
                    records.read(Place::Login, "key", b"", &changed),
                    None,
                    "{at} {bit}"
                );
            }
            assert_eq!(
                records.read(Place::Login, "key", b"", &record[..at]),
                None,
                "{at}"
            );
        }
    }

    #[test]
    fn another_key_makes_other_records() {
        let record = records(&Identity::new(1, [7; 32])).make("key", b"", b"text");
        let other = records(&Identity::new(1, [8; 32]));
        assert_eq!(other.read(Place::Login, "key", b"", &record), None);
    }
}
