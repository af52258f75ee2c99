//! Inviting doctors into a clinic: by a link and its QR code, by phone, by id.

use axum::extract::State;
use proto::UserId;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    app::{App, Written},
    caller::{Led, User},
    clinic::{Clinic, ClinicDoctor, table},
    http::{
        answer::{Answer, Empty, Envelope, ListEnvelope},
        docs::{IdempotencyKey, PageParams},
        error::{Error, ErrorCode},
        input::{Id, Nothing, PageQuery, PathId, PathIds, Write},
    },
    invitation::{self, InviteByPhone, Inviting, MadeLink, NewLink, Place, SentDoctorInvitation, Target},
};

/// An invitation into a clinic, with its link and QR code.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ClinicInvitation {
    invitation_id: i64,
    clinic_id: i64,
    clinic_name: String,
    inviter_id: i64,
    inviter_name: String,
    /// For POST /clinic/join, unchanged. It holds clinic id, clinic name and inviter, and is signed as a whole.
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

impl From<MadeLink> for ClinicInvitation {
    fn from(made: MadeLink) -> Self {
        Self {
            invitation_id: made.invited.invitation_id,
            clinic_id: made.invited.place_id,
            clinic_name: made.invited.place_name,
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

impl Inviting for Clinic {
    const PLACE: Place = Place::Clinic;
    type Link = ClinicInvitation;

    fn into_target(self) -> Target {
        Target {
            id: self.clinic_id,
            name: self.name,
        }
    }
}

/// A doctor to invite.
#[derive(Deserialize, ToSchema)]
#[schema(example = json!({"doctor_id": 9}))]
pub(crate) struct AddClinicDoctor {
    doctor_id: Id,
}

/// Invites a doctor into a clinic by id
///
/// By its founder or a supervisor, who is recorded as the inviter. The doctor finds the invitation in GET /invitation_list and
/// accepts or declines it within 30 days; until then `joined_ms` of the answer is 0 and the clinic does not list them. A
/// repeated request gets the same answer.
#[utoipa::path(
    operation_id = "inviteClinicDoctor",
    post, path = "/clinic/{id}/doctor", tag = "clinic", request_body = AddClinicDoctor,
    params(("id" = i64, Path, minimum = 1), IdempotencyKey),
    responses(
        (status = 200, body = Envelope<ClinicDoctor>),
        (status = 403, description = "`clinic.forbidden`"),
        (status = 404, description = "`clinic.not_found`, `clinic.doctor_not_found`"),
        (status = 409, description = "`clinic.already_in`, `clinic.invitation_limit_reached`, `clinic.dissolved`")
    ),
    security(("access_token" = []), ("bearer" = []))
)]
pub(crate) async fn by_id(
    State(app): State<App>,
    user: User,
    PathId(id): PathId,
    Write { body, once }: Write<AddClinicDoctor>,
) -> Result<Answer, Error> {
    let invitation_id = app.database.allocate_id(invitation::SEQUENCE).await?;
    app.write(once, move |tx| {
        Box::pin(async move {
            let clinic = Led::<Clinic>::lock(tx, id.get(), &user).await?;
            let doctor = UserId::from_database(body.doctor_id.get());
            if table::doctor_in(tx, id.get(), doctor).await?.is_some() {
                return Err(Error::new(ErrorCode::ClinicAlreadyIn).field("doctor_id"));
            }
            let missing = || Error::new(ErrorCode::ClinicDoctorNotFound).field("doctor_id");
            let (clinic, inviter) = (clinic.clinic_id, user.id);
            if !invitation::invite_by_id(tx, Place::Clinic, clinic, inviter, doctor, invitation_id).await? {
                return Err(missing());
            }
            let invited = table::invited(tx, doctor, inviter).await?.ok_or_else(missing)?;
            Ok(Written::new(Answer::one(&invited)?))
        })
    })
    .await
}

/// Invites doctors into a clinic by a link
///
/// By its founder or a supervisor. The link is good until it expires, is revoked, as many doctors have joined as it says, or its
/// inviter may no longer invite. A clinic has at most 100 links that have not expired.
#[utoipa::path(
    operation_id = "createClinicInvitation",
    post, path = "/clinic/{id}/invitation", tag = "clinic", request_body = NewLink,
    params(("id" = i64, Path, minimum = 1), IdempotencyKey),
    responses(
        (status = 200, body = Envelope<ClinicInvitation>),
        (status = 403, description = "`clinic.forbidden`"),
        (status = 404, description = "`clinic.not_found`"),
        (status = 409, description = "`clinic.invitation_limit_reached`, `clinic.dissolved`")
    ),
    security(("access_token" = []), ("bearer" = []))
)]
pub(crate) async fn by_link(
    State(app): State<App>,
    user: User,
    PathId(id): PathId,
    write: Write<NewLink>,
) -> Result<Answer, Error> {
    invitation::by_link::<Clinic>(&app, user, id, write).await
}

/// Invites a doctor into a clinic by phone
///
/// By its founder or a supervisor. The doctor who has the phone, now or later, finds the invitation in GET /invitation_list and
/// accepts or declines it within 30 days. The answer does not tell whether the phone has an account. A repeated request gets
/// the same invitation.
#[utoipa::path(
    operation_id = "inviteClinicDoctorByPhone",
    post, path = "/clinic/{id}/phone_invitation", tag = "clinic", request_body = InviteByPhone,
    params(("id" = i64, Path, minimum = 1), IdempotencyKey),
    responses(
        (status = 200, body = Envelope<SentDoctorInvitation>),
        (status = 403, description = "`clinic.forbidden`"),
        (status = 404, description = "`clinic.not_found`"),
        (status = 409, description = "`clinic.invitation_limit_reached`, `clinic.dissolved`")
    ),
    security(("access_token" = []), ("bearer" = []))
)]
pub(crate) async fn by_phone(
    State(app): State<App>,
    user: User,
    PathId(id): PathId,
    write: Write<InviteByPhone>,
) -> Result<Answer, Error> {
    invitation::by_phone::<Clinic>(&app, user, id, write).await
}

/// Revokes an invitation into a clinic
///
/// By its founder or a supervisor: one by link, by phone or by id. Doctors who joined by it stay.
#[utoipa::path(
    operation_id = "revokeClinicInvitation",
    delete, path = "/clinic/{id}/invitation/{invitation_id}", tag = "clinic",
    params(("id" = i64, Path, minimum = 1), ("invitation_id" = i64, Path, minimum = 1), IdempotencyKey),
    responses(
        (status = 200, body = Envelope<Empty>),
        (status = 403, description = "`clinic.forbidden`"),
        (status = 404, description = "`clinic.not_found`, `clinic.invitation_not_found`"),
        (status = 409, description = "`clinic.dissolved`")
    ),
    security(("access_token" = []), ("bearer" = []))
)]
pub(crate) async fn revoke(
    State(app): State<App>,
    user: User,
    PathIds(id, invitation_id): PathIds,
    write: Write<Nothing>,
) -> Result<Answer, Error> {
    invitation::revoke::<Clinic>(&app, user, (id, invitation_id), write).await
}

/// Open invitations into a clinic by phone and by id
///
/// By its founder or a supervisor. The list does not tell whether a phone has an account, or its owner has declined.
#[utoipa::path(
    operation_id = "listClinicInvitations",
    get, path = "/clinic/{id}/invitation_list", tag = "clinic",
    params(("id" = i64, Path, minimum = 1), PageParams),
    responses(
        (status = 200, body = ListEnvelope<SentDoctorInvitation>),
        (status = 403, description = "`clinic.forbidden`"),
        (status = 404, description = "`clinic.not_found`")
    ),
    security(("access_token" = []), ("bearer" = []))
)]
pub(crate) async fn list(
    State(app): State<App>,
    user: User,
    PathId(id): PathId,
    page: PageQuery,
) -> Result<Answer, Error> {
    invitation::list_sent::<Clinic>(&app, user, id, &page).await
}
