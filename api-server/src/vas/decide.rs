//! The end of a proposal: confirmed, declined or retracted.

use axum::extract::State;
use database::{Transaction, TransactionFuture};
use journal::record::Unpublished;
use ledger::Transfer;

use super::{
    life::{self, State as VasState, Step},
    record::Vas,
    table,
};
use crate::{
    app::{App, Written},
    caller::User,
    clock::now_ms,
    consult::{self, Happened},
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
/// By the patient. Repeated requests, from any of their devices, confirm it once and get the same answer. The price of a
/// service that is `charged` moves from the patient's wallet to the team's income; a wallet with less leaves it proposed.
#[utoipa::path(
    operation_id = "confirmVas",
    post, path = "/vas/{id}/confirm", tag = "vas",
    params(("id" = i64, Path, minimum = 1), IdempotencyKey),
    responses(
        (status = 200, body = Envelope<Vas>),
        (status = 402, description = "`wallet.insufficient`"),
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
    write: Write<Nothing>,
) -> Result<Answer, Error> {
    decide(&app, user, id, write.once, Step::Confirm).await
}

/// Declines a value-added service
///
/// By the patient. A repeated request gets the same answer.
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
    write: Write<Nothing>,
) -> Result<Answer, Error> {
    decide(&app, user, id, write.once, Step::Decline).await
}

/// Retracts the proposal of a value-added service
///
/// By the doctor who made it, before the patient has decided. A repeated request gets the same answer. A proposal that is
/// open when the consult ends or its doctor leaves is retracted, too.
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
pub(crate) async fn retract(
    State(app): State<App>,
    user: User,
    PathId(id): PathId,
    write: Write<Nothing>,
) -> Result<Answer, Error> {
    decide(&app, user, id, write.once, Step::Retract).await
}

async fn decide(app: &App, user: User, id: Id, once: Once, step: Step) -> Result<Answer, Error> {
    let journal = app.journal.clone();
    let transfer = app.database.allocate_id(ledger::SEQUENCE).await?;
    app.write(once, move |tx| {
        Box::pin(async move {
            let now_ms = now_ms();
            consult::lock_row_of_vas(tx, id.get()).await?;
            let vas = table::vas_in(tx, id.get()).await?.ok_or(ErrorCode::VasNotFound)?;
            let side = table::side_in(tx, &vas, user.id).await?;
            let Some(next) = vas.state.decide(side, step)? else {
                return Ok(Written::new(Answer::one(&vas.show())?));
            };
            table::decide(tx, &vas, next, now_ms).await?;
            if next == VasState::Confirmed
                && let Some(movement) = vas.charge()?
            {
                let by = Some(user.id);
                let transfer = Transfer {
                    id: transfer,
                    movement,
                    by,
                    now_ms,
                };
                journal.prefetch(tx, vas.conversation(), now_ms);
                ledger::post(tx, transfer).await?;
            }
            let vas = vas.decided(next, now_ms);
            let unpublished = journal
                .record(tx, vas.conversation(), user.id, vas.event(), now_ms)
                .await?;
            Ok(Written::new(Answer::one(&vas.show())?).publishing(unpublished))
        })
    })
    .await
}

/// Retracts the open proposals that a consult's event ends.
pub(crate) fn on_consult<'t>(
    tx: &'t mut Transaction<'_>,
    happened: &'t Happened,
) -> TransactionFuture<'t, Unpublished, Error> {
    Box::pin(async move {
        let (consult, now_ms) = (happened.consult, happened.now_ms);
        let mut unpublished = Unpublished::default();
        for vas in table::open_of_consult(tx, consult.get()).await? {
            if !life::retracts(happened.event, vas.doctor()) {
                continue;
            }
            table::decide(tx, &vas, VasState::Retracted, now_ms).await?;
            let event = vas.decided(VasState::Retracted, now_ms).event();
            let record = happened.journal.record(tx, consult, happened.by, event, now_ms);
            unpublished.extend(record.await?);
        }
        Ok(unpublished)
    })
}
