//! Media uris and photo ids.

use std::{fmt, ops::Deref};

use proto::media::{MAX_URI_BYTES, MediaHosts, is_id};
use serde::{Deserialize, Deserializer};
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{ObjectBuilder, RefOr, Schema, schema::Type},
};

use super::broken;
use crate::http::error::Error;

/// The longest id of a photo, bytes.
const MAX_PHOTO_ID_BYTES: usize = 128;

/// A uri that is not checked yet: a setting names the accepted hosts.
#[derive(Clone, Deserialize)]
pub struct Uri(String);

impl Uri {
    /// The uri, if its host is accepted.
    ///
    /// # Errors
    /// [`crate::http::error::ErrorCode::Invalid`] with the field.
    pub fn checked(self, hosts: &MediaHosts, field: &'static str) -> Result<String, Error> {
        check_uri(&self.0, hosts, field)?;
        Ok(self.0)
    }
}

// protocol: "REST accepts the same in images"
/// Refuses a uri that is not of this service.
pub(crate) fn check_uri(uri: &str, hosts: &MediaHosts, field: &'static str) -> Result<(), Error> {
    if hosts.take(uri) {
        return Ok(());
    }
    Err(Error::invalid(
        field,
        format!(
            "应为本服务的媒体 uri（media/ID），或运营方允许的主机上的 https uri，最多 {MAX_URI_BYTES} 字节"
        ),
        format!(
            "must be a uri of this service (media/ID), or an https uri of a host that the operator allows, of at most {MAX_URI_BYTES} bytes"
        ),
    ))
}

impl PartialSchema for Uri {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::String)
            .min_length(Some(1))
            .max_length(Some(MAX_URI_BYTES))
            .pattern(Some(
                "^((/?media/|media:)[A-Za-z0-9_~-][A-Za-z0-9._~-]*(/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)*|https://[!-~]+)$",
            ))
            .into()
    }
}

impl ToSchema for Uri {}

/// The id of an uploaded photo, or its uri at this service.
#[derive(Clone, PartialEq, Eq)]
pub struct PhotoId(String);

impl PhotoId {
    /// The text.
    pub fn into_string(self) -> String {
        self.0
    }
}

impl Deref for PhotoId {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for PhotoId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl<'de> Deserialize<'de> for PhotoId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        if text.len() <= MAX_PHOTO_ID_BYTES && (is_id(&text) || MediaHosts::default().take(&text)) {
            return Ok(Self(text));
        }
        Err(broken(
            format_args!("应为本服务的图片 id 或 media/ID，最多 {MAX_PHOTO_ID_BYTES} 字节"),
            format_args!(
                "must be the id of a photo of this service or media/ID, of at most {MAX_PHOTO_ID_BYTES} bytes"
            ),
        ))
    }
}

impl PartialSchema for PhotoId {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::String)
            .min_length(Some(1))
            .max_length(Some(MAX_PHOTO_ID_BYTES))
            .pattern(Some("^(/?media/|media:)?[A-Za-z0-9_~-][A-Za-z0-9._~-]*$"))
            .into()
    }
}

impl ToSchema for PhotoId {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_photo_is_one_of_this_service() {
        let is_taken = |text: &str| serde_json::from_value::<PhotoId>(text.into()).is_ok();
        for good in ["photo-7", "media/8f14e45f", "/media/1", "media:1", "8f14e45f"] {
            assert!(is_taken(good), "{good}");
        }
        for bad in [
            "",
            "..",
            "a b",
            "javascript:alert(1)",
            "data:image/png;base64,AA",
            "https://evil.example/1.jpg",
            "//evil.example/1",
            "file:///x",
            "张",
            "a\u{200b}",
            "\0",
            "media/../x",
            &"x".repeat(129),
        ] {
            assert!(!is_taken(bad), "{bad:?}");
        }
    }
}
