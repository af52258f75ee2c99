//! Joining a team: a doctor by invitation, a member by accepting the agreement.

use axum::extract::State;
use database::{Transaction, TransactionFuture};
use proto::UserId;
use serde::Deserialize;
use utoipa::ToSchema;

use super::fee;
use crate::{
    account,
    app::{App, Written},
    caller::{Role, User},
    clock::now_ms,
    http::{
        answer::{Answer, Envelope},
        docs::IdempotencyKey,
        error::{Error, ErrorCode},
        input::{Ascii, Fen, Id, Write},
    },
    invitation::{self, Accepted, Invited, Links, Place},
    team::{
        Team,
        table::{self, Came},
    },
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
    /// For members: the fee that the app has shown, fen. Another present one is refused; by default any fee is accepted.
    #[schema(required = false)]
    membership_fee_fen: Option<Fen>,
}

/// Joins a team
///
/// A verified doctor by the link of an invitation, and into at most 5 teams, created and joined counted together. A member by accepting
/// the current version of the agreement; a member who is in the team accepts a newer version the same way. Where the platform
/// charges, a new member pays the team's fee from the wallet in advance: consults spend it first.
#[utoipa::path(
    operation_id = "joinTeam",
    post, path = "/team/join", tag = "team", request_body = JoinTeam, params(IdempotencyKey),
    responses(
        (status = 200, body = Envelope<Team>),
        (status = 402, description = "`wallet.insufficient`"),
        (status = 403, description = "`team.invitation_refused`, `team.cannot_join`, `team.blocked`, `doctor.not_verified`"),
        (status = 404, description = "`team.not_found`"),
        (status = 409, description = "`team.already_in`, `team.limit_reached`, `team.invitation_expired`, `team.invitation_used_up`, `team.agreement_changed`, `team.price_changed`, `team.closed`, `team.dissolved`")
    ),
    security(("access_token" = []), ("bearer" = []))
)]
pub(crate) async fn join(
    State(app): State<App>,
    user: User,
    Write { body, once }: Write<JoinTeam>,
) -> Result<Answer, Error> {
    let way = Way::of(&app, user.role, body)?;
    let (charges, rule) = (app.charges, app.doctor_verification);
    let transfer = app.database.allocate_id(ledger::SEQUENCE).await?;
    app.write(once, move |tx| {
        Box::pin(async move {
            let now_ms = now_ms();
            let team = match way {
                Way::Doctor(invited) => {
                    account::check_verified(tx, rule, user.id).await?;
                    by_invitation(tx, user.id, &invited, now_ms).await?;
                    invited.place_id
                }
                Way::Member(accepted) => {
                    let joined = by_agreement(tx, user.id, &accepted, now_ms).await?;
                    if let Joined::Newly(fee_fen) = joined {
                        let fee_fen = if charges { fee_fen } else { 0 };
                        fee::join(tx, accepted.team, user.id, fee_fen, transfer, now_ms).await?;
                    }
                    accepted.team
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
    Member(Agreed),
}

/// The agreement that a member accepts.
struct Agreed {
    team: i64,
    version: i64,
    /// The fee that the app has shown.
    fee_fen: Option<i64>,
}

/// How a member has joined.
enum Joined {
    /// With the team's fee, fen.
    Newly(i64),
    /// They are in the team, and accepted a newer agreement.
    Before,
}

impl Way {
    fn of(app: &App, role: Role, body: JoinTeam) -> Result<Self, Error> {
        match role {
            Role::Doctor => {
                let link = body.invitation.ok_or_else(|| missing("invitation"))?;
                Ok(Self::Doctor(app.part::<Links>().read(Place::Team, &link)?))
            }
            Role::Member => Ok(Self::Member(Agreed {
                team: body.team_id.ok_or_else(|| missing("team_id"))?.get(),
                version: body
                    .agreement_version
                    .ok_or_else(|| missing("agreement_version"))?
                    .get(),
                fee_fen: body.membership_fee_fen.map(Fen::get),
            })),
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
    invited.check_open(tx.now_ms().await?)?;
    let team = invited.place_id;
    check_doctor(tx, team, doctor).await?;
    table::count_doctor(tx, team, doctor, "invitation").await?;
    invitation::consume_link(tx, invited).await?;
    let came = Came {
        inviter: Some(invited.inviter_id),
        link: Some(invited.invitation_id),
        field: "invitation",
    };
    table::put_doctor(tx, team, doctor, came, now_ms).await
}

/// Locks the team, and refuses a doctor whom it has blocked, or any where it was closed.
async fn check_doctor(tx: &mut Transaction<'_>, team: i64, doctor: UserId) -> Result<(), Error> {
    let team = table::lock(tx, team).await?;
    team.check_works()?;
    invitation::check_welcome(tx, Place::Team, team.team_id, doctor).await
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
        let (team, doctor) = (accepted.place_id, accepted.doctor);
        check_doctor(tx, team, doctor).await?;
        table::count_doctor(tx, team, doctor, "id").await?;
        let came = Came {
            inviter: Some(accepted.inviter.get()),
            link: None,
            field: "id",
        };
        table::put_doctor(tx, team, doctor, came, accepted.now_ms).await
    })
}

async fn by_agreement(
    tx: &mut Transaction<'_>,
    member: UserId,
    accepted: &Agreed,
    now_ms: i64,
) -> Result<Joined, Error> {
    let &Agreed {
        team,
        version,
        fee_fen,
    } = accepted;
    let current = table::lock(tx, team)
        .await
        .map_err(|error| error.field("team_id"))?;
    current.check_works()?;
    invitation::check_welcome(tx, Place::Team, team, member).await?;
    if current.agreement_version != version {
        return Err(Error::new(ErrorCode::AgreementChanged).field("agreement_version"));
    }
    let joined = if table::is_member(tx, team, member).await? {
        Joined::Before
    } else {
        Joined::Newly(current.membership_fee_fen)
    };
    if !table::put_member(tx, team, member, version, now_ms).await? {
        return Err(Error::new(ErrorCode::TeamAlreadyIn).field("team_id"));
    }
    let is_another = fee_fen.is_some_and(|shown| shown != current.membership_fee_fen);
    if is_another && matches!(joined, Joined::Newly(_)) {
        return Err(Error::new(ErrorCode::PriceChanged).field("membership_fee_fen"));
    }
    table::put_acceptance(tx, team, member, version, now_ms).await?;
    Ok(joined)
}
