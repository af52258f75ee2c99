//! The end of a consult: finished, or cancelled.

use axum::extract::State;
use journal::record::Event;
use proto::wire::StatusEvent;

use super::{
    life::{Seat, Status},
    record::ConsultEnvelope,
    table,
};
use crate::{
    app::{App, Written},
    caller::User,
    clock::now_ms,
    http::{
        answer::Answer,
        docs::IdempotencyKey,
        error::{Error, ErrorCode},
        input::{Id, Nothing, PathId, Write},
        once::Once,
    },
    vas,
};

/// Finishes a consult
///
/// By the team's assistant or a doctor who is in it, once a doctor was brought in. Its conversations are read-only from then
/// on; value-added services that are still proposed are withdrawn.
#[utoipa::path(
    operation_id = "finishConsult",
    post, path = "/consult/{id}/finish", tag = "consult",
    params(("id" = i64, Path, minimum = 1), IdempotencyKey),
    responses(
        (status = 200, body = ConsultEnvelope),
        (status = 403, description = "`consult.forbidden`"),
        (status = 404, description = "`consult.not_found`"),
        (status = 409, description = "`consult.ended`, `consult.waiting`")
    ),
    security(("access_token" = []), ("bearer" = []))
)]
pub(crate) async fn finish(
    State(app): State<App>,
    user: User,
    PathId(id): PathId,
    Write {
        body: Nothing {},
        once,
    }: Write<Nothing>,
) -> Result<Answer, Error> {
    end(&app, user, id, once, Seat::may_finish, Status::finish).await
}

/// Cancels a consult
///
/// By its patient or the team's assistant. Its conversations are read-only from then on; value-added services that are still
/// proposed are withdrawn.
#[utoipa::path(
    operation_id = "cancelConsult",
    post, path = "/consult/{id}/cancel", tag = "consult",
    params(("id" = i64, Path, minimum = 1), IdempotencyKey),
    responses(
        (status = 200, body = ConsultEnvelope),
        (status = 403, description = "`consult.forbidden`"),
        (status = 404, description = "`consult.not_found`"),
        (status = 409, description = "`consult.ended`")
    ),
    security(("access_token" = []), ("bearer" = []))
)]
pub(crate) async fn cancel(
    State(app): State<App>,
    user: User,
    PathId(id): PathId,
    Write {
        body: Nothing {},
        once,
    }: Write<Nothing>,
) -> Result<Answer, Error> {
    end(&app, user, id, once, Seat::may_cancel, Status::cancel).await
}

async fn end(
    app: &App,
    user: User,
    id: Id,
    once: Once,
    may: fn(Seat) -> bool,
    step: fn(Status) -> Result<Status, ErrorCode>,
) -> Result<Answer, Error> {
    let journal = app.journal.clone();
    app.write(once, move |tx| {
        Box::pin(async move {
            let now_ms = now_ms();
            let (consult, seat) = table::take_consult(tx, id.get(), user.id).await?;
            if !may(seat) {
                return Err(ErrorCode::ConsultForbidden.into());
            }
            let next = step(consult.status)?;
            table::step(tx, &consult, next, now_ms).await?;
            let mut unpublished = vas::withdraw_open(tx, &journal, consult.id, None, user.id, now_ms).await?;
            for conversation in [consult.id, consult.staff_room] {
                let closed = Event::Status(StatusEvent {
                    status: next.as_str().to_owned(),
                    open: false,
                });
                unpublished.extend(journal.record(tx, conversation, user.id, closed, now_ms).await?);
            }
            let (consult, seat) = table::consult_in(tx, id.get(), user.id).await?;
            Ok(Written::new(consult.answer(seat)?).publishing(unpublished))
        })
    })
    .await
}
