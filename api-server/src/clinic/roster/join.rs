//! Joining a clinic by invitation.

use axum::extract::State;
use database::{Transaction, TransactionFuture};
use proto::UserId;

use crate::{
    app::{App, Written},
    clinic::{Caller, Clinic, table},
    clock::now_ms,
    http::{
        answer::{Answer, Envelope},
        docs::IdempotencyKey,
        error::Error,
        input::Write,
    },
    invitation::{self, Accepted, JoinByLink, Place},
};

/// Joins a clinic by the link of an invitation
///
/// By a doctor.
#[utoipa::path(
    operation_id = "joinClinic",
    post, path = "/clinic/join", tag = "clinic", request_body = JoinByLink, params(IdempotencyKey),
    responses(
        (status = 200, body = Envelope<Clinic>),
        (status = 403, description = "`clinic.invitation_refused`, `clinic.doctors_only`"),
        (status = 404, description = "`clinic.not_found`"),
        (status = 409, description = "`clinic.already_in`, `clinic.invitation_expired`, `clinic.invitation_used_up`")
    ),
    security(("access_token" = []), ("bearer" = []))
)]
pub(crate) async fn join(
    State(app): State<App>,
    user: Caller,
    Write { body, once }: Write<JoinByLink>,
) -> Result<Answer, Error> {
    let invited = app.links.read(Place::Clinic, &body.invitation)?;
    app.write(once, move |tx| {
        Box::pin(async move {
            let now_ms = now_ms();
            invited.check_open(now_ms)?;
            let clinic = table::lock(tx, invited.place_id).await?;
            let inviter = UserId::from_database(invited.inviter_id);
            table::add_doctor(tx, clinic.clinic_id, user.id, inviter, "invitation", now_ms).await?;
            invitation::consume_link(tx, &invited, now_ms).await?;
            Ok(Written::new(Answer::one(&clinic)?))
        })
    })
    .await
}

/// A doctor who accepts an invitation in person joins the clinic.
pub(crate) fn on_invitation<'t>(
    tx: &'t mut Transaction<'_>,
    accepted: &'t Accepted,
) -> TransactionFuture<'t, (), Error> {
    Box::pin(async move {
        if accepted.place != Place::Clinic {
            return Ok(());
        }
        let (clinic, doctor, inviter) = (accepted.place_id, accepted.doctor, accepted.inviter);
        table::lock(tx, clinic).await?;
        table::add_doctor(tx, clinic, doctor, inviter, "id", accepted.now_ms).await
    })
}
