//! What an app may ask for once it has logged in: one file per request. A request that is done at once gives none; one
//! that has to wait gives the future to wait for.

pub(crate) mod history;
pub(crate) mod marks;
pub(crate) mod presence;
pub(crate) mod recall;
pub(crate) mod renew;
pub(crate) mod send;
pub(crate) mod sync;
pub(crate) mod typing;

use journal::Error;
use proto::{ConversationId, wire::ErrorCode};

use crate::{node::spread_ms, sentences, session::Session};

/// Answers a request that the journal refused.
pub(crate) fn refuse(session: &Session, request_id: u64, error: &Error) {
    let (code, field) = match error {
        Error::NoAccess => (ErrorCode::NoAccess, "conversation_id"),
        Error::Closed => (ErrorCode::Closed, "conversation_id"),
        Error::Forbidden { field, .. } => (ErrorCode::Forbidden, *field),
        Error::Invalid { field, .. } => (ErrorCode::Invalid, *field),
        Error::Conflict { .. } => (ErrorCode::Conflict, "client_msg_id"),
        Error::AlreadyIn => (ErrorCode::Conflict, ""),
        Error::Database(error) => return unavailable(session, request_id, error),
    };
    let message = error.sentence().unwrap_or(sentences::UNAVAILABLE);
    session.refuse(request_id, code, field, &message);
}

/// Answers a request that the database could not serve. What it said stays here.
pub(crate) fn unavailable(session: &Session, request_id: u64, error: &dyn std::fmt::Display) {
    tracing::error!(error = %error, session = session.id, "a request could not be served");
    session.refuse_until(
        request_id,
        ErrorCode::Unavailable,
        "",
        &sentences::UNAVAILABLE,
        spread_ms(500, 2_000),
    );
}

/// A conversation's id from an app. One that cannot be is answered like one that is not there.
pub(crate) fn conversation_id(session: &Session, request_id: u64, id: i64) -> Option<ConversationId> {
    let conversation = ConversationId::new(id);
    if conversation.is_none() {
        refuse(session, request_id, &Error::NoAccess);
    }
    conversation
}
