//! 1.2: a password for the IM nodes.

use axum::extract::State;
use backplane::hash_password;
use serde::Serialize;
use utoipa::ToSchema;

use super::ImPasswordRates;
use crate::{
    account::{is_suspended, is_valid},
    app::App,
    caller::{Role, User},
    http::{
        answer::{Answer, Envelope},
        error::{Error, ErrorCode},
    },
};

/// The lifetime of an IM password, seconds.
const EXPIRE_S: i64 = 3600;

/// A password for the IM nodes.
#[derive(Serialize, ToSchema)]
pub(crate) struct ImPassword {
    /// Its lifetime, seconds.
    expire: i64,
    /// 32 hexadecimal digits.
    password: String,
}

/// A password for the IM nodes (1.2)
///
/// Bound to this user and device; valid until it expires or the device logs out. A device may have several. A device gets a
/// burst of 30 and then one every 3 seconds, a user a burst of 100 and then one a second. A suspended doctor gets none.
#[utoipa::path(
    operation_id = "createImPassword",
    get, path = "/im/password", tag = "im",
    responses(
        (status = 200, body = Envelope<ImPassword>),
        (status = 403, description = "`doctor.not_verified`")
    ),
    security(("access_token" = []), ("bearer" = []))
)]
// protocol: "It is bound to this user and this device"
// protocol: "GET /im/password with the access token returns"
pub(crate) async fn get(State(app): State<App>, user: User) -> Result<Answer, Error> {
    // A suspension ends the doctor's devices; a later login finds it here.
    if user.role == Role::Doctor && is_suspended(&app.database, user.id).await? {
        return Err(ErrorCode::DoctorUnverified.into());
    }
    app.part::<ImPasswordRates>().take(user.id, &user.device_id)?;
    let password = hex::encode(rand::random::<[u8; 16]>());
    app.backplane
        .put_im_password(
            user.id,
            &user.device_id,
            hash_password(&password),
            EXPIRE_S * 1000,
        )
        .await?;
    // A concurrent logout may have revoked the device's passwords before this one was stored.
    if !is_valid(&app, &user).await? {
        app.backplane
            .revoke_im_passwords(user.id, &user.device_id)
            .await?;
        return Err(ErrorCode::AuthRequired.into());
    }
    Answer::one(&ImPassword {
        expire: EXPIRE_S,
        password,
    })
}
