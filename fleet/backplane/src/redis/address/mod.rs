//! The address in `--redis-url`.

mod options;
#[cfg(test)]
mod tests;

use std::path::Path;

use ::redis::{ConnectionAddr, ConnectionInfo, ErrorKind, IntoConnectionInfo, ProtocolVersion, RedisError};

use self::options::Options;
use super::{
    cluster::Cluster,
    link::Source,
    sentinel::Sentinels,
    server::{self, Place, Template},
};
use crate::OpenError;

const EXAMPLE: &str = "redis://user:password@redis.example:6379/0";
const SENTINEL_EXAMPLE: &str = "redis+sentinel://user:password@one:26379,two:26379,three:26379/master-name";
const CLUSTER_EXAMPLE: &str = "redis+cluster://user:password@one:6379,two:6379,three:6379";

/// Where Redis is and how its keys begin.
pub(crate) struct Address {
    pub(crate) way: Way,
    pub(crate) prefix: String,
    /// For the log, without secrets.
    pub(crate) shown: String,
}

/// The ways to run Redis.
pub(crate) enum Way {
    /// One server with all keys and channels, wherever it is.
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

impl Address {
    /// Parses `redis://[user:password@]host[:port][/db][?prefix=…]`, or `rediss://` (TLS), there also `ca_cert=FILE`; or
    /// `redis+sentinel://[user:password@]host[:port],…/master-name[/db]` (`rediss+sentinel://`), there also
    /// `sentinel_user=` and `sentinel_password=`; or `redis+cluster://[user:password@]host[:port],…` (`rediss+cluster://`).
    pub(crate) fn parse(url: &str) -> Result<Self, OpenError> {
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
                let client = server::open(with_pushes(info), authorities).map_err(wrong)?;
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
    /// Of the kind `InvalidClientConfig` when Redis is run in another way than the address says.
    pub(crate) async fn check(&self) -> Result<(), RedisError> {
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
                // Where the command is forbidden, the following ones show the same.
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

/// Parses the part behind `redis+sentinel://`.
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
        sentinels.push(server::open(info.map_err(wrong)?, authorities.clone()).map_err(wrong)?);
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

/// Parses the part behind `redis+cluster://`.
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

/// `user:password@`, if it is there, and the rest.
fn split_login(rest: &str) -> (&str, &str) {
    match rest.rfind('@') {
        Some(at) => rest.split_at(at + 1),
        None => ("", rest),
    }
}

/// A host with its own port, or with this one.
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
