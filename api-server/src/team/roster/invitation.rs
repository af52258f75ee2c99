//! Inviting doctors into a team: by a link and its QR code, by phone, by id.

use axum::extract::State;
use proto::UserId;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    app::{App, Written},
    caller::{Led, User},
    http::{
        answer::{Answer, Empty, Envelope, ListEnvelope},
        docs::{IdempotencyKey, PageParams},
        error::{Error, ErrorCode},
        input::{Id, Nothing, PageQuery, PathId, PathIds, Write},
    },
    invitation::{self, InviteByPhone, Inviting, MadeLink, NewLink, Place, SentDoctorInvitation, Target},
    team::Team,
};

/// An invitation into a team, with its link and QR code.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TeamInvitation {
    invitation_id: i64,
    team_id: i64,
    team_name: String,
    inviter_id: i64,
    inviter_name: String,
    /// For POST /team/join, unchanged. It holds team id, team name and inviter, and is signed as a whole.
    link: String,
    /// The same link for browsers and WeChat, which is accepted like it; absent while the service has no public address.
    #[serde(skip_serializing_if = "Option::is_none")]
    web_link: Option<String>,
    /// The QR code of `web_link`, or of `link` without one, as an SVG document.
    qr_svg: String,
    /// The same QR code as a PNG file in base64.
    qr_png: String,
    max_uses: i64,
    created_ms: i64,
    expires_ms: i64,
}

impl From<MadeLink> for TeamInvitation {
    fn from(made: MadeLink) -> Self {
        Self {
            invitation_id: made.invited.invitation_id,
            team_id: made.invited.place_id,
            team_name: made.invited.place_name,
            inviter_id: made.invited.inviter_id,
            inviter_name: made.invited.inviter_name,
            link: made.link,
            web_link: made.web_link,
            qr_svg: made.qr_svg,
            qr_png: made.qr_png,
            max_uses: made.max_uses,
            created_ms: made.created_ms,
            expires_ms: made.invited.expires_ms,
        }
    }
}

impl Inviting for Team {
    const PLACE: Place = Place::Team;
    type Link = TeamInvitation;

    fn into_target(self) -> Target {
        Target {
            id: self.team_id,
            name: self.name,
        }
    }
}

/// A doctor to invite.
#[derive(Deserialize, ToSchema)]
#[schema(example = json!({"doctor_id": 9}))]
pub(crate) struct AddDoctor {
    doctor_id: Id,
}

/// Invites a doctor into a team by id
///
/// By the team's owner or its assistant. The doctor finds the invitation in GET /invitation_list and accepts or declines it
/// within 30 days; `doctor_ids` of the answer has them once they have accepted. A repeated request gets the same answer.
#[utoipa::path(
    operation_id = "inviteTeamDoctor",
    post, path = "/team/{id}/doctor", tag = "team", request_body = AddDoctor,
    params(("id" = i64, Path, minimum = 1), IdempotencyKey),
    responses(
        (status = 200, body = Envelope<Team>),
        (status = 403, description = "`team.forbidden`"),
        (status = 404, description = "`team.not_found`, `team.doctor_not_found`"),
        (status = 409, description = "`team.already_in`, `team.invitation_limit_reached`, `team.dissolved`")
    ),
    security(("access_token" = []), ("bearer" = []))
)]
pub(crate) async fn by_id(
    State(app): State<App>,
    user: User,
    PathId(id): PathId,
    Write { body, once }: Write<AddDoctor>,
) -> Result<Answer, Error> {
    let invitation_id = app.database.allocate_id(invitation::SEQUENCE).await?;
    app.write(once, move |tx| {
        Box::pin(async move {
            let team = Led::<Team>::lock(tx, id.get(), &user).await?;
            let doctor = UserId::from_database(body.doctor_id.get());
            if team.has_doctor(doctor) {
                return Err(Error::new(ErrorCode::TeamAlreadyIn).field("doctor_id"));
            }
            let (team_id, inviter) = (team.team_id, user.id);
            let invited = invitation::invite_by_id(tx, Place::Team, team_id, inviter, doctor, invitation_id);
            if !invited.await? {
                return Err(Error::new(ErrorCode::TeamDoctorNotFound).field("doctor_id"));
            }
            Ok(Written::new(Answer::one(&*team)?))
        })
    })
    .await
}

/// Invites doctors into a team by a link
///
/// By its owner or its assistant. The link is good until it expires, is revoked, or as many doctors have joined as it says. A
/// team has at most 100 links that have not expired.
#[utoipa::path(
    operation_id = "createTeamInvitation",
    post, path = "/team/{id}/invitation", tag = "team", request_body = NewLink,
    params(("id" = i64, Path, minimum = 1), IdempotencyKey),
    responses(
        (status = 200, body = Envelope<TeamInvitation>),
        (status = 403, description = "`team.forbidden`"),
        (status = 404, description = "`team.not_found`"),
        (status = 409, description = "`team.invitation_limit_reached`, `team.dissolved`")
    ),
    security(("access_token" = []), ("bearer" = []))
)]
pub(crate) async fn by_link(
    State(app): State<App>,
    user: User,
    PathId(id): PathId,
    write: Write<NewLink>,
) -> Result<Answer, Error> {
    invitation::by_link::<Team>(&app, user, id, write).await
}

/// Invites a doctor into a team by phone
///
/// By its owner or its assistant. The doctor who has the phone, now or later, finds the invitation in GET /invitation_list and
/// accepts or declines it within 30 days. The answer does not tell whether the phone has an account. A repeated request gets
/// the same invitation.
#[utoipa::path(
    operation_id = "inviteTeamDoctorByPhone",
    post, path = "/team/{id}/phone_invitation", tag = "team", request_body = InviteByPhone,
    params(("id" = i64, Path, minimum = 1), IdempotencyKey),
    responses(
        (status = 200, body = Envelope<SentDoctorInvitation>),
        (status = 403, description = "`team.forbidden`"),
        (status = 404, description = "`team.not_found`"),
        (status = 409, description = "`team.invitation_limit_reached`, `team.dissolved`")
    ),
    security(("access_token" = []), ("bearer" = []))
)]
pub(crate) async fn by_phone(
    State(app): State<App>,
    user: User,
    PathId(id): PathId,
    write: Write<InviteByPhone>,
) -> Result<Answer, Error> {
    invitation::by_phone::<Team>(&app, user, id, write).await
}

/// Revokes an invitation into a team
///
/// By its owner or its assistant: one by link, by phone or by id. Doctors who joined by it stay.
#[utoipa::path(
    operation_id = "revokeTeamInvitation",
    delete, path = "/team/{id}/invitation/{invitation_id}", tag = "team",
    params(("id" = i64, Path, minimum = 1), ("invitation_id" = i64, Path, minimum = 1), IdempotencyKey),
    responses(
        (status = 200, body = Envelope<Empty>),
        (status = 403, description = "`team.forbidden`"),
        (status = 404, description = "`team.not_found`, `team.invitation_not_found`"),
        (status = 409, description = "`team.dissolved`")
    ),
    security(("access_token" = []), ("bearer" = []))
)]
pub(crate) async fn revoke(
    State(app): State<App>,
    user: User,
    PathIds(id, invitation_id): PathIds,
    write: Write<Nothing>,
) -> Result<Answer, Error> {
    invitation::revoke::<Team>(&app, user, (id, invitation_id), write).await
}

/// Open invitations into a team by phone and by id
///
/// By its owner or its assistant. The list does not tell whether a phone has an account, or its owner has declined.
#[utoipa::path(
    operation_id = "listTeamInvitations",
    get, path = "/team/{id}/invitation_list", tag = "team",
    params(("id" = i64, Path, minimum = 1), PageParams),
    responses(
        (status = 200, body = ListEnvelope<SentDoctorInvitation>),
        (status = 403, description = "`team.forbidden`"),
        (status = 404, description = "`team.not_found`")
    ),
    security(("access_token" = []), ("bearer" = []))
)]
pub(crate) async fn list(
    State(app): State<App>,
    user: User,
    PathId(id): PathId,
    page: PageQuery,
) -> Result<Answer, Error> {
    invitation::list_sent::<Team>(&app, user, id, &page).await
}
