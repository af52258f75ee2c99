//! Access tokens: 256 random bits, of which only the SHA-256 is kept.

use std::{collections::HashMap, fmt};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use dashmap::DashMap;
use sha2::{Digest, Sha256};

use super::table;
use crate::{
    app::{App, Part},
    caller::{Role, TokenHash, User},
    http::error::Error,
};

/// The lifetime of a token, milliseconds: 90 days.
pub(crate) const LIFETIME_MS: i64 = 90 * 24 * 60 * 60 * 1000;
/// A last use is written once it is this much newer, milliseconds.
const SAVE_USE_MS: i64 = 60_000;
/// Tokens whose last use is kept in memory; that of others is not updated.
const MAX_KNOWN: usize = 200_000;
/// Last uses in one transaction: a few milliseconds.
const SAVED_AT_ONCE: usize = 500;

/// An access token on its way to the app.
pub(crate) struct AccessToken(String);

impl AccessToken {
    pub(crate) fn random() -> Self {
        Self(URL_SAFE_NO_PAD.encode(rand::random::<[u8; 32]>()))
    }

    pub(crate) fn hash(&self) -> TokenHash {
        hash(&self.0)
    }

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

/// Last uses of tokens that are not written yet. Validity stands in the database only: each request reads it, so that a
/// token that ends on one process ends on all.
#[derive(Default)]
pub struct Tokens(DashMap<TokenHash, Used>);

impl Part for Tokens {}

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

    /// The last use of a token, if this process has seen one.
    pub(crate) fn last_used_ms(&self, token: &TokenHash) -> Option<i64> {
        self.0.get(token).map(|used| used.used_ms)
    }
}

/// The user of an access token; none when it is unknown, expired or revoked. Writes check again before they commit:
/// [`table::lock_device`].
pub(crate) async fn authenticate(app: &App, token: &str) -> Result<Option<User>, Error> {
    let token = hash(token);
    let Some(found) = table::device_of_token(&app.database, &token).await? else {
        return Ok(None);
    };
    app.part::<Tokens>().note(token, found.now_ms, found.last_used_ms);
    Ok(Some(found.user))
}

/// Whether the token of a request is still valid.
pub(crate) async fn is_valid(app: &App, user: &User) -> Result<bool, Error> {
    Ok(table::device_of_token(&app.database, &user.token)
        .await?
        .is_some())
}

/// Writes last uses, and forgets tokens that were not used recently.
pub(crate) async fn save_last_use(app: &App) -> Result<(), Error> {
    let moved: HashMap<TokenHash, i64> = app
        .part::<Tokens>()
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
            if let Some(mut used) = app.part::<Tokens>().0.get_mut(&token) {
                used.saved_ms = used_ms;
            }
        }
    }
    let oldest = app.database.now_ms().await? - SAVE_USE_MS;
    app.part::<Tokens>().0.retain(|_, used| used.used_ms > oldest);
    Ok(())
}

/// A token's row.
pub(crate) struct Found {
    pub(crate) user: User,
    pub(crate) last_used_ms: i64,
    /// By the database's clock.
    now_ms: i64,
}

impl Found {
    /// From the columns user, device, role, last use, now.
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
            now_ms: row.get(4)?,
        })
    }
}
