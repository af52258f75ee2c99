//! What a team has done: numbers, and its consults.

use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use super::{Team, table};
use crate::{
    app::App,
    caller::User,
    consult::{self, Consult},
    http::{
        answer::{Answer, Envelope, ListEnvelope},
        docs::PageParams,
        error::{Error, ErrorCode},
        input::{PageQuery, PathId},
    },
    vas,
};

/// What a team has done (团队咨询历史).
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ConsultHistory {
    team_id: i64,
    /// 团队处理咨询总数: finished consults of the team.
    handled: i64,
    /// 我所服务的次数: those of them that the caller is in as a doctor.
    served_by_me: i64,
    /// 我的增值服务次数: value-added services that the caller proposed in the team and a member confirmed.
    vas_by_me: i64,
}

/// What a team has done, in numbers
///
/// For its doctors and its assistant.
#[utoipa::path(
    operation_id = "getTeamConsultHistory",
    get, path = "/team/{id}/consult_history", tag = "team", params(("id" = i64, Path, minimum = 1)),
    responses(
        (status = 200, body = Envelope<ConsultHistory>),
        (status = 403, description = "`team.forbidden`"),
        (status = 404, description = "`team.not_found`")
    ),
    security(("access_token" = []), ("bearer" = []))
)]
pub(crate) async fn history(State(app): State<App>, user: User, PathId(id): PathId) -> Result<Answer, Error> {
    team_of_mine(&app, &user, id.get()).await?;
    Answer::one(&ConsultHistory {
        team_id: id.get(),
        handled: consult::count_finished(&app.database, id.get()).await?,
        served_by_me: consult::count_served(&app.database, id.get(), user.id).await?,
        vas_by_me: vas::count_confirmed(&app.database, id.get(), user.id).await?,
    })
}

/// The consults that a team has finished
///
/// For its owner and its assistant: the assistant is in all of them, and the owner can log in as the assistant.
#[utoipa::path(
    operation_id = "listTeamConsults",
    get, path = "/team/{id}/consult_list", tag = "team", params(("id" = i64, Path, minimum = 1), PageParams),
    responses(
        (status = 200, body = ListEnvelope<Consult>),
        (status = 403, description = "`team.forbidden`"),
        (status = 404, description = "`team.not_found`")
    ),
    security(("access_token" = []), ("bearer" = []))
)]
pub(crate) async fn of_team(
    State(app): State<App>,
    user: User,
    PathId(id): PathId,
    page: PageQuery,
) -> Result<Answer, Error> {
    let team = table::team(&app.database, id.get())
        .await?
        .ok_or(ErrorCode::TeamNotFound)?;
    if !team.is_led_by(user.id) {
        return Err(ErrorCode::TeamForbidden.into());
    }
    consult::list_finished(&app, id.get(), &page).await
}

/// The consults of a team that one is in as a doctor
///
/// For its doctors: those that are running and those that have ended. It is a record of work: what was deleted from one's
/// history (1.7) is still in it, and of what one was taken out of it shows nothing.
#[utoipa::path(
    operation_id = "listMyTeamConsults",
    get, path = "/team/{id}/my_consult_list", tag = "team", params(("id" = i64, Path, minimum = 1), PageParams),
    responses(
        (status = 200, body = ListEnvelope<Consult>),
        (status = 403, description = "`team.forbidden`"),
        (status = 404, description = "`team.not_found`")
    ),
    security(("access_token" = []), ("bearer" = []))
)]
pub(crate) async fn mine(
    State(app): State<App>,
    user: User,
    PathId(id): PathId,
    page: PageQuery,
) -> Result<Answer, Error> {
    team_of_mine(&app, &user, id.get()).await?;
    consult::list_served(&app, id.get(), user.id, &page).await
}

/// The team, for one of its doctors or its assistant.
async fn team_of_mine(app: &App, user: &User, id: i64) -> Result<Team, Error> {
    let team = table::team(&app.database, id)
        .await?
        .ok_or(ErrorCode::TeamNotFound)?;
    if team.is_led_by(user.id) || team.doctor_ids.contains(&user.id.get()) {
        Ok(team)
    } else {
        Err(ErrorCode::TeamForbidden.into())
    }
}
