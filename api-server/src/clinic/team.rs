//! The teams that belong to a clinic.

use axum::extract::State;
use database::Transaction;

use super::{Clinic, table};
use crate::{
    app::{App, Written},
    caller::{Lead as _, Led, User},
    http::{
        answer::{Answer, Empty, Envelope, ListEnvelope},
        docs::{IdempotencyKey, PageParams},
        error::{Error, ErrorCode},
        input::{Nothing, PageQuery, PathId, PathIds, Write},
    },
    team::{self, FoundTeam, Leaving, Team},
};

/// Teams of one clinic.
const MAX_TEAMS: usize = ErrorCode::ClinicTeamLimit.limit().unsigned_abs() as usize;

/// The teams of a clinic
///
/// For every logged-in user: patients find a team by its clinic. Closed teams are left out.
#[utoipa::path(
    operation_id = "listClinicTeams",
    get, path = "/clinic/{id}/team_list", tag = "clinic", params(("id" = i64, Path, minimum = 1), PageParams),
    responses(
        (status = 200, body = ListEnvelope<FoundTeam>),
        (status = 404, description = "`clinic.not_found`")
    ),
    security(("access_token" = []), ("bearer" = []))
)]
pub(crate) async fn list(
    State(app): State<App>,
    _: User,
    PathId(id): PathId,
    page: PageQuery,
) -> Result<Answer, Error> {
    if table::clinic(&app.database, id.get()).await?.is_none() {
        return Err(ErrorCode::ClinicNotFound.into());
    }
    Answer::page(team::of_clinic(id.get()).page(&app.database, &page).await?)
}

/// Adds a team to a clinic
///
/// By the clinic's founder or a supervisor, where the team's owner is a doctor of the clinic. A team belongs to one clinic, and
/// leaves it when its owner leaves the clinic. A repetition gets the same answer.
#[utoipa::path(
    operation_id = "setClinicTeam",
    put, path = "/clinic/{id}/team/{team_id}", tag = "clinic",
    params(("id" = i64, Path, minimum = 1), ("team_id" = i64, Path, minimum = 1), IdempotencyKey),
    responses(
        (status = 200, body = Envelope<Empty>),
        (status = 403, description = "`clinic.forbidden`"),
        (status = 404, description = "`clinic.not_found`, `team.not_found`"),
        (
            status = 409,
            description = "`clinic.team_taken`, `clinic.team_owner_not_in`, `clinic.team_limit_reached`, `clinic.closed`, `clinic.dissolved`, `team.closed`, `team.dissolved`"
        )
    ),
    security(("access_token" = []), ("bearer" = []))
)]
pub(crate) async fn add(
    State(app): State<App>,
    user: User,
    PathIds(id, team_id): PathIds,
    write: Write<Nothing>,
) -> Result<Answer, Error> {
    app.write(write.once, move |tx| {
        Box::pin(async move {
            let clinic = Led::<Clinic>::lock(tx, id.get(), &user).await?;
            clinic.check_works()?;
            let present = table::teams_of(tx, id.get()).await?;
            if present.contains(&team_id.get()) {
                return Ok(Written::new(Answer::empty()?));
            }
            let owner = lock_owner(tx, team_id.get(), &user).await?;
            if table::doctor_in(tx, id.get(), owner).await?.is_none() {
                return Err(ErrorCode::ClinicTeamOwner.into());
            }
            if present.len() >= MAX_TEAMS {
                return Err(ErrorCode::ClinicTeamLimit.into());
            }
            if !team::put_clinic(tx, id.get(), team_id.get()).await? {
                return Err(ErrorCode::ClinicTeamTaken.into());
            }
            Ok(Written::new(Answer::empty()?))
        })
    })
    .await
}

/// Takes a team out of a clinic
///
/// By the clinic's founder or a supervisor, or by the team's owner.
#[utoipa::path(
    operation_id = "removeClinicTeam",
    delete, path = "/clinic/{id}/team/{team_id}", tag = "clinic",
    params(("id" = i64, Path, minimum = 1), ("team_id" = i64, Path, minimum = 1), IdempotencyKey),
    responses(
        (status = 200, body = Envelope<Empty>),
        (status = 403, description = "`clinic.forbidden`"),
        (status = 404, description = "`clinic.not_found`, `clinic.team_not_found`"),
        (status = 409, description = "`clinic.dissolved`")
    ),
    security(("access_token" = []), ("bearer" = []))
)]
pub(crate) async fn remove(
    State(app): State<App>,
    user: User,
    PathIds(id, team_id): PathIds,
    write: Write<Nothing>,
) -> Result<Answer, Error> {
    app.write(write.once, move |tx| {
        Box::pin(async move {
            let (_, leads) = Clinic::lock(tx, id.get(), &user).await?;
            if !leads && !team::is_owner(tx, team_id.get(), user.id).await? {
                return Err(ErrorCode::ClinicForbidden.into());
            }
            if !team::detach(tx, id.get(), Leaving::Team(team_id.get())).await? {
                return Err(ErrorCode::ClinicTeamNotFound.into());
            }
            Ok(Written::new(Answer::empty()?))
        })
    })
    .await
}

/// Locks a team that works, and returns its owner.
async fn lock_owner(tx: &mut Transaction<'_>, team: i64, user: &User) -> Result<proto::UserId, Error> {
    let (team, _) = Team::lock(tx, team, user).await?;
    team.check_works()?;
    Ok(team.owner())
}
