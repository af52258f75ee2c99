//! Accepting, declining and revoking an invitation.

use axum::extract::State;
use database::Transaction;
use proto::UserId;

use super::{Caller, Kind, ReceivedInvitation, table};
use crate::{
    account,
    app::{App, Written},
    http::{
        answer::{Answer, Empty, Envelope},
        docs::IdempotencyKey,
        error::{Error, ErrorCode},
        input::{Nothing, PathId, Write},
    },
};

/// Accepts an invitation into a family
///
/// By the member whose phone was invited. The inviter may begin consults for them from now on; declining later ends that.
#[utoipa::path(
    operation_id = "acceptFamilyInvitation",
    post, path = "/family/invitation/{id}/accept", tag = "family",
    params(("id" = i64, Path, minimum = 1), IdempotencyKey),
    responses(
        (status = 200, body = Envelope<ReceivedInvitation>),
        (status = 403, description = "`member.members_only`"),
        (status = 404, description = "`family.invitation_not_found`")
    ),
    security(("access_token" = []), ("bearer" = []))
)]
pub(crate) async fn accept(
    State(app): State<App>,
    user: Caller,
    PathId(id): PathId,
    Write {
        body: Nothing {},
        once,
    }: Write<Nothing>,
) -> Result<Answer, Error> {
    app.write(once, move |tx| {
        Box::pin(async move {
            let now_ms = tx.now_ms().await?;
            let phone = own_phone(tx, user.id).await?;
            let accepted = table::accept(tx, &phone, id.get(), user.id, now_ms).await?;
            let (inviter, relation) = accepted.ok_or(ErrorCode::FamilyInvitationNotFound)?;
            table::put_relative(tx, inviter, user.id, relation, Kind::Account, now_ms).await?;
            let shown = table::received_in(tx, &phone, id.get()).await?;
            Ok(Written::new(Answer::one(
                &shown.ok_or(ErrorCode::FamilyInvitationNotFound)?,
            )?))
        })
    })
    .await
}

/// Declines an invitation into a family, or ends what was accepted
///
/// By the member whose phone was invited. The inviter is not notified. After acceptance: the caller leaves the inviter's
/// family, and the inviter can no longer begin consults for them.
#[utoipa::path(
    operation_id = "declineFamilyInvitation",
    post, path = "/family/invitation/{id}/decline", tag = "family",
    params(("id" = i64, Path, minimum = 1), IdempotencyKey),
    responses(
        (status = 200, body = Envelope<Empty>),
        (status = 403, description = "`member.members_only`"),
        (status = 404, description = "`family.invitation_not_found`")
    ),
    security(("access_token" = []), ("bearer" = []))
)]
pub(crate) async fn decline(
    State(app): State<App>,
    user: Caller,
    PathId(id): PathId,
    Write {
        body: Nothing {},
        once,
    }: Write<Nothing>,
) -> Result<Answer, Error> {
    app.write(once, move |tx| {
        Box::pin(async move {
            let phone = own_phone(tx, user.id).await?;
            let now_ms = tx.now_ms().await?;
            table::decline(tx, &phone, id.get(), user.id, now_ms).await?;
            Ok(Written::new(Answer::empty()?))
        })
    })
    .await
}

/// Revokes an invitation that one sent
#[utoipa::path(
    operation_id = "revokeFamilyInvitation",
    delete, path = "/family/invitation/{id}", tag = "family",
    params(("id" = i64, Path, minimum = 1), IdempotencyKey),
    responses(
        (status = 200, body = Envelope<Empty>),
        (status = 403, description = "`member.members_only`"),
        (status = 404, description = "`family.invitation_not_found`")
    ),
    security(("access_token" = []), ("bearer" = []))
)]
pub(crate) async fn revoke(
    State(app): State<App>,
    user: Caller,
    PathId(id): PathId,
    Write {
        body: Nothing {},
        once,
    }: Write<Nothing>,
) -> Result<Answer, Error> {
    app.write(once, move |tx| {
        Box::pin(async move {
            let now_ms = tx.now_ms().await?;
            table::revoke(tx, user.id, id.get(), now_ms).await?;
            Ok(Written::new(Answer::empty()?))
        })
    })
    .await
}

/// The member's phone. Invitations are addressed to phones.
async fn own_phone(tx: &mut Transaction<'_>, user: UserId) -> Result<String, Error> {
    let phone = account::phone_in(tx, user).await?;
    Ok(phone.ok_or(ErrorCode::FamilyInvitationNotFound)?)
}
