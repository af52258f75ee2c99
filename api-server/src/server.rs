//! Connections: accepted, limited, given time, drained.

use std::{
    collections::HashMap,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use axum::{Router, body::Body};
use hyper::{Request, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use parking_lot::Mutex;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tower::ServiceExt;

use crate::{network::Network, observe::Peer};

/// Connections at a time; more are closed at once. Below the open-file limit of 20,000-ish beside an im-server's share.
const MAX_CONNECTIONS: usize = 4096;
/// Connections of one address at a time: a hospital behind one router has fewer, and nobody alone takes all places.
/// Trusted proxies are not counted.
const MAX_CONNECTIONS_PER_ADDRESS: usize = 1024;
/// How long a request's head may take, and a connection may be idle between requests.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// The longest head, bytes.
const MAX_HEAD_BYTES: usize = 16 * 1024;
/// How long requests that are running get to end when the service ends.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(10);
/// How long to wait when the system gives no more sockets.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// How many connections each address has now.
type Addresses = Mutex<HashMap<IpAddr, usize>>;

/// How many connections there may be.
pub(crate) struct Room {
    places: Arc<Semaphore>,
    per_address: usize,
    addresses: Arc<Addresses>,
    uncounted: Vec<Network>,
}

/// A connection's place; free again when it is dropped.
struct Place {
    _one: OwnedSemaphorePermit,
    address: Option<(Arc<Addresses>, IpAddr)>,
}

impl Room {
    /// As much as a process of its own has.
    pub(crate) fn new(trusted_proxies: Vec<Network>) -> Self {
        Self::with(MAX_CONNECTIONS, MAX_CONNECTIONS_PER_ADDRESS, trusted_proxies)
    }

    fn with(connections: usize, per_address: usize, uncounted: Vec<Network>) -> Self {
        Self {
            places: Arc::new(Semaphore::new(connections)),
            per_address,
            addresses: Arc::default(),
            uncounted,
        }
    }

    /// A place for a connection from this address, if there is one.
    fn take(&self, address: IpAddr) -> Option<Place> {
        let one = self.places.clone().try_acquire_owned().ok()?;
        let address = address.to_canonical();
        if self.uncounted.iter().any(|network| network.contains(address)) {
            return Some(Place {
                _one: one,
                address: None,
            });
        }
        let mut addresses = self.addresses.lock();
        let count = addresses.entry(address).or_insert(0);
        if *count >= self.per_address {
            return None;
        }
        *count += 1;
        drop(addresses);
        Some(Place {
            _one: one,
            address: Some((self.addresses.clone(), address)),
        })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let Some((addresses, address)) = &self.address else {
            return;
        };
        let mut addresses = addresses.lock();
        if let Some(count) = addresses.get_mut(address) {
            *count -= 1;
            if *count == 0 {
                addresses.remove(address);
            }
        }
    }
}

/// Serves connections until `shutdown`, then lets requests that are running end.
pub(crate) async fn run(listener: TcpListener, router: Router, room: Room, shutdown: CancellationToken) {
    let connections = TaskTracker::new();
    loop {
        let accepted = tokio::select! {
            () = shutdown.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let Some(place) = room.take(peer.ip()) else {
            metrics::counter!("huizhen_rest_connections_refused_total").increment(1);
            continue;
        };
        let router = router.clone();
        let shutdown = shutdown.clone();
        connections.spawn(async move {
            serve(stream, peer, router, shutdown).await;
            drop(place);
        });
    }
    drop(listener);
    connections.close();
    if timeout(DRAIN_TIMEOUT, connections.wait()).await.is_err() {
        tracing::warn!(connections = connections.len(), "requests did not end in time");
    }
}

async fn serve(stream: TcpStream, peer: SocketAddr, router: Router, shutdown: CancellationToken) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "TCP_NODELAY could not be set");
    }
    let service = service_fn(move |request: Request<Incoming>| {
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(Peer(peer.ip()));
        router.clone().oneshot(request)
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(MAX_HEAD_BYTES)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = std::pin::pin!(connection);
    let outcome = tokio::select! {
        outcome = &mut connection => outcome,
        () = shutdown.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = outcome {
        tracing::debug!(%error, "a connection ended");
    }
}

#[cfg(test)]
mod tests {
    use axum::routing::get;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    async fn ask(stream: &mut TcpStream) -> String {
        let request = b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
        let mut answer = String::new();
        if stream.write_all(request).await.is_ok() {
            // A connection that was closed at once may be reset.
            let _ = stream.read_to_string(&mut answer).await;
        }
        answer
    }

    #[test]
    fn one_address_has_its_share_and_proxies_are_not_counted() {
        let room = Room::with(5, 2, vec!["10.0.0.0/8".parse().unwrap()]);
        let [one, other, proxy] = ["1.1.1.1", "2.2.2.2", "10.0.0.1"].map(|ip| ip.parse().unwrap());
        let first = room.take(one).unwrap();
        let second = room.take(one).unwrap();
        assert!(room.take(one).is_none());
        assert!(
            room.take("::ffff:1.1.1.1".parse().unwrap()).is_none(),
            "the same address"
        );
        drop(first);
        let third = room.take(one).unwrap();
        let fourth = room.take(other).unwrap();
        let proxied = [room.take(proxy), room.take(proxy)];
        assert!(proxied.iter().all(Option::is_some));
        assert!(room.take(proxy).is_none(), "five in all");
        drop(proxied);
        assert_eq!(room.addresses.lock().len(), 2);
        drop((second, third, fourth));
        assert!(room.addresses.lock().is_empty());
    }

    #[tokio::test]
    async fn connections_beyond_the_limit_are_closed_and_a_place_is_given_again() {
        let room = Room::with(2, 2, Vec::new());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let shutdown = CancellationToken::new();
        let router = Router::new().route("/", get(|| async { "here" }));
        let running = tokio::spawn(run(listener, router, room, shutdown.clone()));
        let mut first = TcpStream::connect(address).await.unwrap();
        let second = TcpStream::connect(address).await.unwrap();
        let mut third = TcpStream::connect(address).await.unwrap();
        assert_eq!(ask(&mut third).await, "");
        assert!(ask(&mut first).await.ends_with("here"));
        let next = async {
            loop {
                let mut fourth = TcpStream::connect(address).await.unwrap();
                if ask(&mut fourth).await.ends_with("here") {
                    break;
                }
                tokio::task::yield_now().await;
            }
        };
        timeout(Duration::from_secs(60), next).await.unwrap();
        drop(second);
        shutdown.cancel();
        timeout(Duration::from_secs(60), running).await.unwrap().unwrap();
    }
}
