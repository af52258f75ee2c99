//! The card of a user.

use axum::extract::State;
use proto::UserId;
use serde::Serialize;
use utoipa::ToSchema;

use super::table;
use crate::{
    account::AccountRole,
    app::App,
    caller::User,
    http::{
        answer::{Answer, Envelope},
        error::{Error, ErrorCode},
        input::PathId,
    },
};

/// A user, as they present themselves now.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct UserCard {
    pub(super) user_id: i64,
    pub(super) name: String,
    #[schema(value_type = AccountRole)]
    pub(super) role: &'static str,
    /// Of a doctor; may be empty.
    pub(super) title: String,
    /// The uri of an image; may be empty.
    pub(super) photo: String,
    /// When the platform verified a doctor, epoch milliseconds; absent where it has not.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false)]
    pub(super) verified_since: Option<i64>,
}

/// The card of a user
///
/// Of oneself, and of users with whom one shares a conversation, now or before, or a team or clinic as one of its doctors or
/// as their patient.
#[utoipa::path(
    operation_id = "getUser",
    get, path = "/user/{id}", tag = "chat",
    params(("id" = i64, Path, minimum = 1)),
    responses((status = 200, body = Envelope<UserCard>), (status = 404, description = "`chat.person_not_found`")),
    security(("access_token" = []), ("bearer" = []))
)]
pub(crate) async fn show(State(app): State<App>, user: User, PathId(id): PathId) -> Result<Answer, Error> {
    let other = UserId::from_database(id.get());
    let mut card = table::card(&app.database, user.id, other, false).await?;
    if card.is_none() && app.journal.has_met(user.id, other).await? {
        card = table::card(&app.database, user.id, other, true).await?;
    }
    Answer::one(&card.ok_or(ErrorCode::ChatNotFound)?)
}
