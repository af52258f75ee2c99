//! The bytes of an upload on their way through this service: as one request, as a form, or in parts.

pub(crate) mod form;
mod pace;
mod place;
pub(crate) mod put;
pub(crate) mod show;

use axum::{
    http::{HeaderName, HeaderValue},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use media::{StoreError, store::Broken};
use serde::Serialize;
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{KnownFormat, ObjectBuilder, RefOr, Schema, SchemaFormat, schema::Type},
};

use super::{
    store::Parts,
    table::{self, Medium, State},
};
use crate::{
    app::App,
    caller::User,
    http::{
        answer::Answer,
        error::{Error, ErrorCode},
    },
};
use pace::Slow;
use place::Place;

/// Where an upload goes on, bytes.
const OFFSET: HeaderName = HeaderName::from_static("upload-offset");

/// How far an upload has come.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct UploadProgress {
    media_id: i64,
    /// Bytes that are there: the next ones begin here.
    received: u64,
    /// All bytes.
    size: i64,
}

/// Bytes, as the document shows them.
pub(crate) struct Binary;

impl PartialSchema for Binary {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::String)
            .format(Some(SchemaFormat::KnownFormat(KnownFormat::Binary)))
            .into()
    }
}

impl ToSchema for Binary {}

/// A refusal, which may say where the upload goes on.
#[derive(Debug)]
pub(crate) struct Refusal {
    error: Error,
    received: Option<u64>,
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Self {
            error,
            received: None,
        }
    }
}

impl From<ErrorCode> for Refusal {
    fn from(code: ErrorCode) -> Self {
        Error::new(code).into()
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let mut response = self.error.into_response();
        if let Some(received) = self.received {
            response.headers_mut().insert(OFFSET, HeaderValue::from(received));
        }
        response
    }
}

/// The caller's own upload.
async fn own(app: &App, id: i64, user: &User) -> Result<Medium, Error> {
    let medium = table::medium(&app.database, id).await?;
    medium
        .filter(|medium| medium.owner == user.id && medium.state != State::Gone)
        .ok_or_else(|| ErrorCode::MediaNotFound.into())
}

fn progress(medium: &Medium, received: u64) -> Result<Response, Error> {
    let answer = Answer::one(&UploadProgress {
        media_id: medium.id,
        received,
        size: medium.bytes,
    })?;
    let mut response = answer.into_response();
    response.headers_mut().insert(OFFSET, HeaderValue::from(received));
    Ok(response)
}

/// Appends bytes to an upload: from the place that the request names, or all of them from the beginning, of which those are
/// skipped that are there.
async fn append(
    parts: &Parts,
    medium: &Medium,
    place: Option<Place>,
    bytes: impl Stream<Item = Result<Bytes, Broken>> + Send,
    slow: &Slow,
) -> Result<Response, Refusal> {
    let total = u64::try_from(medium.bytes).unwrap_or(0);
    if medium.state == State::Finished {
        return Err(ErrorCode::MediaFinished.into());
    }
    let (offset, skipped) = match place {
        Some(place) => (place.within(total)?, 0),
        None => {
            let received = parts.store.received(&medium.key).await;
            let received = received.map_err(|error| parts.refuse(error))?;
            (received, received)
        }
    };
    let pieces = Box::pin(without_first(bytes, skipped));
    match parts.store.append(&medium.key, offset, total, pieces).await {
        Ok(received) => {
            parts.note_served();
            Ok(progress(medium, received)?)
        }
        Err(error) => {
            parts.note(&error);
            Err(refusal(error, slow))
        }
    }
}

/// A stream without its first bytes.
fn without_first(
    bytes: impl Stream<Item = Result<Bytes, Broken>> + Send,
    skipped: u64,
) -> impl Stream<Item = Result<Bytes, Broken>> + Send {
    let mut left = skipped;
    bytes.filter_map(move |piece| {
        let piece = piece.map(|mut bytes| {
            let here = usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len());
            left -= here as u64;
            bytes.split_off(here)
        });
        let is_empty = piece.as_ref().is_ok_and(Bytes::is_empty);
        std::future::ready((!is_empty).then_some(piece))
    })
}

fn refusal(error: StoreError, slow: &Slow) -> Refusal {
    match error {
        StoreError::WrongOffset { received } => Refusal {
            error: ErrorCode::MediaOffset.into(),
            received: Some(received),
        },
        StoreError::TooLong { total } => invalid(
            format!("超过申请时的 {total} 字节"),
            format!("is longer than the announced {total} bytes"),
        ),
        StoreError::TooShort { min } => invalid(
            format!("除最后一段外，每段至少 {min} 字节"),
            format!("must have at least {min} bytes, unless it is the last part"),
        ),
        StoreError::Busy => ErrorCode::MediaBusy.into(),
        StoreError::Interrupted if slow.is_set() => ErrorCode::MediaTooSlow.into(),
        StoreError::Interrupted => invalid("未传完".into(), "is cut off".into()),
        // It was kept in between.
        StoreError::NotFound => ErrorCode::MediaFinished.into(),
        other => Error::from(other).into(),
    }
}

fn invalid(zh: String, en: String) -> Refusal {
    Error::invalid("body", zh, en).into()
}

#[cfg(test)]
mod tests {
    use futures_util::stream;

    use super::*;

    #[tokio::test]
    async fn the_first_bytes_are_skipped_across_pieces() {
        for (skipped, rest) in [
            (0, "abcdefg"),
            (1, "bcdefg"),
            (3, "defg"),
            (5, "fg"),
            (7, ""),
            (9, ""),
        ] {
            let pieces = ["abc", "", "de", "fg"].map(|text| Ok(Bytes::from_static(text.as_bytes())));
            let left = without_first(stream::iter(pieces), skipped);
            let left: Vec<Bytes> = left.map(Result::unwrap).collect().await;
            assert!(left.iter().all(|piece| !piece.is_empty()));
            assert_eq!(left.concat(), rest.as_bytes(), "{skipped}");
        }
    }
}
