//! Lists of received and sent invitations.

use axum::extract::State;

use super::{Caller, ReceivedInvitation, SentInvitation, table};
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

/// Invitations into families that one received
///
/// By a member: open ones, and accepted ones, which can still be declined.
#[utoipa::path(
    operation_id = "listFamilyInvitations",
    get, path = "/family/invitation_list", tag = "family", params(PageParams),
    responses(
        (status = 200, body = ListEnvelope<ReceivedInvitation>),
        (status = 403, description = "`member.members_only`")
    ),
    security(("access_token" = []), ("bearer" = []))
)]
pub(crate) async fn received(State(app): State<App>, user: Caller, page: PageQuery) -> Result<Answer, Error> {
    let phone = account::phone_of(&app.database, user.id)
        .await?
        .ok_or(ErrorCode::AuthRequired)?;
    let list = table::received(phone, app.database.now_ms().await?);
    Answer::page(list.page(&app.database, &page).await?)
}

/// Invitations into one's family that are open
///
/// By a member. The list does not reveal whether a phone has an account, or whether its owner has declined.
#[utoipa::path(
    operation_id = "listSentFamilyInvitations",
    get, path = "/family/sent_invitation_list", tag = "family", params(PageParams),
    responses(
        (status = 200, body = ListEnvelope<SentInvitation>),
        (status = 403, description = "`member.members_only`")
    ),
    security(("access_token" = []), ("bearer" = []))
)]
pub(crate) async fn sent(State(app): State<App>, user: Caller, page: PageQuery) -> Result<Answer, Error> {
    let list = table::sent(user.id, app.database.now_ms().await?);
    Answer::page(list.page(&app.database, &page).await?)
}
