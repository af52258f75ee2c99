//! The withdrawals of a team by month (提现历史).

use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use super::Withdrawal;
use crate::{
    app::App,
    caller::{Led, User},
    http::{
        answer::{Answer, Envelope, ListEnvelope, Page},
        docs::PageParams,
        error::Error,
        input::{Cursor, PageQuery, PathId, PathIdMonth, month},
    },
    income::{table, withdrawable::DoctorWork},
    team::Team,
};

/// The withdrawals of a month, in sum.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct WithdrawalMonth {
    /// Of the window.
    #[schema(schema_with = month::schema)]
    pub(in crate::income) month: String,
    /// All that was asked for, paid or not.
    pub(in crate::income) asked_fen: i64,
    pub(in crate::income) paid_fen: i64,
    pub(in crate::income) failed_fen: i64,
    /// The number of withdrawals.
    pub(in crate::income) count: i64,
    /// The user who asked for the newest of them: a former owner may have asked for others.
    pub(in crate::income) asked_by: i64,
    pub(in crate::income) asked_by_name: String,
    #[serde(skip)]
    pub(in crate::income) place: i64,
}

/// A month's window: the work whose income it opened, and the withdrawals.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct WithdrawalMonthDetail {
    team_id: i64,
    /// Of the window.
    #[schema(schema_with = month::schema)]
    month: String,
    /// The first month whose income it opened.
    #[schema(schema_with = month::schema_before)]
    from_month: String,
    /// The last month whose income it opened: the one before.
    #[schema(schema_with = month::schema_before)]
    to_month: String,
    /// Earned in these months, less refunds.
    earned_fen: i64,
    /// The rest of the months before. Below zero where income was refunded after its withdrawal.
    carried_over_fen: i64,
    /// Every doctor who took part in these months.
    doctors: Vec<DoctorWork>,
    /// The newest first, 200 at most.
    withdrawals: Vec<Withdrawal>,
}

/// A team's withdrawals by month
///
/// For its owner and its assistant. A row for each month with withdrawals, the newest first.
#[utoipa::path(
    operation_id = "listWithdrawals",
    get, path = "/team/{id}/withdrawal_list", tag = "income", params(("id" = i64, Path, minimum = 1), PageParams),
    responses(
        (status = 200, body = ListEnvelope<WithdrawalMonth>),
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
    let total = if page.count {
        Some(table::count_withdrawal_months(&app.database, id.get()).await?)
    } else {
        None
    };
    let months = table::withdrawal_months(&app.database, id.get(), &page).await?;
    Answer::page(Page::cut(months, total, &page, |last| Cursor {
        at: last.place,
        id: 0,
    }))
}

/// The withdrawals of a month
///
/// For the team's owner and its assistant: the work of each doctor whose income the month's window opened, what was carried
/// over from earlier months, and the withdrawals.
#[utoipa::path(
    operation_id = "getWithdrawalMonth",
    get, path = "/team/{id}/withdrawal_list/{month}", tag = "income",
    params(("id" = i64, Path, minimum = 1), ("month" = String, Path, pattern = "^(19[7-9][0-9]|2[0-9]{3})-(0[1-9]|1[0-2])$")),
    responses(
        (status = 200, body = Envelope<WithdrawalMonthDetail>),
        (status = 403, description = "`team.forbidden`"),
        (status = 404, description = "`team.not_found`")
    ),
    security(("access_token" = []), ("bearer" = []))
)]
pub(crate) async fn show(
    State(app): State<App>,
    user: User,
    PathIdMonth(id, month): PathIdMonth,
) -> Result<Answer, Error> {
    Led::<Team>::read(&app.database, id.get(), &user).await?;
    let figures = table::figures(&app.database, id.get()).await?;
    let period = figures.period(month);
    Answer::one(&WithdrawalMonthDetail {
        team_id: id.get(),
        month: month.to_string(),
        from_month: period.from.to_string(),
        to_month: period.to.to_string(),
        earned_fen: period.earned_fen,
        carried_over_fen: period.carried_over_fen,
        doctors: table::doctors(&app.database, id.get(), period).await?,
        withdrawals: table::withdrawals_of(&app.database, id.get(), month).await?,
    })
}
