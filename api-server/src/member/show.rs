//! Looking at one's record.

use axum::extract::State;

use super::{Member, table};
use crate::{
    app::App,
    caller::{Role, User},
    family,
    http::{
        answer::{Answer, Envelope},
        error::{Error, ErrorCode},
    },
};

/// One's record
///
/// By a member, of themselves, with their whole family.
#[utoipa::path(
    operation_id = "getMember",
    get, path = "/member/detail", tag = "member",
    responses((status = 200, body = Envelope<Member>), (status = 403, description = "`member.members_only`")),
    security(("access_token" = []), ("bearer" = []))
)]
pub(crate) async fn show(State(app): State<App>, user: User) -> Result<Answer, Error> {
    if user.role != Role::Member {
        return Err(ErrorCode::MemberOnly.into());
    }
    let (name, profile) = table::named_profile(&app.database, user.id)
        .await?
        .ok_or(ErrorCode::AuthRequired)?;
    Answer::one(&Member {
        member_id: user.id.get(),
        name,
        profile,
        family: family::relatives(&app.database, user.id).await?,
    })
}
