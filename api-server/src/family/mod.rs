//! A member's family: whom they may begin consults for.
//!
//! A *dependant* (a child, say) has no phone: they get an account of their own id that nobody logs in to, and the member
//! keeps their record. A *person* has an account of their own and must accept first. An invitation is kept by phone and
//! nobody looks whether the phone has an account, so the answer tells nothing about it; whoever has proved to have the
//! phone, today or when they register, finds it in their list. Who declines is not told of either: to the inviter the
//! invitation looks open until it expires.

pub(crate) mod create;
pub(crate) mod invitation;
pub(crate) mod invitations;
pub(crate) mod one;
mod relation;
mod table;

use serde::Serialize;
use utoipa::{
    ToSchema,
    openapi::{RefOr, Schema},
};

pub(crate) use relation::Relation;
pub(crate) use table::{relatives, relatives_in, take_relative};

use crate::{
    account::PhoneShown,
    caller::{self, MembersOnly},
    http::{docs::one_of, error::ErrorCode},
    profile::Gender,
};

/// The most people and open invitations together.
const MAX_FAMILY: i64 = ErrorCode::FamilyLimit.limit();

/// Families.
pub(crate) struct Families;

impl MembersOnly for Families {
    const REFUSAL: ErrorCode = ErrorCode::MemberOnly;
}

/// A member who calls.
type Caller = caller::Member<Families>;

/// Somebody of a family, as the seed document lists them in a member's record.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct Relative {
    relation_user_id: i64,
    relation_type: Relation,
    name: String,
    /// Of an upload; null while there is none.
    #[schema(required = true)]
    photo_id: Option<String>,
}

/// Somebody of a family.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct FamilyMember {
    relation_user_id: i64,
    relation_type: Relation,
    name: String,
    /// Of an upload; null while there is none.
    #[schema(required = true)]
    photo_id: Option<String>,
    kind: Kind,
    /// Of a dependant; null when unknown, and of a person.
    #[schema(required = true)]
    gender: Option<Gender>,
    /// Of a dependant, YYYY-MM-DD; null when unknown, and of a person.
    #[schema(required = true)]
    birth_date: Option<String>,
    /// When they came into the family.
    created_ms: i64,
}

/// Who keeps somebody's record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = FamilyKind)]
pub(crate) enum Kind {
    /// Kept by the member.
    Dependant,
    /// Somebody with an account of their own.
    Person,
}

impl Kind {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Dependant => "dependant",
            Self::Person => "person",
        }
    }
}

/// An invitation that the caller sent. Nothing in it tells whether the phone has an account or its owner has declined.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct SentInvitation {
    invitation_id: i64,
    #[schema(value_type = PhoneShown)]
    phone: String,
    relation_type: Relation,
    /// Once accepted, they are in the family.
    #[schema(schema_with = sent_state)]
    state: &'static str,
    created_ms: i64,
    expires_ms: i64,
}

/// An invitation that the caller got.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct ReceivedInvitation {
    invitation_id: i64,
    inviter_id: i64,
    inviter_name: String,
    /// What the caller is to the inviter.
    relation_type: Relation,
    #[schema(schema_with = received_state)]
    state: String,
    created_ms: i64,
    expires_ms: i64,
}

/// The inviter gets no notice of the answer.
fn sent_state() -> RefOr<Schema> {
    one_of(["invited"])
}

fn received_state() -> RefOr<Schema> {
    one_of(["invited", "accepted"])
}
