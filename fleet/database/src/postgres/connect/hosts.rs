//! The servers that a URL names, and connections to the one among them that accepts writes.
//!
//! Roles change: a primary dies, a standby is promoted, the old primary comes back as a standby. So each new connection
//! looks for the server that accepts writes, beginning with the last one that did. Connections to a server that no longer
//! does are dropped ([`Hosts::leave`]).

use std::{
    collections::VecDeque,
    sync::atomic::{AtomicUsize, Ordering},
    time::{Duration, Instant},
};

use futures_util::{StreamExt, stream::FuturesUnordered};
use parking_lot::Mutex;
use telemetry::events::database::Event;
use tokio::{task::JoinHandle, time::timeout};
use tokio_postgres::{
    Client, Config,
    config::{Host, TargetSessionAttrs},
};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::{
    address::{Address, CONNECT_LIMIT},
    notices::{self, Unconfirmed},
    pooler,
};
use crate::{
    Error, Outage,
    postgres::{citus::Worker, failure},
};

/// How long a server has before the next one is tried beside it.
const NEXT_AFTER: Duration = Duration::from_millis(250);
/// How long a machine has that another way leads to as well.
const WORKER_LIMIT: Duration = Duration::from_secs(1);
/// PostgreSQL's own port.
const PORT: u16 = 5432;

/// The servers of one URL.
pub(crate) struct Hosts {
    each: Vec<Named>,
    tls: MakeRustlsConnect,
    unconfirmed: Unconfirmed,
    /// A single server without writes is used: history is read from it meanwhile. Among several, another one accepts writes,
    /// and a lagging standby would show outdated tokens and entries.
    is_alone: bool,
    /// The last one that accepted writes.
    last: AtomicUsize,
    /// Earlier connections are dropped.
    left: Mutex<Option<Instant>>,
}

/// One server.
struct Named {
    shown: String,
    config: Config,
}

/// Why there is no connection.
pub(crate) struct Away {
    pub(crate) reason: String,
    /// A retry does not help.
    pub(crate) for_ever: bool,
    pub(crate) outage: Outage,
}

/// A connection, and the task that drives it.
pub(crate) type Connected = (Client, JoinHandle<()>);

impl Away {
    pub(crate) fn into_open(self) -> Error {
        Error::Open(self.reason)
    }

    pub(crate) fn into_error(self) -> Error {
        match self.outage {
            Outage::Standby => Error::Standby(self.reason),
            Outage::ReadOnly => Error::ReadOnly(self.reason),
            _ => Error::Unavailable(self.reason),
        }
    }

    fn out_of_time() -> Self {
        Self {
            reason: format!("no connection within {} s", CONNECT_LIMIT.as_secs()),
            for_ever: false,
            outage: Outage::Away,
        }
    }

    pub(crate) fn of(error: &tokio_postgres::Error) -> Self {
        let reason = failure::chain(error);
        let refusal = pooler::startup_refusal(&reason);
        Self {
            for_ever: refusal.is_some() || failure::is_for_ever(error),
            reason: refusal.unwrap_or(reason),
            outage: Outage::Away,
        }
    }
}

impl Hosts {
    pub(crate) fn new(address: &Address, tls: MakeRustlsConnect, unconfirmed: Unconfirmed) -> Self {
        let wants_writes = address.config.get_target_session_attrs() == TargetSessionAttrs::ReadWrite;
        let each: Vec<Named> = (0..address.config.get_hosts().len())
            .map(|at| only(&address.config, at))
            .collect();
        Self {
            is_alone: each.len() == 1 && !wants_writes,
            each,
            tls,
            unconfirmed,
            last: AtomicUsize::new(0),
            left: Mutex::new(None),
        }
    }

    pub(crate) fn unconfirmed(&self) -> &Unconfirmed {
        &self.unconfirmed
    }

    /// Whether there is one server only, which is used for reading.
    pub(crate) fn is_alone(&self) -> bool {
        self.is_alone
    }

    /// Whether a connection of that time is to be dropped.
    pub(crate) fn has_left_since(&self, made: Instant) -> bool {
        self.left.lock().is_some_and(|left| made < left)
    }

    /// Drops all present connections, once they are not in use: their server no longer accepts writes.
    pub(crate) fn leave(&self) {
        *self.left.lock() = Some(Instant::now());
    }

    /// A connection to a server that accepts writes, with its session set up.
    pub(crate) async fn connect(&self, session: &str) -> Result<Connected, Away> {
        let first = self.last.load(Ordering::Relaxed);
        match timeout(CONNECT_LIMIT, self.find(first, session)).await {
            Ok(Ok((at, connected))) => {
                if at != first {
                    self.last.store(at, Ordering::Relaxed);
                    self.leave();
                    let server = &self.each[at].shown;
                    Event::WriterMoved { server }.emit();
                }
                Ok(connected)
            }
            Ok(Err(away)) => Err(away),
            Err(_) => Err(Away::out_of_time()),
        }
    }

    /// A connection to a machine behind these servers, with their settings.
    pub(crate) async fn connect_to(&self, worker: &Worker, session: &str) -> Result<Connected, Away> {
        let first = self.each.first().ok_or_else(Away::out_of_time)?;
        let mut config = without_host(&first.config);
        config.host(&worker.host).port(worker.port);
        let connecting = notices::connect(&config, &self.tls, &self.unconfirmed, session);
        match timeout(WORKER_LIMIT, connecting).await {
            Ok(connected) => connected.map_err(|error| Away::of(&error)),
            Err(_) => Err(Away::out_of_time()),
        }
    }

    /// Tries the servers one after the other, the next one beside those that have not answered yet.
    async fn find(&self, first: usize, session: &str) -> Result<(usize, Connected), Away> {
        let mut waiting: VecDeque<usize> = (0..self.each.len()).collect();
        waiting.rotate_left(first.min(self.each.len() - 1));
        let mut trying = FuturesUnordered::new();
        let mut refusals = Vec::new();
        loop {
            if let Some(at) = waiting.pop_front() {
                trying.push(async move { (at, self.attempt(at, session).await) });
            }
            let outcome = if waiting.is_empty() {
                trying.next().await
            } else {
                match timeout(NEXT_AFTER, trying.next()).await {
                    Ok(outcome) => outcome,
                    Err(_) => continue,
                }
            };
            match outcome {
                Some((at, Ok(connected))) => return Ok((at, connected)),
                Some((at, Err(away))) => refusals.push((at, away)),
                None if waiting.is_empty() => return Err(self.sum(refusals)),
                None => {}
            }
        }
    }

    async fn attempt(&self, at: usize, session: &str) -> Result<Connected, Away> {
        let host = &self.each[at];
        match notices::connect(&host.config, &self.tls, &self.unconfirmed, session).await {
            Ok(connected) => Ok(connected),
            Err(error) if failure::is_for_want_of_writes(&error) => self.look(at, session).await,
            Err(error) => Err(Away::of(&error)),
        }
    }

    /// Finds out why a server accepts no writes; where there is no other, the connection is used.
    async fn look(&self, at: usize, session: &str) -> Result<Connected, Away> {
        let mut any = self.each[at].config.clone();
        any.target_session_attrs(TargetSessionAttrs::Any);
        let connecting = notices::connect(&any, &self.tls, &self.unconfirmed, session);
        let connected = connecting.await.map_err(|error| Away::of(&error))?;
        if self.is_alone {
            return Ok(connected);
        }
        let row = connected.0.query_one("SELECT pg_is_in_recovery()", &[]).await;
        let is_standby: bool = row.map_err(|error| Away::of(&error))?.get(0);
        let (reason, outage) = if is_standby {
            ("it follows another server", Outage::Standby)
        } else {
            ("its transactions are read-only by default", Outage::ReadOnly)
        };
        Err(Away {
            reason: reason.into(),
            for_ever: false,
            outage,
        })
    }

    /// All refusals as one, in the order of the URL.
    fn sum(&self, mut refusals: Vec<(usize, Away)>) -> Away {
        refusals.sort_by_key(|(at, _)| *at);
        let said = |outage| refusals.iter().any(|(_, away)| away.outage == outage);
        let outage = [Outage::Standby, Outage::ReadOnly]
            .into_iter()
            .find(|outage| said(*outage))
            .unwrap_or(Outage::Away);
        let for_ever = refusals.iter().all(|(_, away)| away.for_ever);
        let reason = match &refusals[..] {
            [(_, away)] if self.each.len() == 1 => away.reason.clone(),
            several => {
                let each = several
                    .iter()
                    .map(|(at, away)| format!("{}: {}", self.each[*at].shown, away.reason));
                each.collect::<Vec<_>>().join("; ")
            }
        };
        Away {
            reason,
            for_ever,
            outage,
        }
    }
}

/// The settings of a URL with one of its hosts.
fn only(all: &Config, at: usize) -> Named {
    let mut config = without_host(all);
    let ports = all.get_ports();
    let port = ports.get(at).or(ports.first()).copied().unwrap_or(PORT);
    let shown = match &all.get_hosts()[at] {
        Host::Tcp(name) => {
            config.host(name);
            format!("{name}:{port}")
        }
        #[cfg(unix)]
        Host::Unix(folder) => {
            config.host_path(folder);
            format!("{}:{port}", folder.display())
        }
    };
    config.port(port);
    Named { shown, config }
}

/// The settings of a URL but for its hosts and ports.
fn without_host(all: &Config) -> Config {
    let mut config = Config::new();
    config
        .ssl_mode(all.get_ssl_mode())
        .ssl_negotiation(all.get_ssl_negotiation())
        .channel_binding(all.get_channel_binding())
        .load_balance_hosts(all.get_load_balance_hosts())
        // Each address of a name is asked.
        .target_session_attrs(TargetSessionAttrs::ReadWrite)
        .keepalives(all.get_keepalives())
        .keepalives_idle(all.get_keepalives_idle());
    if let Some(user) = all.get_user() {
        config.user(user);
    }
    if let Some(password) = all.get_password() {
        config.password(password);
    }
    if let Some(database) = all.get_dbname() {
        config.dbname(database);
    }
    if let Some(options) = all.get_options() {
        config.options(options);
    }
    if let Some(name) = all.get_application_name() {
        config.application_name(name);
    }
    if let Some(limit) = all.get_connect_timeout() {
        config.connect_timeout(*limit);
    }
    if let Some(limit) = all.get_tcp_user_timeout() {
        config.tcp_user_timeout(*limit);
    }
    if let Some(interval) = all.get_keepalives_interval() {
        config.keepalives_interval(interval);
    }
    if let Some(retries) = all.get_keepalives_retries() {
        config.keepalives_retries(retries);
    }
    config
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that fails says where")]

    use super::*;

    #[test]
    fn each_server_keeps_the_settings_of_the_url() {
        let url = "postgres://me:geheim@a:1,b:2/x?sslmode=disable&application_name=y&options=-c%20jit%3Doff";
        let address = Address::parse(url).unwrap();
        for (at, shown) in ["a:1", "b:2"].into_iter().enumerate() {
            let Named { shown: found, config } = only(&address.config, at);
            assert_eq!(found, shown);
            let mut whole = address.config.clone();
            whole.target_session_attrs(TargetSessionAttrs::ReadWrite);
            let of = |config: &Config| {
                let text = format!("{config:?}");
                let (before, rest) = text.split_once("host: ").unwrap();
                let (_, after) = rest.split_once("connect_timeout").unwrap();
                format!("{before}{after}")
            };
            assert_eq!(of(&config), of(&whole));
        }
    }
}
