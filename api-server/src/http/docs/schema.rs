//! Schemas that many places of the document share, made from the constants that check requests.

use std::collections::BTreeSet;

use serde_json::Value;
use utoipa::openapi::{ObjectBuilder, RefOr, Schema, schema::Type};

use crate::http::{
    error::ErrorCode,
    input::{CURSOR_PATTERN, DEFAULT_LIMIT, MAX_LIMIT},
    once::MAX_KEY_BYTES,
};

/// An enumeration of words.
pub(crate) fn one_of<T: Into<Value>>(words: impl IntoIterator<Item = T>) -> RefOr<Schema> {
    ObjectBuilder::new()
        .schema_type(Type::String)
        .enum_values(Some(words))
        .into()
}

/// `success` of an answer.
pub(crate) fn yes() -> RefOr<Schema> {
    always(true)
}

/// `success` of a refusal.
pub(crate) fn no() -> RefOr<Schema> {
    always(false)
}

fn always(value: bool) -> RefOr<Schema> {
    ObjectBuilder::new()
        .schema_type(Type::Boolean)
        .enum_values(Some([value]))
        .into()
}

/// `code` of an answer.
pub(crate) fn ok_status() -> RefOr<Schema> {
    status([200])
}

/// `code` of a refusal.
pub(crate) fn error_status() -> RefOr<Schema> {
    status(ErrorCode::ALL.iter().map(|code| code.status().as_u16()))
}

fn status(statuses: impl IntoIterator<Item = u16>) -> RefOr<Schema> {
    let statuses: BTreeSet<u16> = statuses.into_iter().collect();
    ObjectBuilder::new()
        .schema_type(Type::Integer)
        .description(Some("The HTTP status."))
        .enum_values(Some(statuses))
        .into()
}

/// `error` of a refusal.
pub(crate) fn error_code() -> RefOr<Schema> {
    let codes: BTreeSet<&str> = ErrorCode::ALL.iter().map(|code| code.as_str()).collect();
    ObjectBuilder::new()
        .schema_type(Type::String)
        .description(Some(
            "A permanent error code. docs/errors.md says what to do for each.",
        ))
        .enum_values(Some(codes))
        .into()
}

/// `cursor` of a request and `next_cursor` of an answer.
pub(crate) fn cursor() -> RefOr<Schema> {
    ObjectBuilder::new()
        .schema_type(Type::String)
        .description(Some(
            "Where the next page begins; opaque. Absent on the last page.",
        ))
        .pattern(Some(CURSOR_PATTERN))
        .into()
}

/// `limit` of a list.
pub(super) fn limit() -> RefOr<Schema> {
    ObjectBuilder::new()
        .schema_type(Type::Integer)
        .description(Some("The most items of a page."))
        .minimum(Some(1))
        .maximum(Some(MAX_LIMIT))
        .default(Some(DEFAULT_LIMIT.into()))
        .into()
}

/// `cursor` of a list.
pub(super) fn asked_cursor() -> RefOr<Schema> {
    ObjectBuilder::new()
        .schema_type(Type::String)
        .description(Some("`next_cursor` of the page before."))
        .pattern(Some(CURSOR_PATTERN))
        .into()
}

/// `Idempotency-Key`.
pub(super) fn idempotency_key() -> RefOr<Schema> {
    ObjectBuilder::new()
        .schema_type(Type::String)
        .description(Some(
            "Chosen by the app, visible ASCII characters. The same request under the same key runs once and gets the first answer, for 7 days.",
        ))
        .min_length(Some(1))
        .max_length(Some(MAX_KEY_BYTES))
        .pattern(Some("^[ -~]+$"))
        .into()
}
