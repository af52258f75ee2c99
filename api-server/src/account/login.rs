//! Logging in, by password or by code.

use axum::extract::State;
use proto::UserId;
use serde::Deserialize;
use utoipa::ToSchema;

use super::{
    budget::{Attempt, Budgets, Guesser},
    code::{self, Code},
    device::{Login, NewLogin, Opened, Platform, PushToken, open},
    password::Password,
    phone::Phone,
    table,
};
use crate::{
    app::App,
    http::{
        address::ClientAddress,
        answer::{Answer, Envelope},
        error::{Error, ErrorCode},
        input::{DeviceId, Json},
    },
};

/// A login: the phone, a password or a code, and the device.
#[derive(Deserialize, ToSchema)]
#[schema(example = json!({"phone": "13800138000", "password": "correct horse 1", "device_id": "phone-1", "platform": "ios"}))]
pub(crate) struct LogIn {
    phone: Phone,
    /// Either this or `code`.
    password: Option<Password>,
    /// From POST /account/code.
    code: Option<Code>,
    /// Chosen by the app once for each installation; 1 to 64 bytes.
    device_id: DeviceId,
    platform: Platform,
    push_token: Option<PushToken>,
}

/// Logs a device in
///
/// A device has one access token: another login with the same device_id ends the old one. A user has at most 10 devices; one
/// more logs out the least recently used one. An unknown phone and a wrong password get the same answer.
#[utoipa::path(
    operation_id = "logIn",
    post, path = "/account/login", tag = "account", request_body = LogIn,
    responses(
        (status = 200, body = Envelope<Login>),
        (status = 401, description = "`account.login_refused`"),
        (status = 403, description = "`account.code_refused`, `account.disabled`"),
        (status = 404, description = "`account.not_registered`"),
        (status = 429, description = "`account.too_many_attempts`")
    )
)]
pub(crate) async fn log_in(
    State(app): State<App>,
    ClientAddress(address): ClientAddress,
    Json(body): Json<LogIn>,
) -> Result<Answer, Error> {
    let guesser = |user| Guesser::of_phone(&body.phone, user, Some(&body.device_id), address);
    let proof = match (body.password, body.code) {
        (Some(password), _) => by_password(&app, &body.phone, password, guesser).await?,
        (None, Some(code)) => {
            let guesser = guesser(None);
            Proof::Code {
                phone: body.phone,
                code,
                guesser,
            }
        }
        (None, None) => {
            return Err(Error::invalid(
                "password",
                "必须提供，或提供短信验证码 code",
                "must be given, or code instead",
            ));
        }
    };
    let new = move |user| NewLogin {
        user,
        device_id: body.device_id,
        platform: body.platform,
        push_token: body.push_token,
        opened_by: None,
    };
    let handle = app.clone();
    app.to_the_end(async move {
        let opened = store(&handle, proof, new).await?;
        Answer::one(&opened.settle(&handle).await)
    })
    .await
}

/// The proof of a login.
enum Proof {
    /// A verified password, with its hash.
    Password {
        user: UserId,
        verified: String,
        attempt: Attempt,
    },
    /// A code, which the transaction checks and consumes.
    Code {
        phone: Phone,
        code: Code,
        guesser: Guesser,
    },
}

async fn by_password(
    app: &App,
    phone: &Phone,
    password: Password,
    guesser: impl FnOnce(Option<UserId>) -> Guesser,
) -> Result<Proof, Error> {
    let account = table::account_of_phone(&app.database, phone).await?;
    let (user, hash) = account.map_or((None, None), |account| (Some(account.id), account.password_hash));
    let attempt = app
        .part::<Budgets>()
        .begin_password(&app.database, guesser(user))
        .await?;
    // The same work and answer without an account, without a password, and for a wrong password.
    let right = attempt.verify(app, password, hash.clone()).await?;
    match (user, hash) {
        (Some(user), Some(verified)) if right => Ok(Proof::Password {
            user,
            verified,
            attempt,
        }),
        _ => Err(ErrorCode::LoginRefused.into()),
    }
}

async fn store(
    app: &App,
    proof: Proof,
    new: impl FnOnce(UserId) -> NewLogin + Send + 'static,
) -> Result<Opened, Error> {
    let handle = app.clone();
    app.database
        .transaction(move |tx| {
            Box::pin(async move {
                let user = match proof {
                    Proof::Password {
                        user,
                        verified,
                        attempt,
                    } => {
                        attempt.clear_passwords(tx).await?;
                        // A concurrent password change refuses this login.
                        if !table::lock_password(tx, user, &verified).await? {
                            return Err(ErrorCode::LoginRefused.into());
                        }
                        user
                    }
                    Proof::Code {
                        phone,
                        code,
                        mut guesser,
                    } => {
                        guesser.user = table::user_of_phone(tx, &phone).await?;
                        if !code::check(tx, &handle, &guesser, &phone, &code).await? {
                            // Committed, so that the attempt counts.
                            return Ok(Err(Error::new(ErrorCode::CodeRefused).field("code")));
                        }
                        let Some(user) = table::user_of_phone(tx, &phone).await? else {
                            // The code stays valid, for registering.
                            return Ok(Err(Error::new(ErrorCode::AccountUnknown).field("phone")));
                        };
                        table::consume_code(tx, &phone).await?;
                        user
                    }
                };
                Ok::<_, Error>(Ok(open(&handle, tx, new(user)).await?))
            })
        })
        .await?
}
