//! Networks, and which address a request comes from.

use std::{fmt, net::IpAddr, str::FromStr};

use axum::http::HeaderMap;

/// A network of addresses: `10.0.0.0/8`, or one address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    prefix: u8,
}

impl Network {
    /// Whether an address lies in it.
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.address, address) {
            (IpAddr::V4(network), IpAddr::V4(address)) => {
                let mask = u32::MAX.checked_shl(32 - u32::from(self.prefix)).unwrap_or(0);
                network.to_bits() & mask == address.to_bits() & mask
            }
            (IpAddr::V6(network), IpAddr::V6(address)) => {
                let mask = u128::MAX.checked_shl(128 - u32::from(self.prefix)).unwrap_or(0);
                network.to_bits() & mask == address.to_bits() & mask
            }
            _ => false,
        }
    }
}

impl FromStr for Network {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let address: IpAddr = address
            .parse()
            .map_err(|_| format!("{address:?} is no IP address"))?;
        let longest = if address.is_ipv4() { 32 } else { 128 };
        let prefix = match prefix {
            None => longest,
            Some(prefix) => prefix
                .parse()
                .ok()
                .filter(|prefix| *prefix <= longest)
                .ok_or_else(|| format!("the prefix length must be 0 to {longest}, not {prefix:?}"))?,
        };
        Ok(Self { address, prefix })
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

/// The subscriber at an address: of IPv6 the network of 64 bits, since a single subscriber has as many addresses of it as
/// they like.
pub fn subscriber(address: IpAddr) -> u128 {
    match address.to_canonical() {
        // Apart from every IPv6 network: those have zeros where this has a number.
        IpAddr::V4(v4) => u128::from(v4.to_bits()),
        IpAddr::V6(v6) => v6.to_bits() & (u128::MAX << 64),
    }
}

/// The address that a request comes from: the peer's, or, when the peer is a trusted proxy, the last one in
/// X-Forwarded-For that is none. What stands further left can be written by anybody.
pub fn client_address(peer: IpAddr, headers: &HeaderMap, trusted: &[Network]) -> IpAddr {
    let is_trusted = |address: IpAddr| trusted.iter().any(|network| network.contains(address));
    let peer = peer.to_canonical();
    if !is_trusted(peer) {
        return peer;
    }
    let mut client = peer;
    let values: Vec<&str> = headers
        .get_all("x-forwarded-for")
        .iter()
        .filter_map(|value| value.to_str().ok())
        .collect();
    for hop in values.iter().rev().flat_map(|value| value.rsplit(',')) {
        let Ok(hop) = hop.trim().parse::<IpAddr>() else {
            break;
        };
        client = hop.to_canonical();
        if !is_trusted(client) {
            break;
        }
    }
    client
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn networks_hold_their_addresses() {
        let network: Network = "10.1.0.0/16".parse().unwrap();
        assert!(network.contains(address("10.1.255.1")));
        assert!(!network.contains(address("10.2.0.1")));
        assert!(!network.contains(address("::1")));
        assert!(
            "0.0.0.0/0"
                .parse::<Network>()
                .unwrap()
                .contains(address("8.8.8.8"))
        );
        assert!("::/0".parse::<Network>().unwrap().contains(address("fe80::1")));
        assert!(
            "fe80::/10"
                .parse::<Network>()
                .unwrap()
                .contains(address("fe80::1"))
        );
        for bad in ["", "10.0.0.0/33", "x/8", "10.0.0.0/-1", "::/129"] {
            assert!(bad.parse::<Network>().is_err(), "{bad}");
        }
    }

    #[test]
    fn only_trusted_proxies_say_where_a_request_comes_from() {
        let trusted: Vec<Network> = vec!["10.0.0.0/8".parse().unwrap()];
        let mut headers = HeaderMap::new();
        headers.append("x-forwarded-for", "1.1.1.1, 2.2.2.2".parse().unwrap());
        headers.append("x-forwarded-for", "3.3.3.3, 10.0.0.7".parse().unwrap());
        assert_eq!(
            client_address(address("9.9.9.9"), &headers, &trusted),
            address("9.9.9.9")
        );
        assert_eq!(
            client_address(address("10.0.0.1"), &headers, &trusted),
            address("3.3.3.3")
        );
        assert_eq!(
            client_address(address("::ffff:10.0.0.1"), &headers, &trusted),
            address("3.3.3.3")
        );
        assert_eq!(
            client_address(address("10.0.0.1"), &headers, &[]),
            address("10.0.0.1")
        );
        headers.append("x-forwarded-for", "nonsense".parse().unwrap());
        assert_eq!(
            client_address(address("10.0.0.1"), &headers, &trusted),
            address("10.0.0.1")
        );
    }
}
