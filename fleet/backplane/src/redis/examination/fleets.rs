//! The fleets that use this Redis under the same prefix. Their ids and keys keep them apart; several of them are mostly an
//! oversight all the same, so they are logged.

use std::time::Duration;

use telemetry::events::backplane::Event;
use tokio::time::{Instant, sleep};

use crate::{
    Complaint, Unavailable,
    redis::{books::time_ms, cluster::Routes},
};

/// How often a process registers its fleet.
const REGISTER_EVERY: Duration = Duration::from_secs(60);
/// How soon it retries while Redis is away.
const TRY_EVERY: Duration = Duration::from_secs(1);
/// How long a fleet counts as alive after it was last seen, milliseconds: three registrations.
const LIVES_MS: i64 = 180_000;
/// How long it is listed, milliseconds.
const KEPT_MS: i64 = 86_400_000;
/// How often the log repeats it.
const WARN_EVERY: Duration = Duration::from_secs(3_600);
/// Other fleets named in a message.
const NAMED: usize = 3;

/// The list of fleets: a hash, their ids → when they were last seen by the server's clock, epoch milliseconds. No decision
/// rests on it, so it has no authenticator.
#[derive(Clone)]
pub(crate) struct Fleets {
    key: String,
    /// This fleet; `None` for an examination.
    own: Option<String>,
}

impl Fleets {
    pub(crate) fn new(prefix: &str, own: Option<String>) -> Self {
        Self {
            key: format!("{prefix}fleets"),
            own,
        }
    }

    /// Registers this fleet for ever.
    pub(crate) async fn keep(self, routes: &Routes) {
        let mut warned: Option<Instant> = None;
        let fleet = self.own.clone().unwrap_or_default();
        Event::Fleet { fleet: &fleet }.emit();
        loop {
            let Ok(others) = self.register(routes).await else {
                sleep(TRY_EVERY).await;
                continue;
            };
            if let Some(others) = named(&others)
                && warned.is_none_or(|warned| warned.elapsed() >= WARN_EVERY)
            {
                warned = Some(Instant::now());
                let (fleet, others) = (&*fleet, &*others);
                Event::OtherFleets { fleet, others }.emit();
            }
            sleep(REGISTER_EVERY).await;
        }
    }

    /// Registers this fleet; returns the others.
    async fn register(&self, routes: &Routes) -> Result<Vec<String>, Unavailable> {
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
    pub(crate) async fn complaint(&self, routes: &Routes) -> Result<Option<Complaint>, Unavailable> {
        let now_ms = time_ms(routes, &self.key).await?;
        let (others, _) = self.all(routes, now_ms).await?;
        // Without an id of our own, one fleet may be ours.
        if self.own.is_none() && others.len() < 2 {
            return Ok(None);
        }
        Ok(named(&others).map(|others| Complaint {
            is_grave: false,
            problem: match &self.own {
                Some(own) => {
                    format!("another fleet uses it under the same prefix: {others} (this one is {own})")
                }
                None => format!("several fleets use it under the same prefix: {others}"),
            },
            cure:
                "they are kept apart; where that is not meant, give each a prefix= of its own in --redis-url"
                    .into(),
        }))
    }

    /// Other live fleets, and entries to remove.
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

/// The list is not authenticated, so only ids may get into the log.
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
