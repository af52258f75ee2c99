//! Push tokens, by which a vendor wakes a phone (登陆上传 token).

use std::fmt;

use axum::extract::State;
use serde::Deserialize;
use utoipa::ToSchema;

use crate::{
    account::table,
    app::{App, Written},
    caller::User,
    http::{
        answer::{Answer, Empty, Envelope},
        docs::IdempotencyKey,
        error::Error,
        input::{Ascii, Nothing, Write},
    },
};

/// The push token of a device.
#[derive(Clone, Deserialize, ToSchema)]
#[schema(example = json!({"provider": "apns", "token": "abc"}))]
pub(crate) struct PushToken {
    /// The push service: apns, fcm, huawei, …; 1 to 32 printable ASCII characters.
    pub(crate) provider: Ascii<1, 32>,
    /// The token of that service; 1 to 512 printable ASCII characters.
    pub(crate) token: Ascii<1, 512>,
}

impl fmt::Debug for PushToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PushToken(…)")
    }
}

/// Sets this device's push token
///
/// The token is removed from every other device and account.
#[utoipa::path(
    operation_id = "setPushToken",
    put, path = "/account/push_token", tag = "account", request_body = PushToken, params(IdempotencyKey),
    responses((status = 200, body = Envelope<Empty>)),
    security(("access_token" = []), ("bearer" = []))
)]
pub(crate) async fn put(
    State(app): State<App>,
    user: User,
    Write { body, once }: Write<PushToken>,
) -> Result<Answer, Error> {
    app.write(once, move |tx| {
        Box::pin(async move {
            table::remove_push_token(tx, &body, user.id, &user.device_id).await?;
            table::put_push_token(tx, &body, user.id, &user.device_id).await?;
            Ok(Written::new(Answer::empty()?))
        })
    })
    .await
}

/// Clears this device's push token
///
/// Push wakes the device no more. A device without one gets the same answer.
#[utoipa::path(
    operation_id = "removePushToken",
    delete, path = "/account/push_token", tag = "account", params(IdempotencyKey),
    responses((status = 200, body = Envelope<Empty>)),
    security(("access_token" = []), ("bearer" = []))
)]
pub(crate) async fn clear(
    State(app): State<App>,
    user: User,
    write: Write<Nothing>,
) -> Result<Answer, Error> {
    app.write(write.once, move |tx| {
        Box::pin(async move {
            table::clear_push_token(tx, &user).await?;
            Ok(Written::new(Answer::empty()?))
        })
    })
    .await
}
