//! Clinics: a founder, doctors who have accepted an invitation, supervisors among them. Patients find a clinic by its name, however it is spelt.

pub(crate) mod change;
pub(crate) mod create;
pub(crate) mod doctor;
pub(crate) mod doctors;
pub(crate) mod invitation;
pub(crate) mod join;
pub(crate) mod mine;
pub(crate) mod show;
pub(crate) mod supervisor;
mod table;

use serde::Serialize;
use utoipa::ToSchema;

pub(crate) use join::join;
pub(crate) use table::{fold_names, share_a_clinic};

/// The most clinics that a doctor founds.
const MAX_CLINICS: i64 = 5;

/// A clinic.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct Clinic {
    clinic_id: i64,
    name: String,
    introduction: String,
    founder_id: i64,
    created_ms: i64,
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
    /// Who invited them; of the founder: themselves.
    inviter_id: i64,
    is_supervisor: bool,
    /// By whom they are supervisor (主管): the founder unless another inviter was named. Null while they are none.
    #[schema(required = true)]
    supervisor_inviter_id: Option<i64>,
    /// 0 of a doctor who is invited and has not accepted.
    joined_ms: i64,
}
