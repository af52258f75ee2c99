//! Reading a medium.

use axum::{
    body::Body,
    extract::{FromRequestParts, Query, State},
    http::{HeaderMap, HeaderValue, StatusCode, header, request::Parts as RequestParts},
    response::{IntoResponse, Response},
};
use media::{
    Class, Form, ShrinkError, StoreError, Width,
    store::{Read, Shown},
};
use serde::Deserialize;
use utoipa::IntoParams;

use super::{
    headers::{disposition, mime_of, tag, write},
    range::{is_known, wanted},
    rights::visible,
};
use crate::{
    app::App,
    caller::User,
    http::{
        error::{Error, ErrorCode},
        input::PathId,
    },
    media::{Media, Medium, content::Binary, store::Parts},
};

/// No picture has a longer side.
const MOST_PIXELS: u32 = 100_000;

/// The parameters of a read.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct MediaParams {
    /// Of a picture: a smaller one whose longer side has at most this number of pixels. There are 64, 128, 320, 640, 1024, 1440 and
    /// 2048; others are rounded down.
    #[param(minimum = 64, maximum = 100_000)]
    max: Option<u32>,
}

/// The form and the part of a medium that a request asks for.
#[derive(Debug)]
pub(crate) struct Wanted {
    max: Option<Width>,
    headers: HeaderMap,
}

impl<S: Send + Sync> FromRequestParts<S> for Wanted {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut RequestParts, state: &S) -> Result<Self, Error> {
        let refused = || {
            Error::invalid(
                "max",
                format!("应为 64 到 {MOST_PIXELS} 的像素数"),
                format!("must be a number of pixels from 64 to {MOST_PIXELS}"),
            )
        };
        let query = Query::<MediaParams>::from_request_parts(parts, state).await;
        let Query(given) = query.map_err(|_| refused())?;
        let max = match given.max {
            None => None,
            Some(max) if max > MOST_PIXELS => return Err(refused()),
            Some(max) => Some(Width::at_most(max).ok_or_else(refused)?),
        };
        Ok(Self {
            max,
            headers: parts.headers.clone(),
        })
    }
}

/// The bytes of a medium
///
/// For its uploader until it is used, then for each user who sees an entry or a record that names it, as long as they see that.
/// For all others it does not exist. A picture comes without its metadata. One `Range` is served; `ETag` is kept in private
/// caches, which ask again. Where the store serves itself, the answer leads to an address that is good for 5 minutes.
#[utoipa::path(
    operation_id = "getMedia",
    get, path = "/media/{id}", tag = "media", params(("id" = i64, Path, minimum = 1), MediaParams),
    responses(
        (status = 200, body = Binary, content_type = "application/octet-stream", description = "The bytes."),
        (status = 206, body = Binary, content_type = "application/octet-stream", description = "The part that Range names."),
        (status = 302, description = "The bytes are at the address of Location."),
        (status = 304, description = "The caller has them: If-None-Match names their ETag."),
        (status = 404, description = "`media.not_found`"),
        (status = 409, description = "`media.off`"),
        (status = 416, description = "`media.range`"),
        (status = 503, description = "`media.store_away`")
    ),
    security(("access_token" = []), ("bearer" = []))
)]
pub(crate) async fn show(
    State(app): State<App>,
    user: User,
    PathId(id): PathId,
    wanted: Wanted,
) -> Result<Response, Error> {
    app.part::<Media>().parts()?;
    let medium = visible(&app, id.get(), &user).await?;
    respond(&app, &medium, &wanted).await
}

/// The answer with a medium that the caller may see.
pub(crate) async fn respond(app: &App, medium: &Medium, asked: &Wanted) -> Result<Response, Error> {
    let parts = app.part::<Media>().parts()?;
    let form = match asked.max {
        None => Form::Served,
        Some(max) => smaller(parts, medium, max).await?,
    };
    let tag = tag(medium, form);
    if is_known(&asked.headers, &tag) {
        let mut response = StatusCode::NOT_MODIFIED.into_response();
        write(response.headers_mut(), medium, form);
        return Ok(response);
    }
    let shown = Shown {
        mime: mime_of(medium, form),
        disposition: disposition(medium),
    };
    let now_ms = app.database.now_ms().await?;
    if let Some(address) = parts.store.signed_read(&medium.key, form, &shown, now_ms) {
        return elsewhere(&address);
    }
    let read = parts.store.read(&medium.key, form, wanted(&asked.headers, &tag));
    match read.await {
        Ok(read) => Ok(bytes(medium, form, read)),
        Err(StoreError::OutOfRange { .. }) => Err(ErrorCode::MediaRange.into()),
        Err(error) => Err(parts.refuse(error)),
    }
}

async fn smaller(parts: &Parts, medium: &Medium, max: Width) -> Result<Form, Error> {
    let unable = || {
        Error::invalid(
            "max",
            "该媒体没有缩略图",
            "there is no smaller picture of this medium",
        )
    };
    if medium.mime.class() != Class::Picture {
        return Err(unable());
    }
    match parts.shrinker.smaller(&parts.store, &medium.key, max).await {
        Ok(form) => Ok(form),
        Err(ShrinkError::NotAPicture) => Err(unable()),
        Err(ShrinkError::Busy) => Err(Error::unavailable("too many pictures are being decoded")),
        Err(ShrinkError::Store(error)) => Err(parts.refuse(error)),
    }
}

fn elsewhere(address: &str) -> Result<Response, Error> {
    let mut response = StatusCode::FOUND.into_response();
    let headers = response.headers_mut();
    let address = HeaderValue::from_str(address).map_err(Error::internal)?;
    headers.insert(header::LOCATION, address);
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    Ok(response)
}

fn bytes(medium: &Medium, form: Form, read: Read) -> Response {
    let Read { total, range, bytes } = read;
    let length = range.end - range.start;
    let mut response = Response::new(Body::from_stream(bytes));
    let headers = response.headers_mut();
    write(headers, medium, form);
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    if length < total {
        let part = format!("bytes {}-{}/{total}", range.start, range.end.saturating_sub(1));
        if let Ok(part) = HeaderValue::from_str(&part) {
            headers.insert(header::CONTENT_RANGE, part);
        }
        *response.status_mut() = StatusCode::PARTIAL_CONTENT;
    }
    response
}
