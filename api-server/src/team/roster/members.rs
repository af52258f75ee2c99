//! The members of a team.

use axum::extract::State;
use proto::UserId;
use serde::Serialize;
use utoipa::ToSchema;

use super::fee;
use crate::{
    app::{App, Written},
    caller::{Led, User},
    clock::now_ms,
    http::{
        answer::{Answer, Empty, Envelope, ListEnvelope},
        docs::{IdempotencyKey, PageParams},
        error::{Error, ErrorCode},
        input::{Nothing, PageQuery, PathId, PathIds, Write},
    },
    team::{Team, table},
};

/// A member of a team.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TeamMember {
    pub(in crate::team) member_id: i64,
    pub(in crate::team) name: String,
    /// Of an upload; null while there is none.
    #[schema(required = true)]
    pub(in crate::team) photo_id: Option<String>,
    /// The version of the agreement that the member accepted last.
    pub(in crate::team) agreement_version: i64,
    pub(in crate::team) joined_ms: i64,
}

/// The members of a team
///
/// For its owner and its assistant.
#[utoipa::path(
    operation_id = "listTeamMembers",
    get, path = "/team/{id}/member_list", tag = "team", params(("id" = i64, Path, minimum = 1), PageParams),
    responses(
        (status = 200, body = ListEnvelope<TeamMember>),
        (status = 403, description = "`team.forbidden`"),
        (status = 404, description = "`team.not_found`")
    ),
    security(("access_token" = []), ("bearer" = []))
)]
pub(crate) async fn list(
    State(app): State<App>,
    user: User,
    PathId(id): PathId,
    page: PageQuery,
) -> Result<Answer, Error> {
    Led::<Team>::read(&app.database, id.get(), &user).await?;
    let list = table::members(id.get());
    Answer::page(list.page(&app.database, &page).await?)
}

/// Removes a member from a team
///
/// By its owner or its assistant. The rest of the fee goes back to the member's wallet. Accepted agreements stay on record.
#[utoipa::path(
    operation_id = "removeTeamMember",
    delete, path = "/team/{id}/member/{member_id}", tag = "team",
    params(("id" = i64, Path, minimum = 1), ("member_id" = i64, Path, minimum = 1), IdempotencyKey),
    responses(
        (status = 200, body = Envelope<Empty>),
        (status = 403, description = "`team.forbidden`"),
        (status = 404, description = "`team.not_found`, `team.member_not_found`"),
        (status = 409, description = "`team.dissolved`")
    ),
    security(("access_token" = []), ("bearer" = []))
)]
pub(crate) async fn remove(
    State(app): State<App>,
    user: User,
    PathIds(id, member_id): PathIds,
    write: Write<Nothing>,
) -> Result<Answer, Error> {
    let transfer = app.database.allocate_id(ledger::SEQUENCE).await?;
    app.write(write.once, move |tx| {
        Box::pin(async move {
            Led::<Team>::lock(tx, id.get(), &user).await?;
            let member = UserId::from_database(member_id.get());
            if !table::remove_member(tx, id.get(), member).await? {
                return Err(Error::new(ErrorCode::TeamMemberNotFound).field("member_id"));
            }
            fee::leave(tx, id.get(), member, user.id, transfer, now_ms()).await?;
            Ok(Written::new(Answer::empty()?))
        })
    })
    .await
}
