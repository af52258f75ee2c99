//! The devices that a user is logged in on, and logging them out.

use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use super::{Platform, log_out};
use crate::{
    account::{table, token::Tokens},
    app::App,
    caller::User,
    http::{
        answer::{Answer, Empty, Envelope, ListEnvelope, Page},
        error::{Error, ErrorCode},
        input::PathText,
    },
};

/// A device that the user is logged in on.
#[derive(Serialize, ToSchema)]
pub(crate) struct DeviceItem {
    device_id: String,
    #[schema(value_type = Platform)]
    platform: String,
    /// Whether push can wake it.
    has_push_token: bool,
    /// Whether it sends this request.
    this_device: bool,
    created_ms: i64,
    last_used_ms: i64,
}

/// The user's devices
///
/// At most 10, the most recently used first.
#[utoipa::path(
    operation_id = "listDevices",
    get, path = "/account/devices", tag = "account",
    responses((status = 200, body = ListEnvelope<DeviceItem>)),
    security(("access_token" = []), ("bearer" = []))
)]
pub(crate) async fn list(State(app): State<App>, user: User) -> Result<Answer, Error> {
    Answer::page(Page::whole(devices(&app, &user).await?))
}

/// The devices of a user, the most recently used first.
pub(crate) async fn devices(app: &App, user: &User) -> Result<Vec<DeviceItem>, Error> {
    let mut items: Vec<DeviceItem> = table::list_devices(&app.database, user.id)
        .await?
        .into_iter()
        .map(|row| DeviceItem {
            this_device: row.device_id == *user.device_id,
            last_used_ms: app
                .part::<Tokens>()
                .last_used_ms(&row.token)
                .unwrap_or(0)
                .max(row.last_used_ms),
            device_id: row.device_id,
            platform: row.platform,
            has_push_token: row.has_push_token,
            created_ms: row.created_ms,
        })
        .collect();
    items.sort_by_key(|item| std::cmp::Reverse(item.last_used_ms));
    Ok(items)
}

/// Logs a device out
///
/// Its access token, push token, IM passwords and live IM sessions end at once, on all nodes.
#[utoipa::path(
    operation_id = "logOutDevice",
    delete, path = "/account/devices/{device_id}", tag = "account",
    params(("device_id" = String, Path, description = "As GET /account/devices lists it")),
    responses((status = 200, body = Envelope<Empty>), (status = 404, description = "`account.device_not_found`")),
    security(("access_token" = []), ("bearer" = []))
)]
pub(crate) async fn remove(
    State(app): State<App>,
    user: User,
    PathText(device_id): PathText,
) -> Result<Answer, Error> {
    end(&app, user, device_id, true).await
}

/// Logs this device out
///
/// Its access token, push token, IM passwords and live IM sessions end at once, on all nodes.
#[utoipa::path(
    operation_id = "logOut",
    post, path = "/account/logout", tag = "account",
    responses((status = 200, body = Envelope<Empty>)),
    security(("access_token" = []), ("bearer" = []))
)]
pub(crate) async fn log_out_here(State(app): State<App>, user: User) -> Result<Answer, Error> {
    let device_id = user.device_id.to_string();
    end(&app, user, device_id, false).await
}

/// A device that is logged out from another one may be lost: its logins count as a stranger's from now on.
async fn end(app: &App, user: User, device_id: String, is_lost: bool) -> Result<Answer, Error> {
    // Before the token is removed: with the backplane away, the app could not repeat the request.
    app.backplane.revoke_im_passwords(user.id, &device_id).await?;
    let handle = app.clone();
    app.to_the_end(async move {
        let device = handle
            .database
            .transaction(move |tx| {
                Box::pin(async move {
                    table::lock(tx, user.id).await?;
                    table::lock_device(tx, &user).await?;
                    if is_lost {
                        table::forget_known_device(tx, user.id, &device_id).await?;
                    }
                    table::remove_device(tx, user.id, &device_id).await
                })
            })
            .await?
            .ok_or(ErrorCode::DeviceNotFound)?;
        log_out(&handle, &[device]).await;
        Answer::empty()
    })
    .await
}
