//! A month's statement of a team's income: opening balance, every posting with its cause, closing balance.
//!
//! A statement in JSON is paged; as CSV and as a page to print it is a stream, so that a million postings are never in memory.

mod html;
mod lines;
mod query;
mod table;

use axum::{
    body::Body,
    extract::State,
    response::{IntoResponse, Response},
};
use serde::Serialize;
use utoipa::ToSchema;

use self::{
    lines::{Head, Line, Lines},
    query::{Format, StatementParams, StatementQuery},
};
use crate::{
    app::App,
    caller::{Led, User},
    http::{
        answer::{Answer, Envelope, csv},
        docs::PageParams,
        error::Error,
        input::{Cursor, PathIdMonth, month},
    },
    team::Team,
};

/// A month's statement of a team's income, or a page of it.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Statement {
    team_id: i64,
    #[schema(schema_with = month::schema)]
    month: String,
    /// The balance at the beginning of the month.
    opening_fen: i64,
    /// The balance at its end, or by now.
    closing_fen: i64,
    /// The oldest first.
    postings: Vec<StatementLine>,
    has_more: bool,
    /// Where the next page begins; opaque. Absent on the last page.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(schema_with = crate::http::docs::cursor)]
    next_cursor: Option<String>,
}

/// A posting of a statement.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct StatementLine {
    transfer_id: i64,
    /// `finish`, `vas`, `refund`, `withdrawal`, `failed` (a payout that failed), `reversal`.
    kind: String,
    /// Its cause, with its id: `consult:77`, `vas:5`, `refund:3`, `withdrawal:2`.
    cause: String,
    /// Below zero: out of the income.
    amount_fen: i64,
    /// The balance after it.
    balance_fen: i64,
    created_ms: i64,
    /// The user who did it; absent for background work.
    #[serde(skip_serializing_if = "Option::is_none")]
    by_id: Option<i64>,
}

impl From<Line> for StatementLine {
    fn from(line: Line) -> Self {
        let posting = line.posting;
        Self {
            transfer_id: posting.transfer_id,
            kind: posting.kind,
            cause: posting.cause,
            amount_fen: posting.amount_fen,
            balance_fen: line.balance_fen,
            created_ms: posting.created_ms,
            by_id: posting.by,
        }
    }
}

/// A month's statement of a team's income
///
/// For its owner and its assistant. JSON in pages by default; `format=csv` is the whole month for a spreadsheet (UTF-8 with a
/// byte order mark), `format=html` a page to print, both in the language of Accept-Language.
#[utoipa::path(
    operation_id = "getTeamStatement",
    get, path = "/team/{id}/statement/{month}", tag = "income",
    params(
        ("id" = i64, Path, minimum = 1), ("month" = String, Path, pattern = "^(19[7-9][0-9]|2[0-9]{3})-(0[1-9]|1[0-2])$"),
        StatementParams, PageParams
    ),
    responses(
        (status = 200, content(
            (Envelope<Statement> = "application/json"), (String = "text/csv"), (String = "text/html")
        )),
        (status = 403, description = "`team.forbidden`"),
        (status = 404, description = "`team.not_found`")
    ),
    security(("access_token" = []), ("bearer" = []))
)]
pub(crate) async fn show(
    State(app): State<App>,
    user: User,
    PathIdMonth(id, month): PathIdMonth,
    query: StatementQuery,
) -> Result<Response, Error> {
    let team = Led::<Team>::read(&app.database, id.get(), &user).await?;
    let head = Head::read(
        &app.database,
        (id.get(), team.name().to_owned()),
        month,
        query.language,
    )
    .await?;
    match query.format {
        Format::Json => Ok(page(&app, head, &query).await?.into_response()),
        Format::Csv => {
            let name = format!("statement-{}-{month}", id.get());
            let written = lines::stream(&app.database, head, table::Csv);
            Ok(csv::response(Body::from_stream(written), &name))
        }
        Format::Html => {
            let written = lines::stream(&app.database, head, html::Html);
            Ok(html::response(Body::from_stream(written)))
        }
    }
}

async fn page(app: &App, head: Head, query: &StatementQuery) -> Result<Answer, Error> {
    let limit = query.page.limit;
    let start = query.page.cursor.unwrap_or(Cursor {
        at: 0,
        id: head.opening_fen,
    });
    let mut lines = Lines::after(start.at, start.id);
    let mut read = lines.read(&app.database, &head, limit + 1).await?;
    let has_more = i64::try_from(read.len()).is_ok_and(|read| read > limit);
    read.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
    let last = read.last().map(|line| Cursor {
        at: line.posting.place,
        id: line.balance_fen,
    });
    Answer::one(&Statement {
        team_id: head.team_id,
        month: head.month.to_string(),
        opening_fen: head.opening_fen,
        closing_fen: head.closing_fen,
        postings: read.into_iter().map(StatementLine::from).collect(),
        has_more,
        next_cursor: last.filter(|_| has_more).map(Cursor::encode),
    })
}
