//! Requests to a provider: bounded in time and size, to one host.

use std::time::Duration;

use reqwest::{RequestBuilder, header::HeaderMap, redirect::Policy};
use url::{Host, Url};

use super::{Address, SettingsError};
use crate::Failure;

/// The longest wait for an answer: a member is waiting, too.
const TIMEOUT: Duration = Duration::from_secs(5);
/// The longest wait for a bill.
pub(crate) const BILL_TIMEOUT: Duration = Duration::from_secs(60);
/// The largest answer, bills apart.
pub(crate) const REPLY_MAX_BYTES: usize = 256 * 1024;
/// The largest bill of a day: about 200,000 rows.
pub(crate) const BILL_MAX_BYTES: usize = 64 * 1024 * 1024;
/// The longest words of a provider that go into an error.
const WORDS_MAX_CHARS: usize = 200;

/// The way to one provider.
#[derive(Debug)]
pub(crate) struct Client {
    http: reqwest::Client,
    base: Address,
}

/// An answer, read to its end.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Client {
    /// # Errors
    /// When the base has no TLS and is not this machine.
    pub(crate) fn new(base: &Address) -> Result<Self, SettingsError> {
        if !is_safe(base) {
            return Err(SettingsError(
                "base_url must begin with https://; plain http:// is for a stand-in on loopback".to_owned(),
            ));
        }
        // The client uses the process's default provider, which may be installed already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = reqwest::Client::builder()
            .timeout(TIMEOUT)
            .no_proxy()
            .redirect(Policy::none())
            .build()
            .map_err(|_| SettingsError("the client of the provider cannot be made".to_owned()))?;
        Ok(Self {
            http,
            base: base.clone(),
        })
    }

    pub(crate) fn http(&self) -> &reqwest::Client {
        &self.http
    }

    pub(crate) fn base(&self) -> &Url {
        &self.base
    }

    /// The URL of a path, with its query.
    pub(crate) fn url(&self, path: &str) -> Url {
        self.base.join(path).unwrap_or_else(|_| self.base().clone())
    }

    /// Whether a URL is on the host that the settings name.
    pub(crate) fn is_own(&self, url: &Url) -> bool {
        url.origin() == self.base.origin()
    }

    /// Sends a request, and reads at most `max` bytes of its answer.
    pub(crate) async fn send(&self, request: RequestBuilder, max: usize) -> Result<Answer, Failure> {
        let mut response = request.send().await.map_err(|error| away(&error))?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| away(&error))? {
            if body.len() + chunk.len() > max {
                return Err(Failure::Away(format!("the answer is longer than {max} bytes")));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Answer {
            status,
            headers,
            body,
        })
    }
}

impl Answer {
    /// The only value of a header; `None` where it is missing, repeated, or not text.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut values = self.headers.get_all(name).iter();
        let value = values.next()?.to_str().ok()?;
        values.next().is_none().then_some(value)
    }
}

/// Whether credentials may travel to a URL.
fn is_safe(url: &Url) -> bool {
    let is_loopback = match url.host() {
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    };
    url.has_host() && (url.scheme() == "https" || (url.scheme() == "http" && is_loopback))
}

/// The error's own text contains the URL.
fn away(error: &reqwest::Error) -> Failure {
    let why = if error.is_timeout() {
        "no answer in time"
    } else if error.is_connect() {
        "no connection"
    } else {
        "the connection broke"
    };
    Failure::Away(why.to_owned())
}

/// A provider's words, on one line and not too long.
pub(crate) fn words(code: &str, message: &str) -> String {
    let text = format!("{code}: {message}");
    text.chars()
        .filter(|char| !char.is_control())
        .take(WORDS_MAX_CHARS)
        .collect()
}

/// Whether a text may be a number of an order or a refund, also in a path.
pub(crate) fn is_number(text: &str) -> bool {
    (1..=64).contains(&text.len())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_travel_by_tls_or_on_this_machine() {
        for safe in [
            "https://api.example.com",
            "http://127.0.0.1:9",
            "http://[::1]:9",
            "http://localhost:9",
        ] {
            assert!(is_safe(&safe.parse().unwrap()), "{safe}");
        }
        for open in [
            "http://api.example.com",
            "http://10.0.0.1",
            "ftp://localhost",
            "data:x",
        ] {
            assert!(!is_safe(&open.parse().unwrap()), "{open}");
        }
    }

    #[test]
    fn words_stay_on_a_line() {
        assert_eq!(words("A", "b\r\nc"), "A: bc");
        assert_eq!(words("A", &"长".repeat(999)).chars().count(), WORDS_MAX_CHARS);
    }

    #[test]
    fn numbers_are_plain() {
        assert!(is_number("T20261231-001_a"));
        for bad in ["", "../x", "a/b", "a?b", "订单", "a b", &"a".repeat(65)] {
            assert!(!is_number(bad), "{bad}");
        }
    }
}
