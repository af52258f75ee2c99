//! Doctors coming into a team.

use axum::extract::State;
use proto::UserId;
use serde::Deserialize;
use utoipa::ToSchema;

use super::{Team, table};
use crate::{
    account::{self, Role, User},
    answer::{Answer, Envelope},
    app::{App, Written},
    clock::now_ms,
    docs::IdempotencyKey,
    error::{Error, Word},
    input::{Id, PathId, Write},
};

/// A doctor to add.
#[derive(Deserialize, ToSchema)]
#[schema(example = json!({"doctor_id": 9}))]
pub(crate) struct AddDoctor {
    doctor_id: Id,
}

/// Adds a doctor to a team
///
/// By the team's owner or its assistant. A doctor creates or joins at most 5 teams, counted together.
#[utoipa::path(
    post, path = "/team/{id}/doctor", tag = "team", request_body = AddDoctor,
    params(("id" = i64, Path, minimum = 1), IdempotencyKey),
    responses(
        (status = 200, body = Envelope<Team>),
        (status = 403, description = "`team.forbidden`"),
        (status = 404, description = "`team.not_found`, `team.doctor_not_found`"),
        (status = 409, description = "`team.already_in`, `team.limit_reached`")
    ),
    security(("access_token" = []), ("bearer" = []))
)]
pub(crate) async fn add(
    State(app): State<App>,
    user: User,
    PathId(id): PathId,
    Write { body, once }: Write<AddDoctor>,
) -> Result<Answer, Error> {
    app.write(once, move |tx| {
        Box::pin(async move {
            let team = table::team_in(tx, id.get()).await?.ok_or(Word::TeamNotFound)?;
            if ![team.owner_id, team.assistant_id].contains(&user.id.get()) {
                return Err(Word::TeamForbidden.into());
            }
            let doctor = UserId::from_database(body.doctor_id.get());
            let person = account::person(tx, doctor).await?;
            if person.is_none_or(|person| person.role != Role::Doctor) {
                return Err(Error::new(Word::TeamDoctorNotFound).field("doctor_id"));
            }
            table::add_doctor(tx, id.get(), doctor, now_ms()).await?;
            let team = table::team_in(tx, id.get()).await?.ok_or(Word::TeamNotFound)?;
            Ok(Written::new(Answer::one(&team)?))
        })
    })
    .await
}
