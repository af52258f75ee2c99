//! Who connects: the address that counts until an app has logged in. It is the peer's, what a PROXY header says, or what a
//! trusted proxy writes into the head of a WebSocket.

use std::net::IpAddr;

use program::address::{Closed, header};
use tokio::{io, net::TcpStream};

use crate::{node::shared::Shared, settings::Door};

/// The address of a connection before its first own byte. `None`: it is to be closed, and the log knows why.
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
        metrics::counter!("huizhen_im_proxy_headers_refused_total").increment(1);
    }
    origin.ok()
}

/// Whether the address is known for certain only with the head of the WebSocket.
pub(crate) fn is_in_head(shared: &Shared, address: IpAddr, door: Door) -> bool {
    door != Door::Tcp && shared.gate.proxies().contains(address)
}

/// Says so when a connection begins with a PROXY header and none is taken here: to the app's protocol it is noise.
pub(crate) fn look_for_header(shared: &Shared, beginning: &[u8], peer: IpAddr, door: Door) {
    if header::begins(beginning) && !shared.settings.demands_header(door) {
        metrics::counter!("huizhen_im_proxy_headers_refused_total").increment(1);
        shared.gate.unexpected(peer, door.proxy_flag());
    }
}

/// The same before TLS, which takes the bytes away.
pub(crate) async fn look_before_tls(shared: &Shared, stream: &TcpStream, peer: IpAddr) -> io::Result<()> {
    let mut beginning = [0; header::FIRST_BYTES];
    let peeked = stream.peek(&mut beginning).await?;
    look_for_header(shared, &beginning[..peeked], peer, Door::Tls);
    Ok(())
}
