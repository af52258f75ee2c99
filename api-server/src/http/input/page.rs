//! The page of a list that a request asks for.

use axum::{
    extract::{FromRequestParts, Query},
    http::request::Parts,
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};

use crate::http::error::Error;

/// Items of a page by default.
pub(crate) const DEFAULT_LIMIT: i64 = 50;
/// The most items of a page.
pub(crate) const MAX_LIMIT: i64 = 200;
/// The pattern of [`Cursor::encode`]: 16 bytes in base64url without padding.
pub(crate) const CURSOR_PATTERN: &str = "^[A-Za-z0-9_-]{21}[AQgw]$";

/// `limit`, `cursor` and `count` of a list.
#[derive(Clone, Debug)]
pub struct PageQuery {
    /// 1 to 200.
    pub limit: i64,
    /// Where the page begins; none for the first one.
    pub cursor: Option<Cursor>,
    /// Whether the total is wanted.
    pub count: bool,
}

/// The position of a page's last item: the next page begins after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cursor {
    /// The list's order.
    pub at: i64,
    /// The order among equals.
    pub id: i64,
}

impl Cursor {
    /// Before all items.
    pub const NEWEST: Self = Self {
        at: i64::MAX,
        id: i64::MAX,
    };

    /// The opaque form for apps.
    pub fn encode(self) -> String {
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&self.at.to_be_bytes());
        bytes[8..].copy_from_slice(&self.id.to_be_bytes());
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// Reads what [`Self::encode`] wrote.
    pub fn decode(text: &str) -> Option<Self> {
        let bytes: [u8; 16] = URL_SAFE_NO_PAD.decode(text).ok()?.try_into().ok()?;
        let (at, id) = bytes.split_at(8);
        Some(Self {
            at: i64::from_be_bytes(at.try_into().ok()?),
            id: i64::from_be_bytes(id.try_into().ok()?),
        })
    }
}

impl PageQuery {
    /// The position after which the page begins.
    pub fn start(&self) -> Cursor {
        self.cursor.unwrap_or(Cursor::NEWEST)
    }
}

impl Default for PageQuery {
    fn default() -> Self {
        Self {
            limit: DEFAULT_LIMIT,
            cursor: None,
            count: false,
        }
    }
}

impl<S: Send + Sync> FromRequestParts<S> for PageQuery {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Error> {
        let Query(pairs) = Query::<Vec<(String, String)>>::from_request_parts(parts, state)
            .await
            .map_err(|_| {
                Error::invalid(
                    "query",
                    "应为 URL 编码的键值对",
                    "must be URL-encoded key-value pairs",
                )
            })?;
        let mut page = Self::default();
        for (name, value) in pairs {
            match name.as_str() {
                "limit" => {
                    page.limit = value
                        .parse()
                        .ok()
                        .filter(|limit| (1..=MAX_LIMIT).contains(limit))
                        .ok_or_else(|| {
                            Error::invalid(
                                "limit",
                                format!("应为 1 到 {MAX_LIMIT} 的整数"),
                                format!("must be an integer from 1 to {MAX_LIMIT}"),
                            )
                        })?;
                }
                "cursor" => {
                    page.cursor = Some(Cursor::decode(&value).ok_or_else(|| {
                        Error::invalid(
                            "cursor",
                            "应为上一页返回的 next_cursor",
                            "must be the next_cursor of the previous page",
                        )
                    })?);
                }
                "count" => {
                    page.count = value.parse().map_err(|_| {
                        Error::invalid("count", "应为 true 或 false", "must be true or false")
                    })?;
                }
                _ => {}
            }
        }
        Ok(page)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_comes_back_as_it_went() {
        for cursor in [Cursor::NEWEST, Cursor { at: 0, id: -1 }, Cursor { at: 17, id: 4 }] {
            assert_eq!(Cursor::decode(&cursor.encode()), Some(cursor));
        }
        for bad in ["", "AAAA", "!", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"] {
            assert_eq!(Cursor::decode(bad), None, "{bad}");
        }
    }
}
