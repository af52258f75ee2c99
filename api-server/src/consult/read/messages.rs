//! The journal of a consult.

use axum::extract::State;
use journal::history::{Bounds, Direction, spans};
use proto::{ConversationId, Seq, UserId};

use crate::{
    app::App,
    caller::User,
    consult::{
        entry::EntryItem,
        record::Record,
        table::{self, Reader},
    },
    http::{
        answer::{Answer, ListEnvelope, Page},
        docs::PageParams,
        error::{Error, ErrorCode},
        input::{Cursor, PageQuery, PathId},
    },
};

/// Bytes of bodies that end a page early: 200 messages of 64 KiB would be 13 MB.
const MAX_PAGE_BYTES: usize = 1024 * 1024;

/// The journal of a consult, the newest first
///
/// Its messages and events that the user may see, in the form of the wire; a doctor who left sees those up to their leaving.
/// A page of long messages may hold fewer than
/// `limit`.
#[utoipa::path(
    operation_id = "listConsultMessages",
    get, path = "/consult/{id}/messages", tag = "consult",
    params(("id" = i64, Path, minimum = 1), PageParams),
    responses((status = 200, body = ListEnvelope<EntryItem>), (status = 404, description = "`consult.not_found`")),
    security(("access_token" = []), ("bearer" = []))
)]
pub(crate) async fn list(
    State(app): State<App>,
    user: User,
    PathId(id): PathId,
    page: PageQuery,
) -> Result<Answer, Error> {
    let (consult, reader) = table::seen(&app.database, id.get(), user.id).await?;
    // A consult about the reader is no conversation of theirs.
    if reader == Reader::Subject {
        return Err(ErrorCode::ConsultNotFound.into());
    }
    // Refused when the reader was removed since the consult was read.
    let mut entries = entries(&app, consult.id, user.id, &page).await?;
    if page.count {
        entries.total = Some(visible(&app, &consult, &user).await?);
    }
    Answer::page(entries)
}

/// A page of the entries that a user sees in a conversation, the newest first.
pub(crate) async fn entries(
    app: &App,
    conversation: ConversationId,
    user: UserId,
    page: &PageQuery,
) -> Result<Page<EntryItem>, Error> {
    let before = Seq::from_database(page.start().at);
    let bounds = Bounds {
        entries: usize::try_from(page.limit).unwrap_or(1),
        bytes: MAX_PAGE_BYTES,
    };
    let found = app
        .journal
        .history_within(conversation, user, Direction::Before(before), bounds)
        .await;
    let found = match found {
        Ok(found) => found,
        Err(journal::Error::NoAccess) => return Err(ErrorCode::ConsultNotFound.into()),
        Err(error) => return Err(error.into()),
    };
    let mut bytes = 0;
    let mut has_more = found.has_more;
    let mut items: Vec<EntryItem> = Vec::with_capacity(found.entries.len());
    for entry in found.entries.into_iter().rev() {
        bytes += entry.body.len();
        if bytes > MAX_PAGE_BYTES && !items.is_empty() {
            has_more = true;
            break;
        }
        items.push(EntryItem::from(entry.into_wire()));
    }
    // protocol: "Both stay: show the first as corrected"
    // protocol: "lists name the newest correction"
    if let (Some(newest), Some(oldest)) = (items.first(), items.last()) {
        let range = (Seq::from_database(oldest.seq()), Seq::from_database(newest.seq()));
        let corrections = app.journal.corrections(conversation, user, range).await?;
        items = items
            .into_iter()
            .map(|item| {
                let by = corrections.get(&Seq::from_database(item.seq())).copied();
                item.corrected_by(by)
            })
            .collect();
    }
    let next_cursor = items.last().filter(|_| has_more).map(|last| {
        let cursor = Cursor {
            at: last.seq(),
            id: 0,
        };
        cursor.encode()
    });
    Ok(Page {
        items,
        next_cursor,
        total: None,
    })
}

/// Counts the entries that the user may see.
async fn visible(app: &App, consult: &Record, user: &User) -> Result<i64, Error> {
    let conversation = app.journal.conversation(consult.id).await?;
    let last = conversation.map_or(Seq::ZERO, |conversation| conversation.last_seq);
    let spans = app.journal.spans(consult.id, user.id).await?;
    Ok(spans::count(&spans, last))
}
