//! Families: members begin consults for them.
//!
//! A *dependant*, such as a child, has an account without a phone, which cannot log in; the member keeps their record. A
//! *person* has an account of their own and must accept an invitation. Invitations are addressed to phones, without looking up
//! the phone's account, so that the answer reveals nothing about it. The owner of the phone finds the invitation in their list,
//! also when they register later. A declined invitation looks open to its inviter until it expires.

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
pub(crate) use table::{is_relative, lock_relative, relatives, relatives_in};

use crate::{
    account::PhoneShown,
    caller::{self, MembersOnly},
    http::{docs::one_of, error::ErrorCode},
    profile::Gender,
};

/// The limit of relatives and open invitations together.
const MAX_FAMILY: i64 = ErrorCode::FamilyLimit.limit();

/// Families.
pub(crate) struct Families;

impl MembersOnly for Families {
    const REFUSAL: ErrorCode = ErrorCode::MemberOnly;
}

/// A member who calls.
type Caller = caller::Member<Families>;

/// A relative, as a member's record lists them.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct Relative {
    relation_user_id: i64,
    relation_type: Relation,
    name: String,
    /// Of an upload; null while there is none.
    #[schema(required = true)]
    photo_id: Option<String>,
}

/// A relative.
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
    /// When they joined the family, epoch milliseconds.
    created_ms: i64,
}

/// The keeper of a relative's record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = FamilyKind)]
pub(crate) enum Kind {
    /// The member keeps it.
    Dependant,
    /// A user with an account of their own.
    #[serde(rename = "person")]
    Account,
}

impl Kind {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Dependant => "dependant",
            Self::Account => "person",
        }
    }
}

/// An invitation that the caller sent. It does not reveal whether the phone has an account, or whether its owner has declined.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct SentInvitation {
    invitation_id: i64,
    #[schema(value_type = PhoneShown)]
    phone: String,
    relation_type: Relation,
    /// Accepted ones are not listed: the relative is in the family.
    #[schema(schema_with = sent_state)]
    state: &'static str,
    created_ms: i64,
    expires_ms: i64,
}

/// An invitation that the caller received.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct ReceivedInvitation {
    invitation_id: i64,
    inviter_id: i64,
    inviter_name: String,
    /// The caller's relation to the inviter.
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
