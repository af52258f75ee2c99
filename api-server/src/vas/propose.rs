//! Proposing a value-added service.

use axum::extract::State;
use ledger::Commission;
use serde::Deserialize;
use utoipa::ToSchema;

use super::{life, record::Vas, table};
use crate::{
    app::{App, Written},
    caller::{Seated, User},
    clock::now_ms,
    consult,
    http::{
        answer::{Answer, Envelope},
        docs::IdempotencyKey,
        error::{Error, ErrorCode},
        input::{Fen, Line, PathId, Text, Write},
    },
};

/// A new value-added service.
#[derive(Deserialize, ToSchema)]
#[schema(example = json!({"name": "视频复诊", "description": "一次 15 分钟的视频复诊", "price_fen": 9900}))]
pub(crate) struct ProposeVas {
    name: Line<1, 64>,
    description: Text<0, 2000>,
    price_fen: Fen,
}

/// Proposes a value-added service in a consult
///
/// By a doctor in it. Every user in the consult sees the card at once; its patient decides. At most 20 proposals of a
/// consult are open at a time. Where the platform charges, a confirmed service is paid from the patient's wallet.
#[utoipa::path(
    operation_id = "proposeVas",
    post, path = "/consult/{id}/vas", tag = "vas", request_body = ProposeVas,
    params(("id" = i64, Path, minimum = 1), IdempotencyKey),
    responses(
        (status = 200, body = Envelope<Vas>),
        (status = 403, description = "`consult.forbidden`"),
        (status = 404, description = "`consult.not_found`"),
        (status = 409, description = "`consult.ended`, `vas.limit_reached`")
    ),
    security(("access_token" = []), ("bearer" = []))
)]
pub(crate) async fn propose(
    State(app): State<App>,
    user: User,
    PathId(id): PathId,
    Write { body, once }: Write<ProposeVas>,
) -> Result<Answer, Error> {
    let vas = app.database.allocate_id(table::SEQUENCE).await?;
    let (journal, charges) = (app.journal.clone(), app.charges);
    app.write(once, move |tx| {
        Box::pin(async move {
            let now_ms = now_ms();
            let consult = Seated::<consult::Record>::lock(tx, id.get(), &user).await?;
            let open = table::count_open(tx, id.get()).await?;
            let state = life::propose(consult.seat(), consult.status, open)?;
            let commission = match charges {
                true => Some(Commission::at(tx, now_ms).await?),
                false => None,
            };
            let new = table::NewVas {
                id: vas,
                consult: consult.id,
                team_id: consult.team_id,
                doctor: user.id,
                member: consult.patient(),
                name: body.name.into_string(),
                description: body.description.into_string(),
                price_fen: body.price_fen.get(),
                commission,
            };
            table::new_vas(tx, new, state, now_ms).await?;
            let known = table::vas_in(tx, vas).await?.ok_or(ErrorCode::VasNotFound)?;
            let unpublished = journal
                .record(tx, consult.id, user.id, known.event(), now_ms)
                .await?;
            Ok(Written::new(Answer::one(&known.show())?).publishing(unpublished))
        })
    })
    .await
}
