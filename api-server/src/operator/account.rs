//! Disabling accounts and enabling them again.

use axum::extract::State;
use proto::UserId;
use serde::Deserialize;
use utoipa::ToSchema;

use super::{
    audit::{Act, Row, write},
    found::FoundUser,
    table,
};
use crate::{
    account,
    app::{App, Written},
    caller::Operator,
    clock::now_ms,
    http::{
        answer::{Answer, Envelope},
        docs::IdempotencyKey,
        error::{Error, ErrorCode},
        input::{PathId, Text, Write},
    },
};

/// The reason for an act; the audit log keeps it.
#[derive(Deserialize, ToSchema)]
#[schema(example = json!({"reason": "冒用他人手机号，工单 2026-118"}))]
pub(crate) struct Because {
    reason: Text<4, 500>,
}

impl Because {
    pub(crate) fn into_reason(self) -> String {
        self.reason.into_string()
    }
}

/// The refusal of an account that does not exist, or that this act is not for.
pub(crate) fn unknown() -> Error {
    ErrorCode::OperatorUserNotFound.into()
}

/// Disables an account
///
/// Its access tokens, IM passwords and live IM sessions end at once, on all nodes, and so do those of a team's assistant that
/// it logged in; logins are refused. A repetition gets the same answer. Operators are disabled on the command line.
#[utoipa::path(
    operation_id = "disableAccount",
    post, path = "/operator/account/{id}/disable", tag = "operator", request_body = Because,
    params(("id" = i64, Path, minimum = 1), IdempotencyKey),
    responses(
        (status = 200, body = Envelope<FoundUser>),
        (status = 403, description = "`operator.only`"),
        (status = 404, description = "`operator.person_not_found`")
    ),
    security(("access_token" = []), ("bearer" = []))
)]
pub(crate) async fn disable_account(
    State(app): State<App>,
    operator: Operator,
    PathId(id): PathId,
    Write { body, once }: Write<Because>,
) -> Result<Answer, Error> {
    app.write(once, move |tx| {
        Box::pin(async move {
            let now_ms = now_ms();
            let user = UserId::from_database(id.get());
            let changed = table::disable(tx, user, now_ms).await?;
            let found = table::user_in(tx, id.get())
                .await?
                .ok_or(ErrorCode::OperatorUserNotFound)?;
            let mut written = Written::new(Answer::one(&found)?);
            if changed {
                written.logged_out = account::remove_devices(tx, user).await?;
                written.disabled = Some(user);
                let row = Row::by(operator.id, Act::AccountDisabled).account(id.get());
                write(tx, row.because(body.reason.into_string()), now_ms).await?;
            }
            Ok(written)
        })
    })
    .await
}

/// Enables an account again
///
/// Its owner can log in again. A repetition gets the same answer.
#[utoipa::path(
    operation_id = "enableAccount",
    post, path = "/operator/account/{id}/enable", tag = "operator", request_body = Because,
    params(("id" = i64, Path, minimum = 1), IdempotencyKey),
    responses(
        (status = 200, body = Envelope<FoundUser>),
        (status = 403, description = "`operator.only`"),
        (status = 404, description = "`operator.person_not_found`")
    ),
    security(("access_token" = []), ("bearer" = []))
)]
pub(crate) async fn enable_account(
    State(app): State<App>,
    operator: Operator,
    PathId(id): PathId,
    Write { body, once }: Write<Because>,
) -> Result<Answer, Error> {
    app.write(once, move |tx| {
        Box::pin(async move {
            let now_ms = now_ms();
            let changed = table::enable(tx, UserId::from_database(id.get())).await?;
            let found = table::user_in(tx, id.get())
                .await?
                .ok_or(ErrorCode::OperatorUserNotFound)?;
            if changed {
                let row = Row::by(operator.id, Act::AccountEnabled).account(id.get());
                write(tx, row.because(body.reason.into_string()), now_ms).await?;
            }
            Ok(Written::new(Answer::one(&found)?))
        })
    })
    .await
}

/// Ends all sessions of an account
///
/// Its access tokens, IM passwords and live IM sessions end at once, on all nodes; its owner may log in again.
#[utoipa::path(
    operation_id = "endSessions",
    post, path = "/operator/account/{id}/end_sessions", tag = "operator", request_body = Because,
    params(("id" = i64, Path, minimum = 1), IdempotencyKey),
    responses(
        (status = 200, body = Envelope<FoundUser>),
        (status = 403, description = "`operator.only`"),
        (status = 404, description = "`operator.person_not_found`")
    ),
    security(("access_token" = []), ("bearer" = []))
)]
pub(crate) async fn end_sessions(
    State(app): State<App>,
    operator: Operator,
    PathId(id): PathId,
    Write { body, once }: Write<Because>,
) -> Result<Answer, Error> {
    app.write(once, move |tx| {
        Box::pin(async move {
            let now_ms = now_ms();
            let user = UserId::from_database(id.get());
            account::lock(tx, user).await?;
            let found = table::user_in(tx, id.get()).await?.ok_or_else(unknown)?;
            let mut written = Written::new(Answer::one(&found)?);
            written.logged_out = account::remove_devices(tx, user).await?;
            let row = Row::by(operator.id, Act::SessionsEnded).account(id.get());
            write(tx, row.because(body.reason.into_string()), now_ms).await?;
            Ok(written)
        })
    })
    .await
}
