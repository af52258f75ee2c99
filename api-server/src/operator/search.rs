//! Finding users and consults. By POST: phones stay out of URLs, which proxies log.

use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    audit::{Act, Row, write},
    found::FoundUser,
    table,
};
use crate::{
    account::{self, Phone},
    app::App,
    caller::Operator,
    clock::now_ms,
    consult::Status,
    http::{
        answer::{Answer, ListEnvelope, Page},
        docs::PageParams,
        error::Error,
        input::{Cursor, Id, Json, NamePart, PageQuery},
    },
};

/// The users to find: exactly one of the three.
#[derive(Deserialize, ToSchema)]
#[schema(example = json!({"phone": "+8613800138000"}))]
#[schema(as = SearchPeople)]
pub(crate) struct SearchUsers {
    user_id: Option<Id>,
    phone: Option<Phone>,
    /// Users whose names contain it.
    name: Option<NamePart>,
}

/// The consults to find: exactly one of the three.
#[derive(Deserialize, ToSchema)]
#[schema(example = json!({"user_id": 1234}))]
pub(crate) struct SearchConsults {
    consultation_id: Option<Id>,
    /// Consults that this user is or was in.
    user_id: Option<Id>,
    /// As `user_id`, by phone.
    phone: Option<Phone>,
}

/// A consult without its messages.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct FoundConsult {
    pub(super) consultation_id: i64,
    #[schema(value_type = Status)]
    pub(super) status: String,
    pub(super) creator_member_id: i64,
    pub(super) creator_member_name: String,
    pub(super) target_member_id: i64,
    pub(super) target_member_name: String,
    pub(super) team_id: i64,
    pub(super) team_name: String,
    /// The doctors who are in it.
    pub(super) doctor_ids: Vec<i64>,
    pub(super) created: i64,
    /// When it was finished or cancelled, epoch milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) ended_ms: Option<i64>,
}

/// The key of a search.
pub(super) enum By {
    User(i64),
    Phone(String),
    Consult(i64),
}

impl By {
    fn one_of(
        user: Option<Id>,
        phone: Option<Phone>,
        consult: Option<Id>,
        names: &str,
    ) -> Result<Self, Error> {
        match (user, phone, consult) {
            (Some(user), None, None) => Ok(Self::User(user.get())),
            (None, Some(phone), None) => Ok(Self::Phone(phone.as_str().to_owned())),
            (None, None, Some(consult)) => Ok(Self::Consult(consult.get())),
            _ => Err(not_one_of(names)),
        }
    }
}

fn not_one_of(names: &str) -> Error {
    Error::invalid(
        "body",
        format!("应提供且只提供其中一项：{names}"),
        format!("must hold exactly one of {names}"),
    )
}

/// Finds users
///
/// By id or by phone: none or one. By a part of their name: the newest first. Operators are not found. The audit log has the
/// search, and the name that was searched.
#[utoipa::path(
    operation_id = "searchPeople",
    post, path = "/operator/people/search", tag = "operator", request_body = SearchUsers, params(PageParams),
    responses((status = 200, body = ListEnvelope<FoundUser>), (status = 403, description = "`operator.only`")),
    security(("access_token" = []), ("bearer" = []))
)]
pub(crate) async fn users(
    State(app): State<App>,
    operator: Operator,
    page: PageQuery,
    Json(body): Json<SearchUsers>,
) -> Result<Answer, Error> {
    let names = "user_id, phone, name";
    let by = match (body.user_id, body.phone, body.name) {
        (None, None, Some(part)) => return by_name(&app, operator, part, page).await,
        (user, phone, None) => By::one_of(user, phone, None, names)?,
        _ => return Err(not_one_of(names)),
    };
    let (is_first, counted) = (page.cursor.is_none(), page.count);
    let found = app
        .database
        .transaction(move |tx| {
            Box::pin(async move {
                let user = table::find_user(tx, by).await?;
                let mut row = Row::by(operator.id, Act::UsersSearched);
                if let Some(user) = &user {
                    row = row.account(user.user_id);
                }
                let now_ms = now_ms();
                write(tx, row, now_ms).await?;
                account::lock_device(tx, &operator).await?;
                Ok::<_, Error>(user)
            })
        })
        .await?;
    let total = i64::from(found.is_some());
    // A single user is on the first page.
    let found = found.filter(|_| is_first);
    Answer::page(Page {
        total: counted.then_some(total),
        ..Page::whole(Vec::from_iter(found))
    })
}

async fn by_name(app: &App, operator: Operator, part: NamePart, page: PageQuery) -> Result<Answer, Error> {
    let found = app
        .database
        .transaction(move |tx| {
            Box::pin(async move {
                let row = Row::by(operator.id, Act::UsersSearched).about(format!("name:{}", part.name));
                write(tx, row, now_ms()).await?;
                let (found, total) = table::find_by_name(tx, &part.search, &page).await?;
                account::lock_device(tx, &operator).await?;
                Ok::<_, Error>(Page::cut(found, total, &page, |last| Cursor {
                    at: last.created_ms,
                    id: last.user_id,
                }))
            })
        })
        .await?;
    Answer::page(found)
}

/// Finds consults
///
/// By id, or the consults that a user is or was in, the newest first: participants, times and state. POST
/// /operator/consult/{id}/read reads the messages, with a reason. The audit log has the search.
#[utoipa::path(
    operation_id = "searchConsults",
    post, path = "/operator/consults/search", tag = "operator", request_body = SearchConsults, params(PageParams),
    responses((status = 200, body = ListEnvelope<FoundConsult>), (status = 403, description = "`operator.only`")),
    security(("access_token" = []), ("bearer" = []))
)]
pub(crate) async fn consults(
    State(app): State<App>,
    operator: Operator,
    page: PageQuery,
    Json(body): Json<SearchConsults>,
) -> Result<Answer, Error> {
    let by = By::one_of(
        body.user_id,
        body.phone,
        body.consultation_id,
        "consultation_id, user_id, phone",
    )?;
    let found = app
        .database
        .transaction(move |tx| {
            Box::pin(async move {
                let row = Row::by(operator.id, Act::ConsultsSearched);
                let by = match by {
                    By::Phone(phone) => table::user_of_phone(tx, phone).await?.map(By::User),
                    by => Some(by),
                };
                let row = match &by {
                    Some(By::User(user)) => row.account(*user),
                    Some(By::Consult(consult)) => row.consult(*consult),
                    _ => row,
                };
                write(tx, row, now_ms()).await?;
                let (found, total) = match by {
                    Some(by) => table::find_consults(tx, by, &page).await?,
                    None => (Vec::new(), 0),
                };
                account::lock_device(tx, &operator).await?;
                let total = page.count.then_some(total);
                Ok::<_, Error>(Page::cut(found, total, &page, |last| Cursor {
                    at: last.created,
                    id: last.consultation_id,
                }))
            })
        })
        .await?;
    Answer::page(found)
}
