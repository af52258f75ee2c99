//! Typing: neither stored nor retried, passed on once a second.

use std::sync::Arc;

use backplane::Channel;
use journal::{Error, announcement::ConversationNotice};
use proto::{
    frame,
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
    // An app that shows the conversation has synced it, so the session is attached to its room.
    let room = shared
        .rooms
        .get(conversation)
        .filter(|room| room.has_user(session.user));
    let Some(room) = room else {
        refuse(session, request_id, &Error::NoAccess);
        return None;
    };
    if !rate.passes(clock::uptime_ms()) {
        return None;
    }
    let typing = Typing {
        conversation_id: conversation.get(),
        user_id: session.user.get(),
    };
    let frame = frame::server(0, Body::Typing(typing));
    room.pass(&frame, Some(session.user));
    let payload = ConversationNotice::passing(conversation, session.user, &frame);
    shared.backplane.publish(
        Channel::Conversation(conversation),
        payload,
        Some(shared.subscriber),
    );
    None
}
