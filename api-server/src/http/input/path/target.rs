//! The target of a request: its path and query.

use axum::http::Uri;
use percent_encoding::percent_decode_str;

use crate::http::error::Error;

/// Refuses a path or query that is not percent-encoded UTF-8 without NUL, on all routes, so that no handler and no database
/// meets one.
///
/// # Errors
/// [`crate::http::error::ErrorCode::Invalid`] with `path`, the parameter, or `query` for a parameter with an unusual name.
pub fn check_target(uri: &Uri) -> Result<(), Error> {
    if !is_text(uri.path()) {
        return Err(refused("path".to_owned()));
    }
    let pairs = uri.query().into_iter().flat_map(|query| query.split('&'));
    for pair in pairs {
        if !is_text(pair) {
            let name = pair.split('=').next().unwrap_or("");
            let is_plain = !name.is_empty() && name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
            return Err(refused(if is_plain { name } else { "query" }.to_owned()));
        }
    }
    Ok(())
}

fn is_text(part: &str) -> bool {
    decoded(part).is_some_and(|text| !text.contains('\0'))
}

fn refused(field: String) -> Error {
    Error::invalid(
        field,
        "应为百分号编码的 UTF-8，不含 NUL",
        "must be percent-encoded UTF-8 without NUL",
    )
}

/// Text without its percent-encoding; none when an escape is incomplete or the bytes are not UTF-8.
pub(crate) fn decoded(text: &str) -> Option<String> {
    let mut escapes = text.split('%').skip(1);
    let are_whole = escapes.all(|rest| {
        rest.as_bytes()
            .get(..2)
            .is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
    });
    let decoded = are_whole.then(|| percent_decode_str(text).decode_utf8().ok())??;
    Some(decoded.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_percent_encoded_text() {
        for good in ["/a", "/%E5%BC%A0", "/%25", "/a?b=%e5%bc%a0&c=+", "/a%0A"] {
            assert!(check_target(&good.parse().unwrap()).is_ok(), "{good}");
        }
        for (bad, part) in [
            ("/%00", "path"),
            ("/a/%00b", "path"),
            ("/%", "path"),
            ("/%4", "path"),
            ("/%zz", "path"),
            ("/%+1", "path"),
            ("/%FF", "path"),
            ("/%ED%A0%80", "path"),
            ("/%C0%80", "path"),
            ("/a?x=%00", "x"),
            ("/a?b=1&name=%00&c=2", "name"),
            ("/a?%00=x", "query"),
            ("/a?x=%E5%BC", "x"),
            ("/a?x=100%", "x"),
            ("/a?A=%00", "query"),
            ("/a?=%00", "query"),
        ] {
            let error = check_target(&bad.parse().unwrap()).unwrap_err();
            assert_eq!(error.at(), Some(part), "{bad}");
        }
    }
}
