//! The journal of a consult.

use axum::extract::State;
use journal::history::Direction;
use proto::Seq;

use crate::{
    app::App,
    caller::{Seated, User},
    consult::{entry::EntryItem, record::Record},
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
/// Its messages and events that the user may see, in the form of the wire. A page of long messages may hold fewer than
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
    let consult = Seated::<Record>::read(&app.database, id.get(), &user).await?;
    let before = Seq::from_database(page.start().at);
    let limit = usize::try_from(page.limit).unwrap_or(1);
    let found = app
        .journal
        .history(consult.id, user.id, Direction::Before(before), limit)
        .await;
    let found = match found {
        Ok(found) => found,
        // Removed since the consult was read.
        Err(journal::Error::NoAccess) => return Err(ErrorCode::ConsultNotFound.into()),
        Err(error) => return Err(error.into()),
    };
    let total = if page.count {
        Some(visible(&app, &consult, &user).await?)
    } else {
        None
    };
    let mut bytes = 0;
    let mut has_more = found.has_more;
    let mut items = Vec::with_capacity(found.entries.len());
    for entry in found.entries.into_iter().rev() {
        bytes += entry.body.len();
        if bytes > MAX_PAGE_BYTES && !items.is_empty() {
            has_more = true;
            break;
        }
        items.push(EntryItem::from(entry.into_wire()));
    }
    let next_cursor = items.last().filter(|_| has_more).map(|last| {
        let cursor = Cursor {
            at: last.seq(),
            id: 0,
        };
        cursor.encode()
    });
    Answer::page(Page {
        items,
        next_cursor,
        total,
    })
}

/// Counts the entries that the user may see: the lengths of their spans, since seqs have no gaps.
async fn visible(app: &App, consult: &Record, user: &User) -> Result<i64, Error> {
    let conversation = app.journal.conversation(consult.id).await?;
    let last = conversation.map_or(Seq::ZERO, |conversation| conversation.last_seq);
    let spans = app.journal.spans(consult.id, user.id).await?;
    Ok(spans
        .iter()
        .map(|span| span.to.unwrap_or(last).get() - span.from.get() + 1)
        .sum())
}
