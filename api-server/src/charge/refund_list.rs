//! The refunds of a consult.

use axum::extract::State;

use super::{Refund, table};
use crate::{
    app::App,
    caller::{Role, User},
    consult,
    http::{
        answer::{Answer, ListEnvelope},
        docs::PageParams,
        error::Error,
        input::{PageQuery, PathId},
    },
};

/// The refunds of a consult and of its value-added services
///
/// For every user in it, the team's owner, and operators.
#[utoipa::path(
    operation_id = "listRefunds",
    get, path = "/consult/{id}/refund_list", tag = "consult",
    params(("id" = i64, Path, minimum = 1), PageParams),
    responses((status = 200, body = ListEnvelope<Refund>), (status = 404, description = "`consult.not_found`")),
    security(("access_token" = []), ("bearer" = []))
)]
pub(crate) async fn list(
    State(app): State<App>,
    user: User,
    PathId(id): PathId,
    page: PageQuery,
) -> Result<Answer, Error> {
    if user.role != Role::Operator && !table::owns(&app.database, id.get(), user.id).await? {
        consult::check_seated(&app.database, id.get(), user.id).await?;
    }
    let list = table::refunds(id.get());
    Answer::page(list.page(&app.database, &page).await?)
}
