//! Sync: an app names its copies, and receives the entries that it misses; later entries flow to the session. An app
//! with more conversations than one frame holds syncs in parts, from the newest id to the oldest.

mod source;

use std::sync::Arc;

use proto::{
    ConversationId, Sentence,
    wire::{self, ByeReason, ErrorCode, SyncDone, server_frame::Body},
};

use self::source::NodeSource;
use super::{Pending, unavailable};
use crate::{
    delivery::feed::{
        self, Request,
        copies::{Copies, Unnamed},
        source::Stopped,
    },
    outage::report,
    sentences,
    session::Session,
    shared::{Shared, spread_ms},
};

const DEFAULT_ENTRIES: u32 = 50;
// protocol: "entries of a conversation in one Sync | 50 by default, 500 at most"
const MAX_ENTRIES: u32 = 500;

// protocol: "Sync | Hidden, Conversation and Entry frames"
pub(crate) fn sync(
    shared: &Arc<Shared>,
    session: &Arc<Session>,
    request_id: u64,
    sync: wire::Sync,
) -> Option<Pending> {
    let horizon = *shared.horizon.lock();
    let unnamed = match sync.updated_since_ms {
        0 => Unnamed::New,
        token => horizon
            .number_of(token)
            .map_or(Unnamed::Unknown, Unnamed::KnownBelow),
    };
    let request = match parse(session, sync, unnamed) {
        Ok(request) => request,
        Err((field, message)) => {
            session.refuse(request_id, ErrorCode::Invalid, field, &message);
            return None;
        }
    };
    let (shared, session) = (shared.clone(), session.clone());
    Some(Box::pin(async move {
        let source = NodeSource {
            shared: &shared,
            session: &session,
        };
        match feed::sync(&source, &request, horizon).await {
            Ok(more) => {
                let synced_ms = horizon.token();
                session.answer(request_id, Body::SyncDone(SyncDone { more, synced_ms }));
            }
            Err(Stopped::Ended) => {}
            Err(Stopped::Partly) => session.refuse_until(
                request_id,
                ErrorCode::Unavailable,
                "",
                &sentences::SYNCED_PARTLY,
                spread_ms(2_000, 4_000),
            ),
            Err(Stopped::Unavailable(error)) => unavailable(&session, request_id, &error),
        }
    }))
}

// protocol: "Sync | INVALID | limit"
// protocol: "Each part names the copies with from_conversation_id"
fn parse(session: &Session, sync: wire::Sync, unnamed: Unnamed) -> Result<Request, (&'static str, Sentence)> {
    if sync.limit > MAX_ENTRIES {
        return Err(("limit", sentences::limit(sync.limit, MAX_ENTRIES)));
    }
    if sync.updated_since_ms < 0 {
        return Err(("updated_since_ms", sentences::not_negative("updated_since_ms")));
    }
    if sync.items.iter().any(|item| item.have_seq < 0) {
        return Err(("items", sentences::not_negative("have_seq")));
    }
    let before = match sync.before_conversation_id {
        0 => i64::MAX,
        before => before,
    };
    let from = sync.from_conversation_id;
    for (field, id) in [("before_conversation_id", before), ("from_conversation_id", from)] {
        if id < 0 {
            return Err((field, sentences::not_negative(field)));
        }
    }
    if from >= before {
        return Err(("from_conversation_id", sentences::PART_BOUNDS));
    }
    let synced_from = session.books.lock().synced_from().unwrap_or(i64::MAX);
    if before < synced_from {
        return Err((
            "before_conversation_id",
            sentences::parts_in_order(before, if synced_from == i64::MAX { 0 } else { synced_from }),
        ));
    }
    let is_outside = |id: i64| id < from || id >= before;
    if let Some(item) = sync.items.iter().find(|item| is_outside(item.conversation_id)) {
        return Err(("items", sentences::outside_part(item.conversation_id)));
    }
    Ok(Request {
        copies: Copies::new(
            sync.items
                .iter()
                .map(|item| (item.conversation_id, item.epoch, item.have_seq)),
            unnamed,
        ),
        limit: match sync.limit {
            0 => DEFAULT_ENTRIES,
            limit => limit,
        } as usize,
        before: ConversationId::from_database(before),
        from: ConversationId::from_database(from),
    })
}

/// Looks after the conversations that notices are about. A failure ends the session with UNAVAILABLE, so that it
/// syncs again, rather than leaving it with fewer entries than promised.
pub(crate) async fn look_after(shared: Arc<Shared>, session: Arc<Session>) {
    let source = NodeSource {
        shared: &shared,
        session: &session,
    };
    match look_after_all(&source).await {
        Ok(()) | Err(Stopped::Ended | Stopped::Partly) => {}
        Err(Stopped::Unavailable(error)) => {
            report(&error, "a session could not be fed");
            let detail = &sentences::CANNOT_FEED;
            session.end(ByeReason::Unavailable, spread_ms(500, 3_000), detail);
        }
    }
}

async fn look_after_all(source: &NodeSource<'_>) -> Result<(), Stopped> {
    let to_feed = source.session.books.lock().take_to_feed();
    for conversation in to_feed {
        feed::look_after(source, conversation).await?;
    }
    let to_tell = source.session.books.lock().take_to_tell();
    for conversation in to_tell {
        feed::hidden::look(source, conversation).await?;
    }
    Ok(())
}
