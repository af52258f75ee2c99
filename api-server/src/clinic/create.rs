//! Founding a clinic.

use axum::extract::State;
use serde::Deserialize;
use utoipa::ToSchema;

use super::{
    Caller, Clinic, MAX_CLINICS,
    table::{self, Came},
};
use crate::{
    account,
    app::{App, Written},
    clock::now_ms,
    http::{
        answer::{Answer, Envelope},
        docs::IdempotencyKey,
        error::{Error, ErrorCode},
        input::{Line, Text, Write},
    },
};

/// A new clinic.
#[derive(Deserialize, ToSchema)]
#[schema(example = json!({"name": "仁心诊所", "introduction": "妇产科与儿科"}))]
pub(crate) struct NewClinic {
    name: Line<1, 64>,
    introduction: Text<0, 4000>,
}

/// Founds a clinic
///
/// By a verified doctor, who is its founder and first doctor. A doctor founds at most 5 clinics. Names are unique.
#[utoipa::path(
    operation_id = "createClinic",
    post, path = "/clinic", tag = "clinic", request_body = NewClinic, params(IdempotencyKey),
    responses(
        (status = 200, body = Envelope<Clinic>),
        (status = 403, description = "`clinic.doctors_only`, `doctor.not_verified`"),
        (status = 409, description = "`clinic.name_taken`, `clinic.limit_reached`")
    ),
    security(("access_token" = []), ("bearer" = []))
)]
pub(crate) async fn create(
    State(app): State<App>,
    user: Caller,
    Write { body, once }: Write<NewClinic>,
) -> Result<Answer, Error> {
    let rule = app.doctor_verification;
    let clinic_id = app.database.allocate_id(table::SEQUENCE).await?;
    app.write(once, move |tx| {
        Box::pin(async move {
            let now_ms = now_ms();
            account::check_verified(tx, rule, user.id).await?;
            account::lock(tx, user.id).await?;
            if table::founded(tx, user.id).await? >= MAX_CLINICS {
                return Err(ErrorCode::ClinicLimit.into());
            }
            let clinic = Clinic {
                clinic_id,
                name: body.name.into_string(),
                introduction: body.introduction.into_string(),
                founder_id: user.id.get(),
                created_ms: now_ms,
                closed_ms: None,
                dissolved_ms: None,
            };
            table::new_clinic(tx, &clinic).await?;
            let founder = Came {
                inviter: user.id,
                link: None,
                field: "name",
            };
            table::add_doctor(tx, clinic_id, user.id, founder, now_ms).await?;
            Ok(Written::new(Answer::one(&clinic)?))
        })
    })
    .await
}
