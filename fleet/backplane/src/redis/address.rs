//! What `--redis-url` may say.

use std::path::Path;

use ::redis::{ConnectionAddr, ConnectionInfo, ErrorKind, IntoConnectionInfo, ProtocolVersion, RedisError};

use super::{
    cluster::Cluster,
    sentinels::Sentinels,
    source::{self, Place, Source, Template},
};
use crate::OpenError;

/// Before every key and channel, when the address names no other.
const DEFAULT_PREFIX: &str = "huizhen:";
const EXAMPLE: &str = "redis://user:password@redis.example:6379/0";
const SENTINEL_EXAMPLE: &str = "redis+sentinel://user:password@one:26379,two:26379,three:26379/master-name";
const CLUSTER_EXAMPLE: &str = "redis+cluster://user:password@one:6379,two:6379,three:6379";

/// Where Redis is and how its keys begin.
pub(super) struct Address {
    pub(super) way: Way,
    pub(super) prefix: String,
    /// For the log: no secrets.
    pub(super) shown: String,
}

/// What Redis is.
pub(super) enum Way {
    /// One server that has everything, wherever it is.
    Server(Source),
    /// A cluster.
    Cluster(Cluster),
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Server,
    Sentinel,
    Cluster,
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
    /// `sentinel_user=` and `sentinel_password=`; or `redis+cluster://[user:password@]host[:port],…` (`rediss+cluster://`).
    pub(super) fn parse(url: &str) -> Result<Self, OpenError> {
        let (server, options) = url.split_once('?').unwrap_or((url, ""));
        let (scheme, rest) = server.split_once("://").unwrap_or_default();
        let (scheme, kind) = match scheme.split_once('+') {
            None => (scheme, Some(Kind::Server)),
            Some((scheme, "sentinel")) => (scheme, Some(Kind::Sentinel)),
            Some((scheme, "cluster")) => (scheme, Some(Kind::Cluster)),
            Some(_) => (scheme, None),
        };
        let (Some(kind), true) = (kind, ["redis", "rediss"].contains(&scheme)) else {
            return Err(OpenError::Address(format!(
                "it must begin with redis:// or rediss:// (TLS), as in {EXAMPLE}, or be {SENTINEL_EXAMPLE} or \
                 {CLUSTER_EXAMPLE}"
            )));
        };
        let options = Options::parse(options, scheme == "rediss", kind == Kind::Sentinel)?;
        let authorities = match options.ca_cert {
            None => None,
            Some(path) => Some(
                std::fs::read(Path::new(path))
                    .map_err(|error| OpenError::Address(format!("ca_cert={path} cannot be read: {error}")))?,
            ),
        };
        let (way, shown) = match kind {
            Kind::Sentinel => sentinels(scheme, rest, &options, authorities)?,
            Kind::Cluster => cluster(scheme, rest, authorities)?,
            Kind::Server => {
                let wrong = |error| wrong(error, EXAMPLE);
                let info = server.into_connection_info().map_err(wrong)?;
                let shown = info.addr().to_string();
                let client = source::open(with_pushes(info), authorities).map_err(wrong)?;
                (Way::Server(Source::Server(client)), shown)
            }
        };
        Ok(Self {
            way,
            prefix: options.prefix,
            shown,
        })
    }
}

impl Way {
    /// Connects once.
    ///
    /// # Errors
    /// With what is wrong; of the kind `InvalidClientConfig` when the address says what Redis is not.
    pub(super) async fn check(&self) -> Result<(), RedisError> {
        match self {
            Self::Cluster(cluster) => cluster.check().await.map_err(|error| {
                if error.to_string().contains("cluster support disabled") {
                    config_error("this Redis is no part of a cluster: write redis:// for one server")
                } else {
                    error
                }
            }),
            Self::Server(source) => {
                let (mut connection, _) = source.connect(|_| {}).await?;
                let mut ask = ::redis::cmd("INFO");
                // Where that is forbidden, all else tells.
                let info: String = ask
                    .arg("cluster")
                    .query_async(&mut connection)
                    .await
                    .unwrap_or_default();
                if info.contains("cluster_enabled:1") {
                    return Err(config_error(
                        "this Redis is part of a cluster: write redis+cluster://",
                    ));
                }
                Ok(())
            }
        }
    }
}

fn config_error(what: &'static str) -> RedisError {
    (ErrorKind::InvalidClientConfig, what).into()
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
) -> Result<(Way, String), OpenError> {
    let wrong = |error| wrong(error, SENTINEL_EXAMPLE);
    let (login, rest) = split_login(rest);
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
        let host = with_port(host, 26_379);
        let info = format!("{scheme}://{sentinel_login}{host}").into_connection_info();
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
    Ok((
        Way::Server(Source::Sentinels(set)),
        format!("{hosts}/{master_name}"),
    ))
}

/// Reads what stands behind `redis+cluster://`.
fn cluster(scheme: &str, rest: &str, authorities: Option<Vec<u8>>) -> Result<(Way, String), OpenError> {
    let wrong = |error| wrong(error, CLUSTER_EXAMPLE);
    let (login, rest) = split_login(rest);
    let (hosts, db) = rest.split_once('/').unwrap_or((rest, ""));
    if !["", "0"].contains(&db) {
        return Err(OpenError::Address(format!(
            "a cluster has the database 0 only; write {CLUSTER_EXAMPLE}"
        )));
    }
    if hosts.split(',').any(str::is_empty) {
        return Err(OpenError::Address(format!(
            "it must name some nodes of the cluster, as in {CLUSTER_EXAMPLE}"
        )));
    }
    let mut seeds: Vec<Place> = Vec::new();
    let mut last = None;
    for host in hosts.split(',') {
        let info = format!("{scheme}://{login}{}", with_port(host, 6_379)).into_connection_info();
        let info = info.map_err(wrong)?;
        if let ConnectionAddr::Tcp(host, port) | ConnectionAddr::TcpTls { host, port, .. } = info.addr() {
            seeds.push((host.clone(), *port));
        }
        last = Some(info);
    }
    let Some(info) = last else {
        return Err(OpenError::Address(format!("write {CLUSTER_EXAMPLE}")));
    };
    let nodes = Template {
        info: with_pushes(info),
        authorities,
    };
    Ok((Way::Cluster(Cluster { seeds, nodes }), hosts.to_owned()))
}

/// `user:password@`, if there is one, and what comes after it.
fn split_login(rest: &str) -> (&str, &str) {
    match rest.rfind('@') {
        Some(at) => rest.split_at(at + 1),
        None => ("", rest),
    }
}

/// A host with its port, or with this one.
fn with_port(host: &str, port: u16) -> String {
    // After the brackets of an IPv6 address.
    let has_port = host.rsplit(']').next().is_some_and(|tail| tail.contains(':'));
    if has_port {
        host.to_owned()
    } else {
        format!("{host}:{port}")
    }
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
        let Way::Server(Source::Server(client)) = &address.way else {
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
        let Way::Server(Source::Sentinels(set)) = &address.way else {
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
    fn an_address_names_nodes_of_a_cluster() {
        let address = Address::parse("redis+cluster://me:ge%40heim@one:7000,two,[::1]:3?prefix=a:").unwrap();
        assert_eq!(
            (&*address.shown, &*address.prefix),
            ("one:7000,two,[::1]:3", "a:")
        );
        let Way::Cluster(cluster) = &address.way else {
            panic!("it names a cluster");
        };
        assert_eq!(
            cluster.seeds[..2],
            [("one".to_owned(), 7000), ("two".to_owned(), 6379)]
        );
        assert_eq!(cluster.seeds.len(), 3);
        let settings = cluster.nodes.info.redis_settings();
        assert_eq!(
            (settings.username(), settings.password()),
            (Some("me"), Some("ge@heim"))
        );
        assert!(Address::parse("rediss+cluster://one/0").is_ok());
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
            ("redis+cluster://one,,two", "some nodes"),
            ("redis+cluster://", "some nodes"),
            ("redis+cluster://one/1", "database 0"),
            ("redis+cluster://one:port", "must look like"),
            ("redis+cluster://one?sentinel_password=x", "redis+sentinel://"),
            ("redis+nonsense://one", "redis+cluster://"),
            ("http+cluster://one", "redis+cluster://"),
            ("rediss://h?ca_cert=/no/such/file", "/no/such/file"),
        ] {
            let Err(error) = Address::parse(url) else {
                panic!("{url} was taken");
            };
            assert!(error.to_string().contains(hint), "{url}: {error}");
        }
    }
}
