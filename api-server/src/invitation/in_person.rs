//! Invitations of one doctor, by phone or by id.

use database::Transaction;
use proto::UserId;
use serde::{Deserialize, Serialize};
use utoipa::{
    ToSchema,
    openapi::{RefOr, Schema},
};

use super::{
    Place,
    table::{self, NewInPerson},
};
use crate::{
    account::{self, Phone, PhoneShown},
    caller::Role,
    http::{docs::one_of, error::Error},
};

/// The lifetime of an invitation, milliseconds.
const LIFETIME_MS: i64 = 30 * 24 * 60 * 60 * 1000;

/// The phone of the invited doctor.
#[derive(Deserialize, ToSchema)]
#[schema(example = json!({"phone": "13800138000"}))]
pub(crate) struct InviteByPhone {
    pub(crate) phone: Phone,
}

/// An open invitation of one doctor. It does not reveal whether a phone has an account, or the doctor has declined.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct SentDoctorInvitation {
    pub(super) invitation_id: i64,
    /// The doctor, when invited by id; null when invited by phone.
    #[schema(required = true)]
    pub(super) doctor_id: Option<i64>,
    /// The phone, when invited by phone; null when invited by id.
    #[schema(required = true, value_type = Option<PhoneShown>)]
    pub(super) phone: Option<String>,
    pub(super) inviter_id: i64,
    /// A doctor who has accepted is among the doctors instead.
    #[schema(schema_with = sent_state)]
    pub(super) state: &'static str,
    pub(super) created_ms: i64,
    pub(super) expires_ms: i64,
}

/// The inviter gets no notice of the answer.
fn sent_state() -> RefOr<Schema> {
    one_of(["invited"])
}

/// Invites a doctor by id into a locked team or clinic. False when the doctor does not exist.
pub(crate) async fn invite_by_id(
    tx: &mut Transaction<'_>,
    place: Place,
    place_id: i64,
    inviter: UserId,
    doctor: UserId,
    id: i64,
) -> Result<bool, Error> {
    let identity = account::identity(tx, doctor).await?;
    let is_doctor = identity.is_some_and(|identity| identity.role == Role::Doctor);
    let phone = account::phone_in(tx, doctor).await?.filter(|_| is_doctor);
    let Some(phone) = phone else {
        return Ok(false);
    };
    invite(tx, place, place_id, inviter, phone, doctor.get(), id).await?;
    Ok(true)
}

/// Invites a phone into a locked team or clinic.
pub(super) async fn invite_by_phone(
    tx: &mut Transaction<'_>,
    place: Place,
    place_id: i64,
    inviter: UserId,
    phone: &Phone,
    id: i64,
) -> Result<SentDoctorInvitation, Error> {
    invite(tx, place, place_id, inviter, phone.as_str().to_owned(), 0, id).await
}

/// An invitation that is open or was declined stays as it is: repeating it neither reveals the answer nor pesters the
/// doctor.
async fn invite(
    tx: &mut Transaction<'_>,
    place: Place,
    place_id: i64,
    inviter: UserId,
    phone: String,
    doctor_id: i64,
    id: i64,
) -> Result<SentDoctorInvitation, Error> {
    let now_ms = tx.now_ms().await?;
    table::forget_expired_in_person(tx, place, place_id, now_ms).await?;
    if let Some(sent) = table::sent_to(tx, place, place_id, &phone, doctor_id).await? {
        return Ok(sent);
    }
    if table::count_in_person(tx, place, place_id).await? >= place.limit().limit() {
        return Err(place.limit().into());
    }
    let new = NewInPerson {
        id,
        place,
        place_id,
        inviter,
        phone,
        doctor_id,
        created_ms: now_ms,
        expires_ms: now_ms + LIFETIME_MS,
    };
    table::put_in_person(tx, &new).await?;
    Ok(new.sent())
}
