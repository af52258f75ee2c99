//! How long a certificate is good, read from its bytes.

use jiff::{Timestamp, civil::DateTime, tz::TimeZone};

/// The end of a certificate's validity: of the first part of a certificate (RFC 5280, 4.1) the second time of the
/// fifth field.
///
/// None when these bytes are no DER certificate.
pub fn not_after(certificate: &[u8]) -> Option<Timestamp> {
    const SEQUENCE: u8 = 0x30;
    const VERSION: u8 = 0xa0;
    let (tag, certificate, _) = element(certificate)?;
    let (inner, mut fields, _) = element(certificate)?;
    if (tag, inner) != (SEQUENCE, SEQUENCE) {
        return None;
    }
    // The version is only there when it is not the first.
    if fields.first() == Some(&VERSION) {
        fields = element(fields)?.2;
    }
    for _serial_signature_issuer in 0..3 {
        fields = element(fields)?.2;
    }
    let (_, validity, _) = element(fields)?;
    let (_, _not_before, rest) = element(validity)?;
    let (kind, not_after, _) = element(rest)?;
    time(kind, not_after)
}

/// A DER element: its tag, its contents, and what comes behind it.
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
        params.not_after = rcgen::date_time_ymd(year, 3, 4);
        let key = rcgen::KeyPair::generate().unwrap();
        params.self_signed(&key).unwrap().der().to_vec()
    }

    #[test]
    fn both_forms_of_time_are_read() {
        for year in [2031, 2061] {
            let ends = not_after(&certificate(year)).unwrap();
            assert_eq!(ends.to_string(), format!("{year}-03-04T00:00:00Z"));
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
}
