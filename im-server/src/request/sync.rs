//! Sync: an app says what it has, and gets what it misses; from here on entries flow to the session.
//!
//! First the session enters the rooms of all its conversations (whatever is announced from then on is noticed), then
//! they are read once more, and each is fed until the session is live in it, or up to the limit that the app set.

use std::{
    collections::HashMap,
    sync::{Arc, atomic::Ordering},
};

use journal::{history::Direction, overview::Overview};
use proto::{
    ConversationId, Seq,
    wire::{self, ErrorCode, SyncDone, server_frame::Body},
};

use crate::{
    clock,
    connection::Pending,
    node::Shared,
    request::{
        feed::{Notes, Stopped, feed_page, feed_until_live, push_entries, send_conversation},
        unavailable,
    },
    room::{Position, Room},
    session::Session,
    sweep::DEPARTURES_BACK_MS,
};

const DEFAULT_ENTRIES: u32 = 50;
const MAX_ENTRIES: u32 = 500;
/// How far `synced_ms` lies back: longer than a transaction and the clocks of a fleet differ.
const SYNCED_BACK_MS: i64 = 10_000;

pub(crate) fn sync(
    shared: &Arc<Shared>,
    session: &Arc<Session>,
    request_id: u64,
    sync: wire::Sync,
) -> Option<Pending> {
    if sync.limit > MAX_ENTRIES {
        let message = format!("limit is {}, at most {MAX_ENTRIES} are given", sync.limit);
        session.refuse(request_id, ErrorCode::Invalid, "limit", message);
        return None;
    }
    if sync.items.iter().any(|item| item.have_seq < 0) || sync.updated_since_ms < 0 {
        session.refuse(
            request_id,
            ErrorCode::Invalid,
            "items",
            "have_seq and updated_since_ms must not be negative",
        );
        return None;
    }
    let limit = if sync.limit == 0 {
        DEFAULT_ENTRIES
    } else {
        sync.limit
    } as usize;
    let copies = Copies {
        items: sync
            .items
            .iter()
            .map(|item| (item.conversation_id, (item.epoch, item.have_seq)))
            .collect(),
        updated_since_ms: sync.updated_since_ms,
    };
    let (shared, session) = (shared.clone(), session.clone());
    Some(Box::pin(async move {
        let synced_ms = clock::now_ms() - SYNCED_BACK_MS;
        match catch_up(&shared, &session, &copies, limit).await {
            Ok(more) => session.answer(request_id, Body::SyncDone(SyncDone { more, synced_ms })),
            Err(Stopped::Ended) => {}
            Err(Stopped::Unavailable(error)) => unavailable(&session, request_id, &error),
        }
    }))
}

/// What the app says it has.
struct Copies {
    items: HashMap<i64, (i64, i64)>,
    updated_since_ms: i64,
}

/// What the app has of one conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Copy {
    /// Everything up to this.
    Have(Seq),
    /// Nothing.
    New,
    /// Something that is to be forgotten.
    Reset,
}

impl Copies {
    fn of(&self, overview: &Overview) -> Copy {
        let conversation = &overview.conversation;
        match self.items.get(&conversation.id.get()) {
            Some((epoch, have_seq))
                if *epoch == conversation.epoch && *have_seq <= conversation.last_seq.get() =>
            {
                if *have_seq == 0 {
                    Copy::New
                } else {
                    Copy::Have(Seq::from_database(*have_seq))
                }
            }
            // An app that names a conversation without knowing its epoch has nothing of it.
            Some((0, 0)) => Copy::New,
            Some(_) => Copy::Reset,
            None if self.updated_since_ms > 0 && conversation.updated_ms < self.updated_since_ms => {
                Copy::Have(overview.last_visible())
            }
            None => Copy::New,
        }
    }
}

/// Sends what is missing; true when the app must Sync again for more.
async fn catch_up(
    shared: &Arc<Shared>,
    session: &Arc<Session>,
    copies: &Copies,
    limit: usize,
) -> Result<bool, Stopped> {
    // From now on notices of being added are heeded, after this Sync.
    session.synced.store(true, Ordering::Release);
    let mut rooms = enter_rooms(shared, session).await?;
    // Read again now that the session is in its rooms: whatever changes from now on is seen there.
    let overviews = shared.journal.overviews(session.user).await?;
    let mut more = false;
    for overview in &overviews {
        let room = rooms.remove(&overview.conversation.id);
        more |= match room {
            Some(Entered::Now(room)) if overview.is_in() => {
                catch_up_in(shared, session, overview, copies.of(overview), &room, limit).await?
            }
            Some(Entered::Now(room)) => {
                room.detach(session, clock::now_s());
                catch_up_after_leaving(shared, session, overview, copies.of(overview), limit).await?
            }
            // Live already, from an earlier Sync on this session: the app has got everything.
            Some(Entered::Before) => false,
            None if overview.is_in() => {
                // Added since; the notice has come, or the sweep finds it.
                let id = overview.conversation.id;
                if let Copy::Have(have) = copies.of(overview) {
                    session.depart(id, have);
                }
                session.feed(id, shared.compared_since_ms.load(Ordering::Acquire));
                false
            }
            None => catch_up_after_leaving(shared, session, overview, copies.of(overview), limit).await?,
        };
    }
    Ok(more)
}

/// How a session came into a room.
enum Entered {
    /// By this Sync, or by one that stopped at its limit.
    Now(Arc<Room>),
    /// It is being served there already.
    Before,
}

/// Brings a session into the rooms of all conversations that its user is in. It is live in none of them yet.
async fn enter_rooms(
    shared: &Arc<Shared>,
    session: &Arc<Session>,
) -> Result<HashMap<ConversationId, Entered>, Stopped> {
    let overviews = shared.journal.overviews(session.user).await?;
    let mut entered = HashMap::with_capacity(overviews.len());
    let mut new = Vec::new();
    for overview in overviews.iter().filter(|overview| overview.is_in()) {
        let id = overview.conversation.id;
        let (room, is_new) = shared
            .rooms
            .open(
                id,
                overview.conversation.last_seq,
                &shared.backplane,
                shared.subscriber,
            )
            .await;
        // Where it really is comes with the feeding.
        let position = Position::Feeding(Seq::ZERO);
        let how = match room.attach(session, position) {
            None => Entered::Now(room),
            Some(Position::Paused(_) | Position::Feeding(_)) => Entered::Now(room),
            Some(Position::Live(_) | Position::Behind(_)) => Entered::Before,
        };
        entered.insert(id, how);
        if is_new {
            new.push(id);
        }
    }
    // What was announced before the subscriptions were confirmed.
    for (conversation, seq) in shared.journal.last_seqs(&new).await? {
        if let Some(room) = shared.rooms.get(conversation) {
            room.exists(&shared.journal, seq);
        }
    }
    Ok(entered)
}

async fn catch_up_in(
    shared: &Arc<Shared>,
    session: &Session,
    overview: &Overview,
    copy: Copy,
    room: &Room,
    limit: usize,
) -> Result<bool, Stopped> {
    let reached = match copy {
        Copy::Have(have) => {
            if have >= overview.last_visible() {
                have
            } else {
                let notes = Notes {
                    reset: false,
                    from_seq: have.next(),
                };
                send_conversation(shared, session, overview, notes).await?;
                let target = overview.last_visible();
                let reached = feed_page(shared, session, room.id, have, target, limit).await?;
                if reached < target {
                    room.set_position(session, Position::Paused(reached));
                    return Ok(true);
                }
                reached
            }
        }
        Copy::New | Copy::Reset => send_newest(shared, session, overview, copy == Copy::Reset, limit).await?,
    };
    feed_until_live(shared, session, room, reached).await?;
    Ok(false)
}

/// The end of a conversation that the user has left, as far as they may see it.
async fn catch_up_after_leaving(
    shared: &Arc<Shared>,
    session: &Session,
    overview: &Overview,
    copy: Copy,
    limit: usize,
) -> Result<bool, Stopped> {
    let target = overview.last_visible();
    // The sweep need not tell of it: the app has it, or Syncs again for the rest.
    let since_ms = shared.compared_since_ms.load(Ordering::Acquire);
    if overview.changed_since(since_ms - DEPARTURES_BACK_MS).is_some() {
        session.depart(overview.conversation.id, target);
    }
    match copy {
        Copy::Have(have) if have >= target => Ok(false),
        Copy::Have(have) => {
            send_conversation(
                shared,
                session,
                overview,
                Notes {
                    reset: false,
                    from_seq: have.next(),
                },
            )
            .await?;
            let reached = feed_page(shared, session, overview.conversation.id, have, target, limit).await?;
            Ok(reached < target)
        }
        Copy::New | Copy::Reset => {
            send_newest(shared, session, overview, copy == Copy::Reset, limit).await?;
            Ok(false)
        }
    }
}

/// Sends a conversation that is new to the app, with its newest entries; tells how far the session is then.
async fn send_newest(
    shared: &Arc<Shared>,
    session: &Session,
    overview: &Overview,
    reset: bool,
    limit: usize,
) -> Result<Seq, Stopped> {
    let last = overview.last_visible();
    let id = overview.conversation.id;
    let page = shared
        .journal
        .history(id, session.user, Direction::Before(last.next()), limit)
        .await?;
    let from_seq = page.entries.first().map_or(Seq::ZERO, |entry| entry.seq);
    send_conversation(shared, session, overview, Notes { reset, from_seq }).await?;
    push_entries(session, page.entries).await?;
    Ok(last)
}
