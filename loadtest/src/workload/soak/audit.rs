//! Reads a whole journal again, after everything: what was acknowledged must be there.

use std::time::Duration;

use anyhow::{Result, bail};
use proto::client::{Client, RequestError};
use proto::wire::{self, EntryKind, ErrorCode, client_frame, server_frame};
use tokio::time::sleep;

use crate::generator::payload::{Mark, Payload};

/// The most entries of one page.
const PAGE: u32 = 200;
/// How often a page is asked for while there is no connection or the node is too busy.
const ATTEMPTS: u32 = 100;
const PAUSE: Duration = Duration::from_millis(300);

/// All entries of a conversation that this client's user may see, in order.
pub(super) async fn journal(client: &Client, conversation_id: i64) -> Result<Vec<(i64, Option<Mark>)>> {
    let mut journal: Vec<(i64, Option<Mark>)> = Vec::new();
    loop {
        let after_seq = journal.last().map_or(0, |(seq, _)| *seq);
        let page = page(client, conversation_id, after_seq).await?;
        let has_more = page.has_more;
        if has_more && page.entries.is_empty() {
            bail!("an empty page after seq {after_seq} says that there is more");
        }
        journal.extend(page.entries.iter().map(|entry| {
            let payload = match entry.kind() {
                EntryKind::Message => Payload::read(&entry.body),
                _ => None,
            };
            (entry.seq, payload.map(|payload| payload.mark))
        }));
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
