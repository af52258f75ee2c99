//! Logging in as an operator.

pub(crate) mod totp;

use axum::extract::State;
use serde::Deserialize;
use utoipa::ToSchema;

use self::totp::Secret;
use super::{
    audit::{Act, Row, write},
    table,
};
use crate::{
    account::{self, Budgets, Guesser, Login, NewLogin, Password, Platform},
    app::App,
    clock::now_ms,
    http::{
        address::ClientAddress,
        answer::{Answer, Envelope},
        error::{Error, ErrorCode},
        input::{Ascii, DeviceId, Json, Text},
    },
};

/// A login of an operator: name, password and device.
#[derive(Deserialize, ToSchema)]
#[schema(example = json!({"name": "张伟", "password": "q3Zf0mYw5pT8kX2vB7nR4sJ1", "device_id": "desk", "platform": "web"}))]
pub(crate) struct OperatorLogIn {
    name: Text<1, 64>,
    password: Password,
    /// Six digits of the authenticator app; needed once the operator has a second factor.
    code: Option<Ascii<1, 16>>,
    /// Chosen by the app once for each installation; 1 to 64 characters.
    device_id: DeviceId,
    platform: Platform,
}

/// Logs an operator in on a device
///
/// `huizhen operator add` creates accounts. An unknown name and a wrong password get the same answer. A code of the second
/// factor is good once.
#[utoipa::path(
    operation_id = "logInOperator",
    post, path = "/operator/login", tag = "operator", request_body = OperatorLogIn,
    responses(
        (status = 200, body = Envelope<Login>),
        (status = 401, description = "`operator.login_refused`, `operator.code_refused`"),
        (status = 403, description = "`account.disabled`"),
        (status = 429, description = "`account.too_many_attempts`")
    )
)]
pub(crate) async fn log_in(
    State(app): State<App>,
    ClientAddress(address): ClientAddress,
    Json(body): Json<OperatorLogIn>,
) -> Result<Answer, Error> {
    let known = table::operator(&app.database, &body.name).await?;
    let user = known.as_ref().map(|known| known.user);
    let hash = known.as_ref().and_then(|known| known.password_hash.clone());
    let guesser = Guesser {
        // Distinct from phones, which begin with +.
        login: format!("operator {}", &*body.name),
        user,
        device_id: Some(body.device_id.to_string()),
        address,
    };
    let attempt = app
        .part::<Budgets>()
        .begin_password(&app.database, guesser)
        .await?;
    let right = attempt.verify(&app, body.password, hash.clone()).await?;
    let (Some(user), Some(verified), true) = (user, hash, right) else {
        return Err(ErrorCode::OperatorLoginRefused.into());
    };
    // A wrong code counts as a wrong password: the attempt is not taken back.
    let step = match known.and_then(|known| known.second_factor) {
        None => None,
        Some((secret, used)) => {
            let code = body.code.as_deref().unwrap_or_default();
            let now_ms = app.database.now_ms().await?;
            let step = Secret::from_database(secret).step_of(code, used, now_ms);
            Some(step.ok_or_else(|| Error::new(ErrorCode::OperatorCodeRefused).field("code"))?)
        }
    };
    let handle = app.clone();
    app.to_the_end(async move {
        let opener = handle.clone();
        let opened = handle
            .database
            .transaction(move |tx| {
                Box::pin(async move {
                    let now_ms = now_ms();
                    attempt.clear_passwords(tx).await?;
                    // Two logins by one code: one wins.
                    if let Some(step) = step
                        && !table::use_step(tx, user, step).await?
                    {
                        return Err(Error::new(ErrorCode::OperatorCodeRefused).field("code"));
                    }
                    let new = NewLogin {
                        user,
                        device_id: body.device_id,
                        platform: body.platform,
                        push_token: None,
                        opened_by: None,
                    };
                    // A concurrent reset refuses this login.
                    if !account::lock_password(tx, user, &verified).await? {
                        return Err(ErrorCode::OperatorLoginRefused.into());
                    }
                    let opened = account::open(&opener, tx, new).await?;
                    write(tx, Row::by(user, Act::OperatorLoggedIn), now_ms).await?;
                    Ok::<_, Error>(opened)
                })
            })
            .await?;
        Answer::one(&opened.settle(&handle).await)
    })
    .await
}
