//! What `--redis-url` may say.

use std::path::Path;

use ::redis::{Client, IntoConnectionInfo, ProtocolVersion, TlsCertificates};

use crate::OpenError;

/// Before every key and channel, when the address names no other.
const DEFAULT_PREFIX: &str = "huizhen:";
const EXAMPLE: &str = "redis://user:password@redis.example:6379/0";

/// Where Redis is and how its keys begin.
pub(super) struct Address {
    pub(super) client: Client,
    pub(super) prefix: String,
    /// For the log: no secrets.
    pub(super) shown: String,
}

impl Address {
    /// Reads `redis://[user:password@]host[:port][/db][?prefix=…]`, or `rediss://` (TLS), there also `ca_cert=FILE`.
    pub(super) fn parse(url: &str) -> Result<Self, OpenError> {
        let (server, options) = url.split_once('?').unwrap_or((url, ""));
        let is_tls = server.starts_with("rediss://");
        if !is_tls && !server.starts_with("redis://") {
            return Err(OpenError::Address(format!(
                "it must begin with redis:// or rediss:// (TLS), as in {EXAMPLE}"
            )));
        }
        let (mut prefix, mut ca_cert) = (DEFAULT_PREFIX.to_owned(), None);
        for option in options.split('&').filter(|option| !option.is_empty()) {
            match option.split_once('=') {
                Some(("prefix", value)) if is_prefix(value) => prefix = value.to_owned(),
                Some(("prefix", _)) => {
                    return Err(OpenError::Address(
                        "prefix= takes up to 64 letters, digits and :-_. and nothing else".into(),
                    ));
                }
                Some(("ca_cert", path)) if is_tls => ca_cert = Some(path),
                Some(("ca_cert", _)) => {
                    return Err(OpenError::Address("ca_cert= needs rediss:// (TLS)".into()));
                }
                _ => {
                    let name = option.split('=').next().unwrap_or_default();
                    return Err(OpenError::Address(format!(
                        "{name} is no option; there are prefix=TEXT and, with rediss://, ca_cert=FILE"
                    )));
                }
            }
        }
        let wrong = |error: ::redis::RedisError| {
            OpenError::Address(format!(
                "{error}; it must look like {EXAMPLE}, special characters as %XX"
            ))
        };
        let info = server.into_connection_info().map_err(wrong)?;
        let shown = info.addr().to_string();
        let settings = info.redis_settings().clone().set_protocol(ProtocolVersion::RESP3);
        let info = info.set_redis_settings(settings);
        let client = match ca_cert {
            None => Client::open(info),
            Some(path) => {
                let pem = std::fs::read(Path::new(path))
                    .map_err(|error| OpenError::Address(format!("ca_cert={path} cannot be read: {error}")))?;
                Client::build_with_tls(
                    info,
                    TlsCertificates {
                        client_tls: None,
                        root_cert: Some(pem),
                    },
                )
            }
        };
        Ok(Self {
            client: client.map_err(wrong)?,
            prefix,
            shown,
        })
    }
}

fn is_prefix(text: &str) -> bool {
    text.len() <= 64
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b":-_.".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_says_server_and_prefix() {
        let address = Address::parse("redis://me:ge%40heim@cache.example:7000/2?prefix=a:").unwrap();
        assert_eq!(address.prefix, "a:");
        assert_eq!(address.shown, "cache.example:7000");
        let settings = address.client.get_connection_info().redis_settings().clone();
        assert_eq!(
            (settings.username(), settings.password()),
            (Some("me"), Some("ge@heim"))
        );
        assert_eq!(settings.db(), 2);
        assert_eq!(Address::parse("redis://h").unwrap().prefix, DEFAULT_PREFIX);
        assert!(Address::parse("rediss://h:1").is_ok());
    }

    #[test]
    fn a_wrong_address_is_told_with_what_to_do() {
        for (url, hint) in [
            ("", "redis://"),
            ("http://h", "redis://"),
            ("redis://h:port", "must look like"),
            ("redis://h/x", "must look like"),
            ("redis://h?prefix=a b", "letters"),
            ("redis://h?nonsense=1", "prefix=TEXT"),
            ("redis://h?ca_cert=x", "rediss://"),
            ("rediss://h?ca_cert=/no/such/file", "/no/such/file"),
        ] {
            let Err(error) = Address::parse(url) else {
                panic!("{url} was taken");
            };
            assert!(error.to_string().contains(hint), "{url}: {error}");
        }
    }
}
