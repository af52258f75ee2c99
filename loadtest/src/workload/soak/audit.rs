//! Reads whole journals again by History, after everything: what the pages have is noted, and tells how far each device
//! must get.

use std::time::Duration;

use anyhow::{Result, bail};
use proto::client::{Client, RequestError};
use proto::wire::{self, ErrorCode, client_frame, server_frame};
use tokio::time::sleep;

use super::notes::Notes;
use super::scribe::seen;
use crate::judge::database::change_of;
use crate::judge::{Fact, Note, Truth, What};

/// The most entries of one page.
const PAGE: u32 = 200;
/// How often a page is asked for while there is no connection or the node is too busy.
const ATTEMPTS: u32 = 100;
const PAUSE: Duration = Duration::from_millis(300);

/// All entries of a conversation that this client's user may see; what comes is noted as read by `device`.
pub(super) async fn journal(
    client: &Client,
    notes: &Notes,
    (conversation, conversation_id): (usize, i64),
    device: u32,
) -> Result<Truth> {
    let mut truth = Truth::default();
    loop {
        let after_seq = truth.last_seq();
        let durable_seq = notes.book(conversation, |book| book.acked_seq());
        let page = page(client, conversation_id, after_seq).await?;
        if page.has_more && page.entries.is_empty() {
            bail!("an empty page after seq {after_seq} says that there is more");
        }
        let mut what = vec![What::Page {
            conversation: conversation_id,
            after_seq,
            durable_seq,
            has_more: page.has_more,
        }];
        for entry in &page.entries {
            let seen = seen(entry);
            what.push(What::Paged(seen));
            let fact = Fact {
                sender: seen.sender,
                kind: seen.kind,
                id: seen.id,
                body: seen.body,
                change: change_of(seen.kind, entry.event.as_ref()),
            };
            truth.fact(seen.seq, fact);
        }
        what.push(What::PageEnd);
        let t_us = notes.now_us();
        let made: Vec<Note> = what.into_iter().map(|what| Note { t_us, device, what }).collect();
        notes.tape.note(conversation, &made);
        if !page.has_more {
            return Ok(truth);
        }
        if truth.last_seq() <= after_seq {
            bail!("a page after seq {after_seq} does not go on");
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
