//! Which listeners strangers may reach.

use std::net::{IpAddr, Ipv4Addr};

/// The clients that can reach a listener, by its address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// This machine, or networks that the internet does not route.
    Inside,
    /// All addresses of the machine, `0.0.0.0` or `::`. A container has no other choice; its published ports decide, which
    /// a process inside cannot see.
    Everywhere,
    /// An address of the internet.
    Public,
}

impl Reach {
    /// Of a listener's address.
    pub fn of(address: IpAddr) -> Self {
        if address.to_canonical().is_unspecified() {
            Self::Everywhere
        } else if is_public(address) {
            Self::Public
        } else {
            Self::Inside
        }
    }

    /// The object of a sentence about a listener; `None` when strangers cannot reach it.
    pub fn warning(self) -> Option<&'static str> {
        match self {
            Self::Inside => None,
            Self::Public => Some("a public address"),
            Self::Everywhere => Some(
                "all addresses of this machine (of a container: every address that its port is published to)",
            ),
        }
    }
}

/// Whether the internet routes an address: it is neither loopback nor private, link-local or shared (RFC 1918, 3927, 4193,
/// 4291, 6598). Cloud balancers have shared ones.
pub fn is_public(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(v4) => {
            !(v4.is_unspecified()
                || v4.is_loopback()
                || v4.is_private()
                || v4.is_link_local()
                || is_shared(v4))
        }
        IpAddr::V6(v6) => {
            !(v6.is_unspecified() || v6.is_loopback() || v6.is_unique_local() || v6.is_unicast_link_local())
        }
    }
}

/// 100.64.0.0/10.
fn is_shared(address: Ipv4Addr) -> bool {
    let [first, second, ..] = address.octets();
    first == 100 && second & 0xc0 == 64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_the_internet_are_public_and_others_are_not() {
        let reach = |text: &str| Reach::of(text.parse().unwrap());
        for inside in [
            "127.0.0.1",
            "127.9.9.9",
            "10.0.0.1",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.3.1",
            "169.254.1.1",
            "100.64.0.1",
            "100.127.255.255",
            "::1",
            "fd12::1",
            "fe80::1",
            "::ffff:10.0.0.1",
        ] {
            assert_eq!(reach(inside), Reach::Inside, "{inside}");
        }
        for public in [
            "203.0.113.7",
            "8.8.8.8",
            "172.32.0.1",
            "100.63.255.255",
            "100.128.0.1",
            "2001:db8::1",
            "::ffff:203.0.113.7",
        ] {
            assert_eq!(reach(public), Reach::Public, "{public}");
        }
        for everywhere in ["0.0.0.0", "::", "::ffff:0.0.0.0"] {
            assert_eq!(reach(everywhere), Reach::Everywhere, "{everywhere}");
        }
    }
}
