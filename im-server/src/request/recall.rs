//! Recall: hiding a sent message.

use std::sync::Arc;

use journal::append;
use proto::{
    Seq,
    wire::{ErrorCode, Recall, RecallOk, server_frame::Body},
};

use super::{Pending, conversation_id, refuse};
use crate::{sentences, session::Session, shared::Shared};

// protocol: "Recall | RecallOk"
pub(crate) fn recall(
    shared: &Arc<Shared>,
    session: &Arc<Session>,
    request_id: u64,
    recall: Recall,
) -> Option<Pending> {
    let conversation = conversation_id(session, request_id, recall.conversation_id)?;
    let Some(seq) = Seq::new(recall.seq).filter(|seq| *seq > Seq::ZERO) else {
        session.refuse(request_id, ErrorCode::Invalid, "seq", &sentences::SEQ_OF_MESSAGE);
        return None;
    };
    let (shared, session) = (shared.clone(), session.clone());
    Some(Box::pin(async move {
        // The clock that stamped the message: a slower one would shorten or lengthen the time for a recall.
        let now_ms = append::now_ms();
        match shared
            .journal
            .recall(conversation, session.user, seq, now_ms)
            .await
        {
            Ok((recalled_seq, unpublished)) => {
                let ok = RecallOk {
                    conversation_id: conversation.get(),
                    seq: recalled_seq.get(),
                };
                session.answer(request_id, Body::RecallOk(ok));
                shared.journal.publish(unpublished);
            }
            Err(error) => refuse(&session, request_id, &error),
        }
    }))
}
