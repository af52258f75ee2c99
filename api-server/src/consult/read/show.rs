//! 1.4: a consult, by id.

use axum::extract::State;

use crate::{
    app::App,
    caller::User,
    consult::{record::ConsultEnvelope, table},
    http::{answer::Answer, error::Error, input::PathId},
};

/// A consult (1.4)
///
/// For its patient, its team's assistant and the doctors in it.
#[utoipa::path(
    operation_id = "getConsult",
    get, path = "/consult/{id}", tag = "consult", params(("id" = i64, Path, minimum = 1)),
    responses((status = 200, body = ConsultEnvelope), (status = 404, description = "`consult.not_found`")),
    security(("access_token" = []), ("bearer" = []))
)]
pub(crate) async fn show(State(app): State<App>, user: User, PathId(id): PathId) -> Result<Answer, Error> {
    let (consult, seat) = table::consult_of(&app.database, id.get(), user.id).await?;
    consult.answer(seat)
}
