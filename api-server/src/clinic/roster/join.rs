//! Joining a clinic by invitation.

use axum::extract::State;
use database::{Transaction, TransactionFuture};
use proto::UserId;

use crate::{
    account,
    app::{App, Written},
    clinic::{
        Caller, Clinic,
        table::{self, Came},
    },
    http::{
        answer::{Answer, Envelope},
        docs::IdempotencyKey,
        error::Error,
        input::Write,
    },
    invitation::{self, Accepted, JoinByLink, Links, Place},
};

/// Joins a clinic by the link of an invitation
///
/// By a verified doctor.
#[utoipa::path(
    operation_id = "joinClinic",
    post, path = "/clinic/join", tag = "clinic", request_body = JoinByLink, params(IdempotencyKey),
    responses(
        (status = 200, body = Envelope<Clinic>),
        (status = 403, description = "`clinic.invitation_refused`, `clinic.doctors_only`, `clinic.blocked`, `doctor.not_verified`"),
        (status = 404, description = "`clinic.not_found`"),
        (status = 409, description = "`clinic.already_in`, `clinic.invitation_expired`, `clinic.invitation_used_up`, `clinic.closed`, `clinic.dissolved`")
    ),
    security(("access_token" = []), ("bearer" = []))
)]
pub(crate) async fn join(
    State(app): State<App>,
    user: Caller,
    Write { body, once }: Write<JoinByLink>,
) -> Result<Answer, Error> {
    let rule = app.doctor_verification;
    let invited = app.part::<Links>().read(Place::Clinic, &body.invitation)?;
    app.write(once, move |tx| {
        Box::pin(async move {
            let now_ms = tx.now_ms().await?;
            invited.check_open(now_ms)?;
            account::check_verified(tx, rule, user.id).await?;
            let came = Came {
                inviter: UserId::from_database(invited.inviter_id),
                link: Some(invited.invitation_id),
                field: "invitation",
            };
            let clinic = admit(tx, invited.place_id, user.id, came, now_ms).await?;
            invitation::consume_link(tx, &invited).await?;
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
        let came = Came {
            inviter: accepted.inviter,
            link: None,
            field: "id",
        };
        admit(tx, accepted.place_id, accepted.doctor, came, accepted.now_ms).await?;
        Ok(())
    })
}

/// Locks the clinic, and adds a doctor whom it has not blocked.
async fn admit(
    tx: &mut Transaction<'_>,
    clinic: i64,
    doctor: UserId,
    came: Came,
    now_ms: i64,
) -> Result<Clinic, Error> {
    let clinic = table::lock(tx, clinic).await?;
    clinic.check_works()?;
    invitation::check_welcome(tx, Place::Clinic, clinic.clinic_id, doctor).await?;
    table::add_doctor(tx, clinic.clinic_id, doctor, came, now_ms).await?;
    Ok(clinic)
}
