//! Accepting connections.

use std::{net::SocketAddr, sync::Arc};

use backplane::NodeAddress;
use program::accept;
use telemetry::{
    events::im::{ACCEPT_FAILURES, Event},
    task::{Name, Stopped, vital},
};
use tokio::net::{TcpListener, TcpStream};

use crate::{
    Settings,
    settings::{Door, advertise},
    shared::Shared,
};

/// Unsent bytes that the kernel buffers for a connection. The default (`tcp_wmem`) is up to 4 MiB for each app that
/// does not read. Bytes in flight do not count.
const UNSENT_BYTES: u32 = 16 * 1024;

/// The node's listeners, bound by the caller.
pub struct Listeners {
    /// Framed protobuf over TCP.
    pub tcp: TcpListener,
    /// WebSocket.
    pub ws: Option<TcpListener>,
    /// TLS.
    pub tls: Option<TcpListener>,
}

impl Listeners {
    /// The addresses of the node for the directory.
    pub(crate) async fn address(&self, settings: &Settings) -> anyhow::Result<NodeAddress> {
        let port = |listener: &Option<TcpListener>| {
            let address = listener.as_ref()?.local_addr().ok()?;
            Some(address.port())
        };
        let (tls, ws) = (port(&self.tls), port(&self.ws));
        advertise::address(settings, self.tcp.local_addr()?, tls, ws).await
    }
}

/// Accepts connections on all listeners until the node drains.
pub(crate) fn start(shared: &Arc<Shared>, listeners: Listeners) {
    let doors = [
        (Some(listeners.tcp), Door::Tcp),
        (listeners.ws, Door::WebSocket),
        (listeners.tls, Door::Tls),
    ];
    for (listener, door) in doors {
        if let Some(listener) = listener {
            // Accepted connections inherit it.
            if let Err(error) = bound_unsent(&listener) {
                Event::SendBufferUnlimited { error: &error }.emit();
            }
            vital(Name::NodeAccept, accept(shared.clone(), listener, door));
        }
    }
}

#[cfg(target_os = "linux")]
fn bound_unsent(listener: &TcpListener) -> std::io::Result<()> {
    socket2::SockRef::from(listener).set_tcp_notsent_lowat(UNSENT_BYTES)
}

/// Other systems have no such limit.
#[cfg(not(target_os = "linux"))]
fn bound_unsent(_: &TcpListener) -> std::io::Result<()> {
    Ok(())
}

async fn accept(shared: Arc<Shared>, listener: TcpListener, door: Door) -> Stopped {
    let listening = accept::Door {
        name: door.name(),
        remedy: "raise the open-file limit or lower --max-sessions",
        failures: Some(&ACCEPT_FAILURES),
    };
    let stop = shared.closing.clone();
    accept::run(listener, listening, stop, |stream, peer| {
        admit(&shared, stream, peer, door);
    })
    .await;
    Stopped
}

fn admit(shared: &Arc<Shared>, stream: TcpStream, peer: SocketAddr, door: Door) {
    // The outbox coalesces frames, so the kernel need not.
    if stream.set_nodelay(true).is_err() {
        return;
    }
    shared.connections.spawn(super::serve(
        shared.clone(),
        stream,
        peer.ip().to_canonical(),
        door,
    ));
}
