//! The validity period of a certificate, read from DER.

use jiff::{Timestamp, civil::DateTime, tz::TimeZone};

/// Days before its end at which a certificate should be renewed.
pub(super) const SOON_DAYS: i64 = 21;
/// A day, seconds.
const DAY_S: i64 = 24 * 60 * 60;

/// The validity period of a certificate, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Validity {
    /// Its beginning.
    pub not_before: Timestamp,
    /// Its end.
    pub not_after: Timestamp,
}

/// The state of a certificate at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    NotYet,
    Good,
    EndsSoon,
    Expired,
}

impl Validity {
    /// Reads the fifth field of the first part of a certificate (RFC 5280, 4.1).
    ///
    /// `None` when the bytes are not a DER certificate.
    pub fn of(certificate: &[u8]) -> Option<Self> {
        const SEQUENCE: u8 = 0x30;
        const VERSION: u8 = 0xa0;
        let (tag, certificate, _) = element(certificate)?;
        let (inner, mut fields, _) = element(certificate)?;
        if (tag, inner) != (SEQUENCE, SEQUENCE) {
            return None;
        }
        // Version 1 is the default and omitted.
        if fields.first() == Some(&VERSION) {
            fields = element(fields)?.2;
        }
        for _serial_signature_issuer in 0..3 {
            fields = element(fields)?.2;
        }
        let (_, validity, _) = element(fields)?;
        let (before_kind, not_before, rest) = element(validity)?;
        let (after_kind, not_after, _) = element(rest)?;
        Some(Self {
            not_before: time(before_kind, not_before)?,
            not_after: time(after_kind, not_after)?,
        })
    }

    /// Whether clients accept it at a time.
    pub fn is_in_force(self, now: Timestamp) -> bool {
        self.not_before <= now && now <= self.not_after
    }

    /// Days until its end; negative after it.
    pub fn days_left(self, now: Timestamp) -> f64 {
        (self.not_after.as_second() - now.as_second()) as f64 / DAY_S as f64
    }

    pub(super) fn whole_days_left(self, now: Timestamp) -> i64 {
        (self.not_after.as_second() - now.as_second()).div_euclid(DAY_S)
    }

    pub(super) fn standing(self, now: Timestamp) -> Standing {
        if now < self.not_before {
            Standing::NotYet
        } else if now > self.not_after {
            Standing::Expired
        } else if self.whole_days_left(now) < SOON_DAYS {
            Standing::EndsSoon
        } else {
            Standing::Good
        }
    }
}

/// The end of a certificate's validity.
///
/// `None` when the bytes are not a DER certificate.
pub fn not_after(certificate: &[u8]) -> Option<Timestamp> {
    Validity::of(certificate).map(|validity| validity.not_after)
}

/// Splits off a DER element: its tag, its contents, and the remaining bytes.
fn element(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&tag, bytes) = bytes.split_first()?;
    let (&first, mut bytes) = bytes.split_first()?;
    let length = if first < 0x80 {
        usize::from(first)
    } else {
        let count = usize::from(first & 0x7f);
        if count > 4 {
            return None;
        }
        let (digits, rest) = bytes.split_at_checked(count)?;
        bytes = rest;
        digits
            .iter()
            .fold(0, |length, digit| (length << 8) | usize::from(*digit))
    };
    let (contents, rest) = bytes.split_at_checked(length)?;
    Some((tag, contents, rest))
}

/// UTCTime (`YYMMDDHHMMSSZ`) or GeneralizedTime (`YYYYMMDDHHMMSSZ`).
fn time(kind: u8, text: &[u8]) -> Option<Timestamp> {
    const UTC_TIME: u8 = 0x17;
    let text = std::str::from_utf8(text).ok()?.strip_suffix('Z')?;
    let text = if kind == UTC_TIME {
        let century = if text.get(..2)?.parse::<u8>().ok()? < 50 {
            "20"
        } else {
            "19"
        };
        format!("{century}{text}")
    } else {
        text.to_owned()
    };
    let civil = DateTime::strptime("%Y%m%d%H%M%S", &text).ok()?;
    TimeZone::UTC.to_timestamp(civil).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn certificate(year: i32) -> Vec<u8> {
        let mut params = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        params.not_before = rcgen::date_time_ymd(2021, 2, 3);
        params.not_after = rcgen::date_time_ymd(year, 3, 4);
        let key = rcgen::KeyPair::generate().unwrap();
        params.self_signed(&key).unwrap().der().to_vec()
    }

    #[test]
    fn both_forms_of_time_are_read() {
        for year in [2031, 2061] {
            let Validity {
                not_before,
                not_after,
            } = Validity::of(&certificate(year)).unwrap();
            assert_eq!(not_before.to_string(), "2021-02-03T00:00:00Z");
            assert_eq!(not_after.to_string(), format!("{year}-03-04T00:00:00Z"));
        }
    }

    #[test]
    fn what_is_no_certificate_has_no_end() {
        let whole = certificate(2031);
        for length in 0..whole.len().min(200) {
            let _ = not_after(&whole[..length]);
        }
        for bad in [&b""[..], b"\x30", b"\x30\x84\xff\xff\xff\xff", b"hello"] {
            assert_eq!(not_after(bad), None);
        }
    }

    #[test]
    fn a_certificate_stands_by_its_dates() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let validity = Validity {
            not_before: at("2026-01-01T00:00:00Z"),
            not_after: at("2026-12-31T00:00:00Z"),
        };
        for (now, standing, is_in_force) in [
            ("2025-12-31T23:59:59Z", Standing::NotYet, false),
            ("2026-01-01T00:00:00Z", Standing::Good, true),
            ("2026-12-10T00:00:00Z", Standing::Good, true),
            ("2026-12-10T00:00:01Z", Standing::EndsSoon, true),
            ("2026-12-31T00:00:00Z", Standing::EndsSoon, true),
            ("2026-12-31T00:00:01Z", Standing::Expired, false),
        ] {
            assert_eq!(validity.standing(at(now)), standing, "{now}");
            assert_eq!(validity.is_in_force(at(now)), is_in_force, "{now}");
        }
        let left = validity.days_left(at("2027-01-01T12:00:00Z"));
        assert!((left + 1.5).abs() < 1e-9, "{left}");
    }
}
