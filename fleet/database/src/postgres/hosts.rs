//! The servers that a URL names, and connections to the one among them that takes writes.
//!
//! Roles change: a primary dies, a standby is promoted, the old primary comes back as a standby. So each new connection
//! looks for the server that takes writes, beginning with the one that did last. Connections to a server that does so no
//! more are dropped ([`Hosts::leave`]).

use std::{
    collections::VecDeque,
    sync::atomic::{AtomicUsize, Ordering},
    time::{Duration, Instant},
};

use futures_util::{StreamExt, stream::FuturesUnordered};
use parking_lot::Mutex;
use tokio::{task::JoinHandle, time::timeout};
use tokio_postgres::{
    Client, Config,
    config::{Host, TargetSessionAttrs},
};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::{
    address::{Address, CONNECT_LIMIT},
    failure,
    notices::{self, Unconfirmed},
    pooler,
};
use crate::{Error, Outage};

/// How long a server has before the next one is tried beside it.
const NEXT_AFTER: Duration = Duration::from_millis(250);
/// PostgreSQL's own port.
const PORT: u16 = 5432;

/// The servers of one URL.
pub(super) struct Hosts {
    each: Vec<Named>,
    tls: MakeRustlsConnect,
    unconfirmed: Unconfirmed,
    /// A single server that takes no writes will do: history is read from it meanwhile. Of several another one takes them,
    /// and a standby that lags behind would show tokens and entries of a while ago.
    is_alone: bool,
    /// Which took writes last.
    last: AtomicUsize,
    /// Connections that were made before are dropped.
    left: Mutex<Option<Instant>>,
}

/// One server.
struct Named {
    shown: String,
    config: Config,
}

/// Why there is no connection.
pub(super) struct Away {
    pub(super) told: String,
    /// Trying again does not help.
    pub(super) for_ever: bool,
    pub(super) outage: Outage,
}

/// A connection, and the task that drives it.
pub(super) type Connected = (Client, JoinHandle<()>);

impl Away {
    pub(super) fn into_open(self) -> Error {
        Error::Open(self.told)
    }

    pub(super) fn into_error(self) -> Error {
        match self.outage {
            Outage::Standby => Error::Standby(self.told),
            Outage::ReadOnly => Error::ReadOnly(self.told),
            _ => Error::Unavailable(self.told),
        }
    }

    fn out_of_time() -> Self {
        Self {
            told: format!("no connection within {} s", CONNECT_LIMIT.as_secs()),
            for_ever: false,
            outage: Outage::Away,
        }
    }

    pub(super) fn of(error: &tokio_postgres::Error) -> Self {
        let told = failure::chain(error);
        let refusal = pooler::startup_refusal(&told);
        Self {
            for_ever: refusal.is_some() || failure::is_for_ever(error),
            told: refusal.unwrap_or(told),
            outage: Outage::Away,
        }
    }
}

impl Hosts {
    pub(super) fn new(address: &Address, tls: MakeRustlsConnect, unconfirmed: Unconfirmed) -> Self {
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

    pub(super) fn unconfirmed(&self) -> &Unconfirmed {
        &self.unconfirmed
    }

    /// Whether there is one server, which will do for reading.
    pub(super) fn is_alone(&self) -> bool {
        self.is_alone
    }

    /// Whether a connection that was made then is to be dropped.
    pub(super) fn has_left_since(&self, made: Instant) -> bool {
        self.left.lock().is_some_and(|left| made < left)
    }

    /// Drops all connections that are there now, once they are not in use: their server takes no writes any more.
    pub(super) fn leave(&self) {
        *self.left.lock() = Some(Instant::now());
    }

    /// A connection to a server that takes writes, with its session set up.
    pub(super) async fn connect(&self, session: &str) -> Result<Connected, Away> {
        let first = self.last.load(Ordering::Relaxed);
        match timeout(CONNECT_LIMIT, self.find(first, session)).await {
            Ok(Ok((at, connected))) => {
                if at != first {
                    self.last.store(at, Ordering::Relaxed);
                    self.leave();
                    tracing::info!(
                        server = self.each[at].shown,
                        "another database server takes the writes now"
                    );
                }
                Ok(connected)
            }
            Ok(Err(away)) => Err(away),
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

    /// Looks why a server takes no writes; where there is no other, the connection will do.
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
        let (told, outage) = if is_standby {
            ("it follows another server", Outage::Standby)
        } else {
            ("its transactions are read-only by default", Outage::ReadOnly)
        };
        Err(Away {
            told: told.into(),
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
        let told = match &refusals[..] {
            [(_, away)] if self.each.len() == 1 => away.told.clone(),
            several => {
                let each = several
                    .iter()
                    .map(|(at, away)| format!("{}: {}", self.each[*at].shown, away.told));
                each.collect::<Vec<_>>().join("; ")
            }
        };
        Away {
            told,
            for_ever,
            outage,
        }
    }
}

/// The settings of a URL with one of its hosts.
fn only(all: &Config, at: usize) -> Named {
    let mut config = Config::new();
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
    config
        .port(port)
        .ssl_mode(all.get_ssl_mode())
        .ssl_negotiation(all.get_ssl_negotiation())
        .channel_binding(all.get_channel_binding())
        .load_balance_hosts(all.get_load_balance_hosts())
        // Of a name with several addresses each is asked.
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
    Named { shown, config }
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
