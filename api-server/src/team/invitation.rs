//! Inviting doctors into a team: by a link and its QR code, or one by phone.

use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use super::table;
use crate::{
    app::{App, Written},
    caller::User,
    clock::now_ms,
    http::{
        answer::{Answer, Empty, Envelope, ListEnvelope},
        docs::{IdempotencyKey, PageParams},
        error::{Error, ErrorCode},
        input::{Nothing, PageQuery, PathId, PathIds, Write},
    },
    invitation::{self, InviteByPhone, NewLink, Place, SentDoctorInvitation},
};

/// An invitation, with its link and QR code.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TeamInvitation {
    invitation_id: i64,
    team_id: i64,
    team_name: String,
    inviter_id: i64,
    inviter_name: String,
    /// For POST /team/join, as it is. It holds team id, team name and inviter, and is signed as a whole.
    link: String,
    /// The QR code of the link, as an SVG document.
    qr_svg: String,
    /// The QR code of the link, as a PNG file in base64.
    qr_png: String,
    max_uses: i64,
    created_ms: i64,
    expires_ms: i64,
}

/// Invites doctors into a team
///
/// By its owner or its assistant. The link is good until it expires, is withdrawn, or as many doctors have joined as it
/// says. A team has at most 100 that have not expired.
#[utoipa::path(
    operation_id = "createTeamInvitation",
    post, path = "/team/{id}/invitation", tag = "team", request_body = NewLink,
    params(("id" = i64, Path, minimum = 1), IdempotencyKey),
    responses(
        (status = 200, body = Envelope<TeamInvitation>),
        (status = 403, description = "`team.forbidden`"),
        (status = 404, description = "`team.not_found`"),
        (status = 409, description = "`team.invitation_limit_reached`")
    ),
    security(("access_token" = []), ("bearer" = []))
)]
pub(crate) async fn invite(
    State(app): State<App>,
    user: User,
    PathId(id): PathId,
    Write { body, once }: Write<NewLink>,
) -> Result<Answer, Error> {
    let invitation_id = app.database.allocate_id(invitation::SEQUENCE).await?;
    let handle = app.clone();
    app.write(once, move |tx| {
        Box::pin(async move {
            let now_ms = now_ms();
            let team = table::take(tx, id.get()).await?;
            if !team.is_led_by(user.id) {
                return Err(ErrorCode::TeamForbidden.into());
            }
            let made = invitation::invite_by_link(
                tx,
                &handle.links,
                Place::Team,
                (team.team_id, &team.name),
                user.id,
                (invitation_id, body),
                now_ms,
            )
            .await?;
            Ok(Written::new(Answer::one(&TeamInvitation {
                invitation_id,
                team_id: team.team_id,
                team_name: team.name,
                inviter_id: user.id.get(),
                inviter_name: made.invited.inviter_name,
                link: made.link,
                qr_svg: made.qr_svg,
                qr_png: made.qr_png,
                max_uses: made.max_uses,
                created_ms: made.created_ms,
                expires_ms: made.invited.expires_ms,
            })?))
        })
    })
    .await
}

/// Withdraws an invitation
///
/// By the team's owner or its assistant: one by link, by phone or by id. Who has joined by it stays.
#[utoipa::path(
    operation_id = "revokeTeamInvitation",
    delete, path = "/team/{id}/invitation/{invitation_id}", tag = "team",
    params(("id" = i64, Path, minimum = 1), ("invitation_id" = i64, Path, minimum = 1), IdempotencyKey),
    responses(
        (status = 200, body = Envelope<Empty>),
        (status = 403, description = "`team.forbidden`"),
        (status = 404, description = "`team.not_found`, `team.invitation_not_found`")
    ),
    security(("access_token" = []), ("bearer" = []))
)]
pub(crate) async fn withdraw(
    State(app): State<App>,
    user: User,
    PathIds(id, invitation_id): PathIds,
    Write {
        body: Nothing {},
        once,
    }: Write<Nothing>,
) -> Result<Answer, Error> {
    app.write(once, move |tx| {
        Box::pin(async move {
            let team = table::team_in(tx, id.get())
                .await?
                .ok_or(ErrorCode::TeamNotFound)?;
            if !team.is_led_by(user.id) {
                return Err(ErrorCode::TeamForbidden.into());
            }
            invitation::withdraw(tx, Place::Team, team.team_id, invitation_id.get(), now_ms()).await?;
            Ok(Written::new(Answer::empty()?))
        })
    })
    .await
}

/// Invites a doctor into a team by phone
///
/// By its owner or its assistant. The doctor who has the phone, now or later, finds it in GET /invitation_list and accepts or
/// declines within 30 days; the answer is the same whether or not the phone has an account. Again gives the same invitation.
#[utoipa::path(
    operation_id = "inviteTeamDoctorByPhone",
    post, path = "/team/{id}/phone_invitation", tag = "team", request_body = InviteByPhone,
    params(("id" = i64, Path, minimum = 1), IdempotencyKey),
    responses(
        (status = 200, body = Envelope<SentDoctorInvitation>),
        (status = 403, description = "`team.forbidden`"),
        (status = 404, description = "`team.not_found`"),
        (status = 409, description = "`team.invitation_limit_reached`")
    ),
    security(("access_token" = []), ("bearer" = []))
)]
pub(crate) async fn invite_phone(
    State(app): State<App>,
    user: User,
    PathId(id): PathId,
    Write { body, once }: Write<InviteByPhone>,
) -> Result<Answer, Error> {
    let invitation_id = app.database.allocate_id(invitation::SEQUENCE).await?;
    app.write(once, move |tx| {
        Box::pin(async move {
            let team = table::take(tx, id.get()).await?;
            if !team.is_led_by(user.id) {
                return Err(ErrorCode::TeamForbidden.into());
            }
            let (team, inviter) = (team.team_id, user.id);
            let sent =
                invitation::invite_by_phone(tx, Place::Team, team, inviter, &body.phone, invitation_id);
            Ok(Written::new(Answer::one(&sent.await?)?))
        })
    })
    .await
}

/// Invitations into a team by phone and by id that are open
///
/// By its owner or its assistant. Nothing in it tells whether a phone has an account, or its owner has declined.
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
    let team = table::team(&app.database, id.get())
        .await?
        .ok_or(ErrorCode::TeamNotFound)?;
    if !team.is_led_by(user.id) {
        return Err(ErrorCode::TeamForbidden.into());
    }
    invitation::list_sent(&app, Place::Team, team.team_id, &page).await
}
