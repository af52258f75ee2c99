//! Operators approve, decline, suspend and reinstate doctors.

use axum::extract::State as Service;
use database::Database;
use proto::UserId;

use super::{Decision, Verification, table};
use crate::{
    account::{self, NewNotice, NoticeKind},
    app::{App, Written},
    caller::Operator,
    clock::now_ms,
    consult,
    http::{
        answer::{Answer, Envelope},
        docs::IdempotencyKey,
        error::{Error, ErrorCode},
        input::{Id, Nothing, PathId, Write},
        once::Once,
    },
    operator::{
        account::Because,
        audit::{Act, Row, write},
    },
};

/// Verifies a doctor
///
/// From now on they found and join clinics and teams and treat patients. As of each decision, the doctor gets a notice (GET
/// /account/notice_list). A repetition gets the same answer.
#[utoipa::path(
    operation_id = "approveDoctor",
    post, path = "/operator/doctor/{id}/approve", tag = "operator",
    params(("id" = i64, Path, minimum = 1), IdempotencyKey),
    responses(
        (status = 200, body = Envelope<Verification>),
        (status = 403, description = "`operator.only`"),
        (status = 404, description = "`doctor.verification_not_found`"),
        (status = 409, description = "`doctor.verification_state`")
    ),
    security(("access_token" = []), ("bearer" = []))
)]
pub(crate) async fn approve(
    Service(app): Service<App>,
    operator: Operator,
    PathId(id): PathId,
    write: Write<Nothing>,
) -> Result<Answer, Error> {
    decide(&app, operator, id, write.once, (Decision::Approve, String::new())).await
}

/// Declines to verify a doctor
///
/// The doctor reads the reason, and may ask again. A repetition gets the same answer.
#[utoipa::path(
    operation_id = "declineDoctor",
    post, path = "/operator/doctor/{id}/decline", tag = "operator", request_body = Because,
    params(("id" = i64, Path, minimum = 1), IdempotencyKey),
    responses(
        (status = 200, body = Envelope<Verification>),
        (status = 403, description = "`operator.only`"),
        (status = 404, description = "`doctor.verification_not_found`"),
        (status = 409, description = "`doctor.verification_state`")
    ),
    security(("access_token" = []), ("bearer" = []))
)]
pub(crate) async fn decline(
    Service(app): Service<App>,
    operator: Operator,
    PathId(id): PathId,
    Write { body, once }: Write<Because>,
) -> Result<Answer, Error> {
    decide(&app, operator, id, once, (Decision::Decline, body.into_reason())).await
}

/// Suspends a verified doctor
///
/// Their devices are logged out at once, with live IM sessions and those of a team's assistant that they logged in, and they
/// leave every running consult, with an entry in each. They may log in again, get no IM password, and may do nothing that
/// needs a verified doctor. A repetition gets the same answer.
#[utoipa::path(
    operation_id = "suspendDoctor",
    post, path = "/operator/doctor/{id}/suspend", tag = "operator", request_body = Because,
    params(("id" = i64, Path, minimum = 1), IdempotencyKey),
    responses(
        (status = 200, body = Envelope<Verification>),
        (status = 403, description = "`operator.only`"),
        (status = 404, description = "`doctor.verification_not_found`"),
        (status = 409, description = "`doctor.verification_state`")
    ),
    security(("access_token" = []), ("bearer" = []))
)]
pub(crate) async fn suspend(
    Service(app): Service<App>,
    operator: Operator,
    PathId(id): PathId,
    Write { body, once }: Write<Because>,
) -> Result<Answer, Error> {
    let reason = body.into_reason();
    let answer = decide(&app, operator, id, once, (Decision::Suspend, reason)).await?;
    let doctor = UserId::from_database(id.get());
    let handle = app.clone();
    app.to_the_end(async move { consult::leave_all(&handle, doctor).await })
        .await?;
    Ok(answer)
}

/// Verifies a suspended doctor again
///
/// They do not return into consults by it. A repetition gets the same answer.
#[utoipa::path(
    operation_id = "reinstateDoctor",
    post, path = "/operator/doctor/{id}/reinstate", tag = "operator", request_body = Because,
    params(("id" = i64, Path, minimum = 1), IdempotencyKey),
    responses(
        (status = 200, body = Envelope<Verification>),
        (status = 403, description = "`operator.only`"),
        (status = 404, description = "`doctor.verification_not_found`"),
        (status = 409, description = "`doctor.verification_state`")
    ),
    security(("access_token" = []), ("bearer" = []))
)]
pub(crate) async fn reinstate(
    Service(app): Service<App>,
    operator: Operator,
    PathId(id): PathId,
    Write { body, once }: Write<Because>,
) -> Result<Answer, Error> {
    decide(
        &app,
        operator,
        id,
        once,
        (Decision::Reinstate, body.into_reason()),
    )
    .await
}

/// Verifies a doctor from the command line, without a licence: `huizhen demo` does. A doctor who is verified stays as they are.
///
/// # Errors
/// As the database says.
pub async fn verify_doctor(database: &Database, doctor: i64) -> anyhow::Result<()> {
    let verified = database.transaction(move |tx| {
        Box::pin(async move {
            let now_ms = now_ms();
            account::lock(tx, UserId::from_database(doctor)).await?;
            if table::lock(tx, doctor).await?.is_none() {
                table::put_trusted(tx, doctor, now_ms).await?;
                let row = Row::of_the_command_line(Act::DoctorApproved).account(doctor);
                write(tx, row, now_ms).await?;
            }
            Ok::<_, Error>(())
        })
    });
    verified.await.map_err(|error| {
        anyhow::anyhow!(
            "a doctor cannot be verified: {}",
            error.inner().unwrap_or_default()
        )
    })
}

impl Decision {
    const fn act(self) -> Act {
        match self {
            Self::Approve => Act::DoctorApproved,
            Self::Decline => Act::DoctorDeclined,
            Self::Suspend => Act::DoctorSuspended,
            Self::Reinstate => Act::DoctorReinstated,
        }
    }

    const fn notice(self) -> NoticeKind {
        match self {
            Self::Approve => NoticeKind::DoctorApproved,
            Self::Decline => NoticeKind::DoctorDeclined,
            Self::Suspend => NoticeKind::DoctorSuspended,
            Self::Reinstate => NoticeKind::DoctorReinstated,
        }
    }

    /// Whether the doctor reads the reason.
    const fn has_reason(self) -> bool {
        matches!(self, Self::Decline | Self::Suspend)
    }
}

async fn decide(
    app: &App,
    operator: Operator,
    id: Id,
    once: Once,
    (decision, reason): (Decision, String),
) -> Result<Answer, Error> {
    app.write(once, move |tx| {
        Box::pin(async move {
            let now_ms = now_ms();
            let doctor = UserId::from_database(id.get());
            let known = table::lock(tx, id.get()).await?;
            let (known, state) = known.ok_or(ErrorCode::VerificationNotFound)?;
            let Some(next) = decision.decide(state)? else {
                return Ok(Written::new(Answer::one(&known)?));
            };
            let shown = if decision.has_reason() {
                reason.clone()
            } else {
                String::new()
            };
            let decided = table::decide(tx, known, next, operator.id, shown, now_ms).await?;
            let mut written = Written::new(Answer::one(&decided)?);
            if decision == Decision::Suspend {
                written.logged_out = account::remove_devices(tx, doctor).await?;
                written.disabled = Some(doctor);
            }
            let row = Row::by(operator.id, decision.act()).account(id.get());
            write(tx, row.because(reason), now_ms).await?;
            let notice = NewNotice {
                kind: decision.notice(),
                reason: &decided.reason,
                place: None,
            };
            account::notify(tx, doctor, notice).await?;
            Ok(written)
        })
    })
    .await
}
