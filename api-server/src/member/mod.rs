//! A member's own record. Balance and total consumed are absent until the ledger exists.

pub(crate) mod change;
pub(crate) mod show;

use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    caller::{self, MembersOnly},
    family::Relative,
    http::error::ErrorCode,
    profile::Profile,
};

/// Members' own records.
pub(crate) struct Records;

impl MembersOnly for Records {
    const REFUSAL: ErrorCode = ErrorCode::MemberOnly;
}

/// A member who calls.
type Caller = caller::Member<Records>;

/// A member's own record.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Member {
    member_id: i64,
    name: String,
    #[serde(flatten)]
    profile: Profile,
    /// All relatives, the newest first.
    family: Vec<Relative>,
}
