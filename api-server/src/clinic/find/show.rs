//! A clinic, by id or by name.

use axum::extract::State;

use crate::{
    app::App,
    caller::User,
    clinic::{Clinic, table},
    http::{
        answer::{Answer, Envelope},
        error::{Error, ErrorCode},
        input::{Name, NameQuery, PathId},
    },
};

/// A clinic
///
/// For every logged-in user.
#[utoipa::path(
    operation_id = "getClinic",
    get, path = "/clinic/{id}", tag = "clinic", params(("id" = i64, Path, minimum = 1)),
    responses((status = 200, body = Envelope<Clinic>), (status = 404, description = "`clinic.not_found`")),
    security(("access_token" = []), ("bearer" = []))
)]
pub(crate) async fn show(State(app): State<App>, _: User, PathId(id): PathId) -> Result<Answer, Error> {
    let clinic = table::clinic(&app.database, id.get()).await?;
    Answer::one(&clinic.ok_or(ErrorCode::ClinicNotFound)?)
}

/// The clinic of a name
///
/// For every logged-in user. The name must be the clinic's whole name; case, full or half width and spaces between
/// ideographs are ignored.
#[utoipa::path(
    operation_id = "findClinic",
    get, path = "/clinic", tag = "clinic",
    params(("name" = inline(Name), Query, example = "仁心诊所")),
    responses((status = 200, body = Envelope<Clinic>), (status = 404, description = "`clinic.not_found`")),
    security(("access_token" = []), ("bearer" = []))
)]
pub(crate) async fn find(State(app): State<App>, _: User, name: NameQuery) -> Result<Answer, Error> {
    let clinic = table::clinic_of_name(&app.database, &name).await?;
    Answer::one(&clinic.ok_or_else(|| Error::new(ErrorCode::ClinicNotFound).field("name"))?)
}
