//! A doctor accepts or declines an invitation in person.

use axum::extract::State;
use database::Transaction;
use proto::UserId;

use super::{Accepted, Caller, Subscribers, received::DoctorInvitation, table};
use crate::{
    account,
    app::{App, Written},
    http::{
        answer::{Answer, Empty, Envelope},
        docs::IdempotencyKey,
        error::{Error, ErrorCode},
        input::{Nothing, PathId, Write},
    },
};

/// Accepts an invitation into a team or clinic
///
/// By the verified doctor whose phone or id was invited, who joins the team or clinic. A doctor creates or joins at most 5 teams.
#[utoipa::path(
    operation_id = "acceptInvitation",
    post, path = "/invitation/{id}/accept", tag = "invitation",
    params(("id" = i64, Path, minimum = 1), IdempotencyKey),
    responses(
        (status = 200, body = Envelope<DoctorInvitation>),
        (status = 403, description = "`invitation.doctors_only`, `doctor.not_verified`, `team.blocked`, `clinic.blocked`"),
        (status = 404, description = "`invitation.not_found`"),
        (status = 409, description = "`team.already_in`, `team.limit_reached`, `team.closed`, `team.dissolved`, `clinic.already_in`, `clinic.closed`, `clinic.dissolved`")
    ),
    security(("access_token" = []), ("bearer" = []))
)]
pub(crate) async fn accept(
    State(app): State<App>,
    user: Caller,
    PathId(id): PathId,
    write: Write<Nothing>,
) -> Result<Answer, Error> {
    let (subscribers, rule) = (app.part::<Subscribers>().0, app.doctor_verification);
    app.write(write.once, move |tx| {
        Box::pin(async move {
            let now_ms = tx.now_ms().await?;
            account::check_verified(tx, rule, user.id).await?;
            let phone = own_phone(tx, user.id).await?;
            let missing = || Error::new(ErrorCode::DoctorInvitationNotFound);
            let found = table::received_one(tx, &phone, id.get(), now_ms)
                .await?
                .ok_or_else(missing)?;
            let inviter = UserId::from_database(found.inviter_id);
            let accepted = Accepted {
                place: found.place,
                place_id: found.place_id,
                doctor: user.id,
                inviter,
                now_ms,
            };
            for subscriber in subscribers {
                subscriber(tx, &accepted).await?;
            }
            // Both are checked again under the locks of joining.
            if !table::may_invite(tx, found.place, found.place_id, inviter).await?
                || !table::consume_in_person(tx, &phone, id.get(), now_ms).await?
            {
                return Err(missing());
            }
            table::forget_others(tx, found.place, found.place_id, &phone).await?;
            Ok(Written::new(Answer::one(&found)?))
        })
    })
    .await
}

/// Declines an invitation into a team or clinic
///
/// By the doctor whose phone or id was invited. The inviter gets no notice.
#[utoipa::path(
    operation_id = "declineInvitation",
    post, path = "/invitation/{id}/decline", tag = "invitation",
    params(("id" = i64, Path, minimum = 1), IdempotencyKey),
    responses(
        (status = 200, body = Envelope<Empty>),
        (status = 403, description = "`invitation.doctors_only`"),
        (status = 404, description = "`invitation.not_found`")
    ),
    security(("access_token" = []), ("bearer" = []))
)]
pub(crate) async fn decline(
    State(app): State<App>,
    user: Caller,
    PathId(id): PathId,
    write: Write<Nothing>,
) -> Result<Answer, Error> {
    app.write(write.once, move |tx| {
        Box::pin(async move {
            let phone = own_phone(tx, user.id).await?;
            let now_ms = tx.now_ms().await?;
            if !table::decline(tx, &phone, id.get(), now_ms).await? {
                return Err(ErrorCode::DoctorInvitationNotFound.into());
            }
            Ok(Written::new(Answer::empty()?))
        })
    })
    .await
}

/// The phone of a doctor; without one no invitation can be theirs.
async fn own_phone(tx: &mut Transaction<'_>, user: UserId) -> Result<String, Error> {
    let phone = account::phone_in(tx, user).await?;
    Ok(phone.ok_or(ErrorCode::DoctorInvitationNotFound)?)
}
