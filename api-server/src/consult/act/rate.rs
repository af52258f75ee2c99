//! The patient's rating of a finished consult.

use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    app::{App, Written},
    caller::{Seated, User},
    consult::{
        life::{Seat, Status},
        record::Record,
        table,
    },
    http::{
        answer::{Answer, Envelope},
        docs::IdempotencyKey,
        error::{Error, ErrorCode},
        input::{PathId, Text, Within, Write},
    },
};

/// How long a rating may change, milliseconds.
const CHANGEABLE_MS: i64 = ErrorCode::RatingSettled.limit() * 24 * 60 * 60 * 1000;

/// A rating.
#[derive(Deserialize, ToSchema)]
#[schema(example = json!({"stars": 5, "words": "很耐心"}))]
pub(crate) struct Rate {
    stars: Within<1, 5>,
    words: Option<Text<0, 1000>>,
}

/// A patient's rating of a consult.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = ConsultRating)]
pub(crate) struct Rating {
    pub(in crate::consult) consultation_id: i64,
    /// 1 to 5.
    pub(in crate::consult) stars: i64,
    pub(in crate::consult) words: String,
    /// Epoch milliseconds, as `changed_ms`.
    pub(in crate::consult) created_ms: i64,
    pub(in crate::consult) changed_ms: i64,
}

/// Rates a finished consult
///
/// By its patient: once, and changeable for 7 days. The team's staff see it, and the team's page shows the mean.
#[utoipa::path(
    operation_id = "setConsultRating",
    put, path = "/consult/{id}/rating", tag = "consult", request_body = Rate,
    params(("id" = i64, Path, minimum = 1), IdempotencyKey),
    responses(
        (status = 200, body = Envelope<Rating>),
        (status = 403, description = "`consult.forbidden`"),
        (status = 404, description = "`consult.not_found`"),
        (status = 409, description = "`consult.not_finished`, `consult.rating_settled`")
    ),
    security(("access_token" = []), ("bearer" = []))
)]
pub(crate) async fn rate(
    State(app): State<App>,
    user: User,
    PathId(id): PathId,
    Write { body, once }: Write<Rate>,
) -> Result<Answer, Error> {
    app.write(once, move |tx| {
        Box::pin(async move {
            let consult = Seated::<Record>::lock(tx, id.get(), &user).await?;
            if consult.seat() != Seat::Patient {
                return Err(ErrorCode::ConsultForbidden.into());
            }
            if consult.status != Status::Finished {
                return Err(ErrorCode::ConsultNotFinished.into());
            }
            let now_ms = tx.now_ms().await?;
            let present = table::rating(tx, id.get()).await?;
            let created_ms = present.map_or(now_ms, |present| present.created_ms);
            if now_ms - created_ms > CHANGEABLE_MS {
                return Err(ErrorCode::RatingSettled.into());
            }
            let rating = Rating {
                consultation_id: id.get(),
                stars: body.stars.get(),
                words: body.words.map(Text::into_string).unwrap_or_default(),
                created_ms,
                changed_ms: now_ms,
            };
            table::put_rating(tx, consult.team_id, user.id, &rating).await?;
            Ok(Written::new(Answer::one(&rating)?))
        })
    })
    .await
}
