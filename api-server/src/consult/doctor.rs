//! Doctors coming into a consult and going.

use axum::extract::State;
use database::Transaction;
use journal::record::{Event, NewParticipant, Unpublished};
use proto::{
    UserId,
    wire::{Role as WireRole, StatusEvent},
};
use serde::Deserialize;
use utoipa::ToSchema;

use super::{record::ConsultEnvelope, table};
use crate::{
    account,
    app::{App, Written},
    caller::User,
    clock::now_ms,
    http::{
        answer::Answer,
        docs::IdempotencyKey,
        error::{Error, ErrorCode},
        input::{Id, Nothing, PathId, PathIds, Write},
    },
    team, vas,
};

/// A doctor to bring in.
#[derive(Deserialize, ToSchema)]
#[schema(example = json!({"doctor_id": 9}))]
pub(crate) struct BringIn {
    doctor_id: Id,
}

/// A doctor who is to come in. Taken before the consult: whoever takes them out of the team waits until they are in.
pub(super) struct Candidate(Option<NewParticipant>);

impl Candidate {
    pub(super) async fn take(tx: &mut Transaction<'_>, consult: i64, doctor: UserId) -> Result<Self, Error> {
        // Which team a consult belongs to never changes, so this may be read before the row is taken.
        let team = table::team_of(tx, consult).await?;
        if !team::take_doctor(tx, team, doctor).await? {
            return Ok(Self(None));
        }
        let person = account::identity(tx, doctor).await?;
        Ok(Self(person.map(|person| NewParticipant {
            user: doctor,
            role: WireRole::Doctor,
            name: person.name,
        })))
    }

    /// As the journal tells of them; refused when they are no doctor of the team.
    pub(super) fn joining(self) -> Result<NewParticipant, Error> {
        self.0
            .ok_or_else(|| Error::new(ErrorCode::ConsultDoctorNotFound).field("doctor_id"))
    }
}

/// Brings a doctor of the team into a consult
///
/// By the team's assistant. The first doctor moves the consult from waiting to in_process. The doctor joins the consult's
/// conversation and the staff room.
#[utoipa::path(
    operation_id = "addConsultDoctor",
    post, path = "/consult/{id}/doctor", tag = "consult", request_body = BringIn,
    params(("id" = i64, Path, minimum = 1), IdempotencyKey),
    responses(
        (status = 200, body = ConsultEnvelope),
        (status = 403, description = "`consult.forbidden`"),
        (status = 404, description = "`consult.not_found`, `consult.doctor_not_found`"),
        (status = 409, description = "`consult.ended`, `consult.already_in`")
    ),
    security(("access_token" = []), ("bearer" = []))
)]
pub(crate) async fn bring_in(
    State(app): State<App>,
    user: User,
    PathId(id): PathId,
    Write { body, once }: Write<BringIn>,
) -> Result<Answer, Error> {
    let journal = app.journal.clone();
    app.write(once, move |tx| {
        Box::pin(async move {
            let now_ms = now_ms();
            let doctor = UserId::from_database(body.doctor_id.get());
            let candidate = Candidate::take(tx, id.get(), doctor).await?;
            let (consult, seat) = table::take_consult(tx, id.get(), user.id).await?;
            if !seat.may_bring_in() {
                return Err(ErrorCode::ConsultForbidden.into());
            }
            let next = consult.status.bring_in()?;
            let joining = candidate.joining()?;
            table::step(tx, &consult, next, now_ms).await?;
            table::seat_doctor(tx, &consult, doctor, now_ms).await?;

            let mut unpublished = Unpublished::default();
            for conversation in [consult.id, consult.staff_room] {
                let joined = Event::Joined(joining.clone());
                unpublished.extend(journal.record(tx, conversation, user.id, joined, now_ms).await?);
            }
            if next != consult.status {
                let status = Event::Status(StatusEvent {
                    status: next.as_str().to_owned(),
                    open: next.is_open(),
                });
                unpublished.extend(journal.record(tx, consult.id, user.id, status, now_ms).await?);
            }
            let (consult, seat) = table::consult_in(tx, id.get(), user.id).await?;
            Ok(Written::new(consult.answer(seat)?).publishing(unpublished))
        })
    })
    .await
}

/// Takes a doctor out of a consult
///
/// By the team's assistant, or the doctor themselves. They see nothing of it any more; value-added services that they proposed
/// and nobody decided are withdrawn.
#[utoipa::path(
    operation_id = "removeConsultDoctor",
    delete, path = "/consult/{id}/doctor/{doctor_id}", tag = "consult",
    params(("id" = i64, Path, minimum = 1), ("doctor_id" = i64, Path, minimum = 1), IdempotencyKey),
    responses(
        (status = 200, body = ConsultEnvelope),
        (status = 403, description = "`consult.forbidden`"),
        (status = 404, description = "`consult.not_found`, `consult.doctor_not_found`"),
        (status = 409, description = "`consult.ended`")
    ),
    security(("access_token" = []), ("bearer" = []))
)]
pub(crate) async fn take_out(
    State(app): State<App>,
    user: User,
    PathIds(id, doctor_id): PathIds,
    Write {
        body: Nothing {},
        once,
    }: Write<Nothing>,
) -> Result<Answer, Error> {
    let journal = app.journal.clone();
    app.write(once, move |tx| {
        Box::pin(async move {
            let now_ms = now_ms();
            let (consult, seat) = table::take_consult(tx, id.get(), user.id).await?;
            let doctor = UserId::from_database(doctor_id.get());
            if !seat.may_bring_in() && doctor != user.id {
                return Err(ErrorCode::ConsultForbidden.into());
            }
            let next = consult.status.take_out()?;
            if !consult.has_doctor(doctor) {
                return Err(Error::new(ErrorCode::ConsultDoctorNotFound).field("doctor_id"));
            }
            table::step(tx, &consult, next, now_ms).await?;
            table::unseat_doctor(tx, consult.id, doctor).await?;
            let mut unpublished =
                vas::withdraw_open(tx, &journal, consult.id, Some(doctor), user.id, now_ms).await?;
            for conversation in [consult.id, consult.staff_room] {
                let left = journal
                    .record(tx, conversation, user.id, Event::Left(doctor), now_ms)
                    .await?;
                unpublished.extend(left);
            }
            let consult = consult.without(doctor);
            Ok(Written::new(consult.answer(seat)?).publishing(unpublished))
        })
    })
    .await
}
