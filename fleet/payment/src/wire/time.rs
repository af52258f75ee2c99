//! Times as providers write them.

use jiff::{Timestamp, civil::DateTime};

use crate::day::ZONE;

/// As `2026-12-31 23:59:59` in Asia/Shanghai.
pub(crate) fn local(ms: i64) -> String {
    text(ms, "%Y-%m-%d %H:%M:%S")
}

/// As `2026-12-31T23:59:59+08:00`.
pub(crate) fn offset_text(ms: i64) -> String {
    text(ms, "%Y-%m-%dT%H:%M:%S+08:00")
}

fn text(ms: i64, format: &str) -> String {
    let time = Timestamp::from_millisecond(ms).unwrap_or(Timestamp::UNIX_EPOCH);
    ZONE.to_datetime(time).strftime(format).to_string()
}

/// Epoch milliseconds of [`local`]'s form.
pub(crate) fn parse_local(text: &str) -> Option<i64> {
    let time = DateTime::strptime("%Y-%m-%d %H:%M:%S", text).ok()?;
    ZONE.to_timestamp(time).ok().map(Timestamp::as_millisecond)
}

/// Epoch milliseconds of a time with its offset (RFC 3339).
pub(crate) fn parse_offset(text: &str) -> Option<i64> {
    text.parse().ok().map(Timestamp::as_millisecond)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_they_are_written() {
        let ms = parse_offset("2026-12-31T23:59:59+08:00").unwrap();
        assert_eq!(offset_text(ms), "2026-12-31T23:59:59+08:00");
        assert_eq!(local(ms), "2026-12-31 23:59:59");
        assert_eq!(parse_local("2026-12-31 23:59:59"), Some(ms));
        assert_eq!(parse_offset("2026-12-31T15:59:59Z"), Some(ms));
        for none in ["", "2026-12-31", "2026-13-31 00:00:00", "2026-12-31 23:59:59 x"] {
            assert_eq!(parse_local(none), None, "{none}");
        }
        assert_eq!(parse_offset("2026-12-31T23:59:59"), None);
    }
}
