//! 1.4: a consult, by id.

use axum::extract::State;

use crate::{
    app::App,
    caller::{Seated, User},
    consult::record::{ConsultEnvelope, Record},
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
    let consult = Seated::<Record>::read(&app.database, id.get(), &user).await?;
    let seat = consult.seat();
    consult.into_inner().answer(seat)
}
