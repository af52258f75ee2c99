//! Failed password logins of each phone or operator: guessing is slow whatever addresses the guesses come from.

use dashmap::DashMap;
use sha2::{Digest, Sha256};

use crate::error::{Error, Word};

/// Wrong passwords of one of them in [`WINDOW_MS`].
const MAX_FAILURES: u32 = 10;
/// How long failures count, from the first one on, milliseconds.
const WINDOW_MS: i64 = 15 * 60 * 1000;
/// Phones that are counted at a time. When somebody tries more, passwords wait until the sweep has forgotten some; logging
/// in by code goes on.
const MAX_PHONES: usize = 500_000;

/// The counts. Phones and names are kept as hashes, also those that have no account.
#[derive(Default)]
pub struct Attempts(DashMap<[u8; 32], Count>);

struct Count {
    failures: u32,
    since_ms: i64,
}

impl Attempts {
    /// Counts a try before the password is looked at, so that tries side by side are counted too.
    pub(crate) fn begin(&self, login: &str, now_ms: i64) -> Result<(), Error> {
        let key = key(login);
        if self.0.len() >= MAX_PHONES && !self.0.contains_key(&key) {
            return Err(Error::new(Word::TooManyAttempts).retry_after(60));
        }
        let mut count = self.0.entry(key).or_insert(Count {
            failures: 0,
            since_ms: now_ms,
        });
        if now_ms - count.since_ms > WINDOW_MS {
            *count = Count {
                failures: 0,
                since_ms: now_ms,
            };
        }
        if count.failures >= MAX_FAILURES {
            let left_ms = count.since_ms + WINDOW_MS - now_ms;
            return Err(
                Error::new(Word::TooManyAttempts).retry_after(left_ms.max(0).unsigned_abs() / 1000 + 1)
            );
        }
        count.failures += 1;
        Ok(())
    }

    /// The try was right: nothing counts any more.
    pub(crate) fn succeed(&self, login: &str) {
        self.0.remove(&key(login));
    }

    /// Forgets what counts no more.
    pub(crate) fn forget_old(&self, now_ms: i64) {
        self.0.retain(|_, count| now_ms - count.since_ms <= WINDOW_MS);
    }
}

fn key(login: &str) -> [u8; 32] {
    Sha256::digest(login.as_bytes()).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_eleventh_wrong_password_waits_and_a_right_one_clears() {
        let attempts = Attempts::default();
        let phone = "+8613800138000";
        for at in 0..10 {
            attempts.begin(phone, at).unwrap();
        }
        let refused = attempts.begin(phone, 10).unwrap_err();
        assert_eq!(refused.word(), Word::TooManyAttempts);
        assert_eq!(refused.retry_after_s(), Some(900));
        attempts.begin("+8613800138001", 10).unwrap();
        attempts.begin(phone, WINDOW_MS + 1).unwrap();
        attempts.succeed(phone);
        for at in 0..10 {
            attempts.begin(phone, at).unwrap();
        }
        attempts.forget_old(WINDOW_MS + 20);
        assert!(attempts.0.is_empty());
    }
}
