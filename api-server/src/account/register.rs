//! Registering.

use axum::extract::State;
use proto::UserId;
use serde::Deserialize;
use utoipa::ToSchema;

use super::{
    budget::Guesser,
    code::{self, Code, Consumed},
    device::{Login, NewLogin, Platform, PushToken, open},
    password::{Password, Passwords},
    phone::Phone,
    table::{self, NewAccount},
};
use crate::{
    app::App,
    caller::Role,
    http::{
        address::ClientAddress,
        answer::{Answer, Envelope},
        error::{Error, ErrorCode},
        input::{DeviceId, Json, Line},
    },
};

/// A new account, and the device that it is made on.
#[derive(Deserialize, ToSchema)]
#[schema(example = json!({"phone": "13800138000", "code": "123456", "name": "李女士", "role": "member", "device_id": "phone-1", "platform": "ios"}))]
pub(crate) struct Register {
    phone: Phone,
    /// From POST /account/code.
    code: Code,
    name: Line<1, 64>,
    role: RegisteredRole,
    /// 8 to 128 characters; without a password the user logs in by code.
    password: Option<Password>,
    /// Chosen by the app once for each installation; 1 to 64 bytes.
    device_id: DeviceId,
    platform: Platform,
    push_token: Option<PushToken>,
}

/// The roles that register themselves.
#[derive(Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum RegisteredRole {
    Member,
    Doctor,
}

/// Creates an account and logs in
///
/// An app that got no answer sends the same request again while the code holds: the device is logged in anew.
#[utoipa::path(
    operation_id = "registerAccount",
    post, path = "/account/register", tag = "account", request_body = Register,
    responses(
        (status = 200, body = Envelope<Login>),
        (status = 403, description = "`account.code_refused`"),
        (status = 409, description = "`account.exists`"),
        (status = 429, description = "`account.too_many_attempts`")
    )
)]
pub(crate) async fn register(
    State(app): State<App>,
    ClientAddress(address): ClientAddress,
    Json(body): Json<Register>,
) -> Result<Answer, Error> {
    let guesser = Guesser::of_phone(&body.phone, None, None, address);
    let password_hash = match body.password.clone() {
        // The code comes first: without one the service does not hash.
        Some(password) => {
            check_code(&app, &body, guesser.clone()).await?;
            Some(app.part::<Passwords>().hash(password).await?)
        }
        None => None,
    };
    let user = UserId::from_database(app.database.allocate_id(table::SEQUENCE).await?);
    let handle = app.clone();
    let opened = app
        .database
        .transaction(move |tx| {
            Box::pin(async move {
                let now_ms = tx.now_ms().await?;
                let device = &*body.device_id;
                let proof = (&body.phone, &body.code);
                let consumed = code::consume_to_register(tx, &handle, &guesser, proof, device);
                let user = match consumed.await? {
                    // Committed, so that the attempt counts.
                    Consumed::Wrong => return Ok(Err(refused())),
                    Consumed::Before => {
                        let registered = table::user_of_phone(tx, &body.phone).await?;
                        let Some(registered) = registered else {
                            return Ok(Err(refused()));
                        };
                        registered
                    }
                    Consumed::Now => {
                        let account = NewAccount {
                            id: user,
                            phone: Some(body.phone.as_str().to_owned()),
                            name: body.name.into_string(),
                            role: match body.role {
                                RegisteredRole::Member => Role::Member,
                                RegisteredRole::Doctor => Role::Doctor,
                            },
                            password_hash,
                        };
                        table::new_account(tx, account, now_ms).await?;
                        user
                    }
                };
                let new = NewLogin {
                    user,
                    device_id: body.device_id,
                    platform: body.platform,
                    push_token: body.push_token,
                    opened_by: None,
                };
                Ok::<_, Error>(Ok(open(&handle, tx, new).await?))
            })
        })
        .await??;
    Answer::one(&opened.settle(&app).await)
}

async fn check_code(app: &App, body: &Register, guesser: Guesser) -> Result<(), Error> {
    let (phone, code, device) = (body.phone.clone(), body.code.clone(), body.device_id.to_string());
    let handle = app.clone();
    let right = app
        .database
        .transaction(move |tx| {
            Box::pin(async move {
                Ok::<_, Error>(
                    code::check(tx, &handle, &guesser, &phone, &code).await?
                        || code::has_registered(tx, (&phone, &code), &device).await?,
                )
            })
        })
        .await?;
    if right { Ok(()) } else { Err(refused()) }
}

fn refused() -> Error {
    Error::new(ErrorCode::CodeRefused).field("code")
}
