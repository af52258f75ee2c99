//! 1.2: a password for the IM nodes.

use axum::extract::State;
use backplane::hash_password;
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    account::is_valid,
    app::App,
    caller::User,
    clock::now_ms,
    http::{
        answer::{Answer, Envelope},
        error::{Error, ErrorCode},
    },
};

/// How long an IM password is good, seconds.
const EXPIRE_S: i64 = 3600;

/// A password for the IM nodes.
#[derive(Serialize, ToSchema)]
pub(crate) struct ImPassword {
    /// How long it is good, seconds.
    expire: i64,
    /// 32 hexadecimal digits.
    password: String,
}

/// A password for the IM nodes (1.2)
///
/// Bound to this user and device; good until it expires or the device logs out. Several are good at once. A device gets 30
/// at once and then one every 3 seconds, a user 100 and one a second.
#[utoipa::path(
    operation_id = "createImPassword",
    get, path = "/im/password", tag = "im",
    responses((status = 200, body = Envelope<ImPassword>)),
    security(("access_token" = []), ("bearer" = []))
)]
pub(crate) async fn get(State(app): State<App>, user: User) -> Result<Answer, Error> {
    app.im_passwords.take(user.id, &user.device_id)?;
    let password = hex::encode(rand::random::<[u8; 16]>());
    let expires_at_ms = now_ms() + EXPIRE_S * 1000;
    app.backplane
        .put_im_password(user.id, &user.device_id, hash_password(&password), expires_at_ms)
        .await?;
    // A logout that ran beside this request may have ended the device's passwords before this one was there.
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
