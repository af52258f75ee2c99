//! A member's own record.

pub(crate) mod change;
pub(crate) mod show;
mod watch;

pub(crate) use watch::WATCH;

use ledger::Wallet;
use proto::UserId;
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
    /// 余额.
    balance_fen: i64,
    /// 已消费总数: what consults and services were charged, by the wallet and by membership fees, less what went back.
    total_consumed_fen: i64,
    /// All relatives, the newest first.
    family: Vec<Relative>,
}

impl Member {
    fn new(user: UserId, (name, profile): (String, Profile), wallet: Wallet, family: Vec<Relative>) -> Self {
        Self {
            member_id: user.get(),
            name,
            profile,
            balance_fen: wallet.balance_fen,
            total_consumed_fen: wallet.consumed_fen,
            family,
        }
    }
}
