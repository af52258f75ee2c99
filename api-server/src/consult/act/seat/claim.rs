//! A doctor of the team takes a consult that has no doctor.

use axum::extract::State;
use database::Transaction;

use super::super::{Asked, act};
use crate::{
    account,
    app::App,
    caller::User,
    consult::{
        life::{Candidate, Seat},
        record::{ConsultEnvelope, Record},
        table,
    },
    http::{
        answer::Answer,
        docs::IdempotencyKey,
        error::{Error, ErrorCode},
        input::{Id, Nothing, PathId, Write},
    },
    settings::DoctorVerification,
    team,
};

/// Claims a consult that has no doctor
///
/// By a verified doctor of the team, where the team allows it (`claims` of `PUT /team/{id}`). The doctor joins the consult and the
/// staff room, as if the assistant had added them. Of doctors who claim at once, the first one gets it.
#[utoipa::path(
    operation_id = "claimConsult",
    post, path = "/consult/{id}/claim", tag = "consult",
    params(("id" = i64, Path, minimum = 1), IdempotencyKey),
    responses(
        (status = 200, body = ConsultEnvelope),
        (status = 403, description = "`consult.forbidden`, `consult.no_claims`, `doctor.not_verified`"),
        (status = 404, description = "`consult.not_found`"),
        (status = 409, description = "`consult.claimed`, `consult.ended`, `consult.already_in`")
    ),
    security(("access_token" = []), ("bearer" = []))
)]
pub(crate) async fn claim(
    State(app): State<App>,
    user: User,
    PathId(id): PathId,
    write: Write<Nothing>,
) -> Result<Answer, Error> {
    let doctor = user.id;
    act(&app, user, id, write.once, Asked::Claim(doctor), None).await
}

/// Locks the consult for one who may claim it. To a user outside the team and the consult it does not exist.
pub(in crate::consult::act) async fn lock(
    tx: &mut Transaction<'_>,
    rule: DoctorVerification,
    consult: Id,
    user: &User,
    candidate: &Candidate,
) -> Result<(Record, Seat), Error> {
    let (record, seat) = table::lock_for_colleague(tx, consult.get(), user.id).await?;
    if seat == Seat::Colleague && candidate.joining.is_none() {
        if team::lock_doctor(tx, record.team_id, user.id).await? {
            account::check_verified(tx, rule, user.id).await?;
        }
        return Err(ErrorCode::ConsultNotFound.into());
    }
    Ok((record, seat))
}
