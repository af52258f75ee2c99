//! The one timer for everybody: once a second silent, expired and slow sessions end and marks are saved; every few
//! seconds what was announced is compared with the database, so that a lost announcement is late and never lost.

use std::{
    collections::HashMap,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use backplane::Channel;
use bytes::Bytes;
use journal::{announcement::ConversationNotice, conversation::Change};
use proto::{
    ConversationId, UserId, frame,
    wire::{self, ByeReason, server_frame::Body},
};
use tokio::time::{Instant, MissedTickBehavior};

use crate::{
    clock,
    node::{Shared, spread_ms},
    session::Session,
};

const EVERY: Duration = Duration::from_secs(1);
/// How often the rooms' seqs are compared with the database.
const COMPARE_EVERY: Duration = Duration::from_secs(3);
/// The least time between two comparisons, however often the backplane comes back.
const COMPARE_REST: Duration = Duration::from_millis(500);
/// How far behind a comparison the next one begins to look for who was brought in or taken out: longer than such a
/// transaction takes, and than the clocks of a fleet differ.
pub(crate) const CHANGES_BACK_MS: i64 = 15_000;
/// How much longer departures are remembered: as long as a session may take to be fed.
pub(crate) const DEPARTURES_BACK_MS: i64 = 60_000;
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
        end_sessions(&shared);
        save_marks(&shared).await;
        shared.limits.forget_old();
        shared
            .rooms
            .close_empty(clock::now_s(), &shared.backplane, shared.subscriber);
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

fn end_sessions(shared: &Shared) {
    let (now_s, now_ms) = (clock::now_s(), clock::now_ms());
    let silence_s = shared.settings.heartbeat_s * 5 / 2;
    let slow_s = shared.settings.slow_limit_s;
    let mut to_end: Vec<(Arc<Session>, ByeReason)> = Vec::new();
    shared.users.visit(|session| {
        if let Some(reason) = why_to_end(session, now_s, now_ms, silence_s, slow_s) {
            to_end.push((session.clone(), reason));
        }
    });
    // Outside the lock of the shard: ending a session writes to its socket.
    for (session, reason) in to_end {
        match reason {
            ByeReason::Expired => session.end(reason, 0, "the IM password has expired: get a new one"),
            ByeReason::Slow => session.end(reason, spread_ms(1_000, 3_000), "what was sent was not read"),
            _ => session.end(reason, spread_ms(100, 1_000), "nothing came for 2.5 heartbeats"),
        }
    }
}

fn why_to_end(session: &Session, now_s: u32, now_ms: i64, silence_s: u32, slow_s: u32) -> Option<ByeReason> {
    if session.expires_at_ms.load(Ordering::Relaxed) <= now_ms {
        return Some(ByeReason::Expired);
    }
    if session
        .outbox
        .blocked_since_s()
        .is_some_and(|since_s| now_s.saturating_sub(since_s) >= slow_s)
    {
        return Some(ByeReason::Slow);
    }
    let silent = now_s.saturating_sub(session.heard_s.load(Ordering::Relaxed)) > silence_s;
    silent.then_some(ByeReason::Idle)
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
                    room.exists(&shared.journal, seq);
                }
            }
        }
        Err(error) => {
            tracing::warn!(%error, "rooms could not be compared with the database; the next sweep tries again");
        }
    }
    let began_ms = clock::now_ms();
    let since_ms = shared.compared_since_ms.load(Ordering::Acquire);
    match compare_participants(shared, since_ms).await {
        Ok(()) => {
            let next_ms = since_ms.max(began_ms - CHANGES_BACK_MS);
            shared.compared_since_ms.store(next_ms, Ordering::Release);
            let forget_ms = next_ms - CHANGES_BACK_MS - DEPARTURES_BACK_MS;
            shared.users.visit(|session| session.forget_departures(forget_ms));
        }
        Err(error) => {
            tracing::warn!(%error, "changes of who is in could not be read; the next sweep tries again");
        }
    }
}

/// Feeds the sessions here whose users were brought in since `since_ms` without their being told; those who were taken
/// out again too.
async fn compare_participants(shared: &Shared, since_ms: i64) -> Result<(), database::Error> {
    let mut from_ms = since_ms;
    loop {
        let changes = shared.journal.changes_since(from_ms, CHANGES).await?;
        for change in &changes {
            for session in shared.users.of(change.user) {
                if session.is_synced() && !knows(shared, &session, change) {
                    session.feed(change.conversation, since_ms);
                }
            }
        }
        match changes.last() {
            // Those of the last one's millisecond once more; of one millisecond never more than are read at once.
            Some(last) if changes.len() as i64 == CHANGES => from_ms = last.at_ms.max(from_ms + 1),
            _ => return Ok(()),
        }
    }
}

/// Whether a session is in the conversation's room, or has got everything up to where its user left.
fn knows(shared: &Shared, session: &Arc<Session>, change: &Change) -> bool {
    let room = shared.rooms.get(change.conversation);
    if room.is_some_and(|room| room.position(session).is_some()) {
        return true;
    }
    let reached = session.departed_at(change.conversation);
    change
        .span
        .to
        .is_some_and(|to| reached.is_some_and(|reached| reached >= to))
}
