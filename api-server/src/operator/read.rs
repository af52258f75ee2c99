//! Reading the conversations of a consult, with a reason that is logged (invariant I8).

use axum::extract::State;
use proto::{ConversationId, Seq};
use serde::Deserialize;
use utoipa::ToSchema;

use super::{
    audit::{Act, Row, write},
    table,
};
use crate::{
    account,
    app::App,
    caller::Operator,
    clock::now_ms,
    consult::EntryItem,
    http::{
        answer::{Answer, ListEnvelope, Page},
        docs::PageParams,
        error::{Error, ErrorCode},
        input::{Cursor, Json, PageQuery, PathId, Text},
    },
};

/// A page ends early at this many bytes of bodies: 200 messages of 64 KiB would be 13 MB.
const MAX_PAGE_BYTES: usize = 1024 * 1024;

/// The conversation to read, and the reason.
#[derive(Deserialize, ToSchema)]
#[schema(example = json!({"reason": "投诉 2026-118，需核对记录"}))]
pub(crate) struct ReadConsult {
    /// The audit log keeps it for each page.
    reason: Text<4, 500>,
    /// By default the conversation with the patient.
    #[serde(default)]
    room: Room,
}

/// The two conversations of a consult.
#[derive(Clone, Copy, Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = ConsultRoom)]
pub(crate) enum Room {
    /// With the patient.
    #[default]
    Consult,
    /// Of the staff.
    Staff,
}

/// Reads the messages of a consult
///
/// All entries, the newest first; recalled messages are included and marked by `recalled`. The audit log has the operator, the
/// consult and the reason before anything is shown. A page may have fewer items than `limit` when messages are long.
#[utoipa::path(
    operation_id = "readConsult",
    post, path = "/operator/consult/{id}/read", tag = "operator", request_body = ReadConsult,
    params(("id" = i64, Path, minimum = 1), PageParams),
    responses(
        (status = 200, body = ListEnvelope<EntryItem>),
        (status = 403, description = "`operator.only`"),
        (status = 404, description = "`consult.not_found`")
    ),
    security(("access_token" = []), ("bearer" = []))
)]
pub(crate) async fn read(
    State(app): State<App>,
    operator: Operator,
    PathId(id): PathId,
    page: PageQuery,
    Json(body): Json<ReadConsult>,
) -> Result<Answer, Error> {
    let room = body.room;
    let reason = body.reason.into_string();
    let conversation = app
        .database
        .transaction(move |tx| {
            Box::pin(async move {
                let staff_room = table::staff_room(tx, id.get())
                    .await?
                    .ok_or(ErrorCode::ConsultNotFound)?;
                let (act, conversation) = match room {
                    Room::Consult => (Act::ConsultRead, id.get()),
                    Room::Staff => (Act::StaffRoomRead, staff_room),
                };
                let row = Row::by(operator.id, act).consult(id.get()).because(reason);
                let now_ms = now_ms();
                write(tx, row, now_ms).await?;
                account::lock_device(tx, &operator, now_ms).await?;
                Ok::<_, Error>(ConversationId::from_database(conversation))
            })
        })
        .await?;
    let known = app.journal.conversation(conversation).await?;
    let last = known.map_or(0, |known| known.last_seq.get());
    // Seqs have no gaps: the page is a range.
    let high = last.min(page.start().at.saturating_sub(1));
    let low = (high - page.limit + 1).max(1);
    let limit = usize::try_from(page.limit).unwrap_or(1);
    let found = app
        .journal
        .entries(
            conversation,
            Seq::from_database(low),
            Seq::from_database(high),
            limit,
        )
        .await?;
    let mut bytes = 0;
    let mut items: Vec<EntryItem> = Vec::with_capacity(found.len());
    for entry in found.into_iter().rev() {
        bytes += entry.body.len();
        if bytes > MAX_PAGE_BYTES && !items.is_empty() {
            break;
        }
        items.push(EntryItem::sealed(entry));
    }
    let lowest = items.last().map_or(1, EntryItem::seq);
    let next_cursor = (lowest > 1).then(|| Cursor { at: lowest, id: 0 }.encode());
    Answer::page(Page {
        items,
        next_cursor,
        total: page.count.then_some(last),
    })
}
