//! The PROXY protocol, versions 1 and 2 (haproxy, `doc/proxy-protocol.txt`): a connection of a balancer begins with the
//! address of its client.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

use tokio::{
    io::{AsyncRead, AsyncReadExt},
    net::TcpStream,
};

/// The first bytes of version 2.
const SIGNATURE: [u8; 12] = *b"\r\n\r\n\0\r\nQUIT\n";
/// The first bytes of version 1.
const WORD: &[u8] = b"PROXY ";
/// The longest line of version 1 with its end, bytes (protocol, section 2.1).
const MAX_LINE_BYTES: usize = 107;
/// The bound of addresses and extensions of version 2, bytes; balancers send some tens.
const MAX_REST_BYTES: usize = 1024;
/// Bytes that distinguish the versions; both headers are longer.
pub const FIRST_BYTES: usize = SIGNATURE.len();

/// Why a connection has no valid header.
#[derive(Debug)]
pub enum Error {
    /// The peer closed the connection before its first byte: most often a health check.
    Silent,
    /// The socket failed.
    Io(io::Error),
    /// The first bytes are not a header's.
    Missing,
    /// The header violates the protocol.
    Malformed,
}

impl From<io::Error> for Error {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// Whether bytes begin like a header; the first four bytes decide.
pub fn begins(bytes: &[u8]) -> bool {
    let is_start_of = |whole: &[u8]| {
        let length = bytes.len().min(whole.len());
        length >= 4 && bytes[..length] == whole[..length]
    };
    is_start_of(&SIGNATURE) || is_start_of(WORD)
}

/// Reads a header and no byte beyond it. `None`: the balancer connects on its own behalf, or hides its client.
///
/// # Errors
/// When there is no valid header; then the stream is at an undefined position.
pub async fn read(stream: &mut TcpStream) -> Result<Option<IpAddr>, Error> {
    let mut first = [0; FIRST_BYTES];
    let mut length = 0;
    while length < FIRST_BYTES {
        match stream.read(&mut first[length..]).await? {
            0 if length == 0 => return Err(Error::Silent),
            0 => return Err(Error::Missing),
            read => length += read,
        }
        if length >= 4 && !begins(&first[..length]) {
            return Err(Error::Missing);
        }
    }
    if first == SIGNATURE {
        return version_2(stream).await;
    }
    let mut line = first.to_vec();
    while !line.ends_with(b"\n") {
        if line.len() == MAX_LINE_BYTES {
            return Err(Error::Malformed);
        }
        read_line(stream, &mut line).await?;
    }
    version_1(&line)
}

/// Moves bytes from the stream to the line, up to the line's end or its bound. It peeks first: the bytes behind the line are
/// the app's.
async fn read_line(stream: &mut TcpStream, line: &mut Vec<u8>) -> Result<(), Error> {
    let mut ahead = [0; MAX_LINE_BYTES];
    let peeked = stream.peek(&mut ahead[..MAX_LINE_BYTES - line.len()]).await?;
    if peeked == 0 {
        return Err(Error::Malformed);
    }
    let end = ahead[..peeked].iter().position(|byte| *byte == b'\n');
    let used = end.map_or(peeked, |end| end + 1);
    let from = line.len();
    line.resize(from + used, 0);
    stream.read_exact(&mut line[from..]).await?;
    Ok(())
}

/// `PROXY TCP4 192.0.2.1 198.51.100.7 4711 9501` and CRLF.
fn version_1(line: &[u8]) -> Result<Option<IpAddr>, Error> {
    let line = std::str::from_utf8(line)
        .ok()
        .and_then(|line| line.strip_suffix("\r\n"))
        .ok_or(Error::Malformed)?;
    let words: Vec<&str> = line.split(' ').collect();
    let is_port = |text: &str| text.parse::<u16>().is_ok() && text.bytes().all(|byte| byte.is_ascii_digit());
    let addresses = match words[..] {
        // The protocol ignores the rest of the line.
        ["PROXY", "UNKNOWN", ..] => return Ok(None),
        ["PROXY", protocol, from, to, from_port, to_port] if is_port(from_port) && is_port(to_port) => {
            (protocol, from, to)
        }
        _ => return Err(Error::Malformed),
    };
    let source = match addresses {
        ("TCP4", from, to) => parse::<Ipv4Addr>(from, to).map(IpAddr::from),
        ("TCP6", from, to) => parse::<Ipv6Addr>(from, to).map(IpAddr::from),
        _ => None,
    };
    source
        .map(|source| Some(source.to_canonical()))
        .ok_or(Error::Malformed)
}

/// The first of two addresses if both are valid.
fn parse<A: std::str::FromStr>(from: &str, to: &str) -> Option<A> {
    to.parse::<A>().ok()?;
    from.parse().ok()
}

/// Version 2: version and command, family, length; then addresses and extensions.
async fn version_2(stream: &mut (impl AsyncRead + Unpin)) -> Result<Option<IpAddr>, Error> {
    let mut fixed = [0; 4];
    stream.read_exact(&mut fixed).await?;
    let length = usize::from(u16::from_be_bytes([fixed[2], fixed[3]]));
    if fixed[0] >> 4 != 2 || length > MAX_REST_BYTES {
        return Err(Error::Malformed);
    }
    let mut rest = vec![0; length];
    stream.read_exact(&mut rest).await?;
    source(fixed[0] & 0x0f, fixed[1] >> 4, &rest)
}

/// The source by command (LOCAL, PROXY) and family (none, IPv4, IPv6, Unix socket).
fn source(command: u8, family: u8, rest: &[u8]) -> Result<Option<IpAddr>, Error> {
    match (command, family) {
        (0, _) | (1, 0 | 3) => Ok(None),
        (1, 1) if rest.len() >= 12 => {
            let ip = [rest[0], rest[1], rest[2], rest[3]];
            Ok(Some(Ipv4Addr::from(ip).into()))
        }
        (1, 2) if rest.len() >= 36 => {
            let mut ip = [0; 16];
            ip.copy_from_slice(&rest[..16]);
            Ok(Some(Ipv6Addr::from(ip).to_canonical()))
        }
        _ => Err(Error::Malformed),
    }
}

#[cfg(test)]
mod tests {
    use tokio::{io::AsyncWriteExt, net::TcpListener};

    use super::*;

    /// Sends these pieces on a connection, reads its header, and returns it with the bytes that are left.
    async fn read_of(pieces: &[&[u8]]) -> (Result<Option<String>, String>, Vec<u8>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut peer = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (mut stream, _) = listener.accept().await.unwrap();
        peer.set_nodelay(true).unwrap();
        let pieces: Vec<Vec<u8>> = pieces.iter().map(|piece| piece.to_vec()).collect();
        let writing = tokio::spawn(async move {
            for piece in pieces {
                if peer.write_all(&piece).await.is_err() {
                    break;
                }
                tokio::task::yield_now().await;
            }
        });
        let outcome = read(&mut stream).await;
        writing.await.unwrap();
        let mut rest = Vec::new();
        let _ = stream.read_to_end(&mut rest).await;
        let outcome = match outcome {
            Ok(address) => Ok(address.map(|address| address.to_string())),
            Err(Error::Io(error)) => Err(format!("{:?}", error.kind())),
            Err(error) => Err(format!("{error:?}")),
        };
        (outcome, rest)
    }

    fn v2(command: u8, family: u8, length: u16, rest: &[u8]) -> Vec<u8> {
        let mut header = SIGNATURE.to_vec();
        header.extend([0x20 | command, family]);
        header.extend(length.to_be_bytes());
        header.extend(rest);
        header
    }

    const V4: [u8; 12] = [192, 168, 3, 1, 10, 0, 0, 1, 0x1f, 0x90, 0x25, 0x1d];

    #[tokio::test]
    async fn both_versions_name_the_app_and_leave_what_it_says() {
        let mut v6 = [0; 36];
        v6[..2].copy_from_slice(&[0x20, 0x01]);
        v6[15] = 1;
        let mut mapped = [0; 36];
        mapped[10..16].copy_from_slice(&[0xff, 0xff, 192, 0, 2, 1]);
        for (header, address) in [
            (v2(1, 0x11, 12, &V4), Some("192.168.3.1")),
            (
                v2(1, 0x11, 15, &[&V4[..], &[4, 0, 0]].concat()),
                Some("192.168.3.1"),
            ),
            (v2(1, 0x21, 36, &v6), Some("2001::1")),
            (v2(1, 0x21, 36, &mapped), Some("192.0.2.1")),
            (v2(0, 0, 0, &[]), None),
            (v2(1, 0, 0, &[]), None),
            (v2(1, 0x31, 216, &[0; 216]), None),
            (
                b"PROXY TCP4 192.0.2.1 198.51.100.7 4711 9501\r\n".to_vec(),
                Some("192.0.2.1"),
            ),
            (b"PROXY TCP4 1.1.1.1 1.1.1.1 1 1\r\n".to_vec(), Some("1.1.1.1")),
            (
                b"PROXY TCP6 2001:db8::1 2001:db8::2 65535 0\r\n".to_vec(),
                Some("2001:db8::1"),
            ),
            (
                b"PROXY TCP6 ::ffff:192.0.2.1 ::ffff:192.0.2.2 1 2\r\n".to_vec(),
                Some("192.0.2.1"),
            ),
            (b"PROXY UNKNOWN\r\n".to_vec(), None),
            (b"PROXY UNKNOWN ffff::1 ffff::2 65535 65535\r\n".to_vec(), None),
        ] {
            let expected = Ok(address.map(str::to_owned));
            let whole = [header.as_slice(), b"\nwhat the app says\n"].concat();
            let (read, rest) = read_of(&[&whole]).await;
            assert_eq!(
                (read, rest.as_slice()),
                (expected.clone(), &b"\nwhat the app says\n"[..])
            );
            let pieces: Vec<&[u8]> = whole.chunks(1).collect();
            let (read, rest) = read_of(&pieces).await;
            assert_eq!((read, rest.as_slice()), (expected, &b"\nwhat the app says\n"[..]));
        }
    }

    #[tokio::test]
    async fn everything_else_is_refused() {
        let long = format!("PROXY TCP4 {}\r\n", "1".repeat(200));
        for (bytes, expected) in [
            (&b""[..], "Silent"),
            (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", "Missing"),
            (b"\0\0\0\x10aaaaaaaaaaaaaaaa", "Missing"),
            (b"PRO", "Missing"),
            (b"PROXY TCP", "Missing"),
            (b"PROXY TCP4 1.1.1.1", "Malformed"),
            (b"PROXY TCP4 192.0.2.1 198.51.100.7 4711 9501\n", "Malformed"),
            (b"PROXY TCP4 192.0.2.1 198.51.100.7 4711\r\n", "Malformed"),
            (b"PROXY TCP4 192.0.2.1 198.51.100.7 4711 9501 1\r\n", "Malformed"),
            (b"PROXY TCP4  192.0.2.1 198.51.100.7 4711 9501\r\n", "Malformed"),
            (b"PROXY TCP4 192.0.2.1 198.51.100.7 +711 9501\r\n", "Malformed"),
            (b"PROXY TCP4 192.0.2.1 198.51.100.7 4711 65536\r\n", "Malformed"),
            (b"PROXY TCP4 192.0.2.256 198.51.100.7 4711 9501\r\n", "Malformed"),
            (b"PROXY TCP4 2001:db8::1 2001:db8::2 1 2\r\n", "Malformed"),
            (b"PROXY TCP6 192.0.2.1 192.0.2.2 1 2\r\n", "Malformed"),
            (b"PROXY UDP4 192.0.2.1 192.0.2.2 1 2\r\n", "Malformed"),
            (b"PROXY \xff\xfe\xfd\xfc\xfb\xfa\xf9\r\n", "Malformed"),
            (long.as_bytes(), "Malformed"),
            (&v2(1, 0x11, 1025, &[0; 1025]), "Malformed"),
            (&v2(1, 0x11, 4, &[1, 2, 3, 4]), "Malformed"),
            (&v2(2, 0x11, 12, &V4), "Malformed"),
            (&v2(1, 0x41, 12, &V4), "Malformed"),
            (&v2(1, 0x11, 12, &V4[..5]), "UnexpectedEof"),
        ] {
            let (read, _) = read_of(&[bytes]).await;
            assert_eq!(
                read,
                Err(expected.to_owned()),
                "{:?}",
                String::from_utf8_lossy(bytes)
            );
        }
        let mut version_1 = v2(1, 0x11, 12, &V4);
        version_1[12] = 0x11;
        assert_eq!(read_of(&[&version_1]).await.0, Err("Malformed".to_owned()));
    }

    #[test]
    fn a_beginning_is_recognised() {
        for header in [
            &b"PROXY TCP4 "[..],
            b"PROX",
            b"\r\n\r\n\0\r\nQUIT\n!",
            b"\r\n\r\n",
        ] {
            assert!(begins(header), "{header:?}");
        }
        for other in [&b""[..], b"PRO", b"POST /", b"\0\0\0\x10", b"\r\n\r\nx"] {
            assert!(!begins(other), "{other:?}");
        }
    }
}
