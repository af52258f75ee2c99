//! Connections: accepted, limited, given time, drained; with TLS and without.

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use axum::{Router, body::Body};
use hyper::{Request, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use parking_lot::Mutex;
use program::{
    address::{Closed, Gate, Place, Places, Refusals, Subscriber, TrustedProxies},
    certificate::Certificate,
};
use proto::UserId;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};
use tokio_util::{either::Either, sync::CancellationToken, task::TaskTracker};
use tower::ServiceExt;

use crate::{
    http::observe::Peer,
    settings::{RestPort, Settings},
};

/// Connections that count for one user instead of their address; what a user has beyond that counts for the address.
const CONNECTIONS_PER_USER: u32 = 64;
/// How long a request's head may take, and a connection may be idle between requests.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// How long PROXY header and TLS may take together.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// The longest head, bytes.
const MAX_HEAD_BYTES: usize = 16 * 1024;
/// How long requests that are running get to end when the service ends.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(10);
/// How long to wait when the system gives no more sockets.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// How often the files of the certificate are looked at.
const CERTIFICATE_EVERY: Duration = Duration::from_secs(1);
/// What is spoken behind TLS.
const PROTOCOLS: [&[u8]; 1] = [b"http/1.1"];

/// Where REST is served, bound by the caller.
pub struct Listeners {
    /// HTTP.
    pub plain: TcpListener,
    /// The same behind TLS.
    pub tls: Option<(TcpListener, Arc<Certificate>)>,
}

impl From<TcpListener> for Listeners {
    fn from(plain: TcpListener) -> Self {
        Self { plain, tls: None }
    }
}

/// How many connections there may be, and whose they are.
pub(crate) struct Room {
    places: Arc<Semaphore>,
    full: Refusals,
    addresses: Places<Subscriber>,
    crowded: Refusals,
    users: Places<UserId>,
    gate: Gate,
    headers: Vec<RestPort>,
}

/// Whom a connection counts for.
enum Holder {
    /// A trusted proxy: the people behind it share its connections.
    Proxy,
    Address {
        _place: Place<Subscriber>,
    },
    User {
        _place: Place<UserId>,
    },
}

/// A connection, as its requests see it; cloning it is cheap.
#[derive(Clone)]
pub(crate) struct Connection {
    room: Arc<Room>,
    holder: Arc<Mutex<Holder>>,
}

impl Connection {
    /// Counts the connection for a user who is logged in on it instead of its address, once, as far as the user has
    /// places.
    pub(crate) fn belongs_to(&self, user: UserId) {
        let mut holder = self.holder.lock();
        if matches!(*holder, Holder::Address { .. })
            && let Some(place) = self.room.users.take(user)
        {
            *holder = Holder::User { _place: place };
        }
    }
}

impl Room {
    pub(crate) fn new(settings: &Settings) -> Self {
        Self {
            places: Arc::new(Semaphore::new(settings.rest_connections.get() as usize)),
            full: Refusals::default(),
            addresses: Places::new(settings.rest_connections_per_address.get()),
            crowded: Refusals::default(),
            users: Places::new(CONNECTIONS_PER_USER),
            gate: Gate::new(TrustedProxies::new(&settings.trusted_proxies)),
            headers: settings.rest_proxy_protocol_ports.clone(),
        }
    }

    /// One of all connections.
    fn take(&self, peer: IpAddr) -> Option<OwnedSemaphorePermit> {
        let place = self.places.clone().try_acquire_owned().ok();
        if place.is_none()
            && let Some(line) = self.full.line(peer)
        {
            tracing::warn!(
                address = %line.address, untold = line.untold,
                "a connection is refused: there are as many as --rest-connections lets in"
            );
        }
        place
    }

    /// A place for a connection from this address, if there is one.
    fn holder(&self, address: IpAddr) -> Option<Holder> {
        if self.gate.proxies().contains(address) {
            return Some(Holder::Proxy);
        }
        let place = self.addresses.take(Subscriber::of(address));
        if place.is_none()
            && let Some(line) = self.crowded.line(address)
        {
            tracing::warn!(
                address = %line.address, untold = line.untold,
                "a connection is refused: this address has as many without a user as it may; if it is many people's (a \
                 hospital, a carrier), raise --rest-connections-per-address; if it is a proxy, add it to \
                 --trusted-proxies"
            );
        }
        place.map(|_place| Holder::Address { _place })
    }
}

/// The bytes of a connection, without TLS or with it; in a box, so that others do not pay for its size.
type Stream = Either<TcpStream, Box<TlsStream<TcpStream>>>;

/// What all connections share.
#[derive(Clone)]
struct Server {
    router: Router,
    room: Arc<Room>,
    shutdown: CancellationToken,
    connections: TaskTracker,
}

/// One of the listeners.
#[derive(Clone)]
struct Door {
    port: RestPort,
    tls: Option<TlsAcceptor>,
}

impl Door {
    /// The setting that demands a PROXY header here.
    fn flag(&self) -> &'static str {
        match self.port {
            RestPort::Rest => "--rest-proxy-protocol-ports rest",
            RestPort::RestTls => "--rest-proxy-protocol-ports rest-tls",
        }
    }
}

/// Serves connections until `shutdown`, then lets requests that are running end.
///
/// # Errors
/// When TLS cannot be set up.
pub(crate) async fn run(
    listeners: Listeners,
    router: Router,
    room: Room,
    shutdown: CancellationToken,
) -> anyhow::Result<()> {
    let server = Server {
        router,
        room: Arc::new(room),
        shutdown,
        connections: TaskTracker::new(),
    };
    let plain = Door {
        port: RestPort::Rest,
        tls: None,
    };
    match listeners.tls {
        None => server.accept(listeners.plain, plain).await,
        Some((listener, certificate)) => {
            let tls = Door {
                port: RestPort::RestTls,
                tls: Some(certificate.server_config(&PROTOCOLS)?.into()),
            };
            tokio::join!(
                server.accept(listeners.plain, plain),
                server.accept(listener, tls),
                keep_fresh(&certificate, &server.shutdown),
            );
        }
    }
    server.connections.close();
    if timeout(DRAIN_TIMEOUT, server.connections.wait()).await.is_err() {
        tracing::warn!(
            connections = server.connections.len(),
            "requests did not end in time"
        );
    }
    Ok(())
}

async fn keep_fresh(certificate: &Certificate, shutdown: &CancellationToken) {
    let mut ticks = tokio::time::interval(CERTIFICATE_EVERY);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = shutdown.cancelled() => return,
            _ = ticks.tick() => certificate.refresh(),
        }
    }
}

impl Server {
    /// Accepts until the service ends; then nobody can connect any more.
    async fn accept(&self, listener: TcpListener, door: Door) {
        let mut is_failing = false;
        loop {
            let accepted = tokio::select! {
                () = self.shutdown.cancelled() => return,
                accepted = listener.accept() => accepted,
            };
            let (stream, peer) = match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    // Once for as long as it lasts.
                    if !std::mem::replace(&mut is_failing, true) {
                        tracing::error!(%error, "connections cannot be accepted; raise the open-file limit or lower --rest-connections");
                    }
                    refused();
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            };
            is_failing = false;
            let Some(place) = self.room.take(peer.ip()) else {
                refused();
                continue;
            };
            let (server, door) = (self.clone(), door.clone());
            self.connections.spawn(async move {
                server.connect(stream, peer, door).await;
                drop(place);
            });
        }
    }

    /// Serves a connection once it is known whose it is.
    async fn connect(self, stream: TcpStream, peer: SocketAddr, door: Door) {
        let entered = tokio::select! {
            biased;
            entered = self.enter(stream, peer, door) => entered,
            // Nothing has been asked yet.
            () = self.shutdown.cancelled() => return,
        };
        if let Some((stream, address, connection)) = entered {
            self.serve(stream, address, connection).await;
        }
    }

    /// What comes before the first request: the PROXY header, a place, TLS.
    async fn enter(
        &self,
        mut stream: TcpStream,
        peer: SocketAddr,
        door: Door,
    ) -> Option<(Stream, IpAddr, Connection)> {
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "TCP_NODELAY could not be set");
        }
        let mut address = peer.ip().to_canonical();
        if self.room.headers.contains(&door.port) {
            let origin = self.room.gate.origin(&mut stream, address, door.flag());
            match timeout(HANDSHAKE_TIMEOUT, origin).await {
                Ok(Ok(origin)) => address = origin,
                Ok(Err(Closed::Gone)) => return None,
                Ok(Err(Closed::Refused)) | Err(_) => {
                    refused();
                    return None;
                }
            }
        }
        let Some(holder) = self.room.holder(address) else {
            refused();
            return None;
        };
        let connection = Connection {
            room: self.room.clone(),
            holder: Arc::new(Mutex::new(holder)),
        };
        let Some(tls) = door.tls else {
            return Some((Either::Left(stream), address, connection));
        };
        match timeout(HANDSHAKE_TIMEOUT, tls.accept(stream)).await {
            Ok(Ok(stream)) => return Some((Either::Right(Box::new(stream)), address, connection)),
            Ok(Err(error)) => tracing::debug!(%error, "a TLS handshake failed"),
            Err(_) => tracing::debug!("a TLS handshake took too long"),
        }
        None
    }

    async fn serve(self, stream: Stream, address: IpAddr, connection: Connection) {
        let router = self.router;
        let service = service_fn(move |request: Request<Incoming>| {
            let mut request = request.map(Body::new);
            request.extensions_mut().insert(Peer(address));
            request.extensions_mut().insert(connection.clone());
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
            () = self.shutdown.cancelled() => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        if let Err(error) = outcome {
            tracing::debug!(%error, "a connection ended");
        }
    }
}

fn refused() {
    metrics::counter!("huizhen_rest_connections_refused_total").increment(1);
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

    /// So many connections, and so many from one address.
    fn room(connections: u32, per_address: u32, proxies: &[&str]) -> Arc<Room> {
        let number = |number| std::num::NonZeroU32::new(number).unwrap();
        Arc::new(Room::new(&Settings {
            rest_connections: number(connections),
            rest_connections_per_address: number(per_address),
            trusted_proxies: proxies.iter().map(|proxy| proxy.parse().unwrap()).collect(),
            ..Settings::default()
        }))
    }

    #[test]
    fn one_address_has_its_share_and_proxies_are_not_counted() {
        let room = room(9, 2, &["10.0.0.0/8"]);
        let holder = |address: &str| room.holder(address.parse().unwrap());
        let first = holder("1.1.1.1").unwrap();
        let second = holder("1.1.1.1").unwrap();
        assert!(holder("1.1.1.1").is_none());
        assert!(holder("::ffff:1.1.1.1").is_none(), "the same address");
        drop(first);
        let third = holder("1.1.1.1").unwrap();
        let networks = [holder("2001:db8::1"), holder("2001:db8::2")];
        assert!(networks.iter().all(Option::is_some));
        assert!(holder("2001:db8::3").is_none(), "one customer's network");
        assert!(holder("2001:db8:0:1::3").is_some(), "another's");
        let proxied = [holder("10.0.0.1"), holder("10.0.0.1"), holder("10.0.0.1")];
        assert!(proxied.iter().all(Option::is_some));
        assert_eq!(room.addresses.len(), 2);
        drop((second, third, networks, proxied));
        assert!(room.addresses.is_empty());
    }

    #[test]
    fn a_connection_of_a_user_counts_for_the_user() {
        let room = room(100, 1, &[]);
        let address: IpAddr = "1.1.1.1".parse().unwrap();
        let connect = || {
            room.holder(address).map(|holder| Connection {
                room: room.clone(),
                holder: Arc::new(Mutex::new(holder)),
            })
        };
        let user = UserId::from_database(7);
        let mut theirs = Vec::new();
        for _ in 0..CONNECTIONS_PER_USER {
            let connection = connect().expect("the address is free again");
            connection.belongs_to(user);
            connection.belongs_to(user);
            theirs.push(connection);
        }
        let beyond = connect().unwrap();
        beyond.belongs_to(user);
        assert!(
            connect().is_none(),
            "what a user has too many of counts for the address"
        );
        beyond.belongs_to(UserId::from_database(8));
        assert!(connect().is_some());
        drop((theirs, beyond));
        assert!(room.users.is_empty() && room.addresses.is_empty());
    }

    #[tokio::test]
    async fn connections_beyond_the_limit_are_closed_and_a_place_is_given_again() {
        let room = Arc::into_inner(room(2, 2, &[])).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let shutdown = CancellationToken::new();
        let router = Router::new().route("/", get(|| async { "here" }));
        let running = tokio::spawn(run(listener.into(), router, room, shutdown.clone()));
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
        let ended = timeout(Duration::from_secs(60), running).await;
        ended.unwrap().unwrap().unwrap();
    }
}
