//! History: older or newer entries of one conversation.

use std::sync::Arc;

use journal::{
    Entry,
    history::{Bounds, Direction},
};
use prost::Message;
use proto::{
    Seq, frame,
    wire::{self, ErrorCode, HistoryPage, server_frame::Body},
};

use super::{Pending, conversation_id, refuse};
use crate::{
    sentences,
    session::{Session, capacity::push_all},
    shared::Shared,
};

const DEFAULT_ENTRIES: u32 = 50;
// protocol: "entries of a HistoryPage | 50 by default, 200 at most"
const MAX_ENTRIES: u32 = 200;
/// Bytes of the frame beside its entries.
const FRAME_OVERHEAD_BYTES: usize = 64;

// protocol: "History | HistoryPage | NO_ACCESS"
// protocol: "History | INVALID | before_seq, after_seq, limit"
pub(crate) fn history(
    shared: &Arc<Shared>,
    session: &Arc<Session>,
    request_id: u64,
    history: wire::History,
) -> Option<Pending> {
    let conversation = conversation_id(session, request_id, history.conversation_id)?;
    let direction = match (history.before_seq, history.after_seq) {
        (before @ 1.., 0) => Direction::Before(Seq::from_database(before)),
        (0, after @ 0..) => Direction::After(Seq::from_database(after)),
        (before, after) => {
            let (field, message) = match (before, after) {
                (..0, _) => ("before_seq", sentences::not_negative("before_seq")),
                (_, ..0) => ("after_seq", sentences::not_negative("after_seq")),
                _ => ("before_seq", sentences::BEFORE_OR_AFTER),
            };
            session.refuse(request_id, ErrorCode::Invalid, field, &message);
            return None;
        }
    };
    if history.limit > MAX_ENTRIES {
        let message = sentences::limit(history.limit, MAX_ENTRIES);
        session.refuse(request_id, ErrorCode::Invalid, "limit", &message);
        return None;
    }
    let entries = if history.limit == 0 {
        DEFAULT_ENTRIES
    } else {
        history.limit
    } as usize;
    let bytes = shared.settings.max_frame_bytes as usize - FRAME_OVERHEAD_BYTES;
    let bounds = Bounds { entries, bytes };
    let (shared, session) = (shared.clone(), session.clone());
    Some(Box::pin(async move {
        match shared
            .journal
            .history_within(conversation, session.user, direction, bounds)
            .await
        {
            Ok(page) => {
                let (entries, cut) = fit(page.entries, direction, bytes);
                let page = HistoryPage {
                    conversation_id: conversation.get(),
                    entries,
                    has_more: page.has_more || cut,
                };
                let frame = frame::server(request_id, Body::HistoryPage(page));
                let _ = push_all(&session, vec![frame]).await;
            }
            Err(error) => refuse(&session, request_id, &error),
        }
    }))
}

/// Keeps as many entries as fit into `bytes`, at least one, nearest to where reading began; true when some did
/// not fit.
fn fit(entries: Vec<Entry>, direction: Direction, bytes: usize) -> (Vec<wire::Entry>, bool) {
    let mut entries: Vec<wire::Entry> = entries.into_iter().map(Entry::into_wire).collect();
    let backwards = matches!(direction, Direction::Before(_));
    if backwards {
        entries.reverse();
    }
    let mut used = 0;
    let fitting = entries
        .iter()
        .take_while(|entry| {
            // A tag and a length before each.
            used += entry.encoded_len() + 5;
            used <= bytes
        })
        .count()
        .max(1)
        .min(entries.len());
    let cut = fitting < entries.len();
    entries.truncate(fitting);
    if backwards {
        entries.reverse();
    }
    (entries, cut)
}

#[cfg(test)]
mod tests {
    use proto::{ConversationId, UserId};

    use super::*;

    fn entries(bodies: &[usize]) -> Vec<Entry> {
        bodies
            .iter()
            .zip(1..)
            .map(|(length, seq)| Entry {
                conversation: ConversationId::from_database(1),
                seq: Seq::from_database(seq),
                sender: UserId::from_database(1),
                kind: wire::EntryKind::Message,
                created_ms: 0,
                client_msg_id: String::new(),
                mime_type: String::new(),
                body: vec![0; *length].into(),
                reply_to_seq: Seq::ZERO,
                corrects_seq: Seq::ZERO,
                mentions: Vec::new(),
                event: None,
                recalled: false,
            })
            .collect()
    }

    // protocol: "entries of a HistoryPage | 50 by default, 200 at most"
    #[test]
    fn a_page_is_cut_at_the_far_end_and_never_empty() {
        let seqs = |(entries, cut): (Vec<wire::Entry>, bool)| {
            (entries.iter().map(|entry| entry.seq).collect::<Vec<_>>(), cut)
        };
        let (after, before) = (
            Direction::After(Seq::ZERO),
            Direction::Before(Seq::from_database(9)),
        );
        assert_eq!(
            seqs(fit(entries(&[400, 400, 400]), after, 900)),
            (vec![1, 2], true)
        );
        assert_eq!(
            seqs(fit(entries(&[400, 400, 400]), before, 900)),
            (vec![2, 3], true)
        );
        assert_eq!(seqs(fit(entries(&[4000, 1]), after, 900)), (vec![1], true));
        assert_eq!(seqs(fit(entries(&[1, 1]), after, 900)), (vec![1, 2], false));
        assert_eq!(seqs(fit(Vec::new(), before, 900)), (vec![], false));
    }
}
