//! Inviting a doctor into a team by id.

use axum::extract::State;
use proto::UserId;
use serde::Deserialize;
use utoipa::ToSchema;

use super::{Team, table};
use crate::{
    app::{App, Written},
    caller::User,
    http::{
        answer::{Answer, Envelope},
        docs::IdempotencyKey,
        error::{Error, ErrorCode},
        input::{Id, PathId, Write},
    },
    invitation::{self, Place},
};

/// A doctor to invite.
#[derive(Deserialize, ToSchema)]
#[schema(example = json!({"doctor_id": 9}))]
pub(crate) struct AddDoctor {
    doctor_id: Id,
}

/// Invites a doctor into a team by id
///
/// By the team's owner or its assistant. The doctor finds the invitation in GET /invitation_list and accepts or declines
/// within 30 days; `doctor_ids` of the answer has them once they have accepted. Again gives the same answer.
#[utoipa::path(
    operation_id = "inviteTeamDoctor",
    post, path = "/team/{id}/doctor", tag = "team", request_body = AddDoctor,
    params(("id" = i64, Path, minimum = 1), IdempotencyKey),
    responses(
        (status = 200, body = Envelope<Team>),
        (status = 403, description = "`team.forbidden`"),
        (status = 404, description = "`team.not_found`, `team.doctor_not_found`"),
        (status = 409, description = "`team.already_in`, `team.invitation_limit_reached`")
    ),
    security(("access_token" = []), ("bearer" = []))
)]
pub(crate) async fn add(
    State(app): State<App>,
    user: User,
    PathId(id): PathId,
    Write { body, once }: Write<AddDoctor>,
) -> Result<Answer, Error> {
    let invitation_id = app.database.allocate_id(invitation::SEQUENCE).await?;
    app.write(once, move |tx| {
        Box::pin(async move {
            let team = table::take(tx, id.get()).await?;
            if !team.is_led_by(user.id) {
                return Err(ErrorCode::TeamForbidden.into());
            }
            let doctor = UserId::from_database(body.doctor_id.get());
            if team.doctor_ids.contains(&doctor.get()) {
                return Err(Error::new(ErrorCode::TeamAlreadyIn).field("doctor_id"));
            }
            let (team_id, inviter) = (team.team_id, user.id);
            let invited = invitation::invite_by_id(tx, Place::Team, team_id, inviter, doctor, invitation_id);
            if !invited.await? {
                return Err(Error::new(ErrorCode::TeamDoctorNotFound).field("doctor_id"));
            }
            Ok(Written::new(Answer::one(&team)?))
        })
    })
    .await
}
