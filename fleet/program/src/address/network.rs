//! Networks in CIDR notation.

use std::{fmt, net::IpAddr, str::FromStr};

use ipnet::IpNet;

/// A network of addresses, such as `10.0.0.0/8`, or a single address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network(IpNet);

impl Network {
    /// Whether it contains an address; an IPv4-mapped IPv6 address counts as IPv4.
    pub fn contains(&self, address: IpAddr) -> bool {
        self.0.contains(&address.to_canonical())
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
            .map_err(|_| format!("{address:?} is not an IP address"))?;
        let Some(prefix) = prefix else {
            return Ok(Self(address.to_canonical().into()));
        };
        let network = prefix
            .parse()
            .ok()
            .and_then(|prefix| IpNet::new(address, prefix).ok());
        network.map(Self).ok_or_else(|| {
            let longest = if address.is_ipv4() { 32 } else { 128 };
            format!("the prefix length must be 0 to {longest}, not {prefix:?}")
        })
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_hold_their_addresses() {
        let holds = |network: &str, address: &str| {
            let network: Network = network.parse().unwrap();
            network.contains(address.parse().unwrap())
        };
        for (network, address) in [
            ("10.1.0.0/16", "10.1.255.1"),
            ("10.1.2.3/16", "10.1.0.1"),
            ("0.0.0.0/0", "8.8.8.8"),
            ("::/0", "fe80::1"),
            ("fe80::/10", "fe80::1"),
            ("192.0.2.1", "192.0.2.1"),
            ("192.0.2.1", "::ffff:192.0.2.1"),
            ("::ffff:192.0.2.1", "192.0.2.1"),
        ] {
            assert!(holds(network, address), "{network} {address}");
        }
        for (network, address) in [
            ("10.1.0.0/16", "10.2.0.1"),
            ("10.1.0.0/16", "::1"),
            ("0.0.0.0/0", "2001:db8::1"),
            ("192.0.2.1", "192.0.2.2"),
        ] {
            assert!(!holds(network, address), "{network} {address}");
        }
        for bad in ["", "10.0.0.0/33", "x/8", "10.0.0.0/-1", "10.0.0.0/", "::/129"] {
            assert!(bad.parse::<Network>().is_err(), "{bad}");
        }
    }
}
