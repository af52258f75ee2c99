//! Reading a doctor's page.

use axum::extract::State;

use super::{Doctor, table};
use crate::{
    app::App,
    caller::User,
    http::{
        answer::{Answer, Envelope},
        error::{Error, ErrorCode},
        input::PathId,
    },
};

/// A doctor's page
///
/// For every logged-in user: patients choose by it.
#[utoipa::path(
    operation_id = "getDoctor",
    get, path = "/doctor/{id}", tag = "doctor", params(("id" = i64, Path, minimum = 1)),
    responses((status = 200, body = Envelope<Doctor>), (status = 404, description = "`doctor.not_found`")),
    security(("access_token" = []), ("bearer" = []))
)]
pub(crate) async fn show(State(app): State<App>, _: User, PathId(id): PathId) -> Result<Answer, Error> {
    let doctor = table::doctor(&app.database, id.get())
        .await?
        .ok_or(ErrorCode::DoctorNotFound)?;
    Answer::one(&doctor)
}
