//! The request head of a WebSocket, and its answer (RFC 6455, 4).

use base64::{Engine, prelude::BASE64_STANDARD};

// protocol: "The handshake is a GET over HTTP/1.1"
/// Largest request head, bytes.
const MAX_HEAD_BYTES: usize = 8 * 1024;
// protocol: "An app may ask for the sub-protocol"
// protocol: "An app that asks for none gets none"
/// The sub-protocol that an app may request.
const PROTOCOL: &str = "huizhen.v1";
/// RFC 6455, 1.3.
const KEY_SUFFIX: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
/// Length of `Sec-WebSocket-Key`, bytes.
const KEY_BYTES: usize = 16;

/// The outcome of parsing a request head.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Handshake {
    /// More bytes are needed.
    Partial,
    /// An upgrade: send `response`, continue after `head_bytes`.
    Upgrade { head_bytes: usize, response: Vec<u8> },
    /// Send this and close.
    Refused(Vec<u8>),
}

// protocol: "No extension is ever agreed on"
// protocol: "The node does not check Origin"
pub(super) fn handshake(input: &[u8]) -> Handshake {
    let mut headers = [httparse::EMPTY_HEADER; 64];
    let mut request = httparse::Request::new(&mut headers);
    let head_bytes = match request.parse(input) {
        // Reads may bring some bytes more than a head may have.
        Ok(httparse::Status::Complete(head_bytes)) if head_bytes <= MAX_HEAD_BYTES => head_bytes,
        Ok(httparse::Status::Partial) if input.len() < MAX_HEAD_BYTES => return Handshake::Partial,
        _ => {
            let limit_kib = MAX_HEAD_BYTES / 1024;
            let why = format!("not an HTTP/1.1 request head of at most {limit_kib} KiB");
            return refuse("400 Bad Request", &why);
        }
    };
    let headers = &*request.headers;
    let header = |name| values(headers, name).next();
    let has = |name, token: &str| tokens(headers, name).any(|part| part.eq_ignore_ascii_case(token));
    if request.version != Some(1) {
        return refuse("505 HTTP Version Not Supported", "WebSocket begins with HTTP/1.1");
    }
    if request.method != Some("GET") || !has("upgrade", "websocket") || !has("connection", "upgrade") {
        return refuse(
            "426 Upgrade Required",
            "this port speaks WebSocket: binary messages, see docs/protocol.md",
        );
    }
    if header("sec-websocket-version") != Some("13") {
        return refuse("426 Upgrade Required", "Sec-WebSocket-Version must be 13");
    }
    let is_key = |key: &&str| {
        BASE64_STANDARD
            .decode(key)
            .is_ok_and(|bytes| bytes.len() == KEY_BYTES)
    };
    let Some(key) = header("sec-websocket-key").filter(is_key) else {
        return refuse("400 Bad Request", "Sec-WebSocket-Key must be 16 bytes in base64");
    };
    let accept = ring::digest::digest(
        &ring::digest::SHA1_FOR_LEGACY_USE_ONLY,
        format!("{key}{KEY_SUFFIX}").as_bytes(),
    );
    let mut response = format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {}\r\n",
        BASE64_STANDARD.encode(accept)
    );
    // Unlike the others, these names are case-sensitive.
    if tokens(headers, "sec-websocket-protocol").any(|asked| asked == PROTOCOL) {
        response.push_str(&format!("Sec-WebSocket-Protocol: {PROTOCOL}\r\n"));
    }
    response.push_str("\r\n");
    Handshake::Upgrade {
        head_bytes,
        response: response.into_bytes(),
    }
}

/// The values of all headers of a name.
fn values<'h>(headers: &'h [httparse::Header<'h>], name: &'static str) -> impl Iterator<Item = &'h str> {
    let named = headers
        .iter()
        .filter(move |header| header.name.eq_ignore_ascii_case(name));
    named.filter_map(|header| std::str::from_utf8(header.value).ok())
}

/// The elements of a list that may span several headers.
fn tokens<'h>(headers: &'h [httparse::Header<'h>], name: &'static str) -> impl Iterator<Item = &'h str> {
    values(headers, name)
        .flat_map(|value| value.split(','))
        .map(str::trim)
}

// protocol: "is answered with 426"
fn refuse(status: &str, why: &str) -> Handshake {
    let body = format!("{why}\n");
    let upgrade = if status.starts_with("426") {
        "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    } else {
        ""
    };
    Handshake::Refused(
        format!(
            "HTTP/1.1 {status}\r\n{upgrade}Content-Type: text/plain; charset=utf-8\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
            body.len()
        )
        .into_bytes(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_protocol_is_chosen_among_those_that_an_app_names() {
        for (names, is_chosen) in [
            ("", false),
            ("Sec-WebSocket-Protocol: chat\r\n", false),
            ("Sec-WebSocket-Protocol: Huizhen.V1\r\n", false),
            ("Sec-WebSocket-Protocol: huizhen.v1\r\n", true),
            ("Sec-WebSocket-Protocol: chat, huizhen.v1\r\n", true),
            (
                "Sec-WebSocket-Protocol: chat\r\nSec-WebSocket-Protocol: huizhen.v1\r\n",
                true,
            ),
        ] {
            let request = format!(
                "GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: keep-alive\r\nConnection: Upgrade\r\n\
                 Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n{names}\r\n"
            );
            let Handshake::Upgrade { response, .. } = handshake(request.as_bytes()) else {
                panic!("{names}")
            };
            let response = String::from_utf8(response).unwrap();
            let chosen = response.contains("Sec-WebSocket-Protocol: huizhen.v1\r\n");
            assert_eq!(chosen, is_chosen, "{names}");
        }
    }

    // protocol: "The handshake is a GET over HTTP/1.1"
    #[test]
    fn the_handshake_of_the_rfc() {
        let request = b"GET /chat HTTP/1.1\r\nHost: server.example.com\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
            Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\nrest";
        let Handshake::Upgrade { head_bytes, response } = handshake(request) else {
            panic!()
        };
        assert_eq!(&request[head_bytes..], b"rest");
        assert!(
            String::from_utf8(response)
                .unwrap()
                .contains("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")
        );
        let head = String::from_utf8(request[..head_bytes].to_vec()).unwrap();
        for (from, to, status) in [
            ("HTTP/1.1", "HTTP/1.0", "505 "),
            ("GET", "POST", "426 "),
            ("Upgrade: websocket", "Upgrade: h2c", "426 "),
            ("Version: 13", "Version: 8", "426 "),
            ("dGhlIHNhbXBsZSBub25jZQ==", "!GhlIHNhbXBsZSBub25jZQ==", "400 "),
            ("dGhlIHNhbXBsZSBub25jZQ==", "dGhlIHNhbXBsZSBub25j", "400 "),
        ] {
            let Handshake::Refused(response) = handshake(head.replace(from, to).as_bytes()) else {
                panic!("{to}")
            };
            let response = String::from_utf8(response).unwrap();
            assert!(
                response.starts_with(&format!("HTTP/1.1 {status}")),
                "{to}: {response}"
            );
            let names_version = response.contains("Sec-WebSocket-Version: 13");
            assert_eq!(names_version, status == "426 ", "{response}");
        }
        assert_eq!(handshake(b"GET / HT"), Handshake::Partial);
        let head_of = |bytes: usize| format!("GET /any/path HTTP/1.1\r\nX: {}", "x".repeat(bytes - 27));
        assert_eq!(
            handshake(head_of(MAX_HEAD_BYTES - 1).as_bytes()),
            Handshake::Partial
        );
        assert!(matches!(
            handshake(head_of(MAX_HEAD_BYTES).as_bytes()),
            Handshake::Refused(_)
        ));
        let whole = |bytes: usize| {
            let padding = "x".repeat(bytes - head_bytes - 5);
            let end = format!("\r\nX: {padding}\r\n\r\n");
            handshake(head.replace("\r\n\r\n", &end).as_bytes())
        };
        assert!(matches!(
            whole(MAX_HEAD_BYTES),
            Handshake::Upgrade { head_bytes, .. } if head_bytes == MAX_HEAD_BYTES
        ));
        assert!(matches!(whole(MAX_HEAD_BYTES + 1), Handshake::Refused(_)));
        assert!(matches!(
            handshake(b"GET / HTTP/1.1\r\n\r\n"),
            Handshake::Refused(_)
        ));
        assert!(matches!(handshake(b"\0\0\0\x10"), Handshake::Refused(_)));
    }

    proptest::proptest! {
        #[test]
        fn random_bytes_never_panic(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..200)) {
            let _ = handshake(&bytes);
        }
    }
}
