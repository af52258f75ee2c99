//! Doctors who may not come back into a clinic.

use axum::extract::State;
use database::Transaction;
use proto::UserId;

use crate::{
    account::Device,
    app::App,
    caller::User,
    clinic::{Clinic, roster::leave, table},
    http::{
        answer::{Answer, Empty, Envelope, ListEnvelope},
        docs::{IdempotencyKey, PageParams},
        error::{Error, ErrorCode},
        input::{Nothing, PageQuery, PathId, PathIds, Write},
    },
    invitation::{Blocked, Blocking, block_endpoints},
};

impl Blocking for Clinic {
    const UNKNOWN: ErrorCode = ErrorCode::ClinicDoctorNotFound;
    const STAYS: ErrorCode = ErrorCode::ClinicFounderStays;

    fn is_part(&self, user: UserId) -> bool {
        self.is_founded_by(user)
    }

    /// Only the founder removes a supervisor.
    async fn expel(
        &self,
        tx: &mut Transaction<'_>,
        (user, by): (UserId, &User),
        _: i64,
    ) -> Result<Vec<Device>, Error> {
        if !self.is_founded_by(by.id) && table::supervises_in(tx, self.clinic_id, user).await? {
            return Err(ErrorCode::ClinicForbidden.into());
        }
        leave::expel(tx, self.clinic_id, user).await?;
        Ok(Vec::new())
    }
}

block_endpoints! {
    Clinic, tag "clinic", at "/clinic/{id}/block/{user_id}", listed at "/clinic/{id}/block_list",
    refusals "`clinic.forbidden`" "`clinic.not_found`" "`clinic.not_found`, `clinic.doctor_not_found`"
        "`clinic.founder_stays`, `clinic.dissolved`" "`clinic.dissolved`";

    /// Blocks a doctor from a clinic
    ///
    /// By its founder or a supervisor; a supervisor is blocked by the founder. A doctor of the clinic is removed, and cannot join
    /// again. A repetition gets the same answer.
    "setClinicBlock";

    /// Unblocks a doctor
    ///
    /// By the clinic's founder or a supervisor. They may join again, by the way of all others. A repetition gets the same answer.
    "removeClinicBlock";

    /// Doctors who are blocked from a clinic
    ///
    /// For its founder and its supervisors.
    "listClinicBlocks";
}
