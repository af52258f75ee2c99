//! The purpose of an upload.

use media::Class;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The purpose of an upload: it may be named there and nowhere else.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = MediaPurpose)]
pub(crate) enum Purpose {
    /// A message.
    Message,
    /// The complaint of a consult.
    Symptom,
    /// The photo of a profile.
    Profile,
    /// A licence of a doctor.
    Licence,
}

impl Purpose {
    /// As the database has it.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Message => "message",
            Self::Symptom => "symptom",
            Self::Profile => "profile",
            Self::Licence => "licence",
        }
    }

    /// Reads what the database has.
    pub(super) fn from_database(text: &str) -> Option<Self> {
        [Self::Message, Self::Symptom, Self::Profile, Self::Licence]
            .into_iter()
            .find(|purpose| purpose.as_str() == text)
    }

    /// Whether a medium of this class serves the purpose.
    pub(super) fn permits(self, class: Class) -> bool {
        match self {
            Self::Message | Self::Symptom => true,
            Self::Profile | Self::Licence => class == Class::Picture,
        }
    }
}
