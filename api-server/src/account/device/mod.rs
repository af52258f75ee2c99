//! Devices: a login opens one, a logout ends it.

pub(crate) mod list;
pub(crate) mod push_token;

use database::Transaction;
use journal::UserNotice;
use proto::UserId;
use serde::{Deserialize, Serialize};
use telemetry::events::rest::Event;
use utoipa::ToSchema;

pub(crate) use push_token::PushToken;

use crate::{
    account::{
        own::AccountRole,
        table,
        token::{AccessToken, LIFETIME_MS, Tokens},
    },
    app::App,
    caller::Device,
    http::{
        error::{Error, ErrorCode},
        input::DeviceId,
    },
};

/// Devices of one user; one more login logs out the one that was used least recently.
// protocol: "devices of a user with a session | 10"
pub(crate) const MAX_DEVICES: usize = 10;

/// The kind of a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Platform {
    Ios,
    Android,
    Harmony,
    Web,
    MiniProgram,
    Desktop,
}

impl Platform {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Ios => "ios",
            Self::Android => "android",
            Self::Harmony => "harmony",
            Self::Web => "web",
            Self::MiniProgram => "mini_program",
            Self::Desktop => "desktop",
        }
    }
}

/// A device to log in on.
#[derive(Debug)]
pub(crate) struct NewLogin {
    pub(crate) user: UserId,
    pub(crate) device_id: DeviceId,
    pub(crate) platform: Platform,
    pub(crate) push_token: Option<PushToken>,
    /// The doctor who logs a team's assistant in.
    pub(crate) opened_by: Option<UserId>,
}

/// A login's answer.
#[derive(Serialize, ToSchema)]
pub(crate) struct Login {
    /// The user.
    user_id: i64,
    name: String,
    #[schema(value_type = AccountRole)]
    role: &'static str,
    /// For the header X-AUTH-TOKEN. No other answer contains it.
    access_token: String,
    /// When the token expires, epoch milliseconds.
    expires_at_ms: i64,
}

/// The outcome of a login.
pub(crate) struct Opened {
    login: Login,
    /// Devices that it ended: an earlier login of the same device, and devices beyond [`MAX_DEVICES`].
    gone: Vec<Device>,
}

impl Opened {
    /// Completes the logout of those devices after the commit, and returns the answer.
    pub(crate) async fn settle(self, app: &App) -> Login {
        log_out(app, &self.gone).await;
        self.login
    }
}

/// Logs a device in within a transaction. An earlier token of the same device ends.
pub(crate) async fn open(app: &App, tx: &mut Transaction<'_>, new: NewLogin) -> Result<Opened, Error> {
    let (user, now_ms) = (new.user, tx.now_ms().await?);
    // Locks the account, so that concurrent logins count each other's devices.
    table::touch_login(tx, user, now_ms).await?;
    if new.opened_by.is_none() {
        table::put_known_device(tx, user, &new.device_id, now_ms).await?;
    }
    let identity = table::identity(tx, user).await?.ok_or(ErrorCode::AuthRequired)?;
    let token = AccessToken::random();
    let expires_at_ms = now_ms + LIFETIME_MS;
    if let Some(push_token) = &new.push_token {
        table::remove_push_token(tx, push_token, user, &new.device_id).await?;
    }
    let before = table::devices(tx, user).await?;
    table::put_device(tx, &new, &token.hash(), expires_at_ms, now_ms).await?;

    let mut gone = Vec::new();
    let mut others = Vec::with_capacity(before.len());
    for row in before {
        if row.device_id == *new.device_id {
            gone.push(Device {
                user,
                device_id: row.device_id,
                token: Some(row.token),
            });
        } else {
            let used_ms = app
                .part::<Tokens>()
                .last_used_ms(&row.token)
                .unwrap_or(0)
                .max(row.last_used_ms);
            others.push((used_ms, row));
        }
    }
    if gone.is_empty() && table::Note::Ending.is_of(tx, user, &new.device_id).await? {
        // Otherwise a sweep would end the sessions of this login.
        gone.push(Device {
            user,
            device_id: new.device_id.to_string(),
            token: None,
        });
    }
    table::put_ended(tx, &gone).await?;
    others.sort_by_key(|(used_ms, _)| std::cmp::Reverse(*used_ms));
    for (_, row) in others.drain(..).skip(MAX_DEVICES - 1) {
        gone.extend(table::remove_device(tx, user, &row.device_id).await?);
    }
    let login = Login {
        user_id: user.get(),
        name: identity.name,
        role: identity.role.as_str(),
        access_token: token.into_string(),
        expires_at_ms,
    };
    Ok(Opened { login, gone })
}

/// A sweep completes logouts that are older than this, milliseconds: their process has died.
const LEFT_OVER_MS: i64 = 10_000;
/// Logouts that one sweep completes.
const SWEPT_AT_ONCE: i64 = 500;

/// Completes the logout of devices that the database has removed: ends their IM passwords and live sessions on all nodes.
/// While the backplane is away, a sweep retries.
pub(crate) async fn log_out(app: &App, devices: &[Device]) {
    if devices.is_empty() {
        return;
    }
    app.part::<Tokens>()
        .forget(devices.iter().filter_map(|device| device.token.as_ref()));
    let mut ended = Vec::with_capacity(devices.len());
    for device in devices {
        let revoked = app.backplane.revoke_im_passwords(device.user, &device.device_id);
        match revoked.await {
            Ok(generation) => {
                app.journal.notify(
                    device.user,
                    &UserNotice::LoggedOut {
                        device_id: device.device_id.clone(),
                        generation: generation.0,
                    },
                );
                ended.push(device.clone());
            }
            // A notice would not arrive either.
            Err(error) => Event::LogoutDelayed {
                user: device.user.get(),
                error: &error,
            }
            .emit(),
        }
    }
    if let Err(error) = table::forget_ended(&app.database, ended).await {
        let inner = error.inner().unwrap_or("");
        Event::LogoutRepeated { inner }.emit();
    }
}

/// Completes logouts whose process died after the commit, that the command line made, or that the backplane refused.
pub(crate) async fn sweep_ended(app: &App) -> Result<(), Error> {
    let before_ms = app.database.now_ms().await? - LEFT_OVER_MS;
    let left = table::left_over(&app.database, before_ms, SWEPT_AT_ONCE).await?;
    if !left.is_empty() && app.backplane.is_available().await {
        log_out(app, &left).await;
    }
    Ok(())
}
