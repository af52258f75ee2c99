//! Access tokens: 256 random bits, of which only the SHA-256 is kept.

use std::{
    collections::HashMap,
    fmt,
    sync::atomic::{AtomicU64, Ordering},
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use dashmap::DashMap;
use sha2::{Digest, Sha256};

use super::{Role, User, table};
use crate::{app::App, clock::now_ms, error::Error};

/// The SHA-256 of an access token.
pub type TokenHash = [u8; 32];

/// How long a token is good, milliseconds: 90 days.
pub(crate) const LIFETIME_MS: i64 = 90 * 24 * 60 * 60 * 1000;
/// How long a token is taken from memory before the database is asked again, milliseconds: a logout on another process
/// is in force here after this at the latest.
const RECHECK_MS: i64 = 3_000;
/// A time of last use is written when it moved by this, milliseconds.
const SAVE_USE_MS: i64 = 60_000;
/// Tokens in memory; more are asked of the database each time.
const MAX_KNOWN: usize = 200_000;
/// Times of last use in one transaction: a few milliseconds.
const SAVED_AT_ONCE: usize = 500;

/// An access token on its way to the app; nothing else ever sees it.
pub(crate) struct AccessToken(String);

impl AccessToken {
    /// A new one.
    pub(crate) fn random() -> Self {
        Self(URL_SAFE_NO_PAD.encode(rand::random::<[u8; 32]>()))
    }

    /// What is kept of it.
    pub(crate) fn hash(&self) -> TokenHash {
        hash(&self.0)
    }

    /// For the answer.
    pub(crate) fn into_string(self) -> String {
        self.0
    }
}

impl fmt::Debug for AccessToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AccessToken(…)")
    }
}

fn hash(token: &str) -> TokenHash {
    Sha256::digest(token.as_bytes()).into()
}

/// Tokens that were good a moment ago, so that most requests ask no database.
#[derive(Default)]
pub struct Tokens {
    known: DashMap<TokenHash, Known>,
    /// Counts revocations: a token that was read before one must not be remembered after it.
    revocations: AtomicU64,
}

struct Known {
    user: User,
    expires_at_ms: i64,
    checked_ms: i64,
    used_ms: i64,
    saved_ms: i64,
}

impl Tokens {
    /// Forgets tokens whose devices are gone from the database.
    pub(crate) fn revoke<'t>(&self, tokens: impl IntoIterator<Item = &'t TokenHash>) {
        self.revocations.fetch_add(1, Ordering::SeqCst);
        for token in tokens {
            self.known.remove(token);
        }
    }

    /// When a token was used last, if this process knows.
    pub(crate) fn last_used_ms(&self, token: &TokenHash) -> Option<i64> {
        self.known.get(token).map(|known| known.used_ms)
    }
}

/// The user of an access token; none when it is unknown, expired or revoked.
pub(crate) async fn authenticate(app: &App, token: &str) -> Result<Option<User>, Error> {
    let token = hash(token);
    let now_ms = now_ms();
    if let Some(mut known) = app.tokens.known.get_mut(&token)
        && now_ms - known.checked_ms < RECHECK_MS
        && now_ms < known.expires_at_ms
    {
        known.used_ms = now_ms;
        return Ok(Some(known.user.clone()));
    }
    let revocations = app.tokens.revocations.load(Ordering::SeqCst);
    let Some(found) = table::device_of_token(&app.database, &token, now_ms).await? else {
        app.tokens.known.remove(&token);
        return Ok(None);
    };
    let user = found.user;
    if app.tokens.known.len() < MAX_KNOWN {
        let saved_ms = app
            .tokens
            .known
            .get(&token)
            .map_or(found.last_used_ms, |known| known.saved_ms);
        app.tokens.known.insert(
            token,
            Known {
                user: user.clone(),
                expires_at_ms: found.expires_at_ms,
                checked_ms: now_ms,
                used_ms: now_ms,
                saved_ms,
            },
        );
        if app.tokens.revocations.load(Ordering::SeqCst) != revocations {
            app.tokens.known.remove(&token);
        }
    }
    Ok(Some(user))
}

/// Whether the token of a request is still good, asked of the database.
pub(crate) async fn is_valid(app: &App, user: &User) -> Result<bool, Error> {
    Ok(table::device_of_token(&app.database, &user.token, now_ms())
        .await?
        .is_some())
}

/// Writes times of last use that have moved, and forgets tokens that were not used for a while.
pub(crate) async fn save_last_use(app: &App) -> Result<(), Error> {
    let moved: HashMap<TokenHash, i64> = app
        .tokens
        .known
        .iter()
        .filter(|known| known.used_ms - known.saved_ms > SAVE_USE_MS)
        .map(|known| (*known.key(), known.used_ms))
        .collect();
    let mut moved = moved.into_iter();
    loop {
        let some: Vec<(TokenHash, i64)> = moved.by_ref().take(SAVED_AT_ONCE).collect();
        if some.is_empty() {
            break;
        }
        table::save_last_use(&app.database, some.clone()).await?;
        for (token, used_ms) in some {
            if let Some(mut known) = app.tokens.known.get_mut(&token) {
                known.saved_ms = used_ms;
            }
        }
    }
    let oldest = now_ms() - SAVE_USE_MS;
    app.tokens.known.retain(|_, known| known.used_ms > oldest);
    Ok(())
}

/// What the database knows of a token.
pub(crate) struct Found {
    pub(crate) user: User,
    pub(crate) expires_at_ms: i64,
    pub(crate) last_used_ms: i64,
}

impl Found {
    /// A row of `device_of_token`: user, device, role, expiry, last use.
    pub(crate) fn from_row(row: &database::Row, token: TokenHash) -> Result<Self, Error> {
        let role: String = row.get(2)?;
        Ok(Self {
            user: User {
                id: proto::UserId::from_database(row.get(0)?),
                device_id: row.get::<String>(1)?.into(),
                role: Role::from_database(&role).ok_or_else(|| Error::internal("account.role is unknown"))?,
                token,
            },
            expires_at_ms: row.get(3)?,
            last_used_ms: row.get(4)?,
        })
    }
}
