//! The client address before login: the peer, the source in a PROXY header, or the address that a trusted proxy
//! writes into the head of a WebSocket.

use std::net::IpAddr;

use program::address::{Closed, header};
use telemetry::events::im::PROXY_HEADERS_REFUSED;
use tokio::{io, net::TcpStream};

use crate::{settings::Door, shared::Shared};

/// Reads the PROXY header where one is demanded. `None` closes the connection; the reason is logged.
pub(crate) async fn read(
    shared: &Shared,
    stream: &mut TcpStream,
    peer: IpAddr,
    door: Door,
) -> Option<IpAddr> {
    if !shared.settings.demands_header(door) {
        return Some(peer);
    }
    let flag = if shared.settings.proxy_protocol {
        "--proxy-protocol"
    } else {
        door.proxy_flag()
    };
    let origin = shared.gate.origin(stream, peer, flag).await;
    if origin == Err(Closed::Refused) {
        PROXY_HEADERS_REFUSED.increment();
    }
    origin.ok()
}

/// Whether only the head of the WebSocket names the address.
pub(crate) fn is_in_head(shared: &Shared, address: IpAddr, door: Door) -> bool {
    door != Door::Tcp && shared.gate.proxies().contains(address)
}

/// Reports a PROXY header on a port that expects none.
pub(crate) fn report_header(shared: &Shared, beginning: &[u8], peer: IpAddr, door: Door) {
    if header::begins(beginning) && !shared.settings.demands_header(door) {
        PROXY_HEADERS_REFUSED.increment();
        shared.gate.unexpected(peer, door.proxy_flag());
    }
}

/// Peeks, because TLS consumes the bytes.
pub(crate) async fn peek_before_tls(shared: &Shared, stream: &TcpStream, peer: IpAddr) -> io::Result<()> {
    let mut beginning = [0; header::FIRST_BYTES];
    let peeked = stream.peek(&mut beginning).await?;
    report_header(shared, &beginning[..peeked], peer, Door::Tls);
    Ok(())
}
