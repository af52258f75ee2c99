//! Access tokens: 256 random bits, of which only the SHA-256 is kept.

use std::{collections::HashMap, fmt};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use dashmap::DashMap;
use sha2::{Digest, Sha256};

use super::table;
use crate::{
    app::App,
    caller::{Role, TokenHash, User},
    clock::now_ms,
    http::error::Error,
};

/// How long a token is good, milliseconds: 90 days.
pub(crate) const LIFETIME_MS: i64 = 90 * 24 * 60 * 60 * 1000;
/// A time of last use is written when it moved by this, milliseconds.
const SAVE_USE_MS: i64 = 60_000;
/// Tokens whose last use is kept in memory; of more it stays as the database has it.
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

/// When tokens were used last, until it is written. Whether a token is good stands in the database alone: it is read for
/// each request, so that a token that ended on one process has ended on all.
#[derive(Default)]
pub struct Tokens(DashMap<TokenHash, Used>);

struct Used {
    used_ms: i64,
    saved_ms: i64,
}

impl Tokens {
    fn note(&self, token: TokenHash, now_ms: i64, saved_ms: i64) {
        if let Some(mut used) = self.0.get_mut(&token) {
            used.used_ms = now_ms;
        } else if self.0.len() < MAX_KNOWN {
            let used = Used {
                used_ms: now_ms,
                saved_ms,
            };
            self.0.insert(token, used);
        }
    }

    /// Forgets tokens that have ended.
    pub(crate) fn forget<'t>(&self, tokens: impl IntoIterator<Item = &'t TokenHash>) {
        for token in tokens {
            self.0.remove(token);
        }
    }

    /// When a token was used last, if this process knows.
    pub(crate) fn last_used_ms(&self, token: &TokenHash) -> Option<i64> {
        self.0.get(token).map(|used| used.used_ms)
    }
}

/// The user of an access token; none when it is unknown, expired or revoked. Writes ask once more, as they commit:
/// [`table::lock_device`].
pub(crate) async fn authenticate(app: &App, token: &str) -> Result<Option<User>, Error> {
    let token = hash(token);
    let now_ms = now_ms();
    let Some(found) = table::device_of_token(&app.database, &token, now_ms).await? else {
        return Ok(None);
    };
    app.tokens.note(token, now_ms, found.last_used_ms);
    Ok(Some(found.user))
}

/// Whether the token of a request is still good.
pub(crate) async fn is_valid(app: &App, user: &User) -> Result<bool, Error> {
    Ok(table::device_of_token(&app.database, &user.token, now_ms())
        .await?
        .is_some())
}

/// Writes times of last use that have moved, and forgets tokens that were not used for a while.
pub(crate) async fn save_last_use(app: &App) -> Result<(), Error> {
    let moved: HashMap<TokenHash, i64> = app
        .tokens
        .0
        .iter()
        .filter(|used| used.used_ms - used.saved_ms > SAVE_USE_MS)
        .map(|used| (*used.key(), used.used_ms))
        .collect();
    let mut moved = moved.into_iter();
    loop {
        let some: Vec<(TokenHash, i64)> = moved.by_ref().take(SAVED_AT_ONCE).collect();
        if some.is_empty() {
            break;
        }
        table::save_last_use(&app.database, some.clone()).await?;
        for (token, used_ms) in some {
            if let Some(mut used) = app.tokens.0.get_mut(&token) {
                used.saved_ms = used_ms;
            }
        }
    }
    let oldest = now_ms() - SAVE_USE_MS;
    app.tokens.0.retain(|_, used| used.used_ms > oldest);
    Ok(())
}

/// What the database knows of a token.
pub(crate) struct Found {
    pub(crate) user: User,
    pub(crate) last_used_ms: i64,
}

impl Found {
    /// A row of `device_of_token`: user, device, role, last use.
    pub(crate) fn from_row(row: &database::Row, token: TokenHash) -> Result<Self, Error> {
        let role: String = row.get(2)?;
        Ok(Self {
            user: User {
                id: proto::UserId::from_database(row.get(0)?),
                device_id: row.get::<String>(1)?.into(),
                role: Role::from_database(&role).ok_or_else(|| Error::internal("account.role is unknown"))?,
                token,
            },
            last_used_ms: row.get(3)?,
        })
    }
}
