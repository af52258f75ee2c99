//! Changing a clinic's page.

use axum::extract::State;
use serde::Deserialize;
use utoipa::ToSchema;

use super::{Clinic, table};
use crate::{
    app::{App, Written},
    caller::{Led, User},
    http::{
        answer::{Answer, Envelope},
        docs::IdempotencyKey,
        error::Error,
        input::{Line, PathId, Text, Write},
    },
};

/// Changes of a clinic's page. Absent fields stay as they are.
#[derive(Deserialize, ToSchema)]
#[schema(example = json!({"introduction": "妇产科、儿科与皮肤科"}))]
pub(crate) struct ChangeClinic {
    name: Option<Line<1, 64>>,
    introduction: Option<Text<0, 4000>>,
}

/// Changes a clinic's page
///
/// By its founder or a supervisor.
#[utoipa::path(
    operation_id = "updateClinic",
    put, path = "/clinic/{id}", tag = "clinic", request_body = ChangeClinic,
    params(("id" = i64, Path, minimum = 1), IdempotencyKey),
    responses(
        (status = 200, body = Envelope<Clinic>),
        (status = 403, description = "`clinic.forbidden`"),
        (status = 404, description = "`clinic.not_found`"),
        (status = 409, description = "`clinic.name_taken`, `clinic.dissolved`")
    ),
    security(("access_token" = []), ("bearer" = []))
)]
pub(crate) async fn change(
    State(app): State<App>,
    user: User,
    PathId(id): PathId,
    Write { body, once }: Write<ChangeClinic>,
) -> Result<Answer, Error> {
    app.write(once, move |tx| {
        Box::pin(async move {
            let mut clinic = Led::<Clinic>::lock(tx, id.get(), &user).await?.into_inner();
            let present = clinic.name.clone();
            if let Some(name) = body.name {
                clinic.name = name.into_string();
            }
            if let Some(introduction) = body.introduction {
                clinic.introduction = introduction.into_string();
            }
            table::put(tx, &clinic).await?;
            if clinic.name != present {
                table::rename(tx, &clinic).await?;
            }
            Ok(Written::new(Answer::one(&clinic)?))
        })
    })
    .await
}
