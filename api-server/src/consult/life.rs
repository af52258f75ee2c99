//! The life of a consult.
//!
//! ```text
//! waiting ──first doctor brought in──▶ in_process ──finish──▶ finished
//!    └────────────cancel─────────────────┴──▶ cancelled          nothing leaves the last two
//! ```

use utoipa::ToSchema;

use crate::http::error::ErrorCode;

/// Where a consult is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ToSchema)]
#[schema(as = ConsultStatus, rename_all = "snake_case")]
pub(crate) enum Status {
    /// No doctor was brought in yet.
    Waiting,
    /// A doctor was.
    InProcess,
    /// Done.
    Finished,
    /// Called off.
    Cancelled,
}

impl Status {
    const ALL: [Self; 4] = [Self::Waiting, Self::InProcess, Self::Finished, Self::Cancelled];

    /// As REST, the wire and the database name it.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::InProcess => "in_process",
            Self::Finished => "finished",
            Self::Cancelled => "cancelled",
        }
    }

    /// Reads what the database has.
    pub(crate) fn from_database(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == text)
    }

    /// Whether its conversations take messages and its doctors may change.
    pub(crate) const fn is_open(self) -> bool {
        matches!(self, Self::Waiting | Self::InProcess)
    }

    /// A doctor is brought in.
    pub(crate) fn bring_in(self) -> Result<Self, ErrorCode> {
        match self {
            Self::Waiting | Self::InProcess => Ok(Self::InProcess),
            Self::Finished | Self::Cancelled => Err(ErrorCode::ConsultEnded),
        }
    }

    /// A doctor is taken out; a consult that has lost its last doctor goes on, the assistant brings in another.
    pub(crate) fn take_out(self) -> Result<Self, ErrorCode> {
        match self {
            Self::Waiting | Self::InProcess => Ok(self),
            Self::Finished | Self::Cancelled => Err(ErrorCode::ConsultEnded),
        }
    }

    /// It is done.
    pub(crate) fn finish(self) -> Result<Self, ErrorCode> {
        match self {
            Self::Waiting => Err(ErrorCode::ConsultWaiting),
            Self::InProcess => Ok(Self::Finished),
            Self::Finished | Self::Cancelled => Err(ErrorCode::ConsultEnded),
        }
    }

    /// It is called off.
    pub(crate) fn cancel(self) -> Result<Self, ErrorCode> {
        match self {
            Self::Waiting | Self::InProcess => Ok(Self::Cancelled),
            Self::Finished | Self::Cancelled => Err(ErrorCode::ConsultEnded),
        }
    }
}

/// What somebody is in a consult.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Seat {
    /// Who it is for.
    Patient,
    /// The team's assistant.
    Assistant,
    /// A doctor who was brought in and not taken out.
    Doctor,
}

impl Seat {
    /// As the database has it.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Patient => "patient",
            Self::Assistant => "assistant",
            Self::Doctor => "doctor",
        }
    }

    /// Reads what the database has.
    pub(crate) fn from_database(text: &str) -> Option<Self> {
        [Self::Patient, Self::Assistant, Self::Doctor]
            .into_iter()
            .find(|seat| seat.as_str() == text)
    }

    /// Doctors and the assistant, who have the staff room.
    pub(crate) const fn is_staff(self) -> bool {
        matches!(self, Self::Assistant | Self::Doctor)
    }

    /// Who may bring doctors in.
    pub(crate) const fn may_bring_in(self) -> bool {
        matches!(self, Self::Assistant)
    }

    /// Who may propose value-added services.
    pub(crate) const fn may_propose(self) -> bool {
        matches!(self, Self::Doctor)
    }

    /// Who may hand their own place to another doctor.
    pub(crate) const fn may_hand_over(self) -> bool {
        matches!(self, Self::Doctor)
    }

    /// Who may finish it.
    pub(crate) const fn may_finish(self) -> bool {
        matches!(self, Self::Assistant | Self::Doctor)
    }

    /// Who may call it off.
    pub(crate) const fn may_cancel(self) -> bool {
        matches!(self, Self::Assistant | Self::Patient)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The whole table: from, step, to or refusal.
    #[test]
    fn every_step_from_every_state() {
        use Status::{Cancelled, Finished, InProcess, Waiting};
        type Step = fn(Status) -> Result<Status, ErrorCode>;
        let steps: [(&str, Step); 4] = [
            ("bring in", Status::bring_in),
            ("take out", Status::take_out),
            ("finish", Status::finish),
            ("cancel", Status::cancel),
        ];
        let expected = [
            (
                Waiting,
                [
                    Ok(InProcess),
                    Ok(Waiting),
                    Err(ErrorCode::ConsultWaiting),
                    Ok(Cancelled),
                ],
            ),
            (
                InProcess,
                [Ok(InProcess), Ok(InProcess), Ok(Finished), Ok(Cancelled)],
            ),
            (Finished, [Err(ErrorCode::ConsultEnded); 4]),
            (Cancelled, [Err(ErrorCode::ConsultEnded); 4]),
        ];
        for (from, outcomes) in expected {
            for ((name, step), outcome) in steps.iter().zip(outcomes) {
                assert_eq!(step(from), outcome, "{name} from {}", from.as_str());
            }
        }
    }

    #[test]
    fn only_ended_consults_are_closed() {
        for status in Status::ALL {
            assert_eq!(status.is_open(), status.cancel().is_ok());
            assert_eq!(Status::from_database(status.as_str()), Some(status));
        }
        assert_eq!(Status::from_database("done"), None);
    }
}
