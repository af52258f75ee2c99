//! Inviting doctors into a team by a link and its QR code.

use axum::extract::State;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    link::Invited,
    qr::Code,
    table::{self, NewInvitation},
};
use crate::{
    account::{self, User},
    answer::{Answer, Empty, Envelope},
    app::{App, Written},
    clock::now_ms,
    docs::IdempotencyKey,
    error::{Error, Word},
    input::{Nothing, PathId, PathIds, Within, Write},
};

/// The most invitations of a team that have not expired: each is a row, and a door.
const MAX_INVITATIONS: i64 = 100;
/// How long an invitation is good unless the request says otherwise, seconds: a week.
const LIFETIME_S: i64 = 7 * 24 * 60 * 60;

/// An invitation to be made.
#[derive(Deserialize, ToSchema)]
#[schema(example = json!({"max_uses": 1, "expires_in_s": 604800}))]
pub(crate) struct NewTeamInvitation {
    /// How many doctors may join by it: 1 by default.
    max_uses: Option<Within<1, 50>>,
    /// How long it is good, seconds: 60 to 30 days, 7 days by default.
    expires_in_s: Option<Within<60, 2_592_000>>,
}

/// An invitation, with its link and QR code.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({
    "invitation_id": 12, "team_id": 4, "team_name": "儿科", "inviter_id": 7, "inviter_name": "王医生",
    "link": "huizhen://team/join?team_id=4&team_name=%E5%84%BF%E7%A7%91&inviter_id=7&inviter_name=%E7%8E%8B&invitation_id=12&expires_ms=1795604800000&signature=00",
    "qr_svg": "<svg/>", "qr_png": "iVBORw0KGgo=", "max_uses": 1, "created_ms": 1_795_000_000_000_i64,
    "expires_ms": 1_795_604_800_000_i64
}))]
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
    post, path = "/team/{id}/invitation", tag = "team", request_body = NewTeamInvitation,
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
    Write { body, once }: Write<NewTeamInvitation>,
) -> Result<Answer, Error> {
    let invitation_id = app.database.allocate_id(table::INVITATION_SEQUENCE).await?;
    let handle = app.clone();
    app.write(once, move |tx| {
        Box::pin(async move {
            let now_ms = now_ms();
            let team = table::take(tx, id.get()).await?;
            if !team.is_led_by(user.id) {
                return Err(Word::TeamForbidden.into());
            }
            table::forget_expired(tx, team.team_id, now_ms).await?;
            if table::invitations(tx, team.team_id).await? >= MAX_INVITATIONS {
                return Err(Word::InvitationLimit.into());
            }
            let inviter = account::person(tx, user.id).await?.ok_or(Word::AuthRequired)?;
            let expires_in_s = body.expires_in_s.map_or(LIFETIME_S, Within::get);
            let new = NewInvitation {
                team_id: team.team_id,
                id: invitation_id,
                inviter: user.id,
                max_uses: body.max_uses.map_or(1, Within::get),
                created_ms: now_ms,
                expires_ms: now_ms + expires_in_s * 1000,
            };
            table::new_invitation(tx, &new).await?;
            let link = handle.links.write(&Invited {
                team_id: team.team_id,
                team_name: team.name.clone(),
                inviter_id: user.id.get(),
                inviter_name: inviter.name.clone(),
                invitation_id,
                expires_ms: new.expires_ms,
            });
            let code = Code::new(&link)?;
            Ok(Written::new(Answer::one(&TeamInvitation {
                invitation_id,
                team_id: team.team_id,
                team_name: team.name,
                inviter_id: user.id.get(),
                inviter_name: inviter.name,
                link,
                qr_svg: code.svg(),
                qr_png: STANDARD.encode(code.png()?),
                max_uses: new.max_uses,
                created_ms: now_ms,
                expires_ms: new.expires_ms,
            })?))
        })
    })
    .await
}

/// Withdraws an invitation
///
/// By the team's owner or its assistant. Who has joined by it stays.
#[utoipa::path(
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
            let team = table::team_in(tx, id.get()).await?.ok_or(Word::TeamNotFound)?;
            if !team.is_led_by(user.id) {
                return Err(Word::TeamForbidden.into());
            }
            table::withdraw_invitation(tx, team.team_id, invitation_id.get()).await?;
            Ok(Written::new(Answer::empty()?))
        })
    })
    .await
}
