//! The pages of doctors. They show no money: 医生个人信息内无钱包信息.

mod detail;
mod show;
mod table;

use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::app::App;

pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(show::show))
        .routes(routes!(detail::put))
}

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
