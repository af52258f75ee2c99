//! Limits of connections: in all, for an address, for a user.

use std::{net::IpAddr, sync::Arc, time::Duration};

use parking_lot::Mutex;
use program::address::{Gate, Place, Places, Refusals, Subscriber, TrustedProxies};
use proto::UserId;
use telemetry::events::rest::Event;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::unread::UNREAD_LIMIT;
use crate::settings::{RestPort, Settings};

/// Connections that count for one user instead of their address; those beyond count for the address.
const CONNECTIONS_PER_USER: u32 = 64;

/// The limits, and the connections that count against them.
pub(crate) struct ConnectionLimits {
    permits: Arc<Semaphore>,
    full: Refusals,
    addresses: Places<Subscriber>,
    crowded: Refusals,
    users: Places<UserId>,
    pub(super) gate: Gate,
    /// Ports whose connections begin with a PROXY header.
    pub(super) headers: Vec<RestPort>,
    /// The longest time in which a peer reads nothing of its answer.
    pub(super) unread: Duration,
}

/// The limit that a connection counts against.
pub(super) enum Holder {
    /// A trusted proxy has no limit: the users behind it share its connections.
    Proxy,
    Address {
        _place: Place<Subscriber>,
    },
    User {
        _place: Place<UserId>,
    },
}

/// A connection, as its requests see it; cloning it is cheap.
#[derive(Clone)]
pub(crate) struct Connection {
    limits: Arc<ConnectionLimits>,
    holder: Arc<Mutex<Holder>>,
}

impl Connection {
    /// Counts a connection from an address; none at the address's limit.
    pub(super) fn from(limits: &Arc<ConnectionLimits>, address: IpAddr) -> Option<Self> {
        let holder = limits.holder(address)?;
        Some(Self {
            limits: limits.clone(),
            holder: Arc::new(Mutex::new(holder)),
        })
    }

    /// Counts the connection for a user who is logged in on it instead of for its address, once, and within the user's
    /// limit.
    pub(crate) fn belongs_to(&self, user: UserId) {
        let mut holder = self.holder.lock();
        if matches!(*holder, Holder::Address { .. })
            && let Some(place) = self.limits.users.take(user)
        {
            *holder = Holder::User { _place: place };
        }
    }
}

impl ConnectionLimits {
    pub(crate) fn new(settings: &Settings) -> Self {
        Self {
            permits: Arc::new(Semaphore::new(settings.rest_connections.get() as usize)),
            full: Refusals::default(),
            addresses: Places::new(settings.rest_connections_per_address.get()),
            crowded: Refusals::default(),
            users: Places::new(CONNECTIONS_PER_USER),
            gate: Gate::new(TrustedProxies::new(&settings.trusted_proxies)),
            headers: settings.rest_proxy_protocol_ports.clone(),
            unread: UNREAD_LIMIT,
        }
    }

    /// Counts one of all connections; none at their limit.
    pub(super) fn admit(&self, peer: IpAddr) -> Option<OwnedSemaphorePermit> {
        let permit = self.permits.clone().try_acquire_owned().ok();
        if permit.is_none()
            && let Some(line) = self.full.line(peer)
        {
            Event::ConnectionsExhausted {
                address: &line.address,
                untold: line.untold,
            }
            .emit();
        }
        permit
    }

    /// Counts a connection for its address; none at the address's limit.
    fn holder(&self, address: IpAddr) -> Option<Holder> {
        if self.gate.proxies().contains(address) {
            return Some(Holder::Proxy);
        }
        let place = self.addresses.take(Subscriber::of(address));
        if place.is_none()
            && let Some(line) = self.crowded.line(address)
        {
            Event::AddressConnectionsExhausted {
                address: &line.address,
                untold: line.untold,
            }
            .emit();
        }
        place.map(|_place| Holder::Address { _place })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(connections: u32, per_address: u32, proxies: &[&str]) -> Arc<ConnectionLimits> {
        let number = |number| std::num::NonZeroU32::new(number).unwrap();
        Arc::new(ConnectionLimits::new(&Settings {
            rest_connections: number(connections),
            rest_connections_per_address: number(per_address),
            trusted_proxies: proxies.iter().map(|proxy| proxy.parse().unwrap()).collect(),
            ..Settings::default()
        }))
    }

    #[test]
    fn one_address_has_its_share_and_proxies_are_not_counted() {
        let limits = limits(9, 2, &["10.0.0.0/8"]);
        let holder = |address: &str| limits.holder(address.parse().unwrap());
        let first = holder("1.1.1.1").unwrap();
        let second = holder("1.1.1.1").unwrap();
        assert!(holder("1.1.1.1").is_none());
        assert!(holder("::ffff:1.1.1.1").is_none(), "the same address");
        drop(first);
        let third = holder("1.1.1.1").unwrap();
        let networks = [holder("2001:db8::1"), holder("2001:db8::2")];
        assert!(networks.iter().all(Option::is_some));
        assert!(holder("2001:db8::3").is_none(), "one customer's network");
        assert!(holder("2001:db8:0:1::3").is_some(), "another's");
        let proxied = [holder("10.0.0.1"), holder("10.0.0.1"), holder("10.0.0.1")];
        assert!(proxied.iter().all(Option::is_some));
        assert_eq!(limits.addresses.len(), 2);
        drop((second, third, networks, proxied));
        assert!(limits.addresses.is_empty());
    }

    #[test]
    fn a_connection_of_a_user_counts_for_the_user() {
        let limits = limits(100, 1, &[]);
        let address: IpAddr = "1.1.1.1".parse().unwrap();
        let connect = || Connection::from(&limits, address);
        let user = UserId::from_database(7);
        let mut theirs = Vec::new();
        for _ in 0..CONNECTIONS_PER_USER {
            let connection = connect().expect("the address is free again");
            connection.belongs_to(user);
            connection.belongs_to(user);
            theirs.push(connection);
        }
        let beyond = connect().unwrap();
        beyond.belongs_to(user);
        assert!(
            connect().is_none(),
            "what a user has too many of counts for the address"
        );
        beyond.belongs_to(UserId::from_database(8));
        assert!(connect().is_some());
        drop((theirs, beyond));
        assert!(limits.users.is_empty() && limits.addresses.is_empty());
    }
}
