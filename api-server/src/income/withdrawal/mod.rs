//! Withdrawals (提现) of a team.

pub(crate) mod ask;
pub(crate) mod history;

use serde::Serialize;
use utoipa::ToSchema;

use super::payee::PayeeShown;
use crate::http::input::month;

/// The state of a withdrawal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum WithdrawalState {
    Asked,
    Paid,
    Failed,
}

impl WithdrawalState {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Asked => "asked",
            Self::Paid => "paid",
            Self::Failed => "failed",
        }
    }

    /// Of a word; `None` when it is unknown.
    pub(super) fn from_word(word: &str) -> Option<Self> {
        [Self::Asked, Self::Paid, Self::Failed]
            .into_iter()
            .find(|state| state.as_str() == word)
    }
}

/// A withdrawal.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Withdrawal {
    pub(super) withdrawal_id: i64,
    pub(super) team_id: i64,
    /// Of its window.
    #[schema(schema_with = month::schema)]
    pub(super) month: String,
    pub(super) amount_fen: i64,
    #[schema(value_type = WithdrawalState)]
    pub(super) state: String,
    /// The user who asked for it.
    pub(super) asked_by: i64,
    pub(super) asked_ms: i64,
    /// The bank's reference, or why it failed; once it has ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) reference: Option<String>,
    /// When it was paid or failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) ended_ms: Option<i64>,
    pub(super) payee: PayeeShown,
}
