//! Which fleets use this Redis under the same prefix. They are kept apart by their ids and keys; that there are several is
//! mostly an oversight all the same, so it is said.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::{books::time_ms, routes::Routes};
use crate::{Complaint, Unavailable};

/// How often a process says that its fleet is there.
const SAY_EVERY: Duration = Duration::from_secs(60);
/// How soon it tries again while Redis is away.
const TRY_EVERY: Duration = Duration::from_secs(1);
/// How long a fleet counts as there after it was last seen, milliseconds: three times that it says so.
const LIVES_MS: i64 = 180_000;
/// How long it is remembered, milliseconds.
const KEPT_MS: i64 = 86_400_000;
/// How often the log repeats it.
const WARN_EVERY: Duration = Duration::from_secs(3_600);
/// Others that are named.
const NAMED: usize = 3;

/// The list of fleets: a hash, their ids → when they were last seen by the server's clock, epoch milliseconds. Nothing hangs
/// on it, so it stands behind no authenticator.
#[derive(Clone)]
pub(super) struct Fleets {
    key: String,
    /// This one; none for a look.
    own: Option<String>,
}

impl Fleets {
    pub(super) fn new(prefix: &str, own: Option<String>) -> Self {
        Self {
            key: format!("{prefix}fleets"),
            own,
        }
    }

    /// Says for ever that this fleet is there.
    pub(super) async fn keep(self, routes: &Routes) {
        let mut warned: Option<Instant> = None;
        tracing::info!(
            fleet = self.own.as_deref(),
            "this fleet's names in Redis carry its id"
        );
        loop {
            let Ok(others) = self.say(routes).await else {
                sleep(TRY_EVERY).await;
                continue;
            };
            if let Some(others) = named(&others)
                && warned.is_none_or(|warned| warned.elapsed() >= WARN_EVERY)
            {
                warned = Some(Instant::now());
                tracing::warn!(
                    fleet = self.own.as_deref().unwrap_or_default(),
                    others,
                    "another fleet uses this Redis under the same prefix; they are kept apart, but give each a prefix= of \
                     its own in --redis-url"
                );
            }
            sleep(SAY_EVERY).await;
        }
    }

    /// Says that this fleet is there; gives the others.
    async fn say(&self, routes: &Routes) -> Result<Vec<String>, Unavailable> {
        let now_ms = time_ms(routes, &self.key).await?;
        if let Some(own) = &self.own {
            let mut say = ::redis::cmd("HSET");
            say.arg(&self.key).arg(own).arg(now_ms);
            let mut last = ::redis::cmd("PEXPIRE");
            last.arg(&self.key).arg(KEPT_MS);
            routes.ask::<i64>(&self.key, &say).await?;
            routes.ask::<i64>(&self.key, &last).await?;
        }
        let (live, dead) = self.all(routes, now_ms).await?;
        if !dead.is_empty() {
            let mut forget = ::redis::cmd("HDEL");
            forget.arg(&self.key).arg(dead);
            routes.ask::<i64>(&self.key, &forget).await?;
        }
        Ok(live)
    }

    /// A complaint that names the other fleets, if there are any.
    pub(super) async fn complaint(&self, routes: &Routes) -> Result<Option<Complaint>, Unavailable> {
        let now_ms = time_ms(routes, &self.key).await?;
        let (others, _) = self.all(routes, now_ms).await?;
        // Of whom nobody knows which is which, one may be there.
        if self.own.is_none() && others.len() < 2 {
            return Ok(None);
        }
        Ok(named(&others).map(|others| Complaint {
            is_grave: false,
            what: match &self.own {
                Some(own) => {
                    format!("another fleet uses it under the same prefix: {others} (this one is {own})")
                }
                None => format!("several fleets use it under the same prefix: {others}"),
            },
            mend:
                "they are kept apart; where that is not meant, give each a prefix= of its own in --redis-url"
                    .into(),
        }))
    }

    /// Other fleets that are there, and those that have not been for long.
    async fn all(&self, routes: &Routes, now_ms: i64) -> Result<(Vec<String>, Vec<Vec<u8>>), Unavailable> {
        let mut ask = ::redis::cmd("HGETALL");
        ask.arg(&self.key);
        let all: Vec<(Vec<u8>, Vec<u8>)> = routes.ask(&self.key, &ask).await?;
        let (mut live, mut dead) = (Vec::new(), Vec::new());
        for (id, seen) in all {
            let name = std::str::from_utf8(&id).ok().filter(|id| is_id(id));
            let seen_ms = std::str::from_utf8(&seen)
                .ok()
                .and_then(|seen| seen.parse::<i64>().ok());
            match (name, seen_ms) {
                (Some(name), _) if self.own.as_deref() == Some(name) => {}
                (Some(name), Some(seen_ms)) if seen_ms > now_ms - LIVES_MS => live.push(name.to_owned()),
                (Some(_), Some(seen_ms)) if seen_ms > now_ms - KEPT_MS => {}
                _ => dead.push(id),
            }
        }
        live.sort();
        Ok((live, dead))
    }
}

/// The list is not authenticated, so nothing but ids may get into the log.
fn is_id(text: &str) -> bool {
    text.len() == 16 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn named(others: &[String]) -> Option<String> {
    let shown = others.get(..NAMED).unwrap_or(others).join(", ");
    match others.len() {
        0 => None,
        count if count > NAMED => Some(format!("{shown} and {} more", count - NAMED)),
        _ => Some(shown),
    }
}
