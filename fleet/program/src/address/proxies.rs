//! Trusted proxies.

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use super::{Network, is_public};

/// The setting of a program that has no other for its proxies.
#[derive(clap::Args, Clone, Debug, Default)]
#[group(skip)]
pub struct ProxySettings {
    /// Proxies whose X-Forwarded-For (on WebSocket) and PROXY header (--proxy-protocol) are believed, as addresses or
    /// networks (10.0.0.0/8). Without it: no X-Forwarded-For, and PROXY headers of loopback and private addresses
    #[arg(long, value_name = "NETWORK", value_delimiter = ',')]
    pub trusted_proxies: Vec<Network>,
}

/// Proxies that may name the clients they connect for; cloning it is cheap.
#[derive(Clone, Debug, Default)]
pub struct TrustedProxies(Arc<[Network]>);

impl TrustedProxies {
    /// The proxies of these networks.
    pub fn new(networks: &[Network]) -> Self {
        Self(networks.into())
    }

    /// Whether the list is empty.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether an address is a trusted proxy's.
    pub fn contains(&self, address: IpAddr) -> bool {
        self.0.iter().any(|network| network.contains(address))
    }

    /// Whether to trust PROXY headers from an address. Older fleets enable `--proxy-protocol` and name no proxy: then
    /// private addresses are trusted, and public ones are not.
    pub fn may_send_header(&self, address: IpAddr) -> bool {
        if self.is_empty() {
            !is_public(address)
        } else {
            self.contains(address)
        }
    }

    /// The client of a request: the peer, or, behind a trusted proxy, the last address of X-Forwarded-For (its values in
    /// order) that is not a trusted proxy. Strangers can forge the addresses before it.
    pub fn client<'v>(&self, peer: IpAddr, forwarded: impl DoubleEndedIterator<Item = &'v str>) -> IpAddr {
        let mut client = peer.to_canonical();
        if !self.contains(client) {
            return client;
        }
        for hop in forwarded.rev().flat_map(|value| value.rsplit(',')) {
            let Some(hop) = hop_address(hop.trim()) else {
                break;
            };
            client = hop.to_canonical();
            if !self.contains(client) {
                break;
            }
        }
        client
    }
}

/// Some proxies append the port.
fn hop_address(text: &str) -> Option<IpAddr> {
    let bracketed = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    let address = bracketed.unwrap_or(text).parse().ok();
    address.or_else(|| text.parse().ok().map(|hop: SocketAddr| hop.ip()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proxies(networks: &[&str]) -> TrustedProxies {
        let networks: Vec<Network> = networks.iter().map(|text| text.parse().unwrap()).collect();
        TrustedProxies::new(&networks)
    }

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn only_trusted_proxies_say_where_a_request_comes_from() {
        let trusted = proxies(&["10.0.0.0/8"]);
        let forwarded = ["1.1.1.1, 2.2.2.2", "3.3.3.3, 10.0.0.7"];
        let client = |peer: &str, forwarded: &[&'static str]| {
            trusted
                .client(address(peer), forwarded.iter().copied())
                .to_string()
        };
        assert_eq!(client("9.9.9.9", &forwarded), "9.9.9.9");
        assert_eq!(client("10.0.0.1", &forwarded), "3.3.3.3");
        assert_eq!(client("::ffff:10.0.0.1", &forwarded), "3.3.3.3");
        assert_eq!(client("10.0.0.1", &[]), "10.0.0.1");
        assert_eq!(client("10.0.0.1", &["nonsense"]), "10.0.0.1");
        assert_eq!(client("10.0.0.1", &["2.2.2.2, nonsense"]), "10.0.0.1");
        assert_eq!(client("10.0.0.1", &["10.0.0.2, 10.0.0.3"]), "10.0.0.2");
        assert_eq!(
            proxies(&[])
                .client(address("10.0.0.1"), forwarded.into_iter())
                .to_string(),
            "10.0.0.1"
        );
    }

    #[test]
    fn ports_and_brackets_beside_addresses_are_read() {
        let trusted = proxies(&["10.0.0.1"]);
        for (written, read) in [
            ("192.0.2.1:4711", "192.0.2.1"),
            ("[2001:db8::1]:4711", "2001:db8::1"),
            ("[2001:db8::1]", "2001:db8::1"),
            ("2001:db8::1", "2001:db8::1"),
            ("::ffff:192.0.2.1", "192.0.2.1"),
        ] {
            let client = trusted.client(address("10.0.0.1"), [written].into_iter());
            assert_eq!(client.to_string(), read, "{written}");
        }
    }

    #[test]
    fn without_a_list_only_balancers_within_the_network_send_headers() {
        let nobody = proxies(&[]);
        for inside in [
            "127.0.0.1",
            "10.1.2.3",
            "100.64.1.1",
            "fd00::1",
            "::ffff:10.0.0.1",
        ] {
            assert!(nobody.may_send_header(address(inside)), "{inside}");
            assert!(!nobody.contains(address(inside)), "{inside}");
        }
        assert!(!nobody.may_send_header(address("203.0.113.7")));
        let named = proxies(&["203.0.113.0/24"]);
        assert!(named.may_send_header(address("203.0.113.7")));
        assert!(!named.may_send_header(address("10.1.2.3")));
    }
}
