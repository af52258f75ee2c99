//! Dissolving a team.

use axum::extract::State;
use proto::UserId;

use crate::{
    account,
    app::{App, Written},
    caller::User,
    clock::now_ms,
    http::{
        answer::{Answer, Envelope},
        docs::IdempotencyKey,
        error::{Error, ErrorCode},
        input::{Nothing, PathId, Write},
    },
    invitation::{self, Place},
    team::{Team, table},
};

/// Dissolves a team
///
/// By its owner, while nothing is open: no consult goes on (with it end the proposals of value-added services), no member's fee
/// is left (removing a member returns it), and no income is left or on its way. Its doctors and its assistant are in it no
/// more; its records stay. It cannot be undone.
#[utoipa::path(
    operation_id = "dissolveTeam",
    post, path = "/team/{id}/dissolve", tag = "team", params(("id" = i64, Path, minimum = 1), IdempotencyKey),
    responses(
        (status = 200, body = Envelope<Team>),
        (status = 403, description = "`team.forbidden`"),
        (status = 404, description = "`team.not_found`"),
        (status = 409, description = "`team.has_consults`, `team.has_fees`, `team.has_income`, `team.dissolved`")
    ),
    security(("access_token" = []), ("bearer" = []))
)]
pub(crate) async fn dissolve(
    State(app): State<App>,
    user: User,
    PathId(id): PathId,
    write: Write<Nothing>,
) -> Result<Answer, Error> {
    app.write(write.once, move |tx| {
        Box::pin(async move {
            let now_ms = now_ms();
            let team = table::lock_any(tx, id.get()).await?;
            team.only_owner(&user)?;
            if team.dissolved_ms.is_some() {
                return Err(ErrorCode::TeamDissolved.into());
            }
            if table::has_consults(tx, id.get()).await? {
                return Err(ErrorCode::TeamHasConsults.into());
            }
            if table::has_fees(tx, id.get()).await? {
                return Err(ErrorCode::TeamHasFees.into());
            }
            if table::has_income(tx, id.get()).await? {
                return Err(ErrorCode::TeamHasIncome.into());
            }
            let dissolved = table::dissolve(tx, &team, now_ms).await?;
            invitation::forget_offer(tx, Place::Team, id.get()).await?;
            let assistant = UserId::from_database(team.assistant_id);
            let mut written = Written::new(Answer::one(&dissolved)?);
            written.logged_out = account::remove_devices(tx, assistant).await?;
            Ok(written)
        })
    })
    .await
}
