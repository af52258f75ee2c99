//! Answers and their envelopes.

pub(crate) mod csv;
pub(crate) mod html;
mod list;

use axum::{
    body::Body,
    http::{HeaderMap, HeaderValue, header},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use ledger::Window;
use serde::Serialize;
use utoipa::ToSchema;

pub(crate) use list::{List, Page};

use crate::http::{docs, error::Error};

/// The header of a repeated answer.
pub const REPLAYED: &str = "idempotent-replayed";

/// The envelope of a single result.
#[derive(Debug, Serialize, ToSchema)]
pub struct Envelope<T> {
    #[schema(schema_with = docs::yes)]
    success: bool,
    #[schema(schema_with = docs::ok_status)]
    code: u16,
    /// The result.
    result: T,
}

/// The envelope of a list.
#[derive(Debug, Serialize, ToSchema)]
pub struct ListEnvelope<T> {
    #[schema(schema_with = docs::yes)]
    success: bool,
    #[schema(schema_with = docs::ok_status)]
    code: u16,
    /// The newest first.
    result: Vec<T>,
    /// Whether more follow: request them with `cursor` set to `next_cursor`.
    has_more: bool,
    /// Where the next page begins; opaque. Absent on the last page.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(schema_with = docs::cursor)]
    next_cursor: Option<String>,
    /// The number of all items; only when the request has `count=true`.
    #[serde(skip_serializing_if = "Option::is_none")]
    total: Option<i64>,
}

impl<T> From<Page<T>> for ListEnvelope<T> {
    fn from(page: Page<T>) -> Self {
        Self {
            success: true,
            code: 200,
            result: page.items,
            has_more: page.next_cursor.is_some(),
            next_cursor: page.next_cursor,
            total: page.total,
        }
    }
}

/// A result without content.
#[derive(Debug, Serialize, ToSchema)]
pub struct Empty {}

/// The envelope of a refusal or a failure.
#[derive(Debug, Serialize, ToSchema)]
pub struct Failure<'a> {
    #[schema(schema_with = docs::no)]
    pub success: bool,
    #[schema(schema_with = docs::error_status)]
    pub code: u16,
    #[schema(schema_with = docs::error_code)]
    pub error: &'a str,
    /// A sentence for users, in the language that Accept-Language prefers (Chinese or English).
    pub message: &'a str,
    /// The field at fault.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub field: Option<&'a str>,
    /// The next window for withdrawals; only of `withdrawal.window_closed`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub window: Option<WindowShown>,
    /// The limit that was reached; only of `consult.open_limit_reached`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<i64>,
    /// The amount that one request takes back now, fen; only of `wallet.refund_limit_reached`, and of `wallet.provider_off` where balance
    /// is asked for back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refundable_fen: Option<i64>,
    /// Equal to the X-Request-Id header.
    pub request_id: &'a str,
}

/// A window for withdrawals: days 1 to 5 of a month in Beijing time.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
#[schema(as = Window)]
pub struct WindowShown {
    open: bool,
    /// When it opens, epoch milliseconds.
    from_ms: i64,
    /// The first moment after it, epoch milliseconds.
    to_ms: i64,
}

impl From<Window> for WindowShown {
    fn from(window: Window) -> Self {
        Self {
            open: window.open,
            from_ms: window.from_ms,
            to_ms: window.to_ms,
        }
    }
}

/// An answer as bytes: a repeated request gets the same bytes.
#[derive(Clone, Debug)]
pub struct Answer {
    body: Bytes,
    replayed: bool,
}

impl Answer {
    /// A single result in its envelope.
    ///
    /// # Errors
    /// [`crate::http::error::ErrorCode::Internal`] when it cannot be written as JSON.
    pub fn one<T: Serialize>(result: &T) -> Result<Self, Error> {
        Self::whole(&Envelope {
            success: true,
            code: 200,
            result,
        })
    }

    /// An envelope with an empty result.
    ///
    /// # Errors
    /// As [`Self::one`].
    pub fn empty() -> Result<Self, Error> {
        Self::one(&Empty {})
    }

    /// A page of a list in its envelope.
    ///
    /// # Errors
    /// As [`Self::one`].
    pub(crate) fn page<T: Serialize>(page: Page<T>) -> Result<Self, Error> {
        Self::whole(&ListEnvelope::from(page))
    }

    /// An envelope of another shape.
    ///
    /// # Errors
    /// As [`Self::one`].
    pub fn whole<T: Serialize>(envelope: &T) -> Result<Self, Error> {
        Ok(Self {
            body: serde_json::to_vec(envelope).map_err(Error::internal)?.into(),
            replayed: false,
        })
    }

    /// The answer to an earlier request with the same Idempotency-Key.
    pub fn replayed(body: Bytes) -> Self {
        Self { body, replayed: true }
    }

    /// This answer in place of another one: marked as a repetition where that is one.
    #[must_use]
    pub fn replaying(mut self, other: &Self) -> Self {
        self.replayed = other.replayed;
        self
    }

    pub fn body(&self) -> &Bytes {
        &self.body
    }
}

impl IntoResponse for Answer {
    fn into_response(self) -> Response {
        let mut response = Response::new(Body::from(self.body));
        write_headers(response.headers_mut());
        if self.replayed {
            response
                .headers_mut()
                .insert(REPLAYED, HeaderValue::from_static("true"));
        }
        response
    }
}

/// The headers of all envelopes: JSON that is neither sniffed nor cached.
pub(crate) fn write_headers(headers: &mut HeaderMap) {
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    );
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
}
