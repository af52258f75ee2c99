//! The address at which browsers reach the service.

use std::{fmt, str::FromStr};

/// The longest one, bytes: a link of an invitation behind it still fits into a QR code.
const MAX_BYTES: usize = 200;

/// An address of the service for browsers, without a slash at its end: `https://clinic.example.com`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicAddress(String);

impl FromStr for PublicAddress {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let refused = || {
            format!(
                "`{text}` is no public address: it is https and a host, as in https://clinic.example.com, of at most \
                 {MAX_BYTES} bytes"
            )
        };
        let url: url::Url = text.parse().map_err(|_| refused())?;
        // Plain HTTP is for trials on one machine: WeChat opens no such link.
        let is_local = matches!(url.host_str(), Some("localhost" | "127.0.0.1" | "[::1]"));
        let is_web = url.scheme() == "https" || (url.scheme() == "http" && is_local);
        let is_plain = url.username().is_empty() && url.password().is_none();
        let ends = url.query().is_none() && url.fragment().is_none();
        let address = url.as_str().trim_end_matches('/').to_owned();
        if is_web && is_plain && ends && url.has_host() && address.len() <= MAX_BYTES {
            Ok(Self(address))
        } else {
            Err(refused())
        }
    }
}

impl fmt::Display for PublicAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_https_and_a_host() {
        for (good, written) in [
            ("https://clinic.example.com", "https://clinic.example.com"),
            ("https://clinic.example.com/", "https://clinic.example.com"),
            (
                "https://Example.com:8443/huizhen/",
                "https://example.com:8443/huizhen",
            ),
            ("http://127.0.0.1:8080", "http://127.0.0.1:8080"),
        ] {
            let parsed: PublicAddress = good.parse().unwrap();
            assert_eq!(parsed.to_string(), written);
        }
        for bad in [
            "",
            "clinic.example.com",
            "http://clinic.example.com",
            "ftp://clinic.example.com",
            "javascript:alert(1)",
            "https://user@clinic.example.com",
            "https://clinic.example.com/?a=1",
            "https://clinic.example.com/#a",
            &format!("https://{}.example.com", "a".repeat(200)),
        ] {
            assert!(bad.parse::<PublicAddress>().is_err(), "{bad}");
        }
    }
}
