//! Invitations of doctors into teams and clinics: joining needs the doctor's consent.
//!
//! By a signed *link* for any doctor who has it, or of one doctor *in person*, by phone or by id. One in person is kept by
//! phone and nobody looks whether the phone has an account, so the answer tells nothing about it; the doctor who has proved
//! to have the phone, today or when they register, finds it in their list. To the inviter it looks open until it expires,
//! also when it was declined. An invitation ends with the rights of its inviter.

pub(crate) mod answer;
mod by_link;
mod in_person;
mod link;
mod qr;
pub(crate) mod received;
mod secret;
mod table;

use serde::Serialize;
use utoipa::ToSchema;

pub(crate) use by_link::{JoinByLink, NewLink, consume_link, invite_by_link, withdraw};
pub(crate) use in_person::{InviteByPhone, SentDoctorInvitation, invite_by_id, invite_by_phone, list_sent};
pub(crate) use link::{Invited, Links};
pub(crate) use table::{SEQUENCE, forget_of_inviter};

use crate::http::error::ErrorCode;

/// What a doctor is invited into.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = InvitationPlace)]
pub(crate) enum Place {
    Team,
    Clinic,
}

impl Place {
    /// As the database has it.
    const fn as_str(self) -> &'static str {
        match self {
            Self::Team => "team",
            Self::Clinic => "clinic",
        }
    }

    fn from_database(text: &str) -> Option<Self> {
        [Self::Team, Self::Clinic]
            .into_iter()
            .find(|place| place.as_str() == text)
    }

    const fn refused(self) -> ErrorCode {
        match self {
            Self::Team => ErrorCode::InvitationRefused,
            Self::Clinic => ErrorCode::ClinicInvitationRefused,
        }
    }

    const fn expired(self) -> ErrorCode {
        match self {
            Self::Team => ErrorCode::InvitationExpired,
            Self::Clinic => ErrorCode::ClinicInvitationExpired,
        }
    }

    const fn used_up(self) -> ErrorCode {
        match self {
            Self::Team => ErrorCode::InvitationUsedUp,
            Self::Clinic => ErrorCode::ClinicInvitationUsedUp,
        }
    }

    const fn not_found(self) -> ErrorCode {
        match self {
            Self::Team => ErrorCode::InvitationNotFound,
            Self::Clinic => ErrorCode::ClinicInvitationNotFound,
        }
    }

    const fn limit(self) -> ErrorCode {
        match self {
            Self::Team => ErrorCode::InvitationLimit,
            Self::Clinic => ErrorCode::ClinicInvitationLimit,
        }
    }
}
