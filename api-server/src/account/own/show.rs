//! The account as its user sees it.

use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    account::{
        device::list::{self, DeviceItem},
        table,
    },
    app::App,
    caller::User,
    http::{
        answer::{Answer, Envelope},
        error::{Error, ErrorCode},
    },
};

/// The role of an account.
#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
#[expect(dead_code, reason = "only its documentation is used")]
pub(crate) enum AccountRole {
    Member,
    Doctor,
    /// The service account of a team.
    Assistant,
    Operator,
}

/// Whether a doctor is verified.
#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
#[expect(dead_code, reason = "only its documentation is used")]
pub(crate) enum AccountVerification {
    /// Nothing was asked.
    None,
    Asked,
    Approved,
    Declined,
    Suspended,
}

/// An account, as its user sees it.
#[derive(Serialize, ToSchema)]
pub(crate) struct AccountShown {
    user_id: i64,
    name: String,
    #[schema(value_type = AccountRole)]
    role: &'static str,
    /// Its roles: one.
    #[schema(value_type = Vec<AccountRole>)]
    roles: [&'static str; 1],
    /// Its phone but for some digits; absent for a team's assistant and for operators.
    #[serde(skip_serializing_if = "Option::is_none")]
    phone: Option<String>,
    /// Whether it logs in by password, too.
    has_password: bool,
    /// As GET /account/devices lists them.
    devices: Vec<DeviceItem>,
    created_ms: i64,
    /// Of a doctor.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<AccountVerification>, required = false)]
    verification: Option<String>,
    /// Notices of GET /account/notice_list that are not read, counted up to 100.
    unread_notices: i64,
    /// When the account will be closed; absent unless its user asked for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    closing_ms: Option<i64>,
}

/// The caller's account
#[utoipa::path(
    operation_id = "getAccount",
    get, path = "/account", tag = "account",
    responses((status = 200, body = Envelope<AccountShown>)),
    security(("access_token" = []), ("bearer" = []))
)]
pub(crate) async fn show(State(app): State<App>, user: User) -> Result<Answer, Error> {
    let mut account = own(&app, &user).await?;
    account.phone = account.phone.as_deref().map(masked);
    Answer::one(&account)
}

/// The account with its whole phone, for its user's own file.
pub(crate) async fn whole(app: &App, user: &User) -> Result<Answer, Error> {
    Answer::one(&own(app, user).await?)
}

async fn own(app: &App, user: &User) -> Result<AccountShown, Error> {
    let own = table::own(&app.database, user.id)
        .await?
        .ok_or(ErrorCode::AuthRequired)?;
    let is_doctor = user.role == crate::caller::Role::Doctor;
    Ok(AccountShown {
        user_id: user.id.get(),
        name: own.name,
        role: user.role.as_str(),
        roles: [user.role.as_str()],
        phone: own.phone,
        has_password: own.has_password,
        devices: list::devices(app, user).await?,
        created_ms: own.created_ms,
        verification: is_doctor.then(|| own.verification.unwrap_or_else(|| "none".to_owned())),
        unread_notices: own.unread_notices,
        closing_ms: own.closing_ms,
    })
}

/// A number with stars for the digits in the middle: a stranger who looks at the screen cannot call it.
fn masked(phone: &str) -> String {
    const SHOWN: usize = 4;
    let digits = phone.len();
    let first = digits.saturating_sub(2 * SHOWN).min(6);
    phone
        .chars()
        .enumerate()
        .map(|(at, digit)| {
            if at < first || at + SHOWN >= digits {
                digit
            } else {
                '*'
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_masked_number_shows_its_ends() {
        assert_eq!(masked("+8613800138000"), "+86138****8000");
        assert_eq!(masked("+4915123456"), "+49****3456");
        assert_eq!(masked("+1234567"), "****4567");
    }
}
