//! The doctors of a clinic.

use axum::extract::State;

use crate::{
    app::App,
    caller::User,
    clinic::{ClinicDoctor, table},
    http::{
        answer::{Answer, ListEnvelope},
        docs::PageParams,
        error::{Error, ErrorCode},
        input::{PageQuery, PathId},
    },
};

/// The doctors of a clinic
///
/// For every logged-in user.
#[utoipa::path(
    operation_id = "listClinicDoctors",
    get, path = "/clinic/{id}/doctor_list", tag = "clinic", params(("id" = i64, Path, minimum = 1), PageParams),
    responses(
        (status = 200, body = ListEnvelope<ClinicDoctor>),
        (status = 404, description = "`clinic.not_found`")
    ),
    security(("access_token" = []), ("bearer" = []))
)]
pub(crate) async fn list(
    State(app): State<App>,
    _: User,
    PathId(id): PathId,
    page: PageQuery,
) -> Result<Answer, Error> {
    if table::clinic(&app.database, id.get()).await?.is_none() {
        return Err(ErrorCode::ClinicNotFound.into());
    }
    let list = table::doctors(id.get());
    Answer::page(list.page(&app.database, &page).await?)
}
