//! Doctors' pages. They show no wallet: 医生个人信息内无钱包信息.

pub(crate) mod detail;
pub(crate) mod show;
mod table;
pub(crate) mod verification;

pub use verification::verify_doctor;

use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    caller::{self, DoctorsOnly},
    http::error::ErrorCode,
    media::{Record, Watch},
};

/// Every logged-in user sees a doctor's page, and its photo.
pub(crate) const WATCH: Watch = Watch {
    record: Record::Doctor,
    sees: |_, _, _| Box::pin(std::future::ready(Ok(true))),
};

/// Doctors' pages.
pub(crate) struct Pages;

impl DoctorsOnly for Pages {
    const REFUSAL: ErrorCode = ErrorCode::DoctorPageForbidden;
}

/// A doctor who calls.
type Caller = caller::Doctor<Pages>;

/// A doctor's page.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Doctor {
    doctor_id: i64,
    name: String,
    /// Of an upload; null while there is none.
    #[schema(required = true)]
    photo_id: Option<String>,
    /// 职称.
    title: String,
    /// 科室.
    department: String,
    /// 个人擅长.
    expertise: String,
    /// 个人荣誉.
    honours: String,
    introduction: String,
    /// Since when the platform has verified the doctor (执业认证), epoch milliseconds; absent of others.
    #[serde(skip_serializing_if = "Option::is_none")]
    verified_since: Option<i64>,
    /// The clinics that they are in, the newest first; 20 at most.
    clinics: Vec<DoctorClinic>,
    /// The teams that they are in, the newest first.
    teams: Vec<DoctorTeam>,
}

/// A clinic of a doctor.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DoctorClinic {
    clinic_id: i64,
    name: String,
}

/// A team of a doctor.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DoctorTeam {
    team_id: i64,
    name: String,
}
