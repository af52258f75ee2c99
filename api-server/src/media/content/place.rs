//! Where the bytes of a request belong in their upload: `Content-Range`, or `?offset=` for forms, which have no such header.

use axum::{
    extract::{FromRequestParts, Query},
    http::{HeaderMap, header, request::Parts},
};
use serde::Deserialize;
use utoipa::IntoParams;

use crate::http::error::Error;

/// The place of a part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    first: u64,
    /// The last byte and the number of all, where the request says them.
    last: Option<u64>,
    total: Option<u64>,
}

/// The place that a request names, if it names one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Asked(pub(super) Option<Place>);

/// The longest upload, bytes.
const LONGEST_UPLOAD: u64 = 100 * 1024 * 1024;

/// The parameters of a part.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct PartParams {
    /// The first of these bytes; by default all bytes come, and those that are there are skipped.
    #[param(minimum = 0, maximum = 104_857_600)]
    offset: Option<u64>,
}

impl Place {
    /// Its first byte, within an upload of this size.
    pub(super) fn within(self, bytes: u64) -> Result<u64, Error> {
        let is_all = self.total.is_none_or(|total| total == bytes);
        let is_inside =
            self.first <= bytes && self.last.is_none_or(|last| self.first <= last && last < bytes);
        if is_all && is_inside {
            return Ok(self.first);
        }
        Err(Error::invalid(
            "content-range",
            format!("应在申请时的 {bytes} 字节之内"),
            format!("must lie within the announced {bytes} bytes"),
        ))
    }

    /// From `bytes 0-99/1000` or `bytes 0-99/*`.
    fn of_header(text: &str) -> Option<Self> {
        let (range, total) = text.strip_prefix("bytes ")?.split_once('/')?;
        let (first, last) = range.split_once('-')?;
        let number = |text: &str| match text.bytes().all(|byte| byte.is_ascii_digit()) {
            true => text.parse().ok(),
            false => None,
        };
        Some(Self {
            first: number(first)?,
            last: Some(number(last)?),
            total: match total {
                "*" => None,
                total => Some(number(total)?),
            },
        })
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Asked {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Error> {
        let query = Query::<PartParams>::from_request_parts(parts, state).await;
        let refused = || {
            Error::invalid(
                "offset",
                format!("应为 0 到 {LONGEST_UPLOAD} 的字节数"),
                format!("must be a number of bytes from 0 to {LONGEST_UPLOAD}"),
            )
        };
        let Query(given) = query.map_err(|_| refused())?;
        if given.offset.is_some_and(|offset| offset > LONGEST_UPLOAD) {
            return Err(refused());
        }
        let named = given.offset.map(|first| Place {
            first,
            last: None,
            total: None,
        });
        match (range(&parts.headers)?, named) {
            (Some(range), Some(named)) if range.first != named.first => Err(Error::invalid(
                "offset",
                "与 Content-Range 不一致",
                "differs from Content-Range",
            )),
            (range, named) => Ok(Self(range.or(named))),
        }
    }
}

fn range(headers: &HeaderMap) -> Result<Option<Place>, Error> {
    let Some(value) = headers.get(header::CONTENT_RANGE) else {
        return Ok(None);
    };
    let place = value.to_str().ok().and_then(Place::of_header);
    place.map(Some).ok_or_else(|| {
        Error::invalid(
            "content-range",
            "应为 bytes 起-止/总数 的形式",
            "must be of the form `bytes first-last/total`",
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_says_where_its_bytes_belong() {
        let within = |text: &str, bytes| Place::of_header(text).map(|place| place.within(bytes).ok());
        assert_eq!(within("bytes 0-9/10", 10), Some(Some(0)));
        assert_eq!(within("bytes 5-9/*", 10), Some(Some(5)));
        for outside in ["bytes 5-10/*", "bytes 9-5/10", "bytes 0-9/11", "bytes 11-12/*"] {
            assert_eq!(within(outside, 10), Some(None), "{outside}");
        }
        for bad in [
            "",
            "bytes",
            "bytes */10",
            "bytes 1-/10",
            "bytes -1/10",
            "bytes +1-2/10",
            "bytes=0-9/10",
            "bytes 99999999999999999999-1/*",
            "items 0-9/10",
        ] {
            assert_eq!(within(bad, 10), None, "{bad}");
        }
    }
}
