//! The seats of a consult, and the lists on which a seated user has it.

use crate::http::error::ErrorCode;

/// A user's role in a consult.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Seat {
    /// The member who opened it.
    Patient,
    /// The team's assistant.
    Assistant,
    /// A doctor who was added and not removed.
    Doctor,
    /// A doctor of the team who is not in it. The database has no row of theirs.
    Colleague,
}

impl Seat {
    /// The word of the database.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Patient => "patient",
            Self::Assistant => "assistant",
            Self::Doctor => "doctor",
            Self::Colleague => "colleague",
        }
    }

    pub(crate) fn from_database(text: &str) -> Option<Self> {
        [Self::Patient, Self::Assistant, Self::Doctor]
            .into_iter()
            .find(|seat| seat.as_str() == text)
    }

    /// Doctors and the assistant have the staff room.
    pub(crate) const fn is_staff(self) -> bool {
        matches!(self, Self::Assistant | Self::Doctor)
    }
}

/// The list of a seated user on which a consult stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shelf {
    /// Waiting or in process.
    InProcess,
    /// Ended.
    History,
    /// Ended, and hidden by the user.
    Hidden,
    /// Of a doctor who left or was removed: on neither list. They see the consult as of that moment.
    Removed,
}

impl Shelf {
    /// The word of the database.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::InProcess => "in_process",
            Self::History => "history",
            Self::Hidden => "hidden",
            Self::Removed => "removed",
        }
    }

    pub(crate) fn from_database(text: &str) -> Option<Self> {
        [Self::InProcess, Self::History, Self::Hidden, Self::Removed]
            .into_iter()
            .find(|shelf| shelf.as_str() == text)
    }

    /// The shelf of a consult that its user hides. Hiding is repeatable.
    pub(crate) const fn hide(self) -> Result<Self, ErrorCode> {
        match self {
            Self::History | Self::Hidden => Ok(Self::Hidden),
            Self::InProcess => Err(ErrorCode::ConsultNotEnded),
            Self::Removed => Err(ErrorCode::ConsultNotFound),
        }
    }

    /// The shelf once the consult has ended.
    #[must_use]
    pub(crate) const fn end(self) -> Self {
        match self {
            Self::InProcess => Self::History,
            same => same,
        }
    }
}
