//! Another phone: the old and the new one are proven.

use axum::extract::State;
use serde::Deserialize;
use utoipa::ToSchema;

use crate::{
    account::{Code, Guesser, Password, Phone, Proof, Refusals, code, device::log_out, table},
    app::App,
    caller::{Device, User},
    http::{
        address::ClientAddress,
        answer::{Answer, Empty, Envelope},
        error::{Error, ErrorCode},
        input::Json,
    },
};

/// Another phone, with a code that it got, and a proof by the present one.
#[derive(Deserialize, ToSchema)]
#[schema(example = json!({"code": "123456", "new_phone": "13900139000", "new_code": "654321"}))]
pub(crate) struct ChangePhone {
    /// The current password, if there is one.
    password: Option<Password>,
    /// A code that the present phone got, instead.
    code: Option<Code>,
    new_phone: Phone,
    /// The code that the new phone got.
    new_code: Code,
}

const CHANGE: Refusals = Refusals {
    field: "password",
    password: ErrorCode::PasswordRefused,
    code: ErrorCode::CodeRefused,
};

/// Changes the phone
///
/// The present phone (or the password) and the new phone are proven. All other devices are logged out. Invitations that were
/// sent to the old phone stay there, but for those that the user accepted and those that name the user as a doctor.
#[utoipa::path(
    operation_id = "changePhone",
    put, path = "/account/phone", tag = "account", request_body = ChangePhone,
    responses(
        (status = 200, body = Envelope<Empty>),
        (status = 403, description = "`account.password_refused`, `account.code_refused`"),
        (status = 409, description = "`account.exists`"),
        (status = 429, description = "`account.too_many_attempts`")
    ),
    security(("access_token" = []), ("bearer" = []))
)]
pub(crate) async fn change(
    State(app): State<App>,
    user: User,
    ClientAddress(address): ClientAddress,
    Json(body): Json<ChangePhone>,
) -> Result<Answer, Error> {
    let proof = Proof::of(&app, &user, address, (body.password, body.code), &CHANGE).await?;
    let guesser = Guesser::of_phone(&body.new_phone, None, Some(&user.device_id), address);
    let new = New {
        phone: body.new_phone,
        code: body.new_code,
        guesser,
    };
    let handle = app.clone();
    app.to_the_end(async move {
        let gone = store(&handle, user, proof, new).await?;
        log_out(&handle, &gone).await;
        Answer::empty()
    })
    .await
}

/// The new phone with its proof.
struct New {
    phone: Phone,
    code: Code,
    guesser: Guesser,
}

/// Locks the account first: a concurrent login is ended here. A wrong code counts, so its refusal is committed.
async fn store(app: &App, user: User, proof: Proof, new: New) -> Result<Vec<Device>, Error> {
    let handle = app.clone();
    app.database
        .transaction(move |tx| {
            Box::pin(async move {
                if !code::check(tx, &handle, &new.guesser, &new.phone, &new.code).await? {
                    return Ok(Err(Error::new(ErrorCode::CodeRefused).field("new_code")));
                }
                if !proof.holds(tx, &handle, &user).await? {
                    return Ok(Err(CHANGE.refuse(&proof)));
                }
                table::set_phone(tx, user.id, &new.phone).await?;
                table::consume_code(tx, &new.phone).await?;
                let gone = table::remove_other_devices(tx, user.id, &user.device_id).await?;
                table::forget_other_known_devices(tx, user.id, &user.device_id).await?;
                table::lock_device(tx, &user).await?;
                Ok::<_, Error>(Ok(gone))
            })
        })
        .await?
}
