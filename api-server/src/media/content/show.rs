//! How far an upload has come.

use axum::{extract::State, response::Response};

use super::{UploadProgress, own, progress};
use crate::{
    app::App,
    caller::User,
    http::{answer::Envelope, error::Error, input::PathId},
    media::{Media, table},
};

/// How far an upload has come
///
/// By its uploader. The header Upload-Offset repeats `received`, also for HEAD.
#[utoipa::path(
    operation_id = "getMediaContent",
    get, path = "/media/{id}/content", tag = "media", params(("id" = i64, Path, minimum = 1)),
    responses(
        (status = 200, body = Envelope<UploadProgress>),
        (status = 404, description = "`media.not_found`"),
        (status = 409, description = "`media.off`"),
        (status = 503, description = "`media.store_away`")
    ),
    security(("access_token" = []), ("bearer" = []))
)]
pub(crate) async fn show(State(app): State<App>, user: User, PathId(id): PathId) -> Result<Response, Error> {
    let parts = app.part::<Media>().parts()?;
    let medium = own(&app, id.get(), &user).await?;
    let received = match medium.state {
        table::State::Finished => u64::try_from(medium.bytes).unwrap_or(0),
        _ => {
            let received = parts.store.received(&medium.key).await;
            received.map_err(|error| parts.refuse(error))?
        }
    };
    progress(&medium, received)
}
