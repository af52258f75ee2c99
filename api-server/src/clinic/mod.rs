//! Clinics: a founder, and doctors who have accepted an invitation, supervisors among them. Patients find a clinic by its
//! name, however it is spelt.

mod access;
mod change;
mod create;
mod find;
mod roster;
mod table;

use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

pub(crate) use roster::join::on_invitation;
pub(crate) use table::{fold_names, share_a_clinic};

use crate::app::App;

/// Clinics that one doctor founds at most.
const MAX_CLINICS: i64 = 5;

pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(create::create, find::show::find))
        .routes(routes!(find::show::show, change::change))
        .routes(routes!(roster::invitation::by_id))
        .routes(routes!(roster::leave::remove))
        .routes(routes!(roster::doctors::list))
        .routes(routes!(roster::supervisor::appoint))
        .routes(routes!(roster::invitation::by_link))
        .routes(routes!(roster::invitation::revoke))
        .routes(routes!(roster::invitation::by_phone))
        .routes(routes!(roster::invitation::list))
        .routes(routes!(roster::join::join))
        .routes(routes!(roster::leave::leave))
        .routes(routes!(find::mine::list))
}

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
    /// The user who invited the doctor; a founder's own id.
    inviter_id: i64,
    is_supervisor: bool,
    /// Of a supervisor (主管), the inviter who was recorded; null of other doctors.
    #[schema(required = true)]
    supervisor_inviter_id: Option<i64>,
    /// 0 until an invited doctor has accepted.
    joined_ms: i64,
}
