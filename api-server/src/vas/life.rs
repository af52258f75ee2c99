//! The life of a value-added service, without a database.
//!
//! ```text
//! proposed ──confirm (member)──▶ confirmed
//!    ├───────decline (member)──▶ declined
//!    └───────retract (doctor)──▶ retracted          the last three are final
//! ```
//!
//! An open proposal is also retracted when its doctor leaves the consult, and when the consult ends.
//! The wire, REST and the database call retracted services `withdrawn`.

use proto::{UserId, wire::EntryKind};
use utoipa::ToSchema;

use crate::{
    consult::{
        self,
        life::{Seat, Status},
    },
    http::error::ErrorCode,
};

/// Open proposals of one consult, at most: a patient can look through them.
pub(super) const MAX_OPEN: i64 = ErrorCode::VasLimit.limit();

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
    /// The doctor retracted it or left, or the consult ended.
    #[schema(rename = "withdrawn")]
    Retracted,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    Confirm,
    Decline,
    Retract,
}

/// The relation of a user to a value-added service that they may see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    /// The patient, who decides.
    Member,
    /// The doctor who proposed it.
    Doctor,
    /// Another user of the consult.
    Onlooker,
}

impl State {
    const ALL: [Self; 4] = [Self::Proposed, Self::Confirmed, Self::Declined, Self::Retracted];

    /// The word of REST, the wire and the database.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Proposed => "proposed",
            Self::Confirmed => "confirmed",
            Self::Declined => "declined",
            Self::Retracted => "withdrawn",
        }
    }

    pub(super) fn from_database(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == text)
    }

    /// The journal entry of a service that enters the state.
    pub(super) const fn entry(self) -> EntryKind {
        match self {
            Self::Proposed => EntryKind::VasProposed,
            Self::Confirmed => EntryKind::VasConfirmed,
            Self::Declined => EntryKind::VasDeclined,
            Self::Retracted => EntryKind::VasWithdrawn,
        }
    }

    /// The state after a step. None when it is reached already: a repeated step is answered like the first one and changes
    /// nothing.
    pub(crate) fn decide(self, side: Side, step: Step) -> Result<Option<Self>, ErrorCode> {
        if step.side() != side {
            return Err(ErrorCode::VasForbidden);
        }
        let next = step.leads_to();
        match self {
            Self::Proposed => Ok(Some(next)),
            same if same == next => Ok(None),
            Self::Confirmed => Err(ErrorCode::VasConfirmed),
            Self::Declined => Err(ErrorCode::VasDeclined),
            Self::Retracted => Err(ErrorCode::VasRetracted),
        }
    }
}

impl Step {
    const fn leads_to(self) -> State {
        match self {
            Self::Confirm => State::Confirmed,
            Self::Decline => State::Declined,
            Self::Retract => State::Retracted,
        }
    }

    /// The side that may take it.
    const fn side(self) -> Side {
        match self {
            Self::Confirm | Self::Decline => Side::Member,
            Self::Retract => Side::Doctor,
        }
    }
}

/// Decides about a new proposal; `open` counts the consult's open ones.
pub(crate) fn propose(seat: Seat, consult: Status, open: i64) -> Result<State, ErrorCode> {
    if seat != Seat::Doctor {
        Err(ErrorCode::ConsultForbidden)
    } else if !consult.is_open() {
        Err(ErrorCode::ConsultEnded)
    } else if open >= MAX_OPEN {
        Err(ErrorCode::VasLimit)
    } else {
        Ok(State::Proposed)
    }
}

/// Whether a consult's event retracts an open proposal of a doctor.
pub(crate) fn retracts(event: consult::Event, doctor: UserId) -> bool {
    match event {
        consult::Event::DoctorLeft(left) => left == doctor,
        consult::Event::Ended(_) => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The whole table: from, then confirm, decline, retract.
    #[test]
    fn each_step_from_each_state() {
        use State::{Confirmed, Declined, Proposed, Retracted};
        let confirmed = Err(ErrorCode::VasConfirmed);
        let declined = Err(ErrorCode::VasDeclined);
        let retracted = Err(ErrorCode::VasRetracted);
        let expected = [
            (
                Proposed,
                [Ok(Some(Confirmed)), Ok(Some(Declined)), Ok(Some(Retracted))],
            ),
            (Confirmed, [Ok(None), confirmed, confirmed]),
            (Declined, [declined, Ok(None), declined]),
            (Retracted, [retracted, retracted, Ok(None)]),
        ];
        for (from, outcomes) in expected {
            for (step, outcome) in [Step::Confirm, Step::Decline, Step::Retract]
                .into_iter()
                .zip(outcomes)
            {
                for side in [Side::Member, Side::Doctor, Side::Onlooker] {
                    let outcome = if step.side() == side {
                        outcome
                    } else {
                        Err(ErrorCode::VasForbidden)
                    };
                    assert_eq!(
                        from.decide(side, step),
                        outcome,
                        "{step:?} of {side:?} from {from:?}"
                    );
                }
            }
        }
    }

    #[test]
    fn each_step_has_its_side() {
        assert_eq!(Step::Confirm.side(), Side::Member);
        assert_eq!(Step::Decline.side(), Side::Member);
        assert_eq!(Step::Retract.side(), Side::Doctor);
        for state in State::ALL {
            assert_eq!(State::from_database(state.as_str()), Some(state));
        }
        assert_eq!(State::from_database("paid"), None);
    }

    #[test]
    fn a_doctor_proposes_in_an_open_consult_up_to_the_limit() {
        for (seat, status, open, expected) in [
            (Seat::Doctor, Status::InProcess, MAX_OPEN - 1, Ok(State::Proposed)),
            (
                Seat::Doctor,
                Status::InProcess,
                MAX_OPEN,
                Err(ErrorCode::VasLimit),
            ),
            (Seat::Doctor, Status::Finished, 0, Err(ErrorCode::ConsultEnded)),
            (Seat::Doctor, Status::Cancelled, 0, Err(ErrorCode::ConsultEnded)),
            (
                Seat::Assistant,
                Status::InProcess,
                0,
                Err(ErrorCode::ConsultForbidden),
            ),
            (
                Seat::Patient,
                Status::InProcess,
                0,
                Err(ErrorCode::ConsultForbidden),
            ),
        ] {
            assert_eq!(
                propose(seat, status, open),
                expected,
                "{seat:?} {status:?} {open}"
            );
        }
    }
}
