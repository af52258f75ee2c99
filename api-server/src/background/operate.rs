//! Operators look at background work, pause it and let it go on.

use axum::extract::State;
use database::Transaction;
use jobs::State as Job;
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    app::{App, Written},
    caller::Operator,
    clock::now_ms,
    http::{
        answer::{Answer, Empty, Envelope, ListEnvelope, Page},
        docs::IdempotencyKey,
        error::{Error, ErrorCode},
        input::{Nothing, PathText, Write},
    },
    operator::audit::{Act, Row, write},
};

/// Background work. Times are the database's.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Job)]
pub(crate) struct JobItem {
    name: String,
    /// Whether an operator has paused it.
    paused: bool,
    /// The process that does it now.
    #[serde(skip_serializing_if = "Option::is_none")]
    holder: Option<String>,
    /// When it is done next, epoch milliseconds; in the past: at once.
    due_ms: i64,
    /// Failures in a row; it is tried again later and later.
    failures: i64,
    /// The last failure.
    #[serde(skip_serializing_if = "Option::is_none")]
    failure: Option<String>,
    /// How much waits, as its last turn has counted: for `bills_*` the open differences, for `ledger_proof` the faults.
    backlog: i64,
}

impl From<Job> for JobItem {
    fn from(job: Job) -> Self {
        let is_held = job.until_ms > job.now_ms;
        Self {
            name: job.name,
            paused: job.paused,
            holder: job.holder.filter(|_| is_held),
            due_ms: job.due_ms,
            failures: job.failures,
            failure: job.failure,
            backlog: job.backlog,
        }
    }
}

/// Background work
///
/// All jobs by name: who does each, when it is due, its failures, what waits.
#[utoipa::path(
    operation_id = "listJobs",
    get, path = "/operator/job_list", tag = "operator",
    responses((status = 200, body = ListEnvelope<JobItem>), (status = 403, description = "`operator.only`")),
    security(("access_token" = []), ("bearer" = []))
)]
pub(crate) async fn list(State(app): State<App>, _: Operator) -> Result<Answer, Error> {
    let jobs = jobs::list(&app.database).await?;
    Answer::page(Page::whole(jobs.into_iter().map(JobItem::from).collect()))
}

/// Pauses background work
///
/// From the answer on it writes nothing, on no server, until it is resumed. A repetition gets the same answer.
#[utoipa::path(
    operation_id = "pauseJob",
    post, path = "/operator/job/{name}/pause", tag = "operator",
    params(("name" = String, Path, max_length = 64), IdempotencyKey),
    responses(
        (status = 200, body = Envelope<Empty>),
        (status = 403, description = "`operator.only`"),
        (status = 404, description = "`job.not_found`")
    ),
    security(("access_token" = []), ("bearer" = []))
)]
pub(crate) async fn pause(
    State(app): State<App>,
    operator: Operator,
    PathText(name): PathText,
    Write { once, .. }: Write<Nothing>,
) -> Result<Answer, Error> {
    app.write(once, move |tx| {
        Box::pin(async move {
            if jobs::pause(tx, &name).await? {
                log(tx, operator, Act::JobPaused, &name).await?;
            }
            answer(tx, &name).await
        })
    })
    .await
}

/// Resumes background work
///
/// It is done at once. A repetition gets the same answer.
#[utoipa::path(
    operation_id = "resumeJob",
    post, path = "/operator/job/{name}/resume", tag = "operator",
    params(("name" = String, Path, max_length = 64), IdempotencyKey),
    responses(
        (status = 200, body = Envelope<Empty>),
        (status = 403, description = "`operator.only`"),
        (status = 404, description = "`job.not_found`")
    ),
    security(("access_token" = []), ("bearer" = []))
)]
pub(crate) async fn resume(
    State(app): State<App>,
    operator: Operator,
    PathText(name): PathText,
    Write { once, .. }: Write<Nothing>,
) -> Result<Answer, Error> {
    app.write(once, move |tx| {
        Box::pin(async move {
            if jobs::resume(tx, &name).await? {
                log(tx, operator, Act::JobResumed, &name).await?;
            }
            answer(tx, &name).await
        })
    })
    .await
}

async fn log(tx: &mut Transaction<'_>, operator: Operator, act: Act, name: &str) -> Result<(), Error> {
    write(
        tx,
        Row::by(operator.id, act).about(format!("job:{name}")),
        now_ms(),
    )
    .await
}

async fn answer(tx: &mut Transaction<'_>, name: &str) -> Result<Written, Error> {
    if !jobs::is_known(tx, name).await? {
        return Err(ErrorCode::JobNotFound.into());
    }
    Ok(Written::new(Answer::one(&Empty {})?))
}
