//! Origins of browser apps.

use std::str::FromStr;

use axum::http::HeaderValue;

/// The origin of a browser app, as browsers write it: `https://app.example.com`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin(HeaderValue);

impl FromStr for Origin {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let refused = || {
            format!(
                "`{text}` is no origin: it is a scheme and a host, as in https://app.example.com or http://localhost:3000"
            )
        };
        let url: url::Url = text.parse().map_err(|_| refused())?;
        // Exactly as a browser serializes it: no path, no user, no default port, lower case.
        let origin = url.origin().ascii_serialization();
        if origin != text || text.contains('*') || !matches!(url.scheme(), "http" | "https") {
            return Err(refused());
        }
        HeaderValue::from_str(text).map(Self).map_err(|_| refused())
    }
}

impl Origin {
    /// As browsers send it.
    pub(crate) fn header(&self) -> &HeaderValue {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_what_a_browser_writes() {
        for good in [
            "https://app.example.com",
            "http://localhost:3000",
            "http://[::1]:8080",
        ] {
            assert!(good.parse::<Origin>().is_ok(), "{good}");
        }
        for bad in [
            "*",
            "null",
            "",
            "app.example.com",
            "https://app.example.com/",
            "https://app.example.com:443",
            "https://App.example.com",
            "https://user@app.example.com",
            "ftp://app.example.com",
            "https://*.example.com",
            "file:///app",
        ] {
            assert!(bad.parse::<Origin>().is_err(), "{bad}");
        }
    }
}
