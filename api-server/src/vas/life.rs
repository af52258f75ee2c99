//! The life of a value-added service.
//!
//! ```text
//! proposed ──confirm (member)──▶ confirmed
//!    ├───────decline (member)──▶ declined
//!    └──────withdraw (doctor)──▶ withdrawn          nothing leaves the last three
//! ```

use proto::wire::EntryKind;
use utoipa::ToSchema;

use crate::http::error::ErrorCode;

/// Where a value-added service is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ToSchema)]
#[schema(as = VasState, rename_all = "snake_case")]
pub(crate) enum State {
    /// The member has not decided yet.
    Proposed,
    /// The member wants it.
    Confirmed,
    /// The member does not want it.
    Declined,
    /// The doctor took it back, or went, or the consult ended.
    Withdrawn,
}

/// What somebody wants to do with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Confirm,
    Decline,
    Withdraw,
}

/// What somebody who may see it is to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    /// Who decides.
    Member,
    /// Who proposed it.
    Doctor,
    /// Somebody else of the consult.
    Onlooker,
}

impl State {
    const ALL: [Self; 4] = [Self::Proposed, Self::Confirmed, Self::Declined, Self::Withdrawn];

    /// As REST, the wire and the database name it.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Proposed => "proposed",
            Self::Confirmed => "confirmed",
            Self::Declined => "declined",
            Self::Withdrawn => "withdrawn",
        }
    }

    /// Reads what the database has.
    pub(super) fn from_database(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == text)
    }

    /// The entry that tells of it.
    pub(super) const fn entry(self) -> EntryKind {
        match self {
            Self::Proposed => EntryKind::VasProposed,
            Self::Confirmed => EntryKind::VasConfirmed,
            Self::Declined => EntryKind::VasDeclined,
            Self::Withdrawn => EntryKind::VasWithdrawn,
        }
    }

    /// The state after a step; none when it is there already: the same step again, from whatever device, is answered as
    /// the first time and does nothing.
    pub(super) fn after(self, step: Step) -> Result<Option<Self>, ErrorCode> {
        let next = step.leads_to();
        match self {
            Self::Proposed => Ok(Some(next)),
            same if same == next => Ok(None),
            Self::Confirmed => Err(ErrorCode::VasConfirmed),
            Self::Declined => Err(ErrorCode::VasDeclined),
            Self::Withdrawn => Err(ErrorCode::VasWithdrawn),
        }
    }
}

impl Step {
    const fn leads_to(self) -> State {
        match self {
            Self::Confirm => State::Confirmed,
            Self::Decline => State::Declined,
            Self::Withdraw => State::Withdrawn,
        }
    }

    /// Whose step it is.
    pub(super) fn is_of(self, side: Side) -> bool {
        match self {
            Self::Confirm | Self::Decline => side == Side::Member,
            Self::Withdraw => side == Side::Doctor,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The whole table: from, then confirm, decline, withdraw.
    #[test]
    fn every_step_from_every_state() {
        use State::{Confirmed, Declined, Proposed, Withdrawn};
        let expected = [
            (
                Proposed,
                [Ok(Some(Confirmed)), Ok(Some(Declined)), Ok(Some(Withdrawn))],
            ),
            (
                Confirmed,
                [
                    Ok(None),
                    Err(ErrorCode::VasConfirmed),
                    Err(ErrorCode::VasConfirmed),
                ],
            ),
            (
                Declined,
                [Err(ErrorCode::VasDeclined), Ok(None), Err(ErrorCode::VasDeclined)],
            ),
            (
                Withdrawn,
                [
                    Err(ErrorCode::VasWithdrawn),
                    Err(ErrorCode::VasWithdrawn),
                    Ok(None),
                ],
            ),
        ];
        for (from, outcomes) in expected {
            for (step, outcome) in [Step::Confirm, Step::Decline, Step::Withdraw]
                .into_iter()
                .zip(outcomes)
            {
                assert_eq!(from.after(step), outcome, "{step:?} from {}", from.as_str());
            }
        }
    }

    #[test]
    fn each_side_has_its_steps() {
        for (step, side) in [
            (Step::Confirm, Side::Member),
            (Step::Decline, Side::Member),
            (Step::Withdraw, Side::Doctor),
        ] {
            for other in [Side::Member, Side::Doctor, Side::Onlooker] {
                assert_eq!(step.is_of(other), other == side, "{step:?} {other:?}");
            }
        }
        for state in State::ALL {
            assert_eq!(State::from_database(state.as_str()), Some(state));
        }
        assert_eq!(State::from_database("paid"), None);
    }
}
