//! Saves marks and passes them on.

use std::{collections::HashMap, sync::Arc, time::Duration};

use backplane::Channel;
use bytes::Bytes;
use journal::announcement::ConversationNotice;
use proto::{
    ConversationId, UserId, frame,
    wire::{self, server_frame::Body},
};
use telemetry::task::Stopped;

use crate::{outage::report, shared::Shared};

const EVERY: Duration = Duration::from_secs(1);
/// Marks per frame: some 20 bytes each.
const MARKS_IN_A_FRAME: usize = 1_000;

pub(super) async fn run(shared: Arc<Shared>) -> Stopped {
    let mut ticks = super::ticks(EVERY);
    loop {
        tokio::select! {
            () = shared.stopping.cancelled() => return Stopped,
            _ = ticks.tick() => save(&shared).await,
        }
    }
}

/// Saves the waiting marks and passes them on, one frame per conversation. Awaits a save under way.
pub(crate) async fn save(shared: &Shared) {
    let (marks, _saving) = shared.marks.take().await;
    if marks.is_empty() {
        return;
    }
    let standing = match shared.journal.save_marks(marks).await {
        Ok(standing) => standing,
        Err(error) => {
            report(
                &error,
                "marks could not be saved; the next marks make up for them",
            );
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

fn pass_on(shared: &Shared, conversation: ConversationId, frame: &Bytes) {
    if let Some(room) = shared.rooms.get(conversation) {
        room.pass(frame, None);
    }
    // About no user: a user's other devices receive it too.
    let payload = ConversationNotice::passing(conversation, UserId::from_database(0), frame);
    shared.backplane.publish(
        Channel::Conversation(conversation),
        payload,
        Some(shared.subscriber),
    );
}
