//! Inviting doctors into a clinic: by a link and its QR code, or one by phone.

use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use super::{Clinic, table};
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

/// An invitation into a clinic, with its link and QR code.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ClinicInvitation {
    invitation_id: i64,
    clinic_id: i64,
    clinic_name: String,
    inviter_id: i64,
    inviter_name: String,
    /// For POST /clinic/join, as it is. It holds clinic id, clinic name and inviter, and is signed as a whole.
    link: String,
    /// The QR code of the link, as an SVG document.
    qr_svg: String,
    /// The QR code of the link, as a PNG file in base64.
    qr_png: String,
    max_uses: i64,
    created_ms: i64,
    expires_ms: i64,
}

/// Invites doctors into a clinic
///
/// By its founder or a supervisor. The link is good until it expires, is withdrawn, as many doctors have joined as it says, or
/// its inviter may not invite any more. A clinic has at most 100 that have not expired.
#[utoipa::path(
    operation_id = "createClinicInvitation",
    post, path = "/clinic/{id}/invitation", tag = "clinic", request_body = NewLink,
    params(("id" = i64, Path, minimum = 1), IdempotencyKey),
    responses(
        (status = 200, body = Envelope<ClinicInvitation>),
        (status = 403, description = "`clinic.forbidden`"),
        (status = 404, description = "`clinic.not_found`"),
        (status = 409, description = "`clinic.invitation_limit_reached`")
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
            let clinic = led(tx, id.get(), &user).await?;
            let made = invitation::invite_by_link(
                tx,
                &handle.links,
                Place::Clinic,
                (clinic.clinic_id, &clinic.name),
                user.id,
                (invitation_id, body),
                now_ms(),
            )
            .await?;
            Ok(Written::new(Answer::one(&ClinicInvitation {
                invitation_id,
                clinic_id: clinic.clinic_id,
                clinic_name: clinic.name,
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

/// Withdraws an invitation into a clinic
///
/// By its founder or a supervisor: one by link, by phone or by id. Who has joined by it stays.
#[utoipa::path(
    operation_id = "revokeClinicInvitation",
    delete, path = "/clinic/{id}/invitation/{invitation_id}", tag = "clinic",
    params(("id" = i64, Path, minimum = 1), ("invitation_id" = i64, Path, minimum = 1), IdempotencyKey),
    responses(
        (status = 200, body = Envelope<Empty>),
        (status = 403, description = "`clinic.forbidden`"),
        (status = 404, description = "`clinic.not_found`, `clinic.invitation_not_found`")
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
            let clinic = led(tx, id.get(), &user).await?;
            invitation::withdraw(tx, Place::Clinic, clinic.clinic_id, invitation_id.get(), now_ms()).await?;
            Ok(Written::new(Answer::empty()?))
        })
    })
    .await
}

/// Invites a doctor into a clinic by phone
///
/// By its founder or a supervisor. The doctor who has the phone, now or later, finds it in GET /invitation_list and accepts or
/// declines within 30 days; the answer is the same whether or not the phone has an account. Again gives the same invitation.
#[utoipa::path(
    operation_id = "inviteClinicDoctorByPhone",
    post, path = "/clinic/{id}/phone_invitation", tag = "clinic", request_body = InviteByPhone,
    params(("id" = i64, Path, minimum = 1), IdempotencyKey),
    responses(
        (status = 200, body = Envelope<SentDoctorInvitation>),
        (status = 403, description = "`clinic.forbidden`"),
        (status = 404, description = "`clinic.not_found`"),
        (status = 409, description = "`clinic.invitation_limit_reached`")
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
            let clinic = led(tx, id.get(), &user).await?.clinic_id;
            let sent =
                invitation::invite_by_phone(tx, Place::Clinic, clinic, user.id, &body.phone, invitation_id);
            Ok(Written::new(Answer::one(&sent.await?)?))
        })
    })
    .await
}

/// Invitations into a clinic by phone and by id that are open
///
/// By its founder or a supervisor. Nothing in it tells whether a phone has an account, or its owner has declined.
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
    if table::clinic(&app.database, id.get()).await?.is_none() {
        return Err(ErrorCode::ClinicNotFound.into());
    }
    if !table::is_led_by(&app.database, id.get(), user.id).await? {
        return Err(ErrorCode::ClinicForbidden.into());
    }
    invitation::list_sent(&app, Place::Clinic, id.get(), &page).await
}

/// A clinic whose row is locked, and whom the caller leads.
async fn led(tx: &mut database::Transaction<'_>, id: i64, user: &User) -> Result<Clinic, Error> {
    let clinic = table::take(tx, id).await?;
    if table::leads(tx, &clinic, user.id).await? {
        Ok(clinic)
    } else {
        Err(ErrorCode::ClinicForbidden.into())
    }
}
