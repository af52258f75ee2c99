//! Idempotency keys: a repeated write runs once and gets the first answer.

use std::sync::Arc;

use axum::{extract::MatchedPath, http::request::Parts};
use bytes::Bytes;
use dashmap::DashSet;
use database::{Database, Transaction, clocked, params};
use jobs::{Failure, Turn};
use sha2::{Digest, Sha256};

use crate::{
    caller::User,
    http::{
        answer::Answer,
        error::{Error, ErrorCode},
        input::{decoded, hash_json},
    },
};

/// How long first answers are kept, milliseconds: longer than apps retry.
pub const KEPT_MS: i64 = 7 * 24 * 60 * 60 * 1000;
/// The longest key, bytes.
pub(crate) const MAX_KEY_BYTES: usize = 128;

const FIRST: [&str; 2] = clocked!(
    "SELECT request_hash, answer, meaning_hash FROM idempotency
     WHERE user_id = $1 AND route = $2 AND idempotency_key = $3 AND created_ms > ",
    " - $4"
);

/// A write with its idempotency key, if it has one.
#[derive(Debug)]
pub struct Once {
    user: User,
    key: Option<(Claim, Guard)>,
}

/// A key in its scope, and the hashes of its request.
#[derive(Clone, Debug)]
pub struct Claim {
    user: i64,
    route: String,
    key: String,
    /// Of the bytes, which releases before 2026-12 compare.
    request_hash: [u8; 32],
    /// Of the request's meaning, which this release compares.
    meaning: [u8; 32],
}

/// Keys whose first request is running in this process: (user, route, key).
#[derive(Clone, Debug, Default)]
pub struct Running(Arc<DashSet<(i64, String, String)>>);

#[derive(Debug)]
struct Guard {
    running: Running,
    key: (i64, String, String),
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.running.0.remove(&self.key);
    }
}

impl Once {
    /// Reads the request's key.
    pub(crate) fn of(running: &Running, user: &User, parts: &Parts, body: &Bytes) -> Result<Self, Error> {
        let mut keys = parts.headers.get_all("idempotency-key").iter();
        let Some(key) = keys.next() else {
            let user = user.clone();
            return Ok(Self { user, key: None });
        };
        let key = Some(key)
            // Two keys are ambiguous.
            .filter(|_| keys.next().is_none())
            .and_then(|key| key.to_str().ok())
            .filter(|key| (1..=MAX_KEY_BYTES).contains(&key.len()))
            .ok_or_else(|| {
                Error::invalid(
                    "Idempotency-Key",
                    format!("应为单个请求头，含 1 到 {MAX_KEY_BYTES} 个可见 ASCII 字符"),
                    format!("must be one header of 1 to {MAX_KEY_BYTES} visible ASCII characters"),
                )
            })?;
        let template = parts
            .extensions
            .get::<MatchedPath>()
            .map_or("", MatchedPath::as_str);
        let route = format!("{} {template}", parts.method);
        let path = parts.uri.path();
        let claim = Claim {
            user: user.id.get(),
            route,
            key: key.to_owned(),
            request_hash: hash_of(path, |hash| hash.update(body)),
            meaning: hash_of(&decoded(path).unwrap_or_default(), |hash| hash_json(hash, body)),
        };
        let key = (claim.user, claim.route.clone(), claim.key.clone());
        if !running.0.insert(key.clone()) {
            return Err(Error::new(ErrorCode::KeyRunning).retry_after(1));
        }
        let guard = Guard {
            running: running.clone(),
            key,
        };
        Ok(Self {
            user: user.clone(),
            key: Some((claim, guard)),
        })
    }

    pub(crate) fn user(&self) -> &User {
        &self.user
    }

    /// Refuses a request that has no key: a repetition of it would move money again.
    pub(crate) fn demand_key(&self) -> Result<(), Error> {
        match self.key {
            Some(_) => Ok(()),
            None => Err(Error::new(ErrorCode::KeyRequired).field("Idempotency-Key")),
        }
    }

    pub(crate) fn claim(&self) -> Option<Claim> {
        self.key.as_ref().map(|(claim, _)| claim.clone())
    }

    /// The first answer under this key, if it exists.
    pub(crate) async fn first_answer(&self, database: &Database) -> Result<Option<Answer>, Error> {
        let Some((claim, _)) = &self.key else {
            return Ok(None);
        };
        let [on_sqlite, on_postgres] = FIRST;
        let row = database
            .query_first(
                database.text(on_sqlite, on_postgres),
                params![claim.user, claim.route.as_str(), claim.key.as_str(), KEPT_MS],
            )
            .await?;
        let Some(row) = row else {
            return Ok(None);
        };
        let request_hash: Bytes = row.get(0)?;
        let meaning: Option<Bytes> = row.get(2)?;
        if !claim.stands_for(&request_hash, meaning.as_deref()) {
            return Err(Error::new(ErrorCode::KeyReused).field("Idempotency-Key"));
        }
        Ok(Some(Answer::replayed(row.get(1)?)))
    }
}

impl Claim {
    /// Whether a row belongs to this request. Releases before 2026-12 compare bytes only: their rows have no meaning, and rows
    /// that they overwrote keep the meaning of an earlier request, which is bound to its bytes.
    fn stands_for(&self, request_hash: &[u8], meaning: Option<&[u8]>) -> bool {
        request_hash == self.request_hash
            || meaning.is_some_and(|meaning| meaning == bound(request_hash, &self.meaning))
    }
}

/// A meaning, bound to the bytes of its row.
fn bound(request_hash: &[u8], meaning: &[u8; 32]) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(request_hash);
    hash.update(meaning);
    hash.finalize().into()
}

fn hash_of(path: &str, body: impl FnOnce(&mut Sha256)) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(path.as_bytes());
    hash.update([0]);
    body(&mut hash);
    hash.finalize().into()
}

const RESERVE: [&str; 2] = clocked!(
    "INSERT INTO idempotency (user_id, route, idempotency_key, request_hash, answer, created_ms, meaning_hash)
     VALUES ($1, $2, $3, $4, $5, ",
    ", $7)
     ON CONFLICT (user_id, route, idempotency_key) DO UPDATE
     SET request_hash = excluded.request_hash, answer = excluded.answer, created_ms = excluded.created_ms,
         meaning_hash = excluded.meaning_hash
     WHERE idempotency.created_ms <= excluded.created_ms - $6"
);

/// Reserves the key: without it nothing of the transaction is written. On PostgreSQL it is sent with the first statement
/// of the work, and a concurrent request waits there for the first one.
pub(crate) async fn reserve(tx: &mut Transaction<'_>, claim: &Claim) -> Result<(), Error> {
    let [on_sqlite, on_postgres] = RESERVE;
    let reserved = tx.claim(
        tx.text(on_sqlite, on_postgres),
        params![
            claim.user,
            claim.route.as_str(),
            claim.key.as_str(),
            &claim.request_hash[..],
            Bytes::new(),
            KEPT_MS,
            &bound(&claim.request_hash, &claim.meaning)[..]
        ],
    );
    Ok(reserved.await?)
}

/// Stores the answer under the reserved key.
pub(crate) async fn store(tx: &mut Transaction<'_>, claim: &Claim, answer: &Answer) -> Result<(), Error> {
    tx.enqueue_one(
        "UPDATE idempotency SET answer = $1 WHERE user_id = $2 AND route = $3 AND idempotency_key = $4",
        params![
            answer.body().clone(),
            claim.user,
            claim.route.as_str(),
            claim.key.as_str()
        ],
    )
    .await?;
    Ok(())
}

const FORGET: &str = "DELETE FROM idempotency WHERE (user_id, route, idempotency_key) IN (
         SELECT user_id, route, idempotency_key FROM idempotency
         WHERE created_ms <= $1 ORDER BY created_ms LIMIT $2)";

/// Deletes answers older than [`KEPT_MS`], few at a time so that messages do not wait. True when more may follow.
pub(crate) async fn forget_old(turn: &Turn, now_ms: i64) -> Result<bool, Failure> {
    /// Rows of one transaction: a few milliseconds.
    const AT_ONCE: i64 = 500;
    let forgotten = turn.transaction::<_, Error, _>(move |tx| {
        Box::pin(async move { Ok(tx.execute(FORGET, params![now_ms - KEPT_MS, AT_ONCE]).await?) })
    });
    let forgotten = forgotten.await?;
    Ok(i64::try_from(forgotten).is_ok_and(|forgotten| forgotten == AT_ONCE))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{walk_an_index, walks_an_index};

    #[tokio::test]
    async fn forgetting_walks_an_index() {
        walks_an_index(FORGET, params![1_i64, 500_i64]).await;
        walk_an_index(FIRST, params![1_i64, "r", "k", 1_i64]).await;
    }
}
