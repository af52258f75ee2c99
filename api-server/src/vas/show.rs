//! A value-added service, by id.

use axum::extract::State;

use super::{record::Vas, table};
use crate::{
    app::App,
    caller::User,
    http::{
        answer::{Answer, Envelope},
        error::Error,
        input::PathId,
    },
};

/// A value-added service
///
/// For every user in its consult, and for the doctor who proposed it, also after they left.
#[utoipa::path(
    operation_id = "getVas",
    get, path = "/vas/{id}", tag = "vas", params(("id" = i64, Path, minimum = 1)),
    responses((status = 200, body = Envelope<Vas>), (status = 404, description = "`vas.not_found`")),
    security(("access_token" = []), ("bearer" = []))
)]
pub(crate) async fn show(State(app): State<App>, user: User, PathId(id): PathId) -> Result<Answer, Error> {
    let vas = table::vas_of(&app.database, id.get(), user.id).await?;
    Answer::one(&vas.show())
}
