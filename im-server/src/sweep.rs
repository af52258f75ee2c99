//! The one timer for everybody: once a second silent, expired and slow sessions end and marks are saved; every few
//! seconds what was announced is compared with the database, so that a lost announcement is late and never lost.

use std::{
    collections::HashMap,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use backplane::Channel;
use bytes::Bytes;
use journal::announcement::ConversationNotice;
use proto::{
    ConversationId, UserId, frame,
    wire::{self, ByeReason, server_frame::Body},
};
use tokio::time::{Instant, MissedTickBehavior};

use crate::{
    clock,
    delivery::{Receiver, fanout},
    node::{Shared, spread_ms},
    sentences,
    session::Session,
};

const EVERY: Duration = Duration::from_secs(1);
/// How often the rooms' seqs are compared with the database.
const COMPARE_EVERY: Duration = Duration::from_secs(3);
/// The least time between two comparisons, however often the backplane comes back.
const COMPARE_REST: Duration = Duration::from_millis(500);
/// Changes that are read at once.
const CHANGES: i64 = 5_000;

/// How often it is measured how late the runtime is.
const LAG_EVERY: Duration = Duration::from_millis(100);

/// Measures how long a task that is ready waits for a thread: what every acknowledgement waits in addition.
pub(crate) async fn keep_measuring_lag(shared: Arc<Shared>) {
    loop {
        let due = Instant::now() + LAG_EVERY;
        tokio::select! {
            () = shared.stopping.cancelled() => return,
            () = tokio::time::sleep_until(due) => {}
        }
        metrics::histogram!("huizhen_im_runtime_lag_seconds").record(due.elapsed().as_secs_f64());
    }
}

pub(crate) async fn keep_sweeping(shared: Arc<Shared>) {
    let mut ticks = tokio::time::interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut resumed = shared.backplane.resumed();
    let mut compared = Instant::now();
    let mut is_due = false;
    let mut grace = Grace::new(clock::uptime_s());
    loop {
        tokio::select! {
            () = shared.stopping.cancelled() => return,
            Ok(()) = resumed.changed() => {
                is_due = true;
                if compared.elapsed() >= COMPARE_REST {
                    compare(&shared).await;
                    (compared, is_due) = (Instant::now(), false);
                }
                continue;
            }
            _ = ticks.tick() => {}
        }
        clock::follow();
        end_sessions(&shared, &mut grace);
        save_marks(&shared).await;
        shared.limits.forget_old();
        shared
            .rooms
            .close_empty(clock::uptime_s(), &shared.backplane, shared.subscriber);
        if let Some(certificate) = &shared.certificate {
            certificate.reload();
        }
        shared.backplane.forget_expired(clock::now_ms());
        metrics::gauge!("huizhen_im_sessions").set(f64::from(shared.limits.sessions()));
        metrics::gauge!("huizhen_im_sessions_max").set(f64::from(shared.settings.max_sessions));
        metrics::gauge!("huizhen_im_rooms").set(shared.rooms.len() as f64);
        if is_due || compared.elapsed() >= COMPARE_EVERY {
            compare(&shared).await;
            (compared, is_due) = (Instant::now(), false);
        }
    }
}

/// Sessions that are ended in one sweep for being silent or slow; the others follow a second later. A cause that all have in
/// common, say a network that was away, must not send them all to the next node at once.
const ENDED_AT_ONCE: usize = 500;

/// Silence and slowness are counted while the node listens: a sweep that comes late was not listening.
struct Grace {
    swept_s: u32,
    /// Nothing before this counts, seconds of the monotonic clock.
    since_s: u32,
}

impl Grace {
    /// How late a sweep is before it grants grace, seconds.
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
    let limits = Patience {
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
    // A password that has expired is no matter of patience.
    let (expired, mut impatient): (Vec<_>, Vec<_>) = to_end
        .into_iter()
        .partition(|(_, reason)| *reason == ByeReason::Expired);
    let back_ms = 1_000
        * u32::try_from(impatient.len() / ENDED_AT_ONCE)
            .unwrap_or(60)
            .min(60);
    impatient.truncate(ENDED_AT_ONCE);
    // Outside the lock of the shard: ending a session writes to its socket.
    for (session, reason) in expired.into_iter().chain(impatient) {
        match reason {
            ByeReason::Expired => session.end(reason, 0, &sentences::EXPIRED),
            ByeReason::Slow => session.end(reason, spread_ms(1_000, 3_000 + back_ms), &sentences::NOT_READ),
            _ => session.end(reason, spread_ms(100, 1_000 + back_ms), &sentences::SILENT),
        }
    }
}

/// How long a session may be silent or slow.
struct Patience {
    silence_s: u32,
    slow_s: u32,
    since_s: u32,
}

impl Patience {
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
        let silent = lasts(session.heard_s.load(Ordering::Relaxed)) > self.silence_s;
        silent.then_some(ByeReason::Idle)
    }
}

/// Saves the marks that wait and passes them on, one frame for each conversation.
pub(crate) async fn save_marks(shared: &Shared) {
    let marks = shared.marks.take();
    if marks.is_empty() {
        return;
    }
    let standing = match shared.journal.save_marks(marks).await {
        Ok(standing) => standing,
        Err(error) => {
            tracing::error!(%error, "marks could not be saved; the next ones make up for them");
            return;
        }
    };
    let mut conversations: HashMap<ConversationId, Vec<wire::Mark>> = HashMap::new();
    for mark in standing {
        conversations
            .entry(mark.conversation)
            .or_default()
            .push(wire::Mark {
                user_id: mark.user.get(),
                received_seq: mark.received_seq.get(),
                read_seq: mark.read_seq.get(),
            });
    }
    for (conversation, marks) in conversations {
        for marks in marks.chunks(MARKS_IN_A_FRAME) {
            let marks = wire::Marks {
                conversation_id: conversation.get(),
                marks: marks.to_vec(),
            };
            pass_on(shared, conversation, &frame::server(0, Body::Marks(marks)));
        }
    }
}

/// Marks in one frame: some 20 bytes each.
const MARKS_IN_A_FRAME: usize = 1_000;

fn pass_on(shared: &Shared, conversation: ConversationId, frame: &Bytes) {
    if let Some(room) = shared.rooms.get(conversation) {
        room.pass(frame, None);
    }
    // About nobody in particular: a user's other devices get it too.
    let payload = ConversationNotice::passing(conversation, UserId::from_database(0), frame);
    shared.backplane.publish(
        Channel::Conversation(conversation),
        payload,
        Some(shared.subscriber),
    );
}

/// Compares what was delivered and who was attached with the database.
async fn compare(shared: &Arc<Shared>) {
    match shared.journal.last_seqs(&shared.rooms.ids()).await {
        Ok(seqs) => {
            for (conversation, seq) in seqs {
                if let Some(room) = shared.rooms.get(conversation) {
                    fanout::exists(&room, &shared.journal, seq);
                }
            }
        }
        Err(error) => {
            tracing::warn!(%error, "rooms could not be compared with the database; the next sweep tries again");
        }
    }
    if let Err(error) = compare_participants(shared).await {
        tracing::warn!(%error, "changes of participants could not be read; the next sweep tries again");
    }
}

/// Has the sessions here looked after whose users were brought in or taken out since the last comparison: an announcement
/// may have been lost. The horizon is read first, so a change that commits meanwhile is read next time.
async fn compare_participants(shared: &Shared) -> Result<(), database::Error> {
    let next = shared.journal.horizon().await?;
    let mut from = shared.horizon.lock().number;
    loop {
        let changes = shared.journal.changes_since(from, CHANGES).await?;
        for change in &changes {
            for session in shared.users.of(change.user) {
                session.feed(change.conversation);
            }
        }
        match changes.last() {
            // Those of the last number once more; of one transaction never more than are read at once.
            Some(last) if changes.len() as i64 == CHANGES => from = last.number.max(from + 1),
            _ => break,
        }
    }
    *shared.horizon.lock() = next;
    Ok(())
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
