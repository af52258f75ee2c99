//! Removing a doctor from a team, whose running consults are counted in the answer.

use axum::extract::State;
use proto::UserId;
use serde::Serialize;
use utoipa::ToSchema;

use super::table;
use crate::{
    app::{App, Written},
    caller::User,
    http::{
        answer::{Answer, Envelope},
        docs::IdempotencyKey,
        error::Error,
        input::{Nothing, PathIds, Write},
    },
    team,
};

/// A doctor who was removed.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = DoctorGone)]
pub(crate) struct RemovedDoctor {
    team_id: i64,
    doctor_id: i64,
    /// Consults of the team that the doctor is still in, until the assistant removes them or the consult ends.
    running_consults: i64,
}

/// Removes a doctor from a team
///
/// By its owner or its assistant. The doctor stays in running consults until the assistant removes them from each
/// (`running_consults` counts them), and can no longer be added to others. The owner stays.
#[utoipa::path(
    operation_id = "removeTeamDoctor",
    delete, path = "/team/{id}/doctor/{doctor_id}", tag = "team",
    params(("id" = i64, Path, minimum = 1), ("doctor_id" = i64, Path, minimum = 1), IdempotencyKey),
    responses(
        (status = 200, body = Envelope<RemovedDoctor>),
        (status = 403, description = "`team.forbidden`"),
        (status = 404, description = "`team.not_found`, `team.doctor_not_found`"),
        (status = 409, description = "`team.owner_stays`, `team.dissolved`")
    ),
    security(("access_token" = []), ("bearer" = []))
)]
pub(crate) async fn remove(
    State(app): State<App>,
    user: User,
    PathIds(id, doctor_id): PathIds,
    write: Write<Nothing>,
) -> Result<Answer, Error> {
    app.write(write.once, move |tx| {
        Box::pin(async move {
            let (team, doctor) = (id.get(), UserId::from_database(doctor_id.get()));
            let logged_out = team::remove_doctor(tx, team, &user, doctor).await?;
            let mut written = Written::new(Answer::one(&RemovedDoctor {
                team_id: team,
                doctor_id: doctor.get(),
                running_consults: table::running_of(tx, team, doctor).await?,
            })?);
            written.logged_out = logged_out;
            Ok(written)
        })
    })
    .await
}
