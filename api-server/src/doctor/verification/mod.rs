//! Doctors are who they say: a doctor asks with licence and title, and an operator decides.
//!
//! ```text
//! none ──ask──▶ asked ──approve──▶ approved ──suspend──▶ suspended
//!                │ ▲                  ▲                     │
//!             decline ask             └──────reinstate──────┘
//!                ▼ │
//!              declined
//! ```
//!
//! [`account::check_verified`](crate::account::check_verified) asks for it in every transaction that a doctor needs it for. A
//! suspension ends the doctor's devices as a disabled account does, leaves them without IM passwords, and takes them out of
//! running consults: each is a transaction of its own ([`crate::consult::leave_all`]), and a job completes what a killed process left.

pub(crate) mod ask;
pub(crate) mod decide;
pub(crate) mod list;
mod table;

pub use decide::verify_doctor;

use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    caller::{self, DoctorsOnly},
    http::error::ErrorCode,
};

/// Verifications of doctors.
pub(crate) struct Verifications;

impl DoctorsOnly for Verifications {
    const REFUSAL: ErrorCode = ErrorCode::DoctorPageForbidden;
}

/// A doctor who calls.
type Caller = caller::Doctor<Verifications>;

/// Where a verification is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ToSchema)]
#[schema(as = VerificationState, rename_all = "snake_case")]
pub(crate) enum State {
    /// The doctor has not asked.
    None,
    /// An operator is to decide.
    Asked,
    /// Their licence was checked.
    Approved,
    /// Refused with a reason; the doctor may ask again.
    Declined,
    /// Approved before, and stopped with a reason.
    Suspended,
}

impl State {
    const ALL: [Self; 5] = [
        Self::None,
        Self::Asked,
        Self::Approved,
        Self::Declined,
        Self::Suspended,
    ];

    /// The word of REST and the database.
    const fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Asked => "asked",
            Self::Approved => "approved",
            Self::Declined => "declined",
            Self::Suspended => "suspended",
        }
    }

    fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == word)
    }

    /// Whether a doctor may ask: what they sent before is replaced.
    const fn may_ask(self) -> bool {
        matches!(self, Self::None | Self::Asked | Self::Declined)
    }
}

/// A decision of an operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Decision {
    Approve,
    Decline,
    Suspend,
    Reinstate,
}

impl Decision {
    /// The state that it needs, and the one that it leads to.
    const fn step(self) -> (State, State) {
        match self {
            Self::Approve => (State::Asked, State::Approved),
            Self::Decline => (State::Asked, State::Declined),
            Self::Suspend => (State::Approved, State::Suspended),
            Self::Reinstate => (State::Suspended, State::Approved),
        }
    }

    /// The state after it. None when it is reached already: a repetition changes nothing.
    fn decide(self, state: State) -> Result<Option<State>, ErrorCode> {
        let (needed, next) = self.step();
        if state == needed {
            Ok(Some(next))
        } else if state == next {
            Ok(None)
        } else if state == State::None {
            Err(ErrorCode::VerificationNotFound)
        } else {
            Err(ErrorCode::VerificationState)
        }
    }
}

/// The verification of a doctor.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct Verification {
    doctor_id: i64,
    #[schema(value_type = State)]
    state: &'static str,
    /// As in the licence; empty while the state is none.
    name: String,
    /// 执业证书编号.
    licence_number: String,
    hospital: String,
    /// 职称.
    title: String,
    practice_years: i64,
    /// Uris of the pictures of licence and title.
    pictures: Vec<String>,
    /// Of a decline or a suspension; else empty.
    reason: String,
    /// When the doctor asked last, epoch milliseconds; absent while the state is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    asked_ms: Option<i64>,
    /// When an operator decided last, epoch milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    decided_ms: Option<i64>,
    /// Since when the doctor is verified, epoch milliseconds: the first approval.
    #[serde(skip_serializing_if = "Option::is_none")]
    verified_ms: Option<i64>,
}

impl Verification {
    /// Of a doctor who has not asked.
    fn none(doctor: i64) -> Self {
        Self {
            doctor_id: doctor,
            state: State::None.as_str(),
            name: String::new(),
            licence_number: String::new(),
            hospital: String::new(),
            title: String::new(),
            practice_years: 0,
            pictures: Vec::new(),
            reason: String::new(),
            asked_ms: None,
            decided_ms: None,
            verified_ms: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_decision_in_each_state() {
        use State::{Approved, Asked, Declined, None as Never, Suspended};
        let missing = Err(ErrorCode::VerificationNotFound);
        let no = Err(ErrorCode::VerificationState);
        // none, asked, approved, declined, suspended
        for (decision, expected) in [
            (Decision::Approve, [missing, Ok(Some(Approved)), Ok(None), no, no]),
            (Decision::Decline, [missing, Ok(Some(Declined)), no, Ok(None), no]),
            (
                Decision::Suspend,
                [missing, no, Ok(Some(Suspended)), no, Ok(None)],
            ),
            (
                Decision::Reinstate,
                [missing, no, Ok(None), no, Ok(Some(Approved))],
            ),
        ] {
            let states = [Never, Asked, Approved, Declined, Suspended];
            assert_eq!(
                states.map(|state| decision.decide(state)),
                expected,
                "{decision:?}"
            );
        }
        let may = State::ALL.map(State::may_ask);
        assert_eq!(may, [true, true, false, true, false]);
    }
}
