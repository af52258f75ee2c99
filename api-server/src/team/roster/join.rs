//! Joining a team: a doctor by invitation, a member by accepting the agreement.

use axum::extract::State;
use database::{Transaction, TransactionFuture};
use proto::UserId;
use serde::Deserialize;
use utoipa::ToSchema;

use crate::{
    app::{App, Written},
    caller::{Role, User},
    clock::now_ms,
    http::{
        answer::{Answer, Envelope},
        docs::IdempotencyKey,
        error::{Error, ErrorCode},
        input::{Ascii, Id, Write},
    },
    invitation::{self, Accepted, Invited, Place},
    team::{Team, table},
};

/// A doctor joins by `invitation`, a member by `team_id` and `agreement_version`.
#[derive(Deserialize, ToSchema)]
#[schema(example = json!({"team_id": 4, "agreement_version": 1}))]
pub(crate) struct JoinTeam {
    /// For doctors: the link of an invitation, unchanged.
    invitation: Option<Ascii<1, 2048>>,
    /// For members.
    team_id: Option<Id>,
    /// For members: the version of the agreement that the member accepts; it must be the current one.
    agreement_version: Option<Id>,
}

/// Joins a team
///
/// A doctor by the link of an invitation, and into at most 5 teams, created and joined counted together. A member by accepting
/// the current version of the agreement; a member who is in the team accepts a newer version the same way.
#[utoipa::path(
    operation_id = "joinTeam",
    post, path = "/team/join", tag = "team", request_body = JoinTeam, params(IdempotencyKey),
    responses(
        (status = 200, body = Envelope<Team>),
        (status = 403, description = "`team.invitation_refused`, `team.cannot_join`"),
        (status = 404, description = "`team.not_found`"),
        (status = 409, description = "`team.already_in`, `team.limit_reached`, `team.invitation_expired`, `team.invitation_used_up`, `team.agreement_changed`")
    ),
    security(("access_token" = []), ("bearer" = []))
)]
pub(crate) async fn join(
    State(app): State<App>,
    user: User,
    Write { body, once }: Write<JoinTeam>,
) -> Result<Answer, Error> {
    let way = Way::of(&app, user.role, body)?;
    app.write(once, move |tx| {
        Box::pin(async move {
            let now_ms = now_ms();
            let team = match way {
                Way::Doctor(invited) => {
                    by_invitation(tx, user.id, &invited, now_ms).await?;
                    invited.place_id
                }
                Way::Member { team, version } => {
                    by_agreement(tx, user.id, team, version, now_ms).await?;
                    team
                }
            };
            let team = table::team_in(tx, team).await?.ok_or(ErrorCode::TeamNotFound)?;
            Ok(Written::new(Answer::one(&team)?))
        })
    })
    .await
}

enum Way {
    Doctor(Invited),
    Member { team: i64, version: i64 },
}

impl Way {
    fn of(app: &App, role: Role, body: JoinTeam) -> Result<Self, Error> {
        match role {
            Role::Doctor => {
                let link = body.invitation.ok_or_else(|| missing("invitation"))?;
                Ok(Self::Doctor(app.links.read(Place::Team, &link)?))
            }
            Role::Member => Ok(Self::Member {
                team: body.team_id.ok_or_else(|| missing("team_id"))?.get(),
                version: body
                    .agreement_version
                    .ok_or_else(|| missing("agreement_version"))?
                    .get(),
            }),
            _ => Err(ErrorCode::TeamCannotJoin.into()),
        }
    }
}

fn missing(field: &'static str) -> Error {
    Error::invalid(
        field,
        "缺少该字段：医生须提供 invitation，会员须提供 team_id 和 agreement_version",
        "missing; doctors send invitation, members team_id and agreement_version",
    )
}

/// Counts the doctor's teams, then the use of the link: a later refusal rolls back both.
async fn by_invitation(
    tx: &mut Transaction<'_>,
    doctor: UserId,
    invited: &Invited,
    now_ms: i64,
) -> Result<(), Error> {
    invited.check_open(now_ms)?;
    table::count_doctor(tx, invited.place_id, doctor, "invitation").await?;
    invitation::consume_link(tx, invited, now_ms).await?;
    let inviter = Some(invited.inviter_id);
    table::put_doctor(tx, invited.place_id, doctor, inviter, "invitation", now_ms).await
}

/// A doctor who accepts an invitation in person joins the team.
pub(crate) fn on_invitation<'t>(
    tx: &'t mut Transaction<'_>,
    accepted: &'t Accepted,
) -> TransactionFuture<'t, (), Error> {
    Box::pin(async move {
        if accepted.place != Place::Team {
            return Ok(());
        }
        let (team, doctor, inviter) = (accepted.place_id, accepted.doctor, accepted.inviter.get());
        table::count_doctor(tx, team, doctor, "id").await?;
        table::put_doctor(tx, team, doctor, Some(inviter), "id", accepted.now_ms).await
    })
}

async fn by_agreement(
    tx: &mut Transaction<'_>,
    member: UserId,
    team: i64,
    version: i64,
    now_ms: i64,
) -> Result<(), Error> {
    let current = table::lock(tx, team)
        .await
        .map_err(|error| error.field("team_id"))?;
    if current.agreement_version != version {
        return Err(Error::new(ErrorCode::AgreementChanged).field("agreement_version"));
    }
    if !table::put_member(tx, team, member, version, now_ms).await? {
        return Err(Error::new(ErrorCode::TeamAlreadyIn).field("team_id"));
    }
    table::put_acceptance(tx, team, member, version, now_ms).await
}
