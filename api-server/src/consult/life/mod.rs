//! The life of a consult, without a database: [`Life::decide`] answers an act with a refusal or with effects.
//!
//! ```text
//! waiting ──first doctor added──▶ in_process ──finish──▶ finished
//!    └──────────cancel───────────────┴──▶ cancelled          both ends are final
//! ```
//!
//! The consult's row is locked before the decision, so that racing acts are decided one after the other. The effects are
//! carried out in their order, in the same transaction: it is also the order of the entries in the journals.
//! `testdata/` has scripts of whole lives, in which value-added services take part.

mod charge;
mod decide;
mod seat;

use utoipa::ToSchema;

pub(crate) use charge::ChargeState;
pub(crate) use decide::{Act, Candidate, Conversation, Effect, Entry, Life};
pub(crate) use seat::{Seat, Shelf};

/// Where a consult is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ToSchema)]
#[schema(as = ConsultStatus, rename_all = "snake_case")]
pub(crate) enum Status {
    /// No doctor was added yet.
    Waiting,
    /// A doctor was added.
    InProcess,
    /// Ended by the staff, after treatment.
    Finished,
    /// Called off.
    Cancelled,
}

impl Status {
    pub(crate) const ALL: [Self; 4] = [Self::Waiting, Self::InProcess, Self::Finished, Self::Cancelled];

    /// The word of REST, the wire and the database.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::InProcess => "in_process",
            Self::Finished => "finished",
            Self::Cancelled => "cancelled",
        }
    }

    pub(crate) fn from_database(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == text)
    }

    /// An open consult takes messages and acts.
    pub(crate) const fn is_open(self) -> bool {
        matches!(self, Self::Waiting | Self::InProcess)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_database_reads_back_each_word() {
        for status in Status::ALL {
            assert_eq!(Status::from_database(status.as_str()), Some(status));
        }
        assert_eq!(Status::from_database("done"), None);
        for state in Status::ALL.map(ChargeState::of) {
            assert_eq!(ChargeState::from_database(state.as_str()), Some(state));
        }
        assert_eq!(ChargeState::from_database("paid"), None);
        for seat in [Seat::Patient, Seat::Assistant, Seat::Doctor] {
            assert_eq!(Seat::from_database(seat.as_str()), Some(seat));
        }
        assert_eq!(Seat::from_database("owner"), None);
    }
}
