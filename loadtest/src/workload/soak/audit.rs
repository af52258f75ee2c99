//! Reads a whole journal again, after everything: what was acknowledged must be there.

use std::time::Duration;

use anyhow::{Result, bail};
use proto::client::{Client, RequestError};
use proto::wire::{self, EntryKind, ErrorCode, client_frame, entry, server_frame};
use tokio::time::sleep;

use crate::generator::payload::{Mark, Payload};

/// The most entries of one page.
const PAGE: u32 = 200;
/// How often a page is asked for while there is no connection or the node is too busy.
const ATTEMPTS: u32 = 100;
const PAUSE: Duration = Duration::from_millis(300);

/// One entry of a journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Record {
    pub(super) seq: i64,
    /// Which message it is; none for an event.
    pub(super) mark: Option<Mark>,
    /// Who came or went by it.
    pub(super) change: Option<Change>,
}

/// Somebody came or went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Change {
    pub(super) user_id: i64,
    pub(super) joined: bool,
}

impl Record {
    pub(super) fn of(entry: &wire::Entry) -> Self {
        let payload = match entry.kind() {
            EntryKind::Message => Payload::read(&entry.body),
            _ => None,
        };
        let change = match (entry.kind(), &entry.event) {
            (
                kind @ (EntryKind::ParticipantJoined | EntryKind::ParticipantLeft),
                Some(entry::Event::Participant(who)),
            ) => Some(Change {
                user_id: who.user_id,
                joined: kind == EntryKind::ParticipantJoined,
            }),
            _ => None,
        };
        Self {
            seq: entry.seq,
            mark: payload.map(|payload| payload.mark),
            change,
        }
    }
}

/// All entries of a conversation that this client's user may see, in order.
pub(super) async fn journal(client: &Client, conversation_id: i64) -> Result<Vec<Record>> {
    let mut journal: Vec<Record> = Vec::new();
    loop {
        let after_seq = journal.last().map_or(0, |record| record.seq);
        let page = page(client, conversation_id, after_seq).await?;
        let has_more = page.has_more;
        if has_more && page.entries.is_empty() {
            bail!("an empty page after seq {after_seq} says that there is more");
        }
        journal.extend(page.entries.iter().map(Record::of));
        if !has_more {
            return Ok(journal);
        }
    }
}

async fn page(client: &Client, conversation_id: i64, after_seq: i64) -> Result<wire::HistoryPage> {
    let question = client_frame::Body::History(wire::History {
        conversation_id,
        before_seq: 0,
        after_seq,
        limit: PAGE,
    });
    for _ in 0..ATTEMPTS {
        match client.ask(question.clone()).await {
            Ok(server_frame::Body::HistoryPage(page)) => return Ok(page),
            Ok(_) => bail!("History was answered with something else"),
            Err(RequestError::Disconnected) => sleep(PAUSE).await,
            Err(RequestError::Refused(error))
                if matches!(error.code(), ErrorCode::RateLimited | ErrorCode::Unavailable) =>
            {
                sleep(PAUSE.max(Duration::from_millis(error.retry_after_ms.into()))).await;
            }
            Err(error) => bail!("History after seq {after_seq}: {error}"),
        }
    }
    bail!("History after seq {after_seq} was not answered in {ATTEMPTS} attempts")
}
