//! Received and Read: a user's position.

use std::sync::Arc;

use journal::Error;
use proto::{
    ConversationId, Seq,
    wire::{self, ErrorCode},
};

use super::{Pending, conversation_id, refuse, unavailable};
use crate::{
    sentences,
    session::{Session, marks::Mark},
    shared::Shared,
};

// protocol: "Received, Read | none; the others get Marks"
pub(crate) fn received(
    shared: &Arc<Shared>,
    session: &Arc<Session>,
    request_id: u64,
    received: wire::Received,
) -> Option<Pending> {
    let wire::Received { conversation_id, seq } = received;
    mark(shared, session, request_id, conversation_id, seq, |seq| Mark {
        received_seq: seq,
        read_seq: Seq::ZERO,
    })
}

pub(crate) fn read(
    shared: &Arc<Shared>,
    session: &Arc<Session>,
    request_id: u64,
    read: wire::Read,
) -> Option<Pending> {
    mark(
        shared,
        session,
        request_id,
        read.conversation_id,
        read.seq,
        |seq| Mark {
            received_seq: seq,
            read_seq: seq,
        },
    )
}

// protocol: "Received, Read | INVALID | seq"
fn mark(
    shared: &Arc<Shared>,
    session: &Arc<Session>,
    request_id: u64,
    conversation: i64,
    seq: i64,
    mark_at: fn(Seq) -> Mark,
) -> Option<Pending> {
    let conversation = conversation_id(session, request_id, conversation)?;
    let Some(seq) = Seq::new(seq) else {
        let message = sentences::not_negative("seq");
        session.refuse(request_id, ErrorCode::Invalid, "seq", &message);
        return None;
    };
    let mark = mark_at(seq);
    if let Some(room) = shared.rooms.get(conversation)
        && room.has_user(session.user)
        && mark.received_seq <= room.delivered()
    {
        shared.marks.keep(conversation, session.user, mark);
        return None;
    }
    // The room may be behind the entries that the session was fed; or the session has not synced, and marks what a
    // push notification showed.
    let (shared, session) = (shared.clone(), session.clone());
    Some(Box::pin(async move {
        match shared.journal.overview(session.user, conversation).await {
            Ok(Some(overview)) if overview.is_in() => {
                keep(
                    &shared,
                    &session,
                    request_id,
                    conversation,
                    mark,
                    overview.conversation.last_seq,
                );
            }
            Ok(_) => refuse(&session, request_id, &Error::NoAccess),
            Err(error) => unavailable(&session, request_id, &error),
        }
    }))
}

fn keep(
    shared: &Shared,
    session: &Session,
    request_id: u64,
    conversation: ConversationId,
    mark: Mark,
    last_seq: Seq,
) {
    if mark.received_seq > last_seq {
        let message = sentences::beyond_newest(mark.received_seq, last_seq);
        session.refuse(request_id, ErrorCode::Invalid, "seq", &message);
        return;
    }
    shared.marks.keep(conversation, session.user, mark);
}
