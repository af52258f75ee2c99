//! Operators close clinics and teams, and open them again.

use axum::extract::State;
use database::Transaction;
use proto::UserId;
use serde::Serialize;
use utoipa::ToSchema;

use super::{Clinic, table};
use crate::{
    account::{self, NewNotice, NoticeKind},
    app::{App, Written},
    caller::{Lead as _, Operator},
    clock::now_ms,
    consult,
    http::{
        answer::{Answer, Envelope},
        docs::IdempotencyKey,
        error::Error,
        input::{PathId, Write},
    },
    operator::{
        account::Because,
        audit::{Act, Row, write},
    },
    team::{self, Team},
};

/// The teams that an operator has closed or opened.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct Closing {
    /// Closed, or opened again, by this.
    team_ids: Vec<i64>,
}

/// Closes a team
///
/// From now on it takes no members, doctors and consults, and is not found by name. Its running consults are cancelled, with
/// an entry of the cause closed in each; prices go back to the patients. Its owner gets a notice with the reason (GET
/// /account/notice_list). A repetition gets the same answer.
#[utoipa::path(
    operation_id = "closeTeam",
    post, path = "/operator/team/{id}/close", tag = "operator", request_body = Because,
    params(("id" = i64, Path, minimum = 1), IdempotencyKey),
    responses(
        (status = 200, body = Envelope<Closing>),
        (status = 403, description = "`operator.only`"),
        (status = 404, description = "`team.not_found`"),
        (status = 409, description = "`team.dissolved`")
    ),
    security(("access_token" = []), ("bearer" = []))
)]
pub(crate) async fn close_team(
    State(app): State<App>,
    operator: Operator,
    PathId(id): PathId,
    Write { body, once }: Write<Because>,
) -> Result<Answer, Error> {
    let answer = app.write(once, move |tx| {
        Box::pin(async move {
            let now_ms = now_ms();
            let (team, _) = Team::lock(tx, id.get(), &operator).await?;
            let (mut team_ids, reason) = (Vec::new(), body.into_reason());
            if team::close(tx, id.get(), now_ms).await? {
                team_ids.push(id.get());
                let row = Row::by(operator.id, Act::TeamClosed).team(id.get());
                write(tx, row.because(reason.clone()), now_ms).await?;
                notify_owners(tx, NoticeKind::TeamClosed, &[(id.get(), team)], &reason).await?;
            }
            Ok(Written::new(Answer::one(&Closing { team_ids })?))
        })
    });
    let answer = answer.await?;
    end_consults(&app, vec![id.get()]).await?;
    Ok(answer)
}

/// Opens a team again
///
/// Consults that were cancelled stay so. Its owner gets a notice. A repetition gets the same answer.
#[utoipa::path(
    operation_id = "reopenTeam",
    post, path = "/operator/team/{id}/reopen", tag = "operator", request_body = Because,
    params(("id" = i64, Path, minimum = 1), IdempotencyKey),
    responses(
        (status = 200, body = Envelope<Closing>),
        (status = 403, description = "`operator.only`"),
        (status = 404, description = "`team.not_found`"),
        (status = 409, description = "`team.dissolved`")
    ),
    security(("access_token" = []), ("bearer" = []))
)]
pub(crate) async fn reopen_team(
    State(app): State<App>,
    operator: Operator,
    PathId(id): PathId,
    Write { body, once }: Write<Because>,
) -> Result<Answer, Error> {
    app.write(once, move |tx| {
        Box::pin(async move {
            let (mut team_ids, now_ms) = (Vec::new(), now_ms());
            if let Some(team) = team::reopen(tx, id.get()).await? {
                team_ids.push(id.get());
                let row = Row::by(operator.id, Act::TeamReopened).team(id.get());
                write(tx, row.because(body.into_reason()), now_ms).await?;
                notify_owners(tx, NoticeKind::TeamReopened, &[(id.get(), team)], "").await?;
            }
            Ok(Written::new(Answer::one(&Closing { team_ids })?))
        })
    })
    .await
}

/// Closes a clinic with its teams
///
/// From now on it takes no doctors and teams, and is not found by name. Each team of it that is open is closed as by POST
/// /operator/team/{id}/close. Its founder gets a notice with the reason. A repetition gets the same answer.
#[utoipa::path(
    operation_id = "closeClinic",
    post, path = "/operator/clinic/{id}/close", tag = "operator", request_body = Because,
    params(("id" = i64, Path, minimum = 1), IdempotencyKey),
    responses(
        (status = 200, body = Envelope<Closing>),
        (status = 403, description = "`operator.only`"),
        (status = 404, description = "`clinic.not_found`"),
        (status = 409, description = "`clinic.dissolved`")
    ),
    security(("access_token" = []), ("bearer" = []))
)]
pub(crate) async fn close_clinic(
    State(app): State<App>,
    operator: Operator,
    PathId(id): PathId,
    Write { body, once }: Write<Because>,
) -> Result<Answer, Error> {
    let answer = app.write(once, move |tx| {
        Box::pin(async move {
            let now_ms = now_ms();
            let clinic = table::lock(tx, id.get()).await?;
            let (mut closed, reason) = (Vec::new(), body.into_reason());
            if table::close(tx, id.get(), now_ms).await? {
                closed = close_teams(tx, id.get(), &operator, now_ms).await?;
                let row = Row::by(operator.id, Act::ClinicClosed).clinic(id.get());
                write(tx, row.because(reason.clone()), now_ms).await?;
                notify_founder(tx, NoticeKind::ClinicClosed, &clinic, &reason).await?;
                notify_owners(tx, NoticeKind::TeamClosed, &closed, &reason).await?;
            }
            let team_ids = closed.into_iter().map(|(id, _)| id).collect();
            Ok(Written::new(Answer::one(&Closing { team_ids })?))
        })
    });
    let answer = answer.await?;
    let teams = closed_teams(&app, id.get()).await?;
    end_consults(&app, teams).await?;
    Ok(answer)
}

/// Opens a clinic again
///
/// With the teams that were closed with it. Its founder and their owners get a notice. A repetition gets the same answer.
#[utoipa::path(
    operation_id = "reopenClinic",
    post, path = "/operator/clinic/{id}/reopen", tag = "operator", request_body = Because,
    params(("id" = i64, Path, minimum = 1), IdempotencyKey),
    responses(
        (status = 200, body = Envelope<Closing>),
        (status = 403, description = "`operator.only`"),
        (status = 404, description = "`clinic.not_found`"),
        (status = 409, description = "`clinic.dissolved`")
    ),
    security(("access_token" = []), ("bearer" = []))
)]
pub(crate) async fn reopen_clinic(
    State(app): State<App>,
    operator: Operator,
    PathId(id): PathId,
    Write { body, once }: Write<Because>,
) -> Result<Answer, Error> {
    app.write(once, move |tx| {
        Box::pin(async move {
            let clinic = table::lock(tx, id.get()).await?;
            let (mut team_ids, now_ms) = (Vec::new(), now_ms());
            if let Some(closed_ms) = clinic.closed_ms {
                team_ids = table::teams_closed_with(tx, id.get(), closed_ms).await?;
                table::reopen(tx, id.get()).await?;
                let mut opened = Vec::with_capacity(team_ids.len());
                for id in &team_ids {
                    opened.extend(team::reopen(tx, *id).await?.map(|team| (*id, team)));
                }
                let row = Row::by(operator.id, Act::ClinicReopened).clinic(id.get());
                write(tx, row.because(body.into_reason()), now_ms).await?;
                notify_founder(tx, NoticeKind::ClinicReopened, &clinic, "").await?;
                notify_owners(tx, NoticeKind::TeamReopened, &opened, "").await?;
            }
            Ok(Written::new(Answer::one(&Closing { team_ids })?))
        })
    })
    .await
}

/// Closes the teams of a locked clinic that are open. Their common time tells a later reopening which they were.
async fn close_teams(
    tx: &mut Transaction<'_>,
    clinic: i64,
    operator: &Operator,
    now_ms: i64,
) -> Result<Vec<(i64, Team)>, Error> {
    let mut closed = Vec::new();
    for id in table::teams_of(tx, clinic).await? {
        let (team, _) = Team::lock(tx, id, operator).await?;
        if team::close(tx, id, now_ms).await? {
            closed.push((id, team));
        }
    }
    Ok(closed)
}

async fn notify_owners(
    tx: &mut Transaction<'_>,
    kind: NoticeKind,
    teams: &[(i64, Team)],
    reason: &str,
) -> Result<(), Error> {
    for (id, team) in teams {
        let place = Some((*id, team.name()));
        account::notify(tx, team.owner(), NewNotice { kind, reason, place }).await?;
    }
    Ok(())
}

async fn notify_founder(
    tx: &mut Transaction<'_>,
    kind: NoticeKind,
    clinic: &Clinic,
    reason: &str,
) -> Result<(), Error> {
    let place = Some((clinic.clinic_id, clinic.name.as_str()));
    let founder = UserId::from_database(clinic.founder_id);
    account::notify(tx, founder, NewNotice { kind, reason, place }).await
}

/// Also when the request is a repetition: an earlier one may have been killed on the way.
async fn closed_teams(app: &App, clinic: i64) -> Result<Vec<i64>, Error> {
    app.database
        .transaction(move |tx| Box::pin(async move { table::teams_of(tx, clinic).await }))
        .await
}

async fn end_consults(app: &App, teams: Vec<i64>) -> Result<(), Error> {
    let handle = app.clone();
    app.to_the_end(async move {
        for team in teams {
            consult::end_all(&handle, team).await?;
        }
        Ok(())
    })
    .await
}
