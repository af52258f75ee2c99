//! Reading the conversations of a consult, with a reason that is logged (invariant I8).

use axum::{extract::State, response::Response};
use proto::{ConversationId, Seq, wire::ConversationKind};
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
    media::{self, show::Wanted},
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
                account::lock_device(tx, &operator).await?;
                Ok::<_, Error>(ConversationId::from_database(conversation))
            })
        })
        .await?;
    show(&app, conversation, &page).await
}

/// The private chat to read: the reason.
#[derive(Deserialize, ToSchema)]
#[schema(example = json!({"reason": "骚扰投诉 2026-131"}))]
pub(crate) struct ReadChat {
    /// The audit log keeps it for each page.
    reason: Text<4, 500>,
}

/// Reads the messages of a private chat
///
/// As POST /operator/consult/{id}/read, by the id of the conversation.
#[utoipa::path(
    operation_id = "readChat",
    post, path = "/operator/chat/{id}/read", tag = "operator", request_body = ReadChat,
    params(("id" = i64, Path, minimum = 1), PageParams),
    responses(
        (status = 200, body = ListEnvelope<EntryItem>),
        (status = 403, description = "`operator.only`"),
        (status = 404, description = "`chat.person_not_found`")
    ),
    security(("access_token" = []), ("bearer" = []))
)]
pub(crate) async fn read_chat(
    State(app): State<App>,
    operator: Operator,
    PathId(id): PathId,
    page: PageQuery,
    Json(body): Json<ReadChat>,
) -> Result<Answer, Error> {
    let conversation = ConversationId::from_database(id.get());
    let known = app.journal.conversation(conversation).await?;
    if known.is_none_or(|known| known.kind != ConversationKind::Private) {
        return Err(ErrorCode::ChatNotFound.into());
    }
    let reason = body.reason.into_string();
    let logged = app.database.transaction(move |tx| {
        Box::pin(async move {
            let row = Row::by(operator.id, Act::ChatRead).about(format!("chat:{}", id.get()));
            let now_ms = now_ms();
            write(tx, row.because(reason), now_ms).await?;
            account::lock_device(tx, &operator).await
        })
    });
    logged.await?;
    show(&app, conversation, &page).await
}

/// A page of a conversation, the newest entries first, also recalled ones.
async fn show(app: &App, conversation: ConversationId, page: &PageQuery) -> Result<Answer, Error> {
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

/// The reason for reading a medium.
#[derive(Deserialize, ToSchema)]
#[schema(example = json!({"reason": "投诉 2026-118，需核对照片"}))]
pub(crate) struct ReadMedia {
    /// The audit log keeps it.
    reason: Text<4, 500>,
}

/// Reads a medium that an entry or a record names
///
/// Also of a recalled message. The audit log has the operator, the medium and the reason before anything is shown. The answer
/// is that of `GET /media/{id}`.
#[utoipa::path(
    operation_id = "readMedia",
    post, path = "/operator/media/{id}/read", tag = "operator", request_body = ReadMedia,
    params(("id" = i64, Path, minimum = 1), media::show::bytes::MediaParams),
    responses(
        (status = 200, body = media::content::Binary, content_type = "application/octet-stream", description = "The bytes."),
        (status = 206, body = media::content::Binary, content_type = "application/octet-stream", description = "The part that Range names."),
        (status = 302, description = "The bytes are at the address of Location."),
        (status = 304, description = "The caller has them: If-None-Match names their ETag."),
        (status = 403, description = "`operator.only`"),
        (status = 404, description = "`media.not_found`"),
        (status = 409, description = "`media.off`"),
        (status = 416, description = "`media.range`"),
        (status = 503, description = "`media.store_away`")
    ),
    security(("access_token" = []), ("bearer" = []))
)]
pub(crate) async fn read_media(
    State(app): State<App>,
    operator: Operator,
    PathId(id): PathId,
    wanted: Wanted,
    Json(body): Json<ReadMedia>,
) -> Result<Response, Error> {
    let medium = media::show::used(&app, id.get()).await?;
    let row = Row::by(operator.id, Act::MediaRead)
        .about(format!("media:{}", id.get()))
        .because(body.reason.into_string());
    let logged = app.database.transaction(move |tx| {
        Box::pin(async move {
            let now_ms = now_ms();
            write(tx, row, now_ms).await?;
            account::lock_device(tx, &operator).await
        })
    });
    logged.await?;
    media::show::bytes::respond(&app, &medium, &wanted).await
}
