//! Requests after login, one file each; every request is one arm of [`handle`].

mod history;
mod marks;
mod presence;
mod recall;
mod renew;
pub(crate) mod send;
pub(crate) mod sync;
mod typing;

use std::{future::Future, pin::Pin, sync::Arc};

use journal::Error;
use proto::{
    ConversationId,
    wire::{ErrorCode, Pong, client_frame, server_frame::Body},
};
use telemetry::events::im::Event;

use crate::{
    clock, sentences,
    session::{Session, rate::OncePerSecond, sending::Sending},
    shared::{Shared, spread_ms},
};

/// A request that waits.
pub(crate) type Pending = Pin<Box<dyn Future<Output = ()> + Send>>;

/// The session that makes a request.
pub(crate) struct Caller<'t> {
    pub(crate) shared: &'t Arc<Shared>,
    pub(crate) session: &'t Arc<Session>,
    /// Created by the first send.
    pub(crate) sending: &'t mut Option<Arc<Sending>>,
    pub(crate) typing: &'t mut OncePerSecond,
}

/// The outcome of handling a request.
pub(crate) enum Handled {
    Done,
    Waiting(Pending),
    LoggedOut,
}

impl From<Option<Pending>> for Handled {
    fn from(pending: Option<Pending>) -> Self {
        pending.map_or(Self::Done, Self::Waiting)
    }
}

// protocol: "it answers an unknown body with Error UNSUPPORTED"
// protocol: "Ping | Pong | none"
// protocol: "Each request has one answer with its request_id"
/// Handles a frame.
pub(crate) fn handle(caller: Caller<'_>, request_id: u64, body: client_frame::Body) -> Handled {
    use client_frame::Body as Request;

    let Caller {
        shared,
        session,
        sending,
        typing,
    } = caller;
    let pending = match body {
        // protocol: "Login | INVALID | login"
        Request::Login(_) => {
            let message = &sentences::LOGGED_IN_ALREADY;
            session.refuse(request_id, ErrorCode::Invalid, "login", message);
            None
        }
        Request::Renew(renew) => Some(renew::renew(shared, session, request_id, renew)),
        Request::Ping(_) => {
            let server_time_ms = clock::now_ms();
            session.answer(request_id, Body::Pong(Pong { server_time_ms }));
            None
        }
        Request::Logout(_) => return Handled::LoggedOut,
        Request::Send(send) => {
            let sending = sending.get_or_insert_default();
            send::send(shared, session, sending, request_id, send)
        }
        Request::Recall(recall) => recall::recall(shared, session, request_id, recall),
        Request::Sync(sync) => sync::sync(shared, session, request_id, sync),
        Request::History(history) => history::history(shared, session, request_id, history),
        Request::Received(received) => marks::received(shared, session, request_id, received),
        Request::Read(read) => marks::read(shared, session, request_id, read),
        Request::Typing(body) => typing::typing(shared, session, typing, request_id, body),
        Request::Presence(query) => presence::presence(shared, session, request_id, query),
        // protocol: "CallSignal | none yet"
        Request::CallSignal(_) => {
            let message = &sentences::NO_CALLS;
            session.refuse(request_id, ErrorCode::Unsupported, "call_signal", message);
            None
        }
    };
    pending.into()
}

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

// protocol: "A request that the database cannot serve now fails with UNAVAILABLE"
/// Answers a request that the database could not serve. Its message is logged, not sent.
pub(crate) fn unavailable(session: &Session, request_id: u64, error: &database::Error) {
    Event::RequestFailed {
        error,
        session: session.id,
        is_outage: error.outage().is_some(),
    }
    .emit();
    not_now(session, request_id);
}

/// Answers a request that cannot be served now.
pub(crate) fn not_now(session: &Session, request_id: u64) {
    session.refuse_until(
        request_id,
        ErrorCode::Unavailable,
        "",
        &sentences::UNAVAILABLE,
        spread_ms(500, 2_000),
    );
}

// protocol: "all that name a conversation | NO_ACCESS"
/// The id of a conversation from an app. An impossible id is answered like an unknown one.
pub(crate) fn conversation_id(session: &Session, request_id: u64, id: i64) -> Option<ConversationId> {
    let conversation = ConversationId::new(id);
    if conversation.is_none() {
        refuse(session, request_id, &Error::NoAccess);
    }
    conversation
}
