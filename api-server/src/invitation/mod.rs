//! Invitations of doctors into teams and clinics: joining needs the doctor's consent.
//!
//! An invitation is a signed *link* for any doctor who has it, or *in person* for one doctor, by phone or by id. One in person
//! is stored by phone, without a look at accounts: the answer reveals no account. The doctor who has proved to have the
//! phone, now or when they register, finds it in their list. To its inviter it looks open until it expires, also when it was
//! declined. An invitation ends with the rights of its inviter.

pub(crate) mod answer;
mod block;
mod event;
mod in_person;
mod link;
pub(crate) mod offer;
mod place;
pub(crate) mod received;
mod send;
mod table;

pub(crate) use block::{Blocked, Blocking, block, block_endpoints, check_welcome, list_blocked, unblock};
pub(crate) use event::{Accepted, Subscribers};
pub(crate) use in_person::{InviteByPhone, SentDoctorInvitation, invite_by_id};
pub(crate) use link::{
    Code, Invited, JoinByLink, Links, MadeLink, NewLink, consume_link, load_secret, routes,
};
pub(crate) use offer::{Handing, OfferTo, PlaceOffer, decline_offer, offer, offer_endpoints, take_over};
pub(crate) use place::{Inviting, Place, Target};
pub(crate) use send::{by_link, by_phone, list_sent, revoke};
pub(crate) use table::{SEQUENCE, end_link, forget_of_inviter, forget_offer};

use crate::{
    caller::{self, DoctorsOnly},
    http::error::ErrorCode,
};

/// Invitations that a doctor received.
pub(crate) struct Received;

impl DoctorsOnly for Received {
    const REFUSAL: ErrorCode = ErrorCode::InvitationDoctorsOnly;
}

/// The doctor who calls.
type Caller = caller::Doctor<Received>;
