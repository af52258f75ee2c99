//! The bytes of an upload as a multipart form.

use std::io;

use axum::{
    extract::{Request, State},
    http::header,
    response::Response,
};
use futures_util::{StreamExt, TryStreamExt};
use media::store::Broken;
use multer::{Constraints, Multipart, SizeLimit};

use super::{
    Binary, Refusal, UploadProgress, append, invalid, own,
    pace::{Slow, paced},
    place::{Asked, PartParams},
};
use crate::{
    app::App,
    caller::User,
    http::{
        answer::Envelope,
        error::{Error, ErrorCode},
        input::PathId,
    },
    media::Media,
};

/// The field with the bytes.
const FILE: &str = "file";
/// Boundaries, heads and fields around the file, bytes.
const MAX_AROUND: u64 = 64 * 1024;

/// Sends the bytes of an upload as a form
///
/// For apps that can do nothing else: multipart/form-data whose field `file` has the bytes; other fields are ignored. The
/// rest is as with PUT.
#[utoipa::path(
    operation_id = "postMediaContent",
    post, path = "/media/{id}/content", tag = "media",
    request_body(content = Binary, content_type = "multipart/form-data"),
    params(("id" = i64, Path, minimum = 1), PartParams),
    responses(
        (status = 200, body = Envelope<UploadProgress>),
        (status = 404, description = "`media.not_found`"),
        (status = 408, description = "`media.too_slow`"),
        (status = 409, description = "`media.off`, `media.offset`, `media.busy`, `media.finished`"),
        (status = 415, description = "`media.not_a_form`"),
        (status = 503, description = "`media.store_away`")
    ),
    security(("access_token" = []), ("bearer" = []))
)]
pub(crate) async fn post(
    State(app): State<App>,
    user: User,
    PathId(id): PathId,
    Asked(place): Asked,
    request: Request,
) -> Result<Response, Refusal> {
    let parts = app.part::<Media>().parts()?;
    let medium = own(&app, id.get(), &user).await?;
    let content_type = request.headers().get(header::CONTENT_TYPE);
    let content_type = content_type.and_then(|value| value.to_str().ok()).unwrap_or("");
    let boundary = multer::parse_boundary(content_type).map_err(|_| Error::new(ErrorCode::MediaNotForm))?;
    let whole = u64::try_from(medium.bytes).unwrap_or(0) + MAX_AROUND;
    let limits = Constraints::new().size_limit(SizeLimit::new().whole_stream(whole));
    let slow = Slow::default();
    let bytes = paced(request.into_body(), slow.clone())
        .map_err(|Broken| io::Error::from(io::ErrorKind::UnexpectedEof));
    let mut form = Multipart::with_constraints(bytes, boundary, limits);
    loop {
        let field = form.next_field().await.map_err(|_| match slow.is_set() {
            true => ErrorCode::MediaTooSlow.into(),
            false => malformed(),
        })?;
        let Some(field) = field else {
            return Err(invalid(
                format!("表单缺少字段 {FILE}"),
                format!("must be a form with the field {FILE}"),
            ));
        };
        if field.name() == Some(FILE) {
            let bytes = field.map(|piece| piece.map_err(|_| Broken));
            return append(parts, &medium, place, bytes, &slow).await;
        }
    }
}

fn malformed() -> Refusal {
    invalid(
        "表单格式不正确，或超出长度".into(),
        "is no such form, or one that is too long".into(),
    )
}
