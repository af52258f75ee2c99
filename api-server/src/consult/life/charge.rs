//! The price of a consult: held while it goes on, then the team's or the patient's.

use utoipa::ToSchema;

use super::Status;

/// Where the price of a charged consult is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ToSchema)]
#[schema(as = ConsultChargeState, rename_all = "snake_case")]
pub(crate) enum ChargeState {
    /// The patient paid it, and the consult goes on.
    Held,
    /// The consult was finished: it is the team's income.
    Earned,
    /// The consult was cancelled: the patient has it again.
    Returned,
}

impl ChargeState {
    /// The word of REST, the wire and the database.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Held => "held",
            Self::Earned => "earned",
            Self::Returned => "returned",
        }
    }

    pub(crate) fn from_database(text: &str) -> Option<Self> {
        [Self::Held, Self::Earned, Self::Returned]
            .into_iter()
            .find(|state| state.as_str() == text)
    }

    /// In each state of the consult.
    pub(crate) const fn of(status: Status) -> Self {
        match status {
            Status::Waiting | Status::InProcess => Self::Held,
            Status::Finished => Self::Earned,
            Status::Cancelled => Self::Returned,
        }
    }
}
