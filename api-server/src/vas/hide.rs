//! Hiding value-added services from one's own lists (标记删除). Nothing is deleted.

use axum::extract::State;

use super::table;
use crate::{
    app::{App, Written},
    caller::User,
    http::{
        answer::{Answer, Empty, Envelope},
        docs::IdempotencyKey,
        error::Error,
        input::{Nothing, PathId, Write},
    },
};

/// Hides a value-added service from one's own lists
///
/// By its doctor or its patient, once it is decided. It stays on the other's lists, and GET /vas/{id} still shows it.
#[utoipa::path(
    operation_id = "hideVas",
    delete, path = "/vas/{id}", tag = "vas", params(("id" = i64, Path, minimum = 1), IdempotencyKey),
    responses(
        (status = 200, body = Envelope<Empty>),
        (status = 403, description = "`vas.forbidden`"),
        (status = 404, description = "`vas.not_found`"),
        (status = 409, description = "`vas.undecided`")
    ),
    security(("access_token" = []), ("bearer" = []))
)]
pub(crate) async fn hide_one(
    State(app): State<App>,
    user: User,
    PathId(id): PathId,
    write: Write<Nothing>,
) -> Result<Answer, Error> {
    app.write(write.once, move |tx| {
        Box::pin(async move {
            table::hide(tx, id.get(), user.id).await?;
            Ok(Written::new(Answer::empty()?))
        })
    })
    .await
}

/// Hides all decided value-added services from one's own lists
#[utoipa::path(
    operation_id = "hideAllVas",
    delete, path = "/vas", tag = "vas", params(IdempotencyKey),
    responses((status = 200, body = Envelope<Empty>)),
    security(("access_token" = []), ("bearer" = []))
)]
pub(crate) async fn hide_all(
    State(app): State<App>,
    user: User,
    write: Write<Nothing>,
) -> Result<Answer, Error> {
    app.write(write.once, move |tx| {
        Box::pin(async move {
            table::hide_all(tx, user.id).await?;
            Ok(Written::new(Answer::empty()?))
        })
    })
    .await
}
