//! Typing: neither stored nor retried, passed on once a second.

use std::sync::Arc;

use backplane::Channel;
use journal::{Error, announcement::ConversationNotice};
use proto::{
    ConversationId, frame,
    wire::{Typing, server_frame::Body},
};

use super::{Pending, conversation_id, refuse};
use crate::{
    clock,
    session::{Session, rate::OncePerSecond},
    shared::Shared,
};

// protocol: "Typing | none; the others get Typing"
pub(crate) fn typing(
    shared: &Arc<Shared>,
    session: &Arc<Session>,
    rate: &mut OncePerSecond,
    request_id: u64,
    typing: Typing,
) -> Option<Pending> {
    let conversation = conversation_id(session, request_id, typing.conversation_id)?;
    let room = shared.rooms.get(conversation);
    if room.is_some_and(|room| room.has_user(session.user)) {
        if rate.passes(clock::uptime_ms()) {
            pass(shared, session, conversation);
        }
        return None;
    }
    // A session that has not synced the conversation yet is in no room.
    let passes = rate.passes(clock::uptime_ms());
    let (shared, session) = (shared.clone(), session.clone());
    Some(Box::pin(async move {
        match shared.journal.overview(session.user, conversation).await {
            Ok(Some(overview)) if overview.is_in() => {
                if passes {
                    pass(&shared, &session, conversation);
                }
            }
            Ok(_) => refuse(&session, request_id, &Error::NoAccess),
            // Typing is out of date before the database is back.
            Err(_) => {}
        }
    }))
}

/// Passes it on to the room of this node and to other nodes.
fn pass(shared: &Shared, session: &Session, conversation: ConversationId) {
    let typing = Typing {
        conversation_id: conversation.get(),
        user_id: session.user.get(),
    };
    let frame = frame::server(0, Body::Typing(typing));
    if let Some(room) = shared.rooms.get(conversation) {
        room.pass(&frame, Some(session.user));
    }
    let payload = ConversationNotice::passing(conversation, session.user, &frame);
    shared.backplane.publish(
        Channel::Conversation(conversation),
        payload,
        Some(shared.subscriber),
    );
}
