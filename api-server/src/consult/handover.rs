//! A doctor hands their place in a consult to another doctor of the team.

use axum::extract::State;
use journal::record::{Event, Unpublished};
use proto::UserId;
use serde::Deserialize;
use utoipa::ToSchema;

use super::{doctor::Candidate, record::ConsultEnvelope, table};
use crate::{
    app::{App, Written},
    caller::User,
    clock::now_ms,
    http::{
        answer::Answer,
        docs::IdempotencyKey,
        error::{Error, ErrorCode},
        input::{Id, PathId, Write},
    },
    vas,
};

/// The doctor who takes over.
#[derive(Deserialize, ToSchema)]
#[schema(example = json!({"doctor_id": 9}))]
pub(crate) struct HandOver {
    doctor_id: Id,
}

/// Hands a consult over to another doctor of the team
///
/// By a doctor who is in it. The other one comes into the consult and the staff room, the caller goes, in one step: the
/// consult is never without either. Value-added services that the caller proposed and nobody decided are withdrawn.
#[utoipa::path(
    operation_id = "handOverConsult",
    post, path = "/consult/{id}/handover", tag = "consult", request_body = HandOver,
    params(("id" = i64, Path, minimum = 1), IdempotencyKey),
    responses(
        (status = 200, body = ConsultEnvelope),
        (status = 403, description = "`consult.forbidden`"),
        (status = 404, description = "`consult.not_found`, `consult.doctor_not_found`"),
        (status = 409, description = "`consult.ended`, `consult.already_in`")
    ),
    security(("access_token" = []), ("bearer" = []))
)]
pub(crate) async fn hand_over(
    State(app): State<App>,
    user: User,
    PathId(id): PathId,
    Write { body, once }: Write<HandOver>,
) -> Result<Answer, Error> {
    let journal = app.journal.clone();
    app.write(once, move |tx| {
        Box::pin(async move {
            let now_ms = now_ms();
            let successor = UserId::from_database(body.doctor_id.get());
            let candidate = Candidate::take(tx, id.get(), successor).await?;
            let (consult, seat) = table::take_consult(tx, id.get(), user.id).await?;
            if !seat.may_hand_over() {
                return Err(ErrorCode::ConsultForbidden.into());
            }
            if !consult.status.is_open() {
                return Err(ErrorCode::ConsultEnded.into());
            }
            let joining = candidate.joining()?;
            table::seat_doctor(tx, &consult, successor, now_ms).await?;
            table::unseat_doctor(tx, consult.id, user.id).await?;

            let mut unpublished = Unpublished::default();
            for conversation in [consult.id, consult.staff_room] {
                let joined = Event::Joined(joining.clone());
                unpublished.extend(journal.record(tx, conversation, user.id, joined, now_ms).await?);
                if conversation == consult.id {
                    unpublished.extend(
                        vas::withdraw_open(tx, &journal, consult.id, Some(user.id), user.id, now_ms).await?,
                    );
                }
                let left = Event::Left(user.id);
                unpublished.extend(journal.record(tx, conversation, user.id, left, now_ms).await?);
            }
            // As the one who came sees it; the caller can read it no more, and still gets an answer.
            let (consult, seat) = table::consult_in(tx, id.get(), successor).await?;
            Ok(Written::new(consult.answer(seat)?).publishing(unpublished))
        })
    })
    .await
}
