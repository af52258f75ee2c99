//! Refunds of prices that were charged, and the share of the platform (commission).
//!
//! Prices are charged where they arise: by consults, value-added services and memberships. Their part for the platform is
//! that of the commission in force at the beginning of the consult, or at the proposal of the service.

pub(crate) mod commission;
mod decide;
pub(crate) mod refund;
pub(crate) mod refund_list;
mod table;

use serde::Serialize;
use utoipa::ToSchema;

/// A price that went back to the patient, whole or in part.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct Refund {
    refund_id: i64,
    consultation_id: i64,
    /// The value-added service; absent for the consult's own price.
    #[serde(skip_serializing_if = "Option::is_none")]
    vas_id: Option<i64>,
    team_id: i64,
    /// The patient, whose wallet has it.
    member_id: i64,
    amount_fen: i64,
    reason: String,
    /// The team's owner or an operator.
    by_id: i64,
    created_ms: i64,
}
