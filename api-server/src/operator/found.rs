//! Accounts, as operators see them.

use serde::Serialize;
use utoipa::{
    ToSchema,
    openapi::{RefOr, Schema},
};

use crate::{account::PhoneShown, caller::Role, http::docs::one_of};

/// An account, as an operator sees it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Person)]
pub(crate) struct FoundUser {
    pub(super) user_id: i64,
    pub(super) name: String,
    #[schema(schema_with = role)]
    pub(super) role: String,
    /// Absent for a team's assistant and for dependants.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<PhoneShown>)]
    pub(super) phone: Option<String>,
    /// When it was disabled, epoch milliseconds; absent while it is enabled.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) disabled_ms: Option<i64>,
    pub(super) created_ms: i64,
    pub(super) last_login_ms: i64,
}

/// Searches do not find operators.
fn role() -> RefOr<Schema> {
    one_of([Role::Member, Role::Doctor, Role::Assistant].map(Role::as_str))
}
