//! Doctors' pages. They show no wallet: 医生个人信息内无钱包信息.

pub(crate) mod detail;
pub(crate) mod show;
mod table;

use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    caller::{self, DoctorsOnly},
    http::error::ErrorCode,
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
}
