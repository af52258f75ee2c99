//! Teams and clinics, as invitations see them.

use serde::Serialize;
use utoipa::ToSchema;

use super::link::MadeLink;
use crate::{caller::Lead, http::error::ErrorCode};

/// The kind of record that doctors are invited into.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = InvitationPlace)]
pub(crate) enum Place {
    Team,
    Clinic,
}

/// The team or clinic of an invitation.
pub(crate) struct Target {
    pub(crate) id: i64,
    pub(crate) name: String,
}

/// A record that doctors are invited into by users who lead it.
pub(crate) trait Inviting: Lead + 'static {
    const PLACE: Place;
    /// An invitation by link, in the words of this place.
    type Link: From<MadeLink> + Serialize;

    fn into_target(self) -> Target;
}

impl Place {
    /// The word of the database.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Team => "team",
            Self::Clinic => "clinic",
        }
    }

    pub(super) fn from_database(text: &str) -> Option<Self> {
        [Self::Team, Self::Clinic]
            .into_iter()
            .find(|place| place.as_str() == text)
    }

    pub(super) const fn blocked(self) -> ErrorCode {
        match self {
            Self::Team => ErrorCode::TeamBlocked,
            Self::Clinic => ErrorCode::ClinicBlocked,
        }
    }

    pub(super) const fn refused(self) -> ErrorCode {
        match self {
            Self::Team => ErrorCode::InvitationRefused,
            Self::Clinic => ErrorCode::ClinicInvitationRefused,
        }
    }

    pub(super) const fn expired(self) -> ErrorCode {
        match self {
            Self::Team => ErrorCode::InvitationExpired,
            Self::Clinic => ErrorCode::ClinicInvitationExpired,
        }
    }

    pub(super) const fn used_up(self) -> ErrorCode {
        match self {
            Self::Team => ErrorCode::InvitationUsedUp,
            Self::Clinic => ErrorCode::ClinicInvitationUsedUp,
        }
    }

    pub(super) const fn not_found(self) -> ErrorCode {
        match self {
            Self::Team => ErrorCode::InvitationNotFound,
            Self::Clinic => ErrorCode::ClinicInvitationNotFound,
        }
    }

    pub(super) const fn limit(self) -> ErrorCode {
        match self {
            Self::Team => ErrorCode::InvitationLimit,
            Self::Clinic => ErrorCode::ClinicInvitationLimit,
        }
    }
}
