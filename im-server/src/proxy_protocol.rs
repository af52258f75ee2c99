//! The PROXY protocol, version 2: a load balancer in front tells the app's own address. Taken only when switched on,
//! and then demanded of every connection.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The signature, then version and command, family, and length.
pub(crate) const FIXED_BYTES: usize = 16;
/// Addresses and extensions at the most; balancers send some tens of bytes.
pub(crate) const MAX_BYTES: usize = 1024;

const SIGNATURE: [u8; 12] = *b"\r\n\r\n\0\r\nQUIT\n";

/// Not a header of version 2.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the connection does not begin with a PROXY protocol version 2 header")]
pub(crate) struct NoHeader;

/// How many bytes follow the fixed part.
pub(crate) fn rest_bytes(fixed: &[u8; FIXED_BYTES]) -> Result<usize, NoHeader> {
    let length = usize::from(u16::from_be_bytes([fixed[14], fixed[15]]));
    if fixed[..12] == SIGNATURE && fixed[12] >> 4 == 2 && length <= MAX_BYTES {
        Ok(length)
    } else {
        Err(NoHeader)
    }
}

/// The app's address; none when the balancer itself connects (a health check).
pub(crate) fn source(fixed: &[u8; FIXED_BYTES], rest: &[u8]) -> Result<Option<IpAddr>, NoHeader> {
    match (fixed[12] & 0x0f, fixed[13] >> 4) {
        (0, _) | (1, 0) => Ok(None),
        (1, 1) if rest.len() >= 12 => {
            let mut ip = [0; 4];
            ip.copy_from_slice(&rest[..4]);
            Ok(Some(Ipv4Addr::from(ip).into()))
        }
        (1, 2) if rest.len() >= 36 => {
            let mut ip = [0; 16];
            ip.copy_from_slice(&rest[..16]);
            Ok(Some(Ipv6Addr::from(ip).to_canonical()))
        }
        _ => Err(NoHeader),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fixed(command: u8, family: u8, length: u16) -> [u8; FIXED_BYTES] {
        let mut fixed = [0; FIXED_BYTES];
        fixed[..12].copy_from_slice(&SIGNATURE);
        fixed[12] = 0x20 | command;
        fixed[13] = family;
        fixed[14..].copy_from_slice(&length.to_be_bytes());
        fixed
    }

    #[test]
    fn the_source_address_is_read() {
        let v4 = [192, 168, 3, 1, 10, 0, 0, 1, 0x1f, 0x90, 0x25, 0x1d];
        assert_eq!(
            source(&fixed(1, 0x11, 12), &v4),
            Ok(Some("192.168.3.1".parse().unwrap()))
        );
        let mut v6 = [0; 36];
        v6[15] = 1;
        assert_eq!(source(&fixed(1, 0x21, 36), &v6), Ok(Some("::1".parse().unwrap())));
        assert_eq!(source(&fixed(0, 0, 0), &[]), Ok(None));
    }

    #[test]
    fn what_is_no_header_is_refused() {
        assert_eq!(rest_bytes(b"PROXY TCP4 1.2.3"), Err(NoHeader));
        assert_eq!(rest_bytes(&fixed(1, 0x11, 1025)), Err(NoHeader));
        let mut version_1 = fixed(1, 0x11, 12);
        version_1[12] = 0x11;
        assert_eq!(rest_bytes(&version_1), Err(NoHeader));
        assert_eq!(source(&fixed(1, 0x11, 4), &[1, 2, 3, 4]), Err(NoHeader));
    }
}
