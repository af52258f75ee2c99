//! Ends silent, slow and expired sessions.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use proto::wire::ByeReason;
use telemetry::task::Stopped;

use crate::{
    clock, sentences,
    session::Session,
    shared::{Shared, spread_ms},
};

const EVERY: Duration = Duration::from_secs(1);

/// Ends them once a second. Awaits only its timer, so neither database nor backplane delays it.
pub(super) async fn run(shared: Arc<Shared>) -> Stopped {
    let mut ticks = super::ticks(EVERY);
    let mut grace = Grace::new(clock::uptime_s());
    loop {
        tokio::select! {
            () = shared.stopping.cancelled() => return Stopped,
            _ = ticks.tick() => end_sessions(&shared, &mut grace),
        }
    }
}

/// Silent or slow sessions that end in one pass; the others follow a second later. A common cause, such as a network
/// outage, must not send all of them to the next node at once.
const ENDED_AT_ONCE: usize = 500;

/// Silence and slowness count while the node listens; a late pass shows that it did not.
struct Grace {
    swept_s: u32,
    /// Earlier times do not count, seconds of the monotonic clock.
    since_s: u32,
}

impl Grace {
    /// Delay of a pass that grants grace, seconds.
    const LATE_S: u32 = 5;

    fn new(now_s: u32) -> Self {
        Self {
            swept_s: now_s,
            since_s: 0,
        }
    }

    fn sweep(&mut self, now_s: u32) {
        if now_s.saturating_sub(self.swept_s) > Self::LATE_S {
            self.since_s = now_s;
        }
        self.swept_s = now_s;
    }
}

fn end_sessions(shared: &Shared, grace: &mut Grace) {
    let (now_s, now_ms) = (clock::uptime_s(), clock::now_ms());
    grace.sweep(now_s);
    let limits = Limits {
        silence_s: shared.settings.heartbeat_s * 5 / 2,
        slow_s: shared.settings.slow_limit_s,
        since_s: grace.since_s,
    };
    let mut to_end: Vec<(Arc<Session>, ByeReason)> = Vec::new();
    shared.users.visit(|session| {
        if let Some(reason) = limits.why_to_end(session, now_s, now_ms) {
            to_end.push((session.clone(), reason));
        }
    });
    // Expiry grants no grace.
    let (expired, mut impatient): (Vec<_>, Vec<_>) = to_end
        .into_iter()
        .partition(|(_, reason)| *reason == ByeReason::Expired);
    let back_ms = 1_000
        * u32::try_from(impatient.len() / ENDED_AT_ONCE)
            .unwrap_or(60)
            .min(60);
    impatient.truncate(ENDED_AT_ONCE);
    // Outside the shard lock: ending a session writes to its socket.
    for (session, reason) in expired.into_iter().chain(impatient) {
        match reason {
            ByeReason::Expired => session.end(reason, 0, &sentences::EXPIRED),
            ByeReason::Slow => session.end(reason, spread_ms(1_000, 3_000 + back_ms), &sentences::NOT_READ),
            _ => session.end(reason, spread_ms(100, 1_000 + back_ms), &sentences::SILENT),
        }
    }
}

struct Limits {
    silence_s: u32,
    slow_s: u32,
    since_s: u32,
}

impl Limits {
    fn why_to_end(&self, session: &Session, now_s: u32, now_ms: i64) -> Option<ByeReason> {
        if session.expires_at_ms.load(Ordering::Relaxed) <= now_ms {
            return Some(ByeReason::Expired);
        }
        let lasts = |since_s: u32| now_s.saturating_sub(since_s.max(self.since_s));
        if session
            .outbox
            .blocked_since_s()
            .is_some_and(|since_s| lasts(since_s) >= self.slow_s)
        {
            return Some(ByeReason::Slow);
        }
        let silent = lasts(session.active_s.load(Ordering::Relaxed)) > self.silence_s;
        silent.then_some(ByeReason::Idle)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_late_sweep_begins_to_count_anew() {
        let mut grace = Grace::new(100);
        for now_s in 101..110 {
            grace.sweep(now_s);
        }
        assert_eq!(grace.since_s, 0);
        grace.sweep(300);
        assert_eq!(grace.since_s, 300);
        grace.sweep(301);
        assert_eq!((grace.since_s, grace.swept_s), (300, 301));
    }
}
