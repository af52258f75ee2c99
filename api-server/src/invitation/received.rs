//! Invitations that a doctor received.

use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use super::{Caller, Place, table};
use crate::{
    account,
    app::App,
    http::{
        answer::{Answer, ListEnvelope},
        docs::PageParams,
        error::{Error, ErrorCode},
        input::PageQuery,
    },
};

/// An invitation that the caller received.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct DoctorInvitation {
    pub(super) invitation_id: i64,
    pub(super) place: Place,
    /// The id of the team or clinic.
    pub(super) place_id: i64,
    /// The name of the team or clinic.
    pub(super) name: String,
    pub(super) inviter_id: i64,
    pub(super) inviter_name: String,
    pub(super) created_ms: i64,
    pub(super) expires_ms: i64,
}

/// Invitations into teams and clinics that one received
///
/// For a doctor: open ones, by phone and by id.
#[utoipa::path(
    operation_id = "listInvitations",
    get, path = "/invitation_list", tag = "invitation", params(PageParams),
    responses(
        (status = 200, body = ListEnvelope<DoctorInvitation>),
        (status = 403, description = "`invitation.doctors_only`")
    ),
    security(("access_token" = []), ("bearer" = []))
)]
pub(crate) async fn list(State(app): State<App>, user: Caller, page: PageQuery) -> Result<Answer, Error> {
    let phone = account::phone_of(&app.database, user.id)
        .await?
        .ok_or(ErrorCode::AuthRequired)?;
    let list = table::received(phone, app.database.now_ms().await?);
    Answer::page(list.page(&app.database, &page).await?)
}
