//! Handing a team on to another of its doctors.

use axum::extract::State;
use database::Transaction;
use proto::UserId;

use crate::{
    account::{self, Device},
    app::App,
    caller::User,
    http::{
        answer::{Answer, Empty, Envelope},
        docs::IdempotencyKey,
        error::{Error, ErrorCode},
        input::{Nothing, PathId, Write},
    },
    invitation::{self, Handing, OfferTo, Place, PlaceOffer, offer_endpoints},
    team::{Team, table},
};

impl Handing for Team {
    const NOT_IN: ErrorCode = ErrorCode::TeamDoctorNotFound;

    fn holder(&self) -> i64 {
        self.owner_id
    }

    async fn has(&self, _: &mut Transaction<'_>, doctor: UserId) -> Result<bool, Error> {
        Ok(self.has_doctor(doctor))
    }

    /// The desk of the former owner ends, and so do their invitations. Income waits for a payee of the new owner.
    async fn hand_on(mut self, tx: &mut Transaction<'_>, to: UserId) -> Result<(Self, Vec<Device>), Error> {
        let from = UserId::from_database(self.owner_id);
        table::hand_on(tx, self.team_id, to).await?;
        invitation::forget_of_inviter(tx, Place::Team, self.team_id, from).await?;
        let assistant = UserId::from_database(self.assistant_id);
        let ended = account::remove_opened_devices(tx, assistant, from).await?;
        self = table::team_in(tx, self.team_id)
            .await?
            .ok_or(ErrorCode::TeamNotFound)?;
        Ok((self, ended))
    }
}

offer_endpoints! {
    Team, tag "team", at "/team/{id}/owner" "/team/{id}/owner/accept" "/team/{id}/owner/decline",
    refusals "`team.forbidden`, `doctor.not_verified`" "`team.not_found`, `team.doctor_not_found`"
        "`team.dissolved`" "`team.dissolved`";

    /// Offers a team to another of its doctors
    ///
    /// By its owner. The doctor finds the offer in GET /place_offer_list and accepts or declines it within 7 days; until then
    /// nothing changes. A new offer replaces the one before.
    "offerTeam";

    /// Takes over a team
    ///
    /// By the verified doctor to whom its owner offered it, who is its owner from now on. The former owner stays as a doctor.
    /// Income and its history stay the team's; the payee must be set anew, and income is paid to it 24 hours later. The clinic
    /// keeps the team where the new owner is one of its doctors.
    "takeOverTeam";

    /// Declines or revokes the offer of a team
    ///
    /// By the doctor to whom it was offered, or by the owner who offered it.
    "declineTeamOffer";
}
