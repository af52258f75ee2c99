//! The one notion of a client's address, which all limits of a fleet use.
//!
//! Limits count a [`Subscriber`]. [`TrustedProxies`] name the client of a connection or request: [`header`] reads the PROXY
//! protocol, [`Gate`] decides which headers to trust. [`Places`] bound the holdings of a client, [`Refusals`] bound the log
//! lines about refused ones. [`is_public`] decides which listeners strangers may reach; [`parse`] reads an address to listen
//! on.

mod gate;
pub mod header;
mod listening;
mod network;
mod places;
mod proxies;
mod reach;
mod refusals;

use std::{
    fmt,
    net::{IpAddr, Ipv6Addr},
};

pub use gate::{Closed, Gate};
pub use listening::parse;
pub use network::Network;
pub use places::{Place, Places};
pub use proxies::{ProxySettings, TrustedProxies};
pub use reach::{Reach, is_public};
pub use refusals::{Line, Refusals};

/// The bits of an IPv6 address that a subscriber cannot choose: providers assign networks of 64 bits and larger.
const SUBSCRIBER_BITS: u32 = 64;

/// A client as limits count it: an IPv4 address (also an IPv4-mapped one), or an IPv6 network of 64 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Subscriber(IpAddr);

impl Subscriber {
    /// The subscriber at an address.
    pub fn of(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(v4) => Self(v4.into()),
            IpAddr::V6(v6) => {
                let network = v6.to_bits() & (u128::MAX << (128 - SUBSCRIBER_BITS));
                Self(Ipv6Addr::from_bits(network).into())
            }
        }
    }

    /// Its number: that of the IPv4 address or of the IPv6 network. The two ranges share only 0.
    pub fn number(self) -> u128 {
        match self.0 {
            IpAddr::V4(v4) => v4.to_bits().into(),
            IpAddr::V6(v6) => v6.to_bits(),
        }
    }
}

impl From<IpAddr> for Subscriber {
    fn from(address: IpAddr) -> Self {
        Self::of(address)
    }
}

impl fmt::Display for Subscriber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            IpAddr::V4(v4) => v4.fmt(f),
            IpAddr::V6(v6) => write!(f, "{v6}/{SUBSCRIBER_BITS}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subscriber(text: &str) -> Subscriber {
        Subscriber::of(text.parse().unwrap())
    }

    #[test]
    fn an_ipv6_network_is_one_subscriber_and_a_mapped_address_is_ipv4() {
        for (one, other) in [
            ("2001:db8::1", "2001:db8::ffff:1"),
            ("2001:db8::", "2001:db8:0:0:ffff:ffff:ffff:ffff"),
            ("::ffff:192.0.2.1", "192.0.2.1"),
        ] {
            assert_eq!(subscriber(one), subscriber(other), "{one} {other}");
        }
        for (one, other) in [
            ("2001:db8::1", "2001:db8:0:1::1"),
            ("192.0.2.1", "192.0.2.2"),
            ("::c000:201", "192.0.2.1"),
            ("::1", "127.0.0.1"),
        ] {
            assert_ne!(subscriber(one), subscriber(other), "{one} {other}");
        }
    }

    #[test]
    fn operators_read_what_is_counted() {
        assert_eq!(subscriber("::ffff:192.0.2.1").to_string(), "192.0.2.1");
        assert_eq!(subscriber("2001:db8::7").to_string(), "2001:db8::/64");
    }
}
