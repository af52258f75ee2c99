//! Payouts: operators export what teams asked for, enter the outcome, and approve each other's entries.
//!
//! Two operators stand behind each payout: one who exported the withdrawal or entered an outcome may not approve, even when
//! another entry replaced theirs. Each act is a row of the audit log, written in its transaction.

pub(crate) mod approve;
pub(crate) mod enter;
pub(crate) mod export;
pub(crate) mod list;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{payee::PayeeShown, withdrawal::WithdrawalState};
use crate::http::input::month;

/// The outcome of a payout.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = PayoutOutcome)]
pub(crate) enum Outcome {
    Paid,
    Failed,
}

impl Outcome {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Paid => "paid",
            Self::Failed => "failed",
        }
    }

    pub(super) fn from_word(word: &str) -> Option<Self> {
        [Self::Paid, Self::Failed]
            .into_iter()
            .find(|outcome| outcome.as_str() == word)
    }
}

/// A withdrawal, for operators.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Payout {
    pub(super) withdrawal_id: i64,
    pub(super) team_id: i64,
    pub(super) team_name: String,
    /// Of its window.
    #[schema(schema_with = month::schema)]
    pub(super) month: String,
    pub(super) amount_fen: i64,
    #[schema(value_type = WithdrawalState)]
    pub(super) state: String,
    pub(super) asked_by: i64,
    pub(super) asked_ms: i64,
    /// Its account number is masked; the export has it whole.
    pub(super) payee: PayeeShown,
    /// The operators who exported it or entered an outcome: they may not approve.
    pub(super) handled_by: Vec<i64>,
    /// The outcome that was entered.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Outcome)]
    pub(super) entered: Option<String>,
    /// The operator who entered it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) entered_by: Option<i64>,
    /// The bank's reference, or why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) reference: Option<String>,
    /// The operator who approved the entry.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) approved_by: Option<i64>,
    /// When it was approved.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) ended_ms: Option<i64>,
}

/// The subject of an act in the audit log.
fn subject(withdrawal: i64) -> String {
    format!("withdrawal:{withdrawal}")
}
