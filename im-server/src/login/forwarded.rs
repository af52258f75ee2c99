//! The client address behind an HTTP proxy.

use std::net::IpAddr;

use program::address::TrustedProxies;

/// Header lines of a request; the handshake has the same limit.
const MAX_HEADERS: usize = 64;

/// The peer, or the address in X-Forwarded-For when the peer is a trusted proxy.
pub(crate) fn client(peer: IpAddr, head: &[u8], trusted: &TrustedProxies) -> IpAddr {
    if !trusted.contains(peer) {
        return peer;
    }
    let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut request = httparse::Request::new(&mut headers);
    if request.parse(head).is_err() {
        return peer;
    }
    let values = request
        .headers
        .iter()
        .filter(|header| header.name.eq_ignore_ascii_case("x-forwarded-for"))
        .filter_map(|header| std::str::from_utf8(header.value).ok());
    trusted.client(peer, values)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trusted_proxies_name_the_app_and_others_name_nobody() {
        let trusted = TrustedProxies::new(&["10.0.0.0/8".parse().unwrap()]);
        let head = b"GET / HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: 9.9.9.9, 192.0.2.1\r\n\
            x-forwarded-for: 192.0.2.2, 10.0.0.9\r\nUpgrade: websocket\r\n\r\n";
        let client = |peer: &str, head: &[u8]| client(peer.parse().unwrap(), head, &trusted).to_string();
        assert_eq!(client("10.0.0.1", head), "192.0.2.2");
        assert_eq!(client("192.0.2.9", head), "192.0.2.9");
        assert_eq!(
            client("10.0.0.1", b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"),
            "10.0.0.1"
        );
        assert_eq!(client("10.0.0.1", b"nonsense"), "10.0.0.1");
    }
}
