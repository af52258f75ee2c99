//! Send: a message for a conversation. Its shape is checked here; the journal checks the rest within the append.

use std::{
    collections::HashMap,
    sync::{Arc, Weak},
    time::Duration,
};

use backplane::Channel;
use journal::{
    Published,
    append::{NewMessage, Outlet, Settled},
};
use tokio::task::JoinSet;

use proto::{
    ConversationId, Sentence, Seq,
    media::MediaHosts,
    mime::{self, Refused},
    wire::{ByeReason, ErrorCode, Send, SendOk, server_frame::Body},
};
use telemetry::events::im::Event;

use super::{Pending, conversation_id, not_now, refuse};
use crate::{
    delivery::fanout,
    sentences,
    session::{
        Session, SessionRoom,
        sending::{Owed, SendContext, Sending},
    },
    shared::{Shared, spread_ms},
};

// protocol: "unique for a sender in a conversation"
/// Longest `client_msg_id`, bytes.
const MAX_CLIENT_MSG_ID_BYTES: usize = 64;
// protocol: "50 users, each a participant at that moment"
/// Maximum number of mentioned users.
const MAX_MENTIONS: usize = 50;

/// Rooms of a batch that one task serves: some hundred writes.
const ROOMS_TOGETHER: usize = 24;

// protocol: "Send | SendOk | NO_ACCESS"
pub(crate) fn send(
    shared: &Arc<Shared>,
    session: &Arc<Session>,
    sending: &Arc<Sending>,
    request_id: u64,
    send: Send,
) -> Option<Pending> {
    let conversation = conversation_id(session, request_id, send.conversation_id)?;
    let message = match check(&shared.settings.media_hosts, conversation, session, sending, send) {
        Ok(message) => message,
        Err((field, message)) => {
            session.refuse(request_id, ErrorCode::Invalid, field, &message);
            return None;
        }
    };
    let Some(appender) = shared.appender() else {
        // The node stops.
        not_now(session, request_id);
        return None;
    };
    let context = SendContext {
        owed: Owed::new(session, sending),
        request_id,
    };
    let (message, context) = appender.try_submit(message, context).err()?;
    // The queue is full: the session waits and reads no further.
    Some(Box::pin(async move {
        // Fails only on a node that has stopped, whose sessions have ended.
        let _ = appender.submit(message, context).await;
    }))
}

// protocol: "Send | INVALID | client_msg_id"
// protocol: "Send | INVALID | mime_type, body"
// protocol: "Send | FORBIDDEN | mime_type"
fn check(
    media: &MediaHosts,
    conversation: ConversationId,
    session: &Session,
    sending: &Sending,
    send: Send,
) -> Result<NewMessage, (&'static str, Sentence)> {
    let id = &send.client_msg_id;
    if id.is_empty() || id.len() > MAX_CLIENT_MSG_ID_BYTES || id.contains(char::is_control) {
        return Err(("client_msg_id", sentences::client_msg_id(MAX_CLIENT_MSG_ID_BYTES)));
    }
    mime::check_content(&send.mime_type, &send.body, media).map_err(|refused| match refused {
        Refused::Invalid { field, message } => (field, message),
        Refused::Forbidden { message } => ("mime_type", message),
    })?;
    if send.mentions.len() > MAX_MENTIONS
        || send
            .mentions
            .iter()
            .any(|user| proto::UserId::new(*user).is_none())
    {
        return Err(("mentions", sentences::mentions(MAX_MENTIONS)));
    }
    let Some(reply_to_seq) = Seq::new(send.reply_to_seq) else {
        return Err(("reply_to_seq", sentences::REPLY_TO_SEQ));
    };
    let Some(corrects_seq) = Seq::new(send.corrects_seq) else {
        return Err(("corrects_seq", sentences::CORRECTS_SEQ));
    };
    Ok(NewMessage {
        conversation,
        sender: session.user,
        client_msg_id: send.client_msg_id,
        mime_type: send.mime_type,
        body: send.body,
        mentions: send.mentions,
        reply_to_seq,
        corrects_seq,
        stream: Some(sending.stream.clone()),
    })
}

/// Answers sends and delivers their entries, batch by batch after the commit.
pub(crate) struct SendOutlet {
    shared: Weak<Shared>,
}

impl SendOutlet {
    pub(crate) fn new(shared: Weak<Shared>) -> Self {
        Self { shared }
    }
}

impl Outlet<SendContext> for SendOutlet {
    async fn settle(&self, answers: Vec<Settled<SendContext>>, entries: Vec<Published>) {
        let Some(shared) = self.shared.upgrade() else {
            return;
        };
        // Answers are queued first, so that each leaves in one write with the sender's own entry.
        for answer in &answers {
            acknowledge(answer);
        }
        let mut rooms: HashMap<ConversationId, Vec<Published>> = HashMap::with_capacity(entries.len());
        for entry in entries {
            shared.backplane.publish(
                Channel::Conversation(entry.conversation),
                entry.payload(),
                Some(shared.subscriber),
            );
            rooms.entry(entry.conversation).or_default().push(entry);
        }
        // Rooms receive batches in order; from here on each room keeps its own order.
        let mut to_serve: Vec<Arc<SessionRoom>> = rooms
            .into_iter()
            .filter_map(|(conversation, entries)| {
                shared.rooms.get(conversation).filter(|room| room.put(entries))
            })
            .collect();
        // Writing to sockets is most of the work, so all cores share it.
        let mut parts = JoinSet::new();
        while to_serve.len() > ROOMS_TOGETHER {
            let part = to_serve.split_off(to_serve.len() - ROOMS_TOGETHER);
            let journal = shared.journal.clone();
            parts.spawn(async move { part.iter().for_each(|room| fanout::serve(room, &journal)) });
        }
        to_serve
            .iter()
            .for_each(|room| fanout::serve(room, &shared.journal));
        while let Some(part) = parts.join_next().await {
            // A panic here is one of the task that settles batches.
            if let Err(panic) = part {
                std::panic::resume_unwind(panic.into_panic());
            }
        }
        for answer in &answers {
            answer.context.owed.session.flush();
        }
    }
}

// protocol: "An acknowledged message is durable"
fn acknowledge(answer: &Settled<SendContext>) {
    let SendContext { owed, request_id } = &answer.context;
    let session = &owed.session;
    match &answer.outcome {
        Ok(accepted) => {
            let ok = SendOk {
                conversation_id: answer.conversation.get(),
                seq: accepted.seq.get(),
                created_ms: accepted.created_ms,
                // protocol: "the answer carries its seq and duplicate = true"
                duplicate: accepted.duplicate,
            };
            session.queue_answer(*request_id, Body::SendOk(ok));
        }
        Err(journal::Error::Database(error)) => {
            Event::SendFailed {
                error,
                session: session.id,
            }
            .emit();
            refuse_for_now(owed, *request_id, answer.retry_after);
        }
        Err(error) => refuse(session, *request_id, error),
    }
}

/// Refuses a message until it is resent; later messages of its conversation are refused until then.
fn refuse_for_now(owed: &Owed, request_id: u64, retry_after: Duration) {
    let retry_after_ms = match u32::try_from(retry_after.as_millis()) {
        Ok(0) | Err(_) => spread_ms(500, 2_000),
        Ok(retry_after_ms) => retry_after_ms,
    };
    let message = &sentences::UNAVAILABLE;
    let code = ErrorCode::Unavailable;
    owed.session
        .refuse_until(request_id, code, "", message, retry_after_ms);
    if owed.sending.stream.is_overrun() {
        let detail = &sentences::TOO_MANY_REFUSED;
        owed.session
            .end(ByeReason::Unavailable, spread_ms(1_000, 5_000), detail);
    }
}
