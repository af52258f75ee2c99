//! Handing a clinic on to another of its doctors.

use axum::extract::State;
use database::Transaction;
use proto::UserId;

use crate::{
    account::{self, Device},
    app::App,
    caller::User,
    clinic::{Clinic, MAX_CLINICS, table},
    http::{
        answer::{Answer, Empty, Envelope},
        docs::IdempotencyKey,
        error::{Error, ErrorCode},
        input::{Nothing, PathId, Write},
    },
    invitation::{self, Handing, OfferTo, Place, PlaceOffer, offer_endpoints},
};

impl Handing for Clinic {
    const NOT_IN: ErrorCode = ErrorCode::ClinicDoctorNotFound;

    fn holder(&self) -> i64 {
        self.founder_id
    }

    async fn has(&self, tx: &mut Transaction<'_>, doctor: UserId) -> Result<bool, Error> {
        Ok(table::doctor_in(tx, self.clinic_id, doctor).await?.is_some())
    }

    /// The former founder stays as a doctor; their invitations end.
    async fn hand_on(self, tx: &mut Transaction<'_>, to: UserId) -> Result<(Self, Vec<Device>), Error> {
        account::lock(tx, to).await?;
        if table::founded(tx, to).await? >= MAX_CLINICS {
            return Err(ErrorCode::ClinicLimit.into());
        }
        let from = UserId::from_database(self.founder_id);
        table::hand_on(tx, self.clinic_id, to).await?;
        invitation::forget_of_inviter(tx, Place::Clinic, self.clinic_id, from).await?;
        let handed = Self {
            founder_id: to.get(),
            ..self
        };
        Ok((handed, Vec::new()))
    }
}

offer_endpoints! {
    Clinic, tag "clinic", at "/clinic/{id}/founder" "/clinic/{id}/founder/accept" "/clinic/{id}/founder/decline",
    refusals "`clinic.forbidden`, `doctor.not_verified`" "`clinic.not_found`, `clinic.doctor_not_found`"
        "`clinic.limit_reached`, `clinic.dissolved`" "`clinic.dissolved`";

    /// Offers a clinic to another of its doctors
    ///
    /// By its founder. The doctor finds the offer in GET /place_offer_list and accepts or declines it within 7 days; until then
    /// nothing changes. A new offer replaces the one before.
    "offerClinic";

    /// Takes over a clinic
    ///
    /// By the verified doctor to whom its founder offered it, who is its founder from now on. The former founder stays as a doctor.
    /// A doctor founds at most 5 clinics, those that were handed to them counted.
    "takeOverClinic";

    /// Declines or revokes the offer of a clinic
    ///
    /// By the doctor to whom it was offered, or by the founder who offered it.
    "declineClinicOffer";
}
