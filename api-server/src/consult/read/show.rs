//! 1.4: a consult, by id.

use axum::extract::State;

use crate::{
    app::App,
    caller::User,
    consult::{
        record::{Advice, ConsultEnvelope, Deadline},
        table::{self, Reader},
    },
    http::{answer::Answer, error::Error, input::PathId},
};

/// A consult (1.4)
///
/// For its patient, its team's assistant and the doctors in it. A doctor who left sees it as it was then (`left_ms`). A
/// relative whom it is about sees it without its price.
#[utoipa::path(
    operation_id = "getConsult",
    get, path = "/consult/{id}", tag = "consult", params(("id" = i64, Path, minimum = 1)),
    responses((status = 200, body = ConsultEnvelope), (status = 404, description = "`consult.not_found`")),
    security(("access_token" = []), ("bearer" = []))
)]
pub(crate) async fn show(State(app): State<App>, user: User, PathId(id): PathId) -> Result<Answer, Error> {
    let (consult, reader) = table::seen(&app.database, id.get(), user.id).await?;
    let glimpses = app.journal.glimpses(user.id, &[consult.id]).await?;
    let deadline = glimpses.get(&consult.id).and_then(Deadline::of);
    let shown = match reader {
        Reader::Seat(seat) => {
            let advice = match consult.advice {
                Some(seq) => Advice::of(&app.journal, consult.id, user.id, seq).await?,
                None => None,
            };
            let rating = table::rating_of(&app.database, id.get()).await?;
            consult.show(seat).closed_by(advice, rating)
        }
        Reader::Subject => consult.into_record_alone(),
    };
    shown.due(deadline).answer()
}
