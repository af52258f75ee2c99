//! The sums of a team's income.

use axum::extract::State;
use ledger::{Month, Window};
use serde::Serialize;
use utoipa::ToSchema;

use super::table;
use crate::{
    app::App,
    caller::{Led, User},
    clock::now_ms,
    http::{
        answer::{Answer, Envelope, WindowShown},
        error::Error,
        input::PathId,
    },
    team::Team,
};

/// A team's income (团队收入), fen.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Income {
    team_id: i64,
    /// 可提现总数: earned in the months before the window's, and not withdrawn.
    withdrawable_fen: i64,
    /// Earned in this month, less refunds.
    this_month_fen: i64,
    /// Withdrawn so far, paid out or on its way.
    withdrawn_fen: i64,
    /// 剩余会费: the members' fees that are not used up.
    remaining_fee_fen: i64,
    /// The window that is open, or the next one.
    #[schema(inline = false)]
    window: WindowShown,
}

/// A team's income
///
/// For its owner and its assistant. Income is withdrawn on days 1 to 5 of a month in Beijing time: that of the months before.
/// The rest waits for the next window. Outside a window `withdrawable_fen` is the sum of the next one as of now.
#[utoipa::path(
    operation_id = "getTeamIncome",
    get, path = "/team/{id}/income", tag = "income", params(("id" = i64, Path, minimum = 1)),
    responses(
        (status = 200, body = Envelope<Income>),
        (status = 403, description = "`team.forbidden`"),
        (status = 404, description = "`team.not_found`")
    ),
    security(("access_token" = []), ("bearer" = []))
)]
pub(crate) async fn show(State(app): State<App>, user: User, PathId(id): PathId) -> Result<Answer, Error> {
    Led::<Team>::read(&app.database, id.get(), &user).await?;
    let now_ms = now_ms();
    let window = Window::at(now_ms);
    let figures = table::figures(&app.database, id.get()).await?;
    Answer::one(&Income {
        team_id: id.get(),
        withdrawable_fen: figures.withdrawable_fen(window),
        this_month_fen: figures.earned_in(Month::at(now_ms)),
        withdrawn_fen: figures.withdrawn_fen(),
        remaining_fee_fen: table::remaining_fee(&app.database, id.get()).await?,
        window: window.into(),
    })
}
