//! What `--redis-url` may say.

use std::path::Path;

use ::redis::{ConnectionInfo, IntoConnectionInfo, ProtocolVersion, RedisError};

use super::{
    sentinels::Sentinels,
    source::{self, Source, Template},
};
use crate::OpenError;

/// Before every key and channel, when the address names no other.
const DEFAULT_PREFIX: &str = "huizhen:";
const EXAMPLE: &str = "redis://user:password@redis.example:6379/0";
const SENTINEL_EXAMPLE: &str = "redis+sentinel://user:password@one:26379,two:26379,three:26379/master-name";

/// Where Redis is and how its keys begin.
pub(super) struct Address {
    pub(super) source: Source,
    pub(super) prefix: String,
    /// For the log: no secrets.
    pub(super) shown: String,
}

/// What stands behind the `?`.
struct Options<'u> {
    prefix: String,
    ca_cert: Option<&'u str>,
    /// `user:password@` of the sentinels, as in a URL.
    sentinel_user: &'u str,
    sentinel_password: Option<&'u str>,
}

impl Address {
    /// Reads `redis://[user:password@]host[:port][/db][?prefix=…]`, or `rediss://` (TLS), there also `ca_cert=FILE`; or
    /// `redis+sentinel://[user:password@]host[:port],…/master-name[/db]` (`rediss+sentinel://`), there also
    /// `sentinel_user=` and `sentinel_password=`.
    pub(super) fn parse(url: &str) -> Result<Self, OpenError> {
        let (server, options) = url.split_once('?').unwrap_or((url, ""));
        let (scheme, rest) = server.split_once("://").unwrap_or_default();
        let (is_tls, is_sentinel) = match scheme {
            "redis" => (false, false),
            "rediss" => (true, false),
            "redis+sentinel" => (false, true),
            "rediss+sentinel" => (true, true),
            _ => {
                return Err(OpenError::Address(format!(
                    "it must begin with redis:// or rediss:// (TLS), as in {EXAMPLE}, or be {SENTINEL_EXAMPLE}"
                )));
            }
        };
        let options = Options::parse(options, is_tls, is_sentinel)?;
        let authorities = match options.ca_cert {
            None => None,
            Some(path) => Some(
                std::fs::read(Path::new(path))
                    .map_err(|error| OpenError::Address(format!("ca_cert={path} cannot be read: {error}")))?,
            ),
        };
        let scheme = if is_tls { "rediss" } else { "redis" };
        let (source, shown) = if is_sentinel {
            sentinels(scheme, rest, &options, authorities)?
        } else {
            let wrong = |error| wrong(error, EXAMPLE);
            let info = server.into_connection_info().map_err(wrong)?;
            let shown = info.addr().to_string();
            let client = source::open(with_pushes(info), authorities).map_err(wrong)?;
            (Source::Server(client), shown)
        };
        Ok(Self {
            source,
            prefix: options.prefix,
            shown,
        })
    }
}

impl<'u> Options<'u> {
    fn parse(text: &'u str, is_tls: bool, is_sentinel: bool) -> Result<Self, OpenError> {
        let mut options = Self {
            prefix: DEFAULT_PREFIX.to_owned(),
            ca_cert: None,
            sentinel_user: "",
            sentinel_password: None,
        };
        for option in text.split('&').filter(|option| !option.is_empty()) {
            match option.split_once('=') {
                Some(("prefix", value)) if is_prefix(value) => options.prefix = value.to_owned(),
                Some(("prefix", _)) => {
                    return Err(OpenError::Address(
                        "prefix= takes up to 64 letters, digits and :-_. and nothing else".into(),
                    ));
                }
                Some(("ca_cert", path)) if is_tls => options.ca_cert = Some(path),
                Some(("ca_cert", _)) => {
                    return Err(OpenError::Address("ca_cert= needs rediss:// (TLS)".into()));
                }
                Some(("sentinel_user", user)) if is_sentinel => options.sentinel_user = user,
                Some(("sentinel_password", password)) if is_sentinel => {
                    options.sentinel_password = Some(password);
                }
                _ => {
                    let name = option.split('=').next().unwrap_or_default();
                    return Err(OpenError::Address(format!(
                        "{name} is no option; there are prefix=TEXT, with rediss:// ca_cert=FILE, and with \
                         redis+sentinel:// sentinel_user=TEXT and sentinel_password=TEXT"
                    )));
                }
            }
        }
        Ok(options)
    }
}

/// Reads what stands behind `redis+sentinel://`.
fn sentinels(
    scheme: &str,
    rest: &str,
    options: &Options<'_>,
    authorities: Option<Vec<u8>>,
) -> Result<(Source, String), OpenError> {
    let wrong = |error| wrong(error, SENTINEL_EXAMPLE);
    let (login, rest) = match rest.rsplit_once('@') {
        Some((login, rest)) => (format!("{login}@"), rest),
        None => (String::new(), rest),
    };
    let (hosts, name) = rest.split_once('/').unwrap_or((rest, ""));
    let (master_name, db) = name.split_once('/').unwrap_or((name, "0"));
    if master_name.is_empty() || hosts.split(',').any(str::is_empty) {
        return Err(OpenError::Address(format!(
            "it must name the sentinels and their master, as in {SENTINEL_EXAMPLE}"
        )));
    }
    let sentinel_login = match options.sentinel_password {
        Some(password) => format!("{}:{password}@", options.sentinel_user),
        None => String::new(),
    };
    let mut sentinels = Vec::new();
    for host in hosts.split(',') {
        // After the brackets of an IPv6 address.
        let has_port = host.rsplit(']').next().is_some_and(|tail| tail.contains(':'));
        let port = if has_port { "" } else { ":26379" };
        let info = format!("{scheme}://{sentinel_login}{host}{port}").into_connection_info();
        sentinels.push(source::open(info.map_err(wrong)?, authorities.clone()).map_err(wrong)?);
    }
    let master = format!("{scheme}://{login}master.invalid/{db}")
        .into_connection_info()
        .map_err(wrong)?;
    let set = Sentinels {
        sentinels,
        master_name: master_name.to_owned(),
        master: Template {
            info: with_pushes(master),
            authorities,
        },
    };
    Ok((Source::Sentinels(set), format!("{hosts}/{master_name}")))
}

fn with_pushes(info: ConnectionInfo) -> ConnectionInfo {
    let settings = info.redis_settings().clone().set_protocol(ProtocolVersion::RESP3);
    info.set_redis_settings(settings)
}

fn wrong(error: RedisError, example: &str) -> OpenError {
    OpenError::Address(format!(
        "{error}; it must look like {example}, special characters as %XX"
    ))
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
        let Source::Server(client) = &address.source else {
            panic!("it names one server");
        };
        let settings = client.get_connection_info().redis_settings().clone();
        assert_eq!(
            (settings.username(), settings.password()),
            (Some("me"), Some("ge@heim"))
        );
        assert_eq!(settings.db(), 2);
        assert_eq!(Address::parse("redis://h").unwrap().prefix, DEFAULT_PREFIX);
        assert!(Address::parse("rediss://h:1").is_ok());
    }

    #[test]
    fn an_address_names_sentinels_and_their_master() {
        let url = "redis+sentinel://me:ge%40heim@one:1,two,[::1]:3/main/2?prefix=a:&sentinel_password=s%40";
        let address = Address::parse(url).unwrap();
        assert_eq!(address.shown, "one:1,two,[::1]:3/main");
        let Source::Sentinels(set) = &address.source else {
            panic!("it names sentinels");
        };
        let places: Vec<String> = set
            .sentinels
            .iter()
            .map(|client| client.get_connection_info().addr().to_string())
            .collect();
        assert_eq!(places[..2], ["one:1", "two:26379"]);
        assert_eq!((places.len(), &*set.master_name), (3, "main"));
        let info = set.sentinels[0].get_connection_info();
        assert_eq!(info.redis_settings().password(), Some("s@"));
        let settings = set.master.info.redis_settings();
        assert_eq!(
            (settings.username(), settings.password(), settings.db()),
            (Some("me"), Some("ge@heim"), 2)
        );
        assert!(Address::parse("rediss+sentinel://one,two/main").is_ok());
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
            ("redis://h?sentinel_password=x", "redis+sentinel://"),
            ("redis+sentinel://one,two", "master-name"),
            ("redis+sentinel://one,,two/main", "master-name"),
            ("redis+sentinel://one:port/main", "must look like"),
            ("redis+sentinel://one/main/x", "must look like"),
            ("redis+cluster://h", "redis+sentinel://"),
            ("rediss://h?ca_cert=/no/such/file", "/no/such/file"),
        ] {
            let Err(error) = Address::parse(url) else {
                panic!("{url} was taken");
            };
            assert!(error.to_string().contains(hint), "{url}: {error}");
        }
    }
}
