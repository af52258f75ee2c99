//! The desk of a team: what waits, what runs, what has ended.

use axum::{
    extract::{FromRequestParts, Query, State},
    http::request::Parts,
};
use proto::ids::MAX_ID;
use serde::Serialize;
use utoipa::{IntoParams, ToSchema};

use crate::{
    app::App,
    caller::User,
    consult::{
        record::{DeskRow, Glimpsed},
        table::{self, Counts, Desk, DeskState, MAX_SEARCH_CHARS},
    },
    http::{
        answer::{Answer, ListEnvelope},
        docs::{self, PageParams},
        error::{Error, Language},
        input::{PageQuery, PathId, Search, preferred_language},
    },
    team,
};

/// The filters of a desk, as documented.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "only its documentation is used")]
pub(crate) struct DeskParams {
    /// waiting: open, and without a doctor; mine: open, with the caller among its doctors; running: open, with a doctor;
    /// ended. By default waiting.
    #[param(schema_with = states, required = false)]
    state: Option<String>,
    /// One of its doctors; of an ended one also a doctor who served in it.
    #[param(minimum = 1, maximum = 9_007_199_254_740_991_i64)]
    doctor_id: Option<i64>,
    /// Opened at this time or later, epoch milliseconds.
    #[param(minimum = 0, maximum = 9_007_199_254_740_991_i64)]
    from_ms: Option<i64>,
    /// Opened before this time, epoch milliseconds.
    #[param(minimum = 0, maximum = 9_007_199_254_740_991_i64)]
    to_ms: Option<i64>,
    /// Part of a name or of the complaint's first 120 characters. Case, full or half width and spaces between ideographs are
    /// ignored.
    #[param(min_length = 1, max_length = 64, example = "头痛")]
    text: Option<String>,
}

fn states() -> utoipa::openapi::RefOr<utoipa::openapi::Schema> {
    docs::one_of(DeskState::ALL.map(DeskState::as_str))
}

/// The filters of a desk.
#[derive(Debug)]
pub(crate) struct DeskQuery {
    state: DeskState,
    doctor: Option<i64>,
    from_ms: i64,
    to_ms: i64,
    search: Option<Search>,
    /// Of the words for voice and pictures.
    language: Language,
}

impl<S: Send + Sync> FromRequestParts<S> for DeskQuery {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Error> {
        // The page's parameters are checked by PageQuery.
        let pairs = Query::<Vec<(String, String)>>::from_request_parts(parts, state).await;
        let Query(pairs) = pairs.unwrap_or_default();
        let mut desk = Self {
            state: DeskState::Waiting,
            doctor: None,
            from_ms: 0,
            to_ms: i64::MAX,
            search: None,
            language: preferred_language(&parts.headers),
        };
        for (name, value) in pairs {
            match name.as_str() {
                "state" => {
                    let known = DeskState::ALL.into_iter().find(|state| state.as_str() == value);
                    desk.state = known.ok_or_else(|| {
                        Error::invalid(
                            "state",
                            "应为 waiting、mine、running 或 ended",
                            "must be waiting, mine, running or ended",
                        )
                    })?;
                }
                "doctor_id" => desk.doctor = Some(number("doctor_id", &value, 1)?),
                "from_ms" => desk.from_ms = number("from_ms", &value, 0)?,
                "to_ms" => desk.to_ms = number("to_ms", &value, 0)?,
                "text" => desk.search = Some(search(&value)?),
                _ => {}
            }
        }
        Ok(desk)
    }
}

fn number(field: &'static str, value: &str, least: i64) -> Result<i64, Error> {
    let number = value.parse().ok();
    let number = number.filter(|number| (least..=MAX_ID).contains(number));
    number.ok_or_else(|| {
        Error::invalid(
            field,
            format!("应为 {least} 到 {MAX_ID} 的整数"),
            format!("must be an integer from {least} to {MAX_ID}"),
        )
    })
}

fn search(value: &str) -> Result<Search, Error> {
    let fits = value.chars().count() <= MAX_SEARCH_CHARS && !value.contains('\0');
    Search::new(value).filter(|_| fits).ok_or_else(|| {
        Error::invalid(
            "text",
            format!("应为 1 到 {MAX_SEARCH_CHARS} 个字符的文本"),
            format!("must be a text of 1 to {MAX_SEARCH_CHARS} characters"),
        )
    })
}

/// A page of a desk, with the numbers of each state.
#[derive(Serialize, ToSchema)]
pub(crate) struct DeskEnvelope {
    #[serde(flatten)]
    list: ListEnvelope<DeskRow>,
    counts: Counts,
}

/// The desk of a team
///
/// For its owner, its assistant and its doctors: one list for each state. The longest wait comes first; of ended ones, the
/// newest. `counts` has the numbers of each state, without filters. Unread messages and the last one are those that the caller
/// sees on the wire, so a doctor who is not in a consult sees none of it.
#[utoipa::path(
    operation_id = "getTeamDesk",
    get, path = "/team/{id}/desk", tag = "team", params(("id" = i64, Path, minimum = 1), DeskParams, PageParams),
    responses(
        (status = 200, body = DeskEnvelope),
        (status = 403, description = "`team.forbidden`"),
        (status = 404, description = "`team.not_found`")
    ),
    security(("access_token" = []), ("bearer" = []))
)]
pub(crate) async fn show(
    State(app): State<App>,
    user: User,
    PathId(id): PathId,
    query: DeskQuery,
    page: PageQuery,
) -> Result<Answer, Error> {
    team::check_staff(&app.database, id.get(), &user).await?;
    let desk = Desk {
        team: id.get(),
        caller: user.id,
        state: query.state,
        doctor: query.doctor,
        from_ms: query.from_ms,
        to_ms: query.to_ms,
        search: query.search,
    };
    let found = desk.page(&app.database, &page).await?;
    let mut glimpsed = Glimpsed::of(&app.journal, user.id, &found, query.language).await?;
    Answer::whole(&DeskEnvelope {
        counts: table::counts(&app.database, id.get(), user.id).await?,
        list: found.map(|record| glimpsed.row(record)).into(),
    })
}
