//! The bytes of an upload as the body of a request.

use axum::{
    extract::{Request, State},
    response::Response,
};

use super::{
    Binary, Refusal, UploadProgress, append, own,
    pace::{Slow, paced},
    place::{Asked, PartParams},
};
use crate::{
    app::App,
    caller::User,
    http::{answer::Envelope, input::PathId},
    media::Media,
};

/// Sends the bytes of an upload
///
/// All of them, or a part: `Content-Range: bytes first-last/total`, or `offset`. Parts come in order: the first byte of each
/// is the one that Upload-Offset names. Bytes that came before an interruption stay. A sender who is silent for 10 seconds, or
/// brings less than 8 KiB a second, is cut off.
#[utoipa::path(
    operation_id = "setMediaContent",
    put, path = "/media/{id}/content", tag = "media",
    request_body(content = Binary, content_type = "application/octet-stream"),
    params(("id" = i64, Path, minimum = 1), PartParams),
    responses(
        (status = 200, body = Envelope<UploadProgress>),
        (status = 404, description = "`media.not_found`"),
        (status = 408, description = "`media.too_slow`"),
        (status = 409, description = "`media.off`, `media.offset`, `media.busy`, `media.finished`"),
        (status = 503, description = "`media.store_away`")
    ),
    security(("access_token" = []), ("bearer" = []))
)]
pub(crate) async fn put(
    State(app): State<App>,
    user: User,
    PathId(id): PathId,
    Asked(place): Asked,
    request: Request,
) -> Result<Response, Refusal> {
    let parts = app.part::<Media>().parts()?;
    let medium = own(&app, id.get(), &user).await?;
    let slow = Slow::default();
    let bytes = paced(request.into_body(), slow.clone());
    append(parts, &medium, place, bytes, &slow).await
}
