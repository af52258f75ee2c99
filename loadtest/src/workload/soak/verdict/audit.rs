//! Reads whole journals again by History, after everything: the pages' entries are noted, and show how far each device
//! must get.

use std::time::Duration;

use anyhow::{Result, bail};
use proto::client::{Client, RequestError};
use proto::wire::{self, ErrorCode, client_frame, server_frame};
use tokio::time::sleep;

use crate::judge::database::{change_of, step_of};
use crate::judge::{Fact, Note, Truth, What};
use crate::workload::bare::Bare;
use crate::workload::soak::notes::scribe::seen;
use crate::workload::soak::notes::{Notes, Reader};

/// The most entries of one page.
const PAGE: u32 = 200;
/// How often a page is asked for while there is no connection or the node is too busy.
const ATTEMPTS: u32 = 100;
const PAUSE: Duration = Duration::from_millis(300);

/// All entries of a conversation that this client's user may see; what comes is noted as read by `device`.
pub(in crate::workload::soak) async fn journal(
    client: &Client,
    notes: &Notes,
    (conversation, conversation_id): (usize, i64),
    is_own: bool,
    device: u32,
) -> Result<Truth> {
    let mut truth = Truth::default();
    loop {
        let after_seq = truth.last_seq();
        // Of a consult that was opened beside it nothing is promised.
        let durable_seq = if is_own {
            notes.book(conversation, |book| book.acked_seq())
        } else {
            0
        };
        let page = page(client, conversation_id, after_seq).await?;
        if page.has_more && page.entries.is_empty() {
            bail!("an empty page after seq {after_seq} says that there is more");
        }
        put_down(
            &page,
            notes,
            (conversation, conversation_id),
            (after_seq, durable_seq),
            device,
        );
        for entry in &page.entries {
            let seen = seen(entry);
            let fact = Fact {
                sender: seen.sender,
                kind: seen.kind,
                id: seen.id,
                body: seen.body,
                change: change_of(seen.kind, entry.event.as_ref()),
                deadline: step_of(entry.event.as_ref(), entry.created_ms),
            };
            truth.fact(seen.seq, fact);
        }
        if !page.has_more {
            return Ok(truth);
        }
        if truth.last_seq() <= after_seq {
            bail!("a page after seq {after_seq} does not go on");
        }
    }
}

/// All pages of a conversation by a bare connection, up to the first one that does not go on.
///
/// # Errors
/// When the node refuses.
pub(in crate::workload::soak) async fn pages(
    bare: &mut Bare,
    notes: &Notes,
    reader: &Reader,
    durable_seq: i64,
) -> Result<()> {
    let place = (reader.conversation, reader.conversation_id);
    let mut after_seq = 0;
    loop {
        let question = client_frame::Body::History(wire::History {
            conversation_id: reader.conversation_id,
            before_seq: 0,
            after_seq,
            limit: PAGE,
        });
        let server_frame::Body::HistoryPage(page) = bare.ask(question).await? else {
            bail!("History was answered with something else");
        };
        put_down(&page, notes, place, (after_seq, durable_seq), reader.number);
        let last = page.entries.last().map_or(after_seq, |entry| entry.seq);
        if !page.has_more || last <= after_seq {
            return Ok(());
        }
        after_seq = last;
    }
}

/// Notes a page as read by `device`.
fn put_down(
    page: &wire::HistoryPage,
    notes: &Notes,
    (conversation, conversation_id): (usize, i64),
    (after_seq, durable_seq): (i64, i64),
    device: u32,
) {
    let mut what = vec![What::Page {
        conversation: conversation_id,
        after_seq,
        durable_seq,
        has_more: page.has_more,
    }];
    what.extend(page.entries.iter().map(|entry| What::Paged(seen(entry))));
    what.push(What::PageEnd);
    let t_us = notes.now_us();
    let made: Vec<Note> = what.into_iter().map(|what| Note { t_us, device, what }).collect();
    notes.tape.note(conversation, &made);
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
