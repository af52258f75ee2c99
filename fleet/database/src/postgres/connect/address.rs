//! The address of the database: `postgres://user:password@host:port/database?sslmode=…`.

use std::{path::PathBuf, time::Duration};

use tokio_postgres::{
    Config,
    config::{Host, SslMode},
};

use super::tls::Trust;
use crate::{Error, postgres::failure};

/// How long connecting may take before the next server is tried.
pub(crate) const CONNECT_LIMIT: Duration = Duration::from_secs(3);
/// After this time without an acknowledged packet a vanished machine counts as gone. A server that hangs while
/// its machine lives is different: there only the caller stops waiting.
const VANISHED_AFTER: Duration = Duration::from_secs(10);

/// Session settings of every connection.
///
/// - A wait for a row's lock ends before its caller stops waiting.
/// - A process that was frozen within a transaction loses it and its locks, rather than holding up the fleet.
/// - Statements here are short: compiling one costs more than it saves.
///
/// There is no statement_timeout: a commit that waits for a standby must not be cut short.
const SESSION: [(&str, &str); 4] = [
    ("lock_timeout", "4s"),
    ("idle_in_transaction_session_timeout", "10s"),
    ("jit", "off"),
    ("client_min_messages", "warning"),
];

/// A parsed URL.
#[derive(Clone, Debug)]
pub(crate) struct Address {
    pub(crate) config: Config,
    pub(crate) trust: Trust,
    /// Statements that set up a session, run once it is connected: a pooler refuses settings among the startup
    /// parameters, and a driver that looks for a writable server takes read-only transactions for a standby.
    pub(crate) session: String,
}

const PARAMETERS: [&str; 9] = [
    "sslmode",
    "sslrootcert",
    "application_name",
    "host",
    "port",
    "target_session_attrs",
    "load_balance_hosts",
    "channel_binding",
    "options",
];

/// Whether a URL is one of PostgreSQL's.
pub(crate) fn is_postgres(url: &str) -> bool {
    url.starts_with("postgres://") || url.starts_with("postgresql://")
}

impl Address {
    /// Parses a URL. No error contains its password.
    pub(crate) fn parse(url: &str) -> Result<Self, Error> {
        let (base, query) = url.split_once('?').unwrap_or((url, ""));
        let (mut mode, mut root, mut rest) = (None, None, Vec::new());
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            match name {
                "sslmode" => mode = Some(value),
                "sslrootcert" => root = Some(PathBuf::from(decode(value)?)),
                known if PARAMETERS.contains(&known) => rest.push(pair),
                unknown => {
                    return Err(Error::Url(format!(
                        "the database URL has a parameter {unknown:?} that is not known; known are {}",
                        PARAMETERS.join(", ")
                    )));
                }
            }
        }
        let plain = if rest.is_empty() {
            base.to_owned()
        } else {
            format!("{base}?{}", rest.join("&"))
        };
        let mut config: Config = plain.parse().map_err(|error| {
            Error::Url(format!(
                "the database URL cannot be read: {}; it must look like postgres://user:password@host:5432/database",
                failure::chain(&error)
            ))
        })?;
        if config.get_dbname().is_none_or(str::is_empty) {
            return Err(Error::Url(
                "the database URL names no database, as in postgres://user:password@host:5432/huizhen".into(),
            ));
        }
        if config.get_hosts().is_empty() {
            return Err(Error::Url(
                "the database URL names no host, as in postgres://user:password@host:5432/huizhen".into(),
            ));
        }
        let (ssl_mode, trust) = security(mode, root, is_near(&config))?;
        config.ssl_mode(ssl_mode);
        if config.get_application_name().is_none() {
            config.application_name("huizhen");
        }
        config
            .connect_timeout(CONNECT_LIMIT)
            .keepalives(true)
            .keepalives_idle(VANISHED_AFTER)
            .keepalives_interval(Duration::from_secs(2))
            .keepalives_retries(3)
            .tcp_user_timeout(VANISHED_AFTER);
        let mut address = Self {
            config,
            trust,
            session: String::new(),
        };
        let of_url = named(address.config.get_options().unwrap_or_default());
        for (name, value) in SESSION {
            // The URL's own options win.
            if !of_url.iter().any(|set| set == name) {
                address.set(name, value);
            }
        }
        Ok(address)
    }

    /// Adds a session setting.
    pub(crate) fn set(&mut self, name: &str, value: &str) {
        self.session.push_str(&format!("SET {name} = '{value}';"));
    }
}

/// The settings that startup options name: `-c name=value`, `-cname=value` or `--name=value`.
fn named(options: &str) -> Vec<String> {
    let mut words = options.split_whitespace();
    let mut names = Vec::new();
    while let Some(word) = words.next() {
        let setting = match word.strip_prefix("--").or_else(|| word.strip_prefix("-c")) {
            Some("") => words.next().unwrap_or_default(),
            Some(setting) => setting,
            None => continue,
        };
        let name = setting.split('=').next().unwrap_or_default();
        names.push(name.replace('-', "_").to_ascii_lowercase());
    }
    names
}

/// Whether every host is this machine: such a connection crosses no network.
fn is_near(config: &Config) -> bool {
    config.get_hosts().iter().all(|host| match host {
        Host::Tcp(name) => name == "localhost" || name == "127.0.0.1" || name == "::1",
        #[cfg(unix)]
        Host::Unix(_) => true,
    })
}

fn security(mode: Option<&str>, root: Option<PathBuf>, is_near: bool) -> Result<(SslMode, Trust), Error> {
    let given = root.map(Trust::File);
    Ok(match mode {
        None if is_near && given.is_none() => (SslMode::Disable, Trust::Any),
        None | Some("verify-full") => (SslMode::Require, given.unwrap_or(Trust::System)),
        Some("require") => (SslMode::Require, given.unwrap_or(Trust::Any)),
        Some("prefer") => (SslMode::Prefer, given.unwrap_or(Trust::Any)),
        Some("disable") => (SslMode::Disable, Trust::Any),
        Some(other) => {
            return Err(Error::Url(format!(
                "sslmode={other} is not known; use verify-full (the default: TLS, the server's certificate is verified), \
                 require (TLS without looking at the certificate, unless sslrootcert is given), prefer (TLS when the server \
                 has it) or disable"
            )));
        }
    })
}

/// Decodes percent signs.
fn decode(text: &str) -> Result<String, Error> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let digits =
            [rest.next(), rest.next()].map(|digit| digit.and_then(|digit| char::from(digit).to_digit(16)));
        let [Some(high), Some(low)] = digits else {
            return Err(Error::Url(
                "the database URL holds a % that two digits must follow".into(),
            ));
        };
        bytes.push(u8::try_from(high * 16 + low).unwrap_or_default());
    }
    String::from_utf8(bytes).map_err(|_| Error::Url("the database URL is no UTF-8".into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(url: &str) -> String {
        let error = Address::parse(url).unwrap_err().to_string();
        assert!(!error.contains("geheim"), "{error}");
        error
    }

    #[test]
    fn a_whole_url_is_understood() {
        let address = Address::parse(
            "postgres://me:ge%40heim@db.example:5433/huizhen?sslmode=verify-full&sslrootcert=/etc/my%20ca.pem&application_name=x",
        )
        .unwrap();
        let config = &address.config;
        assert_eq!(config.get_user(), Some("me"));
        assert_eq!(config.get_password(), Some(&b"ge@heim"[..]));
        assert_eq!(config.get_ports(), [5433]);
        assert_eq!(config.get_dbname(), Some("huizhen"));
        assert_eq!(config.get_application_name(), Some("x"));
        assert_eq!(config.get_ssl_mode(), SslMode::Require);
        assert_eq!(address.trust, Trust::File("/etc/my ca.pem".into()));
    }

    #[test]
    fn the_urls_own_settings_win() {
        let address = Address::parse(
            "postgres://me@localhost/x?options=-c%20lock_timeout%3D1s%20-cJIT%3Don%20--client-min-messages%3Dlog",
        )
        .unwrap();
        assert_eq!(
            address.session,
            "SET idle_in_transaction_session_timeout = '10s';"
        );
        let plain = Address::parse("postgres://me@localhost/x").unwrap();
        assert_eq!(plain.config.get_options(), None);
        for (name, value) in SESSION {
            let set = format!("SET {name} = '{value}';");
            assert!(plain.session.contains(&set), "{}", plain.session);
        }
    }

    #[test]
    fn the_certificate_is_verified_unless_the_url_says_otherwise() {
        let security = |url: &str| {
            let address = Address::parse(url).unwrap();
            (address.config.get_ssl_mode(), address.trust)
        };
        assert_eq!(security("postgres://a@db/x"), (SslMode::Require, Trust::System));
        assert_eq!(
            security("postgresql://a@db,localhost/x"),
            (SslMode::Require, Trust::System)
        );
        assert_eq!(
            security("postgres://a@db/x?sslmode=require"),
            (SslMode::Require, Trust::Any)
        );
        assert_eq!(
            security("postgres://a@db/x?sslmode=require&sslrootcert=ca.pem"),
            (SslMode::Require, Trust::File("ca.pem".into()))
        );
        assert_eq!(
            security("postgres://a@db/x?sslmode=prefer"),
            (SslMode::Prefer, Trust::Any)
        );
        assert_eq!(
            security("postgres://a@db/x?sslmode=disable"),
            (SslMode::Disable, Trust::Any)
        );
        // A connection that crosses no network.
        assert_eq!(
            security("postgres://a@127.0.0.1/x"),
            (SslMode::Disable, Trust::Any)
        );
        assert_eq!(
            security("postgres:///x?host=/run/postgresql"),
            (SslMode::Disable, Trust::Any)
        );
        assert_eq!(
            security("postgres://a@localhost/x?sslmode=verify-full"),
            (SslMode::Require, Trust::System)
        );
    }

    #[test]
    fn what_cannot_be_meant_is_refused_without_the_password() {
        for (url, expected) in [
            ("postgres://me:geheim@db", "names no database"),
            ("postgres://me:geheim@/x", "names no host"),
            ("postgres://me:geheim@db:port/x", "cannot be read"),
            ("postgres://me:geheim@db/x?sslmode=verify-ca", "verify-full"),
            ("postgres://me:geheim@db/x?sslcert=a", "\"sslcert\""),
            ("postgres://me:geheim@db/x?sslrootcert=%2", "two digits"),
            (
                "postgres://me:geheim@db/x?target_session_attrs=nonsense",
                "cannot be read",
            ),
        ] {
            assert!(refusal(url).contains(expected), "{url}: {}", refusal(url));
        }
    }
}
