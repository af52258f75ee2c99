//! The work of a team in numbers: its consults and value-added services.

use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use super::table;
use crate::{
    app::App,
    caller::User,
    consult,
    http::{
        answer::{Answer, Envelope},
        error::Error,
        input::PathId,
    },
    team,
};

/// The work of a team (团队咨询历史).
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ConsultHistory {
    team_id: i64,
    /// 团队总所得: all that the team has earned, less commission and refunds, fen.
    total_income_fen: i64,
    /// 团队处理咨询总数: finished consults of the team.
    handled: i64,
    /// 我所服务的次数: those of them that the caller is in as a doctor.
    served_by_me: i64,
    /// 我的增值服务次数: value-added services that the caller proposed in the team and a member confirmed.
    vas_by_me: i64,
}

/// The work of a team, in numbers
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
pub(crate) async fn show(State(app): State<App>, user: User, PathId(id): PathId) -> Result<Answer, Error> {
    team::check_staff(&app.database, id.get(), &user).await?;
    Answer::one(&ConsultHistory {
        team_id: id.get(),
        total_income_fen: ledger::earned(&app.database, id.get()).await?,
        handled: consult::count_finished(&app.database, id.get()).await?,
        served_by_me: consult::count_served(&app.database, id.get(), user.id).await?,
        vas_by_me: table::count_confirmed(&app.database, id.get(), user.id).await?,
    })
}
