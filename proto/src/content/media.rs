//! Uris of media: those of this service, and those of hosts that its operator names.
//!
//! A uri from a message is opened by the apps of other users. One of another scheme or host would run a stranger's
//! code, or show a stranger who opened it and when (docs/protocol.md, "Media").

use std::{str::FromStr, sync::Arc};

use crate::Sentence;

// protocol: "uri | 2048 bytes"
/// The longest uri, bytes.
pub const MAX_URI_BYTES: usize = 2048;

// protocol: "names media of this service: media/ID"
/// The prefixes of this service's uris; an id follows.
const OWN: [&str; 3] = ["media/", "/media/", "media:"];

/// The hosts whose `https` uris are accepted beside this service's own. By default there are none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MediaHosts(Arc<[MediaHost]>);

/// A host of media: `media.example.com`, or with a port `media.example.com:8443`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MediaHost(String);

impl MediaHosts {
    // protocol: "is refused with Error INVALID, in REST with"
    /// Checks a uri.
    ///
    /// # Errors
    /// The rule when it is refused.
    pub fn check(&self, uri: &str) -> Result<(), Sentence> {
        self.check_named("uri", uri)
    }

    /// The same of a field with another name.
    ///
    /// # Errors
    /// The rule when it is refused.
    pub fn check_named(&self, field: &str, uri: &str) -> Result<(), Sentence> {
        if self.take(uri) {
            return Ok(());
        }
        Err(Sentence::formatted(
            format!(
                "{field} must be one of this service (media/ID), or an https uri of a host that its operator names, of at most {MAX_URI_BYTES} bytes"
            ),
            format!(
                "{field} 应为本服务的媒体地址（media/ID），或运营方允许的主机的 https 地址，最长 {MAX_URI_BYTES} 字节"
            ),
        ))
    }

    /// Whether a uri is accepted.
    pub fn take(&self, uri: &str) -> bool {
        if uri.len() > MAX_URI_BYTES {
            return false;
        }
        match uri.strip_prefix("https://") {
            Some(rest) => self.0.iter().any(|host| host.has(rest)),
            None => OWN
                .iter()
                .any(|own| uri.strip_prefix(own).is_some_and(is_path_of_ids)),
        }
    }
}

impl MediaHosts {
    /// The hosts that a setting names.
    ///
    /// # Errors
    /// The first one that is not a host.
    pub fn parse(hosts: &[String]) -> Result<Self, String> {
        hosts.iter().map(|host| host.parse::<MediaHost>()).collect()
    }
}

impl FromIterator<MediaHost> for MediaHosts {
    fn from_iter<I: IntoIterator<Item = MediaHost>>(hosts: I) -> Self {
        Self(hosts.into_iter().collect())
    }
}

impl MediaHost {
    // protocol: "https uris of exactly those are accepted too"
    /// Whether a uri without its `https://` is of this host.
    fn has(&self, uri: &str) -> bool {
        let Some(rest) = uri.strip_prefix(self.0.as_str()) else {
            return false;
        };
        // A URL parser reads a backslash as a slash, and the text before an @ as a user's name.
        rest.starts_with('/')
            && rest
                .bytes()
                .all(|b| b.is_ascii_graphic() && !b"\\\"<>^`{|}".contains(&b))
    }
}

impl FromStr for MediaHost {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (name, port) = text.split_once(':').unwrap_or((text, "443"));
        let is_name = name.split('.').all(|label| {
            !label.is_empty()
                && !label.starts_with('-')
                && label
                    .bytes()
                    .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        });
        if is_name && port.parse::<u16>().is_ok_and(|port| port > 0) {
            Ok(Self(text.to_owned()))
        } else {
            Err(format!(
                "{text:?} is not a host in lower case, with or without a port, such as media.example.com"
            ))
        }
    }
}

/// One id, or several with slashes between them. None begins with a dot, so that no segment leads elsewhere.
fn is_path_of_ids(path: &str) -> bool {
    path.split('/').all(is_id)
}

// protocol: "An ID has letters, digits and"
/// Whether text is an id of media: it stands in a uri as it is.
pub fn is_id(text: &str) -> bool {
    !text.is_empty()
        && !text.starts_with('.')
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"-._~".contains(&b))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hosts(text: &str) -> MediaHosts {
        text.split(',').map(|host| host.parse().unwrap()).collect()
    }

    // protocol: "An ID has letters, digits and"
    // protocol: "uri | 2048 bytes"
    #[test]
    fn only_uris_of_this_service_are_taken() {
        let none = MediaHosts::default();
        for good in [
            "media/1",
            "media/7f3a",
            "/media/8f14e45f",
            "media:01J9Z",
            "media/2026/11/a-b_c~d.jpg",
        ] {
            assert!(none.take(good), "{good}");
        }
        for bad in [
            "",
            "media",
            "media/",
            "/media/",
            "media:",
            "media/..",
            "media/../account",
            "media/./x",
            "media/.htaccess",
            "media//x",
            "media/x/",
            "media/%2e%2e/x",
            "media/a b",
            "media/a\n",
            "media/\u{202e}gpj",
            "media/张",
            "media/x?y=z",
            "media/x#y",
            "media\\x",
            "//media/x",
            "Media/1",
            "photo-7",
            "javascript:alert(1)",
            "JavaScript:alert(1)",
            " javascript:alert(1)",
            "data:text/html,x",
            "file:///etc/passwd",
            "blob:https://x/1",
            "content://media/external/1",
            "intent://x",
            "http://media/1",
            "https://evil.example/media/1",
            "//evil.example/media/1",
            &format!("media/{}", "x".repeat(MAX_URI_BYTES)),
        ] {
            assert!(!none.take(bad), "{bad:?}");
            assert!(!hosts("media.example.com").take(bad), "{bad:?}");
        }
    }

    // protocol: "https uris of exactly those are accepted too"
    #[test]
    fn a_named_host_is_taken_and_nothing_that_resembles_it() {
        let hosts = hosts("media.example.com,cdn.example.com:8443");
        for good in [
            "https://media.example.com/a/b.jpg?x=%2F&y=1#z",
            "https://cdn.example.com:8443/a",
            "media/1",
        ] {
            assert!(hosts.take(good), "{good}");
        }
        for bad in [
            "http://media.example.com/a",
            "https://media.example.com",
            "https://media.example.com:444/a",
            "https://media.example.com.evil.example/a",
            "https://media.example.com@evil.example/a",
            "https://media.example.com\\@evil.example/a",
            "https://user@media.example.com/a",
            "https://evil.example/https://media.example.com/a",
            "https://MEDIA.example.com/a",
            "https://cdn.example.com/a",
            "https://media.example.com/a b",
            "https://media.example.com/a\n",
            "https://media.example.com/\u{202e}",
            "HTTPS://media.example.com/a",
        ] {
            assert!(!hosts.take(bad), "{bad:?}");
        }
    }

    #[test]
    fn a_host_is_a_host() {
        for bad in [
            "",
            "*",
            "https://a.b",
            "a b",
            "a/b",
            "A.b",
            "a..b",
            "-a.b",
            "a:0",
            "a:x",
            "a@b",
            ".a",
        ] {
            assert!(bad.parse::<MediaHost>().is_err(), "{bad:?}");
        }
    }
}
