//! Listeners: [`bind`] opens them, [`run`] is the one accept loop, and [`Ports`] announces them.

mod bind;
mod outage;
mod ports;

use std::{
    future::Future,
    io,
    net::SocketAddr,
    pin::pin,
    time::{Duration, Instant},
};

use ::telemetry::{events::program::Event, metric::Counter};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio_util::sync::CancellationToken;

pub use bind::{bind, resolve};
use outage::Outage;
pub use ports::Ports;

/// The pause after an accept that failed. Descriptors and memory come back when connections end.
const PAUSE: Duration = Duration::from_millis(100);

/// A source of connections.
pub trait Listener: Send {
    /// One connection.
    type Stream: Send;
    /// Its remote end.
    type Peer: Send;

    /// Waits for the next connection. Dropping the future loses none.
    fn accept(&mut self) -> impl Future<Output = io::Result<(Self::Stream, Self::Peer)>> + Send;
}

impl Listener for TcpListener {
    type Stream = TcpStream;
    type Peer = SocketAddr;

    fn accept(&mut self) -> impl Future<Output = io::Result<(TcpStream, SocketAddr)>> + Send {
        Self::accept(self)
    }
}

impl Listener for UnixListener {
    type Stream = UnixStream;
    type Peer = tokio::net::unix::SocketAddr;

    fn accept(&mut self) -> impl Future<Output = io::Result<(UnixStream, Self::Peer)>> + Send {
        Self::accept(self)
    }
}

/// A listener as operators know it.
#[derive(Clone, Copy)]
pub struct Door {
    /// Its name in the ports file.
    pub name: &'static str,
    /// The settings that end an exhaustion, as the end of a sentence.
    pub remedy: &'static str,
    /// Counts failed accepts.
    pub failures: Option<&'static Counter>,
}

/// Accepts connections until `stop` and passes each to `take`. `take` must not block: it enforces the limits of its
/// listener, drops a connection over them and spawns the rest.
///
/// An accept that fails for the listener's sake begins an outage: one line at its beginning, one at its end, a count of
/// each failure and a pause after it. A peer that hangs up before its accept is no outage.
pub async fn run<L: Listener>(
    mut listener: L,
    door: Door,
    stop: CancellationToken,
    mut take: impl FnMut(L::Stream, L::Peer) + Send,
) {
    let mut stopped = pin!(stop.cancelled());
    let mut outage = Outage::default();
    loop {
        let accepted = tokio::select! {
            () = &mut stopped => return,
            accepted = listener.accept() => accepted,
        };
        let error = match accepted {
            Ok((stream, peer)) => {
                if let Some(ended) = outage.succeed(Instant::now) {
                    Event::AcceptRecovered {
                        listener: door.name,
                        failures: ended.failures,
                        lasted: ended.lasted,
                    }
                    .emit();
                }
                take(stream, peer);
                continue;
            }
            Err(error) => error,
        };
        if is_of_peer(&error) {
            tracing::debug!(%error, listener = door.name, "a connection ended before it was accepted");
            continue;
        }
        if let Some(failures) = door.failures {
            failures.increment();
        }
        if outage.fail(Instant::now()) {
            Event::AcceptFailing {
                listener: door.name,
                error: &error,
                remedy: door.remedy,
            }
            .emit();
        }
        tokio::select! {
            () = &mut stopped => return,
            () = tokio::time::sleep(PAUSE) => {}
        }
    }
}

/// Whether an error concerns the one connection that was about to be accepted: accept(2) passes on errors that were
/// pending on it.
fn is_of_peer(error: &io::Error) -> bool {
    const NETWORK: [i32; 8] = [
        libc::ENETDOWN,
        libc::EPROTO,
        libc::ENOPROTOOPT,
        libc::EHOSTDOWN,
        libc::EHOSTUNREACH,
        libc::ENETUNREACH,
        libc::EPERM,
        libc::ETIMEDOUT,
    ];
    let is_network = error.raw_os_error().is_some_and(|code| NETWORK.contains(&code));
    let is_peer = matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionRefused
            | io::ErrorKind::Interrupted
    );
    is_network || is_peer
}
