//! The keys that WeChat Pay signs by: one public key of the settings, and platform certificates that it rotates.

use std::collections::HashMap;

use parking_lot::RwLock;
use ring::aead::LessSafeKey;
use serde::Deserialize;

use super::sealed::Sealed;
use crate::wire::{PublicKey, parse_offset};

/// After this WeChat Pay may have new certificates: it asks merchants to look every 12 hours.
const FRESH_MS: i64 = 12 * 60 * 60 * 1000;
/// The shortest time between two looks, whatever serials notices name: they are not trusted.
const MIN_LOOK_MS: i64 = 60 * 1000;
/// The most certificates of one answer; there are two during a rotation.
const CERTIFICATES_MAX: usize = 16;

/// The keys that are known.
#[derive(Debug)]
pub(super) struct Keys {
    fixed: Option<(String, PublicKey)>,
    accepts_certificates: bool,
    fetched: RwLock<Fetched>,
}

/// Platform certificates by serial.
#[derive(Debug, Default)]
struct Fetched {
    certificates: HashMap<String, Certificate>,
    /// Of the last success, and of the last look.
    fetched_ms: Option<i64>,
    looked_ms: Option<i64>,
}

/// A platform certificate.
#[derive(Clone, Debug)]
struct Certificate {
    key: PublicKey,
    from_ms: i64,
    until_ms: i64,
}

/// The answer to a look for certificates.
#[derive(Deserialize)]
struct Listed {
    data: Vec<ListedCertificate>,
}

#[derive(Deserialize)]
struct ListedCertificate {
    serial_no: String,
    effective_time: String,
    expire_time: String,
    encrypt_certificate: Sealed,
}

impl Keys {
    pub(super) fn new(fixed: Option<(String, PublicKey)>, accepts_certificates: bool) -> Self {
        Self {
            fixed,
            accepts_certificates,
            fetched: RwLock::default(),
        }
    }

    /// The key of a serial, or of the id of a public key.
    pub(super) fn find(&self, serial: &str, now_ms: i64) -> Option<PublicKey> {
        if let Some((id, key)) = &self.fixed
            && id == serial
        {
            return Some(key.clone());
        }
        let fetched = self.fetched.read();
        let certificate = fetched.certificates.get(serial)?;
        let is_in_force = (certificate.from_ms..=certificate.until_ms).contains(&now_ms);
        is_in_force.then(|| certificate.key.clone())
    }

    /// The id of the public key, by which answers are asked to be signed.
    pub(super) fn fixed_id(&self) -> Option<&str> {
        self.fixed.as_ref().map(|(id, _)| id.as_str())
    }

    /// When certificates were fetched.
    pub(super) fn fetched_ms(&self) -> Option<i64> {
        self.fetched.read().fetched_ms
    }

    /// Whether certificates should be fetched before a request.
    pub(super) fn are_old(&self, now_ms: i64) -> bool {
        let fetched_ms = self.fetched_ms();
        self.accepts_certificates
            && self.fixed.is_none()
            && fetched_ms.is_none_or(|ms| now_ms.abs_diff(ms) > FRESH_MS.unsigned_abs())
    }

    /// Whether a look for certificates is due now; if so, the next one is not for a while. Without any certificate nothing
    /// works, so that then each request may look.
    pub(super) fn begin_look(&self, now_ms: i64) -> bool {
        if !self.accepts_certificates {
            return false;
        }
        let mut fetched = self.fetched.write();
        let is_early = fetched
            .looked_ms
            .is_some_and(|ms| now_ms.abs_diff(ms) < MIN_LOOK_MS.unsigned_abs());
        if is_early && !fetched.certificates.is_empty() {
            return false;
        }
        fetched.looked_ms = Some(now_ms);
        true
    }

    /// Opens the certificates of an answer. Only WeChat Pay has the key that seals them, so that the answer may be signed
    /// by one of them.
    pub(super) fn open(&self, body: &[u8], key: &LessSafeKey) -> Option<Self> {
        let listed: Listed = serde_json::from_slice(body).ok()?;
        if listed.data.is_empty() || listed.data.len() > CERTIFICATES_MAX {
            return None;
        }
        let mut certificates = HashMap::new();
        for one in &listed.data {
            let certificate = Certificate {
                key: PublicKey::of_certificate(&one.encrypt_certificate.open(key)?)?,
                from_ms: parse_offset(&one.effective_time)?,
                until_ms: parse_offset(&one.expire_time)?,
            };
            certificates.insert(one.serial_no.clone(), certificate);
        }
        let found = Self::new(self.fixed.clone(), true);
        found.fetched.write().certificates = certificates;
        Some(found)
    }

    /// Replaces the certificates by those of a verified answer.
    pub(super) fn replace(&self, found: Self, now_ms: i64) {
        let mut fetched = self.fetched.write();
        fetched.certificates = found.fetched.into_inner().certificates;
        fetched.fetched_ms = Some(now_ms);
    }
}
