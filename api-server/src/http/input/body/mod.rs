//! Bodies: JSON by its content type, of limited length, complete within 10 seconds.

mod canonical;
mod rule;
mod size;

use std::time::Duration;

use axum::{
    body::Body,
    extract::{FromRef, FromRequest, Request},
    http::{HeaderMap, header},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use database::Database;
use http_body_util::{BodyExt, Limited};
use hyper::body::Body as _;
use serde::{
    Deserialize,
    de::{DeserializeOwned, IgnoredAny},
};
use utoipa::ToSchema;

pub(crate) use canonical::hash_json;
pub(crate) use rule::broken;
use size::{MIN_BODY_BYTES, max_body_bytes};

use crate::{
    caller::User,
    http::{
        answer::Answer,
        error::{Error, ErrorCode},
        once::{Once, Running},
    },
};

/// The longest time from a request's head to the end of its body.
const BODY_TIMEOUT: Duration = Duration::from_secs(ErrorCode::BodyTimeout.limit().unsigned_abs());

/// A JSON body without an Idempotency-Key: repeating the request is harmless, or its answer must not be kept (passwords,
/// codes).
#[derive(Debug)]
pub struct Json<T>(pub T);

/// A JSON body of a user's write, with its Idempotency-Key.
#[derive(Debug)]
pub struct Write<T> {
    pub body: T,
    pub once: Once,
}

/// The bytes of a body of any type, which another party signed: at most 64 KiB.
#[derive(Debug)]
pub struct Raw(pub Bytes);

/// A body without fields; it is optional.
#[derive(Debug, Deserialize, ToSchema)]
pub struct Nothing {}

/// The reason why a write does not reach its handler.
pub enum Turned {
    /// It is invalid.
    Refused(Error),
    /// It was answered before, by a release that accepted its body.
    Answered(Answer),
}

impl From<Error> for Turned {
    fn from(error: Error) -> Self {
        Self::Refused(error)
    }
}

impl IntoResponse for Turned {
    fn into_response(self) -> Response {
        match self {
            Self::Refused(error) => error.into_response(),
            Self::Answered(answer) => answer.into_response(),
        }
    }
}

impl<S: Send + Sync> FromRequest<S> for Raw {
    type Rejection = Error;

    async fn from_request(request: Request, _: &S) -> Result<Self, Error> {
        read(request.into_body(), MIN_BODY_BYTES).await.map(Self)
    }
}

impl<S: Send + Sync, T: DeserializeOwned + ToSchema + 'static> FromRequest<S> for Json<T> {
    type Rejection = Error;

    async fn from_request(request: Request, _: &S) -> Result<Self, Error> {
        let is_json = is_json(request.headers());
        let bytes = read(request.into_body(), max_body_bytes::<T>()).await?;
        // A web page may send forms and text/plain to any origin without a preflight, but not JSON.
        if !is_json {
            return Err(ErrorCode::NotJson.into());
        }
        parse(&bytes).map(Self)
    }
}

impl<S, T> FromRequest<S> for Write<T>
where
    S: Send + Sync,
    T: DeserializeOwned + ToSchema + Send + 'static,
    Running: FromRef<S>,
    Database: FromRef<S>,
{
    type Rejection = Turned;

    async fn from_request(request: Request, state: &S) -> Result<Self, Turned> {
        let (mut parts, body) = request.into_parts();
        let user = User::of(&mut parts.extensions)?;
        let bytes = read(body, max_body_bytes::<T>()).await?;
        if !bytes.is_empty() && !is_json(&parts.headers) {
            return Err(Error::new(ErrorCode::NotJson).into());
        }
        let once = Once::of(&Running::from_ref(state), &user, &parts, &bytes)?;
        let bytes = if bytes.is_empty() {
            Bytes::from_static(b"{}")
        } else {
            bytes
        };
        match parse(&bytes) {
            Ok(body) => Ok(Self { body, once }),
            // An earlier release may have accepted it: its answer stands, whatever the rules are now.
            Err(error) => Err(match once.first_answer(&Database::from_ref(state)).await {
                Ok(Some(answer)) => Turned::Answered(answer),
                _ => error.into(),
            }),
        }
    }
}

/// Whether exactly one header declares the body as JSON.
fn is_json(headers: &HeaderMap) -> bool {
    let mut types = headers.get_all(header::CONTENT_TYPE).iter();
    let (Some(value), None) = (types.next(), types.next()) else {
        return false;
    };
    let essence = value.to_str().ok().and_then(|value| value.split(';').next());
    essence.is_some_and(|essence| essence.trim().eq_ignore_ascii_case("application/json"))
}

async fn read(body: Body, max_bytes: usize) -> Result<Bytes, Error> {
    // By Content-Length: refused before reading.
    if body.size_hint().lower() > max_bytes as u64 {
        return Err(ErrorCode::BodyTooLarge.into());
    }
    match tokio::time::timeout(BODY_TIMEOUT, Limited::new(body, max_bytes).collect()).await {
        Ok(Ok(collected)) => Ok(collected.to_bytes()),
        Ok(Err(error)) if error.is::<http_body_util::LengthLimitError>() => {
            Err(ErrorCode::BodyTooLarge.into())
        }
        // The peer has disconnected; this answer goes nowhere.
        Ok(Err(_)) => Err(ErrorCode::BadJson.into()),
        Err(_) => Err(ErrorCode::BodyTimeout.into()),
    }
}

fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Error> {
    // serde_json does not check the text of fields that it skips.
    if std::str::from_utf8(bytes).is_err() {
        return Err(ErrorCode::BadJson.into());
    }
    // serde would accept an array as a struct's fields in order.
    if bytes.trim_ascii_start().first() != Some(&b'{') {
        return Err(match serde_json::from_slice::<IgnoredAny>(bytes) {
            Ok(_) => Error::invalid("body", "应为 JSON 对象", "must be a JSON object"),
            Err(_) => ErrorCode::BadJson.into(),
        });
    }
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let value = serde_path_to_error::deserialize(&mut deserializer).map_err(|error| {
        let refusal = rule::error(&error.path().to_string(), error.inner());
        // serde_json reports a number in place of an enumeration as a syntax error.
        if refusal.code() == ErrorCode::BadJson && serde_json::from_slice::<IgnoredAny>(bytes).is_ok() {
            return Error::invalid(error.path().to_string(), "类型不正确", "has the wrong type");
        }
        refusal
    })?;
    deserializer.end().map_err(|_| Error::new(ErrorCode::BadJson))?;
    Ok(value)
}
