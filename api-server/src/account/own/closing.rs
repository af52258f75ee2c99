//! 注销账号: an account is closed after time to think.

use axum::extract::State;
use jobs::{Failure, Next, Turn};
use proto::UserId;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    account::{Code, Password, Proof, Refusals, table},
    app::{App, Written},
    caller::User,
    http::{
        address::ClientAddress,
        answer::{Answer, Empty, Envelope},
        docs::IdempotencyKey,
        error::{Error, ErrorCode},
        input::{Json, Nothing, Write},
    },
};

/// The time to think, milliseconds: 15 days.
const THINK_MS: i64 = 15 * 24 * 60 * 60 * 1000;
/// The name of a closed account in lists. Records keep the name of their time.
const CLOSED_NAME: &str = "已注销用户";

/// A proof that the account's owner asks: an access token alone is not enough.
#[derive(Deserialize, ToSchema)]
#[schema(example = json!({"password": "correct horse 1"}))]
pub(crate) struct CloseAccount {
    /// The current password, if there is one.
    password: Option<Password>,
    /// A code from POST /account/code instead.
    code: Option<Code>,
}

/// When the account will be closed.
#[derive(Serialize, ToSchema)]
#[schema(as = AccountClosing)]
pub(crate) struct Closing {
    /// Epoch milliseconds.
    closing_ms: i64,
}

const ASK: Refusals = Refusals {
    field: "password",
    password: ErrorCode::PasswordRefused,
    code: ErrorCode::CodeRefused,
};

/// Asks to close the account (注销账号)
///
/// It is closed after 15 days; until then DELETE takes it back. A closed account cannot log in, its phone may register anew,
/// and lists show 已注销用户 for its name. Records stay, as the law wants, with the name of their time. Refused while a consult
/// runs, the wallet or a fee has a balance, a top-up is open, balance is on its way back, or a team or clinic is the user's
/// own.
#[utoipa::path(
    operation_id = "closeAccount",
    post, path = "/account/closing", tag = "account", request_body = CloseAccount,
    responses(
        (status = 200, body = Envelope<Closing>),
        (status = 403, description = "`account.password_refused`, `account.code_refused`"),
        (status = 409, description = "`account.open_work`"),
        (status = 429, description = "`account.too_many_attempts`")
    ),
    security(("access_token" = []), ("bearer" = []))
)]
pub(crate) async fn ask(
    State(app): State<App>,
    user: User,
    ClientAddress(address): ClientAddress,
    Json(body): Json<CloseAccount>,
) -> Result<Answer, Error> {
    let proof = Proof::of(&app, &user, address, (body.password, body.code), &ASK).await?;
    let handle = app.clone();
    let asked = app.database.transaction(move |tx| {
        Box::pin(async move {
            if !proof.holds(tx, &handle, &user).await? {
                // Committed, so that the attempt counts.
                return Ok(Err(ASK.refuse(&proof)));
            }
            if table::closing::has_open_work(tx, user.id).await? {
                return Ok(Err(ErrorCode::AccountOpenWork.into()));
            }
            let closing_ms = tx.now_ms().await? + THINK_MS;
            let closing_ms = table::closing::ask(tx, user.id, closing_ms).await?;
            table::lock_device(tx, &user).await?;
            Ok::<_, Error>(Ok(Closing { closing_ms }))
        })
    });
    Answer::one(&asked.await??)
}

/// Takes a closing back
///
/// The account stays. One that was not to be closed gets the same answer.
#[utoipa::path(
    operation_id = "revokeClosing",
    delete, path = "/account/closing", tag = "account", params(IdempotencyKey),
    responses((status = 200, body = Envelope<Empty>)),
    security(("access_token" = []), ("bearer" = []))
)]
pub(crate) async fn take_back(
    State(app): State<App>,
    user: User,
    write: Write<Nothing>,
) -> Result<Answer, Error> {
    app.write(write.once, move |tx| {
        Box::pin(async move {
            table::closing::lift(tx, user.id).await?;
            Ok(Written::new(Answer::empty()?))
        })
    })
    .await
}

/// Closes the accounts that are due by the database's clock: it has set their time. One with open work, which came in the meantime, stays, and its user asks again.
pub(crate) async fn close_due(turn: Turn) -> Result<Next, Failure> {
    let now_ms = turn.database().now_ms().await.map_err(Error::from)?;
    let due = table::closing::due(turn.database(), now_ms, turn.bound()).await?;
    let is_whole = i64::try_from(due.len()).is_ok_and(|count| count == turn.bound());
    for user in due {
        close(&turn, user).await?;
    }
    Ok(if is_whole { Next::AtOnce } else { Next::Usual })
}

/// Its devices end with the account; the sweep of ended devices ends their sessions.
async fn close(turn: &Turn, user: UserId) -> Result<(), Failure> {
    let closed = turn.transaction::<_, Error, _>(move |tx| {
        Box::pin(async move {
            let now_ms = tx.now_ms().await?;
            if !table::closing::lock_due(tx, user, now_ms).await? {
                return Ok(());
            }
            if table::closing::has_open_work(tx, user).await? {
                return table::closing::lift(tx, user).await;
            }
            table::remove_devices(tx, user).await?;
            table::closing::close(tx, user, CLOSED_NAME, now_ms).await
        })
    });
    Ok(closed.await?)
}
