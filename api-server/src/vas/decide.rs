//! What ends a proposal: confirming, declining, withdrawing.

use axum::extract::State;
use database::Transaction;
use journal::{Journal, record::Unpublished};
use proto::{ConversationId, UserId};

use super::{
    life::{State as VasState, Step},
    record::Vas,
    table,
};
use crate::{
    app::{App, Written},
    caller::User,
    clock::now_ms,
    consult,
    http::{
        answer::{Answer, Envelope},
        docs::IdempotencyKey,
        error::{Error, ErrorCode},
        input::{Id, Nothing, PathId, Write},
        once::Once,
    },
};

/// Confirms a value-added service
///
/// By the patient. However often and from however many devices it is pressed, it is confirmed once; again gives the same
/// answer.
#[utoipa::path(
    operation_id = "confirmVas",
    post, path = "/vas/{id}/confirm", tag = "vas",
    params(("id" = i64, Path, minimum = 1), IdempotencyKey),
    responses(
        (status = 200, body = Envelope<Vas>),
        (status = 403, description = "`vas.forbidden`"),
        (status = 404, description = "`vas.not_found`"),
        (status = 409, description = "`vas.declined`, `vas.withdrawn`")
    ),
    security(("access_token" = []), ("bearer" = []))
)]
pub(crate) async fn confirm(
    State(app): State<App>,
    user: User,
    PathId(id): PathId,
    Write {
        body: Nothing {},
        once,
    }: Write<Nothing>,
) -> Result<Answer, Error> {
    decide(&app, user, id, once, Step::Confirm).await
}

/// Declines a value-added service
///
/// By the patient. Again gives the same answer.
#[utoipa::path(
    operation_id = "declineVas",
    post, path = "/vas/{id}/decline", tag = "vas",
    params(("id" = i64, Path, minimum = 1), IdempotencyKey),
    responses(
        (status = 200, body = Envelope<Vas>),
        (status = 403, description = "`vas.forbidden`"),
        (status = 404, description = "`vas.not_found`"),
        (status = 409, description = "`vas.confirmed`, `vas.withdrawn`")
    ),
    security(("access_token" = []), ("bearer" = []))
)]
pub(crate) async fn decline(
    State(app): State<App>,
    user: User,
    PathId(id): PathId,
    Write {
        body: Nothing {},
        once,
    }: Write<Nothing>,
) -> Result<Answer, Error> {
    decide(&app, user, id, once, Step::Decline).await
}

/// Withdraws a value-added service
///
/// By the doctor who proposed it, before the patient has decided. Again gives the same answer. What is still proposed when
/// the consult ends or the doctor goes is withdrawn by itself.
#[utoipa::path(
    operation_id = "withdrawVas",
    post, path = "/vas/{id}/withdraw", tag = "vas",
    params(("id" = i64, Path, minimum = 1), IdempotencyKey),
    responses(
        (status = 200, body = Envelope<Vas>),
        (status = 403, description = "`vas.forbidden`"),
        (status = 404, description = "`vas.not_found`"),
        (status = 409, description = "`vas.confirmed`, `vas.declined`")
    ),
    security(("access_token" = []), ("bearer" = []))
)]
pub(crate) async fn withdraw(
    State(app): State<App>,
    user: User,
    PathId(id): PathId,
    Write {
        body: Nothing {},
        once,
    }: Write<Nothing>,
) -> Result<Answer, Error> {
    decide(&app, user, id, once, Step::Withdraw).await
}

async fn decide(app: &App, user: User, id: Id, once: Once, step: Step) -> Result<Answer, Error> {
    let journal = app.journal.clone();
    app.write(once, move |tx| {
        Box::pin(async move {
            let now_ms = now_ms();
            // Which consult it belongs to never changes, so this may be read before the row is taken.
            let consult = table::consult_of(tx, id.get())
                .await?
                .ok_or(ErrorCode::VasNotFound)?;
            consult::take_row(tx, consult).await?;
            let vas = table::vas_in(tx, id.get()).await?.ok_or(ErrorCode::VasNotFound)?;
            let side = table::side_in(tx, &vas, user.id).await?;
            if !step.is_of(side) {
                return Err(ErrorCode::VasForbidden.into());
            }
            let Some(next) = vas.state.after(step)? else {
                return Ok(Written::new(Answer::one(&vas.show())?));
            };
            table::decide(tx, id.get(), next, now_ms).await?;
            let vas = vas.decided(next, now_ms);
            let told = journal
                .record(tx, vas.conversation(), user.id, vas.event(), now_ms)
                .await?;
            Ok(Written::new(Answer::one(&vas.show())?).publishing(told))
        })
    })
    .await
}

/// Withdraws what is still proposed in a consult, by one doctor or by all, when they go or it ends. The consult's row is
/// taken already.
pub(crate) async fn withdraw_open(
    tx: &mut Transaction<'_>,
    journal: &Journal,
    consult: ConversationId,
    of_doctor: Option<UserId>,
    by: UserId,
    now_ms: i64,
) -> Result<Unpublished, Error> {
    let mut told = Unpublished::default();
    for vas in table::open_of_consult(tx, consult.get()).await? {
        if of_doctor.is_some_and(|doctor| !vas.is_by(doctor)) {
            continue;
        }
        table::decide(tx, vas.id(), VasState::Withdrawn, now_ms).await?;
        let vas = vas.decided(VasState::Withdrawn, now_ms);
        told.extend(journal.record(tx, consult, by, vas.event(), now_ms).await?);
    }
    Ok(told)
}
