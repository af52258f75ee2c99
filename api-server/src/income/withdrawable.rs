//! The work behind the withdrawable sum (可提现总数), by doctor.

use axum::extract::State;
use ledger::Window;
use proto::UserId;
use serde::Serialize;
use utoipa::ToSchema;

use super::{
    figures::Period,
    table::{self, Place},
};
use crate::{
    app::App,
    caller::{Led, User},
    clock::now_ms,
    http::{
        answer::{Answer, Envelope, ListEnvelope, Page, WindowShown},
        docs::{self, PageParams},
        error::Error,
        input::{Cursor, PageQuery, PathId, PathIds, month},
    },
    team::Team,
};

/// The withdrawable sum and its period.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Withdrawable {
    team_id: i64,
    /// 可提现总数.
    withdrawable_fen: i64,
    /// The first month of the period: income was withdrawn in its window last, or it is the first with income.
    #[schema(schema_with = month::schema)]
    from_month: String,
    /// The last month of the period: the one before the window.
    #[schema(schema_with = month::schema)]
    to_month: String,
    /// Earned in the period, less refunds.
    earned_fen: i64,
    /// The rest of the months before. Below zero where income was refunded after its withdrawal.
    carried_over_fen: i64,
    /// The window that is open, or the next one.
    #[schema(inline = false)]
    window: WindowShown,
    /// Every doctor who took part in the period.
    doctors: Vec<DoctorWork>,
}

/// The work of a doctor in a period.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DoctorWork {
    pub(super) doctor_id: i64,
    pub(super) doctor_name: String,
    /// 咨询次数: consults finished in the period that the doctor is or was in.
    pub(super) consult_count: i64,
    /// Services of the doctor that a patient confirmed in the period.
    pub(super) vas_count: i64,
    /// 医生添加增值服务金额数: the sum of their prices.
    pub(super) vas_amount_fen: i64,
}

/// A consult or a value-added service of a doctor.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct WorkItem {
    #[schema(schema_with = kinds)]
    pub(super) kind: &'static str,
    /// In which the consult was finished or the service confirmed.
    #[schema(schema_with = month::schema)]
    pub(super) month: String,
    pub(super) consultation_id: i64,
    /// Of a service.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) vas_id: Option<i64>,
    /// Of a service.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) name: Option<String>,
    /// Absent where nothing was charged.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) price_fen: Option<i64>,
    /// Absent where nothing was charged.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) refunded_fen: Option<i64>,
    /// When it was finished or confirmed.
    pub(super) ended_ms: i64,
    #[serde(skip)]
    pub(super) place: Place,
}

fn kinds() -> utoipa::openapi::RefOr<utoipa::openapi::Schema> {
    docs::one_of([table::CONSULT, table::VAS])
}

/// The period that the open window, or the next one, opens.
async fn period_now(app: &App, team: i64) -> Result<(Window, i64, Period), Error> {
    let window = Window::at(now_ms());
    let figures = table::figures(&app.database, team).await?;
    Ok((
        window,
        figures.withdrawable_fen(window),
        figures.period(window.month),
    ))
}

/// The withdrawable sum, with the work of each doctor
///
/// For the team's owner and its assistant. The period begins with the month in whose window income was withdrawn last.
#[utoipa::path(
    operation_id = "getWithdrawableIncome",
    get, path = "/team/{id}/income/withdrawable", tag = "income", params(("id" = i64, Path, minimum = 1)),
    responses(
        (status = 200, body = Envelope<Withdrawable>),
        (status = 403, description = "`team.forbidden`"),
        (status = 404, description = "`team.not_found`")
    ),
    security(("access_token" = []), ("bearer" = []))
)]
pub(crate) async fn show(State(app): State<App>, user: User, PathId(id): PathId) -> Result<Answer, Error> {
    Led::<Team>::read(&app.database, id.get(), &user).await?;
    let (window, withdrawable_fen, period) = period_now(&app, id.get()).await?;
    Answer::one(&Withdrawable {
        team_id: id.get(),
        withdrawable_fen,
        from_month: period.from.to_string(),
        to_month: period.to.to_string(),
        earned_fen: period.earned_fen,
        carried_over_fen: period.carried_over_fen,
        window: window.into(),
        doctors: table::doctors(&app.database, id.get(), period).await?,
    })
}

/// The consults and services of a doctor behind the withdrawable sum
///
/// For the team's owner and its assistant. By month, the newest first; in a month consults, then services.
#[utoipa::path(
    operation_id = "listWithdrawableWork",
    get, path = "/team/{id}/income/withdrawable/{doctor_id}", tag = "income",
    params(("id" = i64, Path, minimum = 1), ("doctor_id" = i64, Path, minimum = 1), PageParams),
    responses(
        (status = 200, body = ListEnvelope<WorkItem>),
        (status = 403, description = "`team.forbidden`"),
        (status = 404, description = "`team.not_found`")
    ),
    security(("access_token" = []), ("bearer" = []))
)]
pub(crate) async fn list(
    State(app): State<App>,
    user: User,
    PathIds(id, doctor_id): PathIds,
    page: PageQuery,
) -> Result<Answer, Error> {
    Led::<Team>::read(&app.database, id.get(), &user).await?;
    let (_, _, period) = period_now(&app, id.get()).await?;
    let doctor = UserId::from_database(doctor_id.get());
    let work = table::Work {
        database: &app.database,
        team: id.get(),
        doctor,
    };
    let total = if page.count {
        Some(work.count(period).await?)
    } else {
        None
    };
    let start = page.start();
    let mut items: Vec<WorkItem> = Vec::new();
    for place in table::places(period).filter(|place| place.order() <= start.at) {
        let wanted = page.limit + 1 - i64::try_from(items.len()).unwrap_or(i64::MAX);
        if wanted <= 0 {
            break;
        }
        let below = if place.order() == start.at {
            start.id
        } else {
            i64::MAX
        };
        items.extend(work.items(place, below, wanted).await?);
    }
    Answer::page(Page::cut(items, total, &page, |last| Cursor {
        at: last.place.order(),
        id: last.vas_id.unwrap_or(last.consultation_id),
    }))
}
