//! Logging in as a team's assistant.

use axum::extract::State;
use proto::UserId;
use serde::Deserialize;
use utoipa::ToSchema;

use super::table;
use crate::{
    account::{self, Login, NewLogin, Platform, PushToken},
    app::App,
    caller::User,
    http::{
        answer::{Answer, Envelope},
        error::{Error, ErrorCode},
        input::{DeviceId, Json, PathId},
    },
};

/// The device that is logged in as the assistant.
#[derive(Deserialize, ToSchema)]
#[schema(example = json!({"device_id": "desk-1", "platform": "web"}))]
pub(crate) struct AssistantLogIn {
    /// Chosen by the app once for each installation; 1 to 64 characters.
    device_id: DeviceId,
    platform: Platform,
    push_token: Option<PushToken>,
}

/// Logs a device in as the team's assistant
///
/// By the team's owner, while they are verified. An assistant has at most 10 devices, like every account. The device is logged out when the owner is
/// disabled or suspended by an operator, changes their password or leaves the team.
#[utoipa::path(
    operation_id = "logInTeamAssistant",
    post, path = "/team/{id}/assistant/login", tag = "team", request_body = AssistantLogIn,
    params(("id" = i64, Path, minimum = 1)),
    responses(
        (status = 200, body = Envelope<Login>),
        (status = 403, description = "`team.forbidden`, `account.disabled`, `doctor.not_verified`"),
        (status = 404, description = "`team.not_found`")
    ),
    security(("access_token" = []), ("bearer" = []))
)]
pub(crate) async fn log_in(
    State(app): State<App>,
    user: User,
    PathId(id): PathId,
    Json(body): Json<AssistantLogIn>,
) -> Result<Answer, Error> {
    let rule = app.doctor_verification;
    let handle = app.clone();
    app.to_the_end(async move {
        let opener = handle.clone();
        let opened = handle
            .database
            .transaction(move |tx| {
                Box::pin(async move {
                    // The opener's account is locked before the assistant's: an operator who disables it waits for
                    // this login, or has refused it.
                    if !account::lock_enabled(tx, user.id).await? {
                        return Err(ErrorCode::AccountDisabled.into());
                    }
                    let team = table::team_in(tx, id.get())
                        .await?
                        .ok_or(ErrorCode::TeamNotFound)?;
                    if team.owner_id != user.id.get() {
                        return Err(Error::new(ErrorCode::TeamForbidden));
                    }
                    account::check_verified(tx, rule, user.id).await?;
                    let new = NewLogin {
                        user: UserId::from_database(team.assistant_id),
                        device_id: body.device_id,
                        platform: body.platform,
                        push_token: body.push_token,
                        opened_by: Some(user.id),
                    };
                    let opened = account::open(&opener, tx, new).await?;
                    account::lock_device(tx, &user).await?;
                    Ok(opened)
                })
            })
            .await?;
        Answer::one(&opened.settle(&handle).await)
    })
    .await
}
