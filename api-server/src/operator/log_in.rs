//! Logging in as an operator.

use axum::extract::State;
use serde::Deserialize;
use utoipa::ToSchema;

use super::{
    audit::{Act, Row, write},
    table,
};
use crate::{
    account::{self, Guesser, Login, NewLogin, Password, Platform},
    app::App,
    clock::now_ms,
    http::{
        answer::{Answer, Envelope},
        error::{Error, ErrorCode},
        input::{DeviceId, Json, Text},
        observe::ClientAddress,
    },
};

/// A login of an operator: name, password and device.
#[derive(Deserialize, ToSchema)]
#[schema(example = json!({"name": "张伟", "password": "q3Zf0mYw5pT8kX2vB7nR4sJ1", "device_id": "desk", "platform": "web"}))]
pub(crate) struct OperatorLogIn {
    name: Text<1, 64>,
    password: Password,
    /// Chosen by the app once for each installation; 1 to 64 characters.
    device_id: DeviceId,
    platform: Platform,
}

/// Logs an operator in on a device
///
/// `huizhen operator add` creates accounts. An unknown name and a wrong password get the same answer.
#[utoipa::path(
    operation_id = "logInOperator",
    post, path = "/operator/login", tag = "operator", request_body = OperatorLogIn,
    responses(
        (status = 200, body = Envelope<Login>),
        (status = 401, description = "`operator.login_refused`"),
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
    let (user, hash) = known.map_or((None, None), |known| (Some(known.user), known.password_hash));
    let guesser = Guesser {
        // Distinct from phones, which begin with +.
        login: format!("operator {}", &*body.name),
        user,
        device_id: Some(body.device_id.to_string()),
        address,
    };
    let attempt = app.budgets.begin_password(&app.database, guesser).await?;
    let right = attempt.verify(&app, body.password, hash.clone()).await?;
    let (Some(user), Some(verified), true) = (user, hash, right) else {
        return Err(ErrorCode::OperatorLoginRefused.into());
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
                    let opened = account::open(&opener, tx, new, now_ms).await?;
                    write(tx, Row::by(user, Act::OperatorLoggedIn), now_ms).await?;
                    Ok::<_, Error>(opened)
                })
            })
            .await?;
        Answer::one(&opened.settle(&handle).await)
    })
    .await
}
