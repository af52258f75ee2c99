//! The part of a medium that a request wants (RFC 9110).

use axum::http::{HeaderMap, HeaderName, header};
use media::store::Wanted;

/// The wanted bytes. A range that is malformed, of several parts, or of another version is ignored.
pub(super) fn wanted(headers: &HeaderMap, tag: &str) -> Wanted {
    let text = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    let is_same = text(header::IF_RANGE).is_none_or(|if_range| if_range == tag);
    let range = text(header::RANGE).filter(|_| is_same);
    range.and_then(parse).unwrap_or(Wanted::All)
}

fn parse(text: &str) -> Option<Wanted> {
    let (first, last) = text.strip_prefix("bytes=")?.split_once('-')?;
    let number = |text: &str| -> Option<u64> {
        let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        is_number.then(|| text.parse().unwrap_or(u64::MAX))
    };
    match (first, last) {
        ("", last) => Some(Wanted::Last(number(last)?)),
        (first, "") => Some(Wanted::From(number(first)?)),
        (first, last) => {
            let (first, last) = (number(first)?, number(last)?);
            (first <= last).then_some(Wanted::Between(first, last))
        }
    }
}

/// Whether the caller has this version already.
pub(super) fn is_known(headers: &HeaderMap, tag: &str) -> bool {
    let values = headers.get_all(header::IF_NONE_MATCH).iter();
    let mut tags = values
        .filter_map(|value| value.to_str().ok())
        .flat_map(|text| text.split(','));
    tags.any(|known| {
        let known = known.trim();
        known == "*" || known.strip_prefix("W/").unwrap_or(known) == tag
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_range_is_taken_and_all_else_ignored() {
        for (text, wanted) in [
            ("bytes=0-9", Some(Wanted::Between(0, 9))),
            ("bytes=5-", Some(Wanted::From(5))),
            ("bytes=-5", Some(Wanted::Last(5))),
            ("bytes=0-99999999999999999999", Some(Wanted::Between(0, u64::MAX))),
            ("bytes=9-5", None),
            ("bytes=-", None),
            ("bytes=0-1,5-6", None),
            ("bytes=+1-2", None),
            ("items=0-1", None),
            ("", None),
        ] {
            assert_eq!(parse(text), wanted, "{text}");
        }
    }

    #[test]
    fn a_known_version_is_recognized() {
        let mut headers = HeaderMap::new();
        assert!(!is_known(&headers, "\"7\""));
        headers.insert(header::IF_NONE_MATCH, "\"6\", W/\"7\"".parse().unwrap());
        assert!(is_known(&headers, "\"7\"") && !is_known(&headers, "\"8\""));
        headers.insert(header::RANGE, "bytes=0-1".parse().unwrap());
        assert_eq!(wanted(&headers, "\"7\""), Wanted::Between(0, 1));
        headers.insert(header::IF_RANGE, "\"6\"".parse().unwrap());
        assert_eq!(wanted(&headers, "\"7\""), Wanted::All);
    }
}
