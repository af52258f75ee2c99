//! Clinics: a founder, and doctors who have accepted an invitation, supervisors among them. Patients find a clinic by its
//! name, however it is spelt.

mod access;
pub(crate) mod change;
pub(crate) mod closing;
pub(crate) mod create;
pub(crate) mod find;
pub(crate) mod life;
pub(crate) mod roster;
mod table;
pub(crate) mod team;

use proto::UserId;
use serde::Serialize;
use utoipa::ToSchema;

pub(crate) use roster::join::on_invitation;
pub(crate) use table::{fold_names, share_a_clinic};

use crate::{
    caller::{self, DoctorsOnly},
    http::error::{Error, ErrorCode},
};

/// Endpoints of clinics that serve doctors only.
pub(crate) struct Clinics;

impl DoctorsOnly for Clinics {
    const REFUSAL: ErrorCode = ErrorCode::ClinicDoctorsOnly;
}

/// The doctor who calls.
type Caller = caller::Doctor<Clinics>;

/// Clinics that one doctor founds at most.
const MAX_CLINICS: i64 = ErrorCode::ClinicLimit.limit();

/// A clinic.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct Clinic {
    clinic_id: i64,
    name: String,
    introduction: String,
    founder_id: i64,
    created_ms: i64,
    /// Since when it takes no doctors and is not found by name, epoch milliseconds: an operator has closed it, or it was
    /// dissolved.
    #[serde(skip_serializing_if = "Option::is_none")]
    closed_ms: Option<i64>,
    /// When its founder dissolved it, epoch milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    dissolved_ms: Option<i64>,
}

impl Clinic {
    /// Refuses a clinic that takes no doctors and teams.
    fn check_works(&self) -> Result<(), Error> {
        match (self.closed_ms, self.dissolved_ms) {
            (_, Some(_)) => Err(ErrorCode::ClinicDissolved.into()),
            (Some(_), None) => Err(ErrorCode::ClinicClosed.into()),
            (None, None) => Ok(()),
        }
    }

    fn is_founded_by(&self, user: UserId) -> bool {
        self.founder_id == user.get()
    }
}

/// A doctor of a clinic.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct ClinicDoctor {
    doctor_id: i64,
    name: String,
    /// Of an upload; null while there is none.
    #[schema(required = true)]
    photo_id: Option<String>,
    title: String,
    department: String,
    /// The user who invited the doctor; a founder's own id.
    inviter_id: i64,
    is_supervisor: bool,
    /// Of a supervisor (主管), the inviter who was recorded; null of other doctors.
    #[schema(required = true)]
    supervisor_inviter_id: Option<i64>,
    /// 0 until an invited doctor has accepted.
    joined_ms: i64,
    /// Since when the platform has verified the doctor, epoch milliseconds; absent of others.
    #[serde(skip_serializing_if = "Option::is_none")]
    verified_since: Option<i64>,
}
