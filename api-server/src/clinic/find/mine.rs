//! One's own clinics.

use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    app::App,
    caller::User,
    clinic::table,
    http::{
        answer::{Answer, ListEnvelope},
        docs::PageParams,
        error::Error,
        input::PageQuery,
    },
};

/// A clinic that the caller is in.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct MyClinic {
    pub(in crate::clinic) clinic_id: i64,
    pub(in crate::clinic) name: String,
    pub(in crate::clinic) introduction: String,
    pub(in crate::clinic) founder_id: i64,
    pub(in crate::clinic) inviter_id: i64,
    pub(in crate::clinic) is_supervisor: bool,
    pub(in crate::clinic) joined_ms: i64,
}

/// One's own clinics
///
/// Those that a doctor founded or joined. Other users have none.
#[utoipa::path(
    operation_id = "listMyClinics",
    get, path = "/clinic/my_list", tag = "clinic", params(PageParams),
    responses((status = 200, body = ListEnvelope<MyClinic>)),
    security(("access_token" = []), ("bearer" = []))
)]
pub(crate) async fn list(State(app): State<App>, user: User, page: PageQuery) -> Result<Answer, Error> {
    let list = table::mine(user.id);
    Answer::page(list.page(&app.database, &page).await?)
}
