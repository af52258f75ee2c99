//! 1.7: hiding consults from one's own history. Nothing is deleted.

use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    app::{App, Written},
    caller::User,
    consult::table,
    http::{
        answer::Answer,
        docs::{self, IdempotencyKey},
        error::Error,
        input::{Nothing, PathId, Write},
    },
};

/// The envelope of 1.7, with the spelling of the seed document beside the right one.
#[derive(Serialize, ToSchema)]
pub(crate) struct HiddenEnvelope {
    #[schema(schema_with = docs::yes)]
    success: bool,
    #[schema(schema_with = docs::yes)]
    sucess: bool,
    #[schema(schema_with = docs::ok_status)]
    code: u16,
}

const HIDDEN: HiddenEnvelope = HiddenEnvelope {
    success: true,
    sucess: true,
    code: 200,
};

/// Hides a consult from one's own history (1.7)
///
/// It stays in the history of other users, and GET /consult/{id} still shows it.
#[utoipa::path(
    operation_id = "hideConsult",
    delete, path = "/consult/history_list/{id}", tag = "consult",
    params(("id" = i64, Path, minimum = 1), IdempotencyKey),
    responses(
        (status = 200, body = HiddenEnvelope),
        (status = 404, description = "`consult.not_found`"),
        (status = 409, description = "`consult.not_ended`")
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
            Ok(Written::new(Answer::whole(&HIDDEN)?))
        })
    })
    .await
}

/// Hides all consults from one's own history (1.7)
#[utoipa::path(
    operation_id = "hideAllConsults",
    delete, path = "/consult/history_list", tag = "consult", params(IdempotencyKey),
    responses((status = 200, body = HiddenEnvelope)),
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
            Ok(Written::new(Answer::whole(&HIDDEN)?))
        })
    })
    .await
}
