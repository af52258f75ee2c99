//! Connections with and without TLS: accepting, limits, timeouts, draining.

mod connections;
mod linger;
mod unread;

use std::{
    net::{IpAddr, SocketAddr},
    pin::Pin,
    sync::Arc,
    time::Duration,
};

use axum::{Router, body::Body};
use hyper::{Request, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use program::{accept, address::Closed, certificate::Certificate};
use telemetry::{
    events::rest::{CONNECTIONS_REFUSED, Event},
    task::{self, Stopped},
};
use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinHandle,
    time::timeout,
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};
use tokio_util::{either::Either, sync::CancellationToken, task::TaskTracker};
use tower::ServiceExt;

pub(crate) use connections::{Connection, ConnectionLimits};
use linger::{Unread, Watched};
use unread::Reading;

use crate::{http::address::Peer, settings::RestPort};

/// The longest time for a request's head, idle time before it included.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// The longest time for the PROXY header, and for the TLS handshake.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// The longest head, bytes.
const MAX_HEAD_BYTES: usize = 16 * 1024;
/// The longest time for running requests when the service ends.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(10);
/// The interval of checks for a renewed certificate.
const CERTIFICATE_EVERY: Duration = Duration::from_secs(1);
/// The protocols behind TLS (ALPN).
const PROTOCOLS: [&[u8]; 1] = [b"http/1.1"];

/// The listeners of REST, bound by the caller.
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

/// A connection's stream. TLS is boxed, so that plain connections do not pay for its size.
type Stream = Either<Reading<TcpStream>, Box<TlsStream<Reading<TcpStream>>>>;

/// The state that all connections share.
#[derive(Clone)]
struct Server {
    router: Router,
    limits: Arc<ConnectionLimits>,
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
    /// Its name in the ports file.
    fn name(&self) -> &'static str {
        match self.port {
            RestPort::Rest => "rest",
            RestPort::RestTls => "rest-tls",
        }
    }

    /// The setting that demands a PROXY header here.
    fn flag(&self) -> &'static str {
        match self.port {
            RestPort::Rest => "--rest-proxy-protocol-ports rest",
            RestPort::RestTls => "--rest-proxy-protocol-ports rest-tls",
        }
    }
}

/// Serves connections until `shutdown`, then drains.
///
/// # Errors
/// When TLS cannot be set up.
pub(crate) async fn run(
    listeners: Listeners,
    router: Router,
    limits: ConnectionLimits,
    shutdown: CancellationToken,
) -> anyhow::Result<()> {
    let server = Server {
        router,
        limits: Arc::new(limits),
        shutdown,
        connections: TaskTracker::new(),
    };
    let plain = Door {
        port: RestPort::Rest,
        tls: None,
    };
    let mut tasks = vec![server.accept(listeners.plain, plain)];
    if let Some((listener, certificate)) = listeners.tls {
        let tls = Door {
            port: RestPort::RestTls,
            tls: Some(certificate.server_config(&PROTOCOLS)?.into()),
        };
        tasks.push(server.accept(listener, tls));
        let refreshing = keep_fresh(certificate, server.shutdown.clone());
        tasks.push(task::vital(task::Name::RestCertificate, refreshing));
    }
    for task in tasks {
        task.await?;
    }
    server.connections.close();
    if timeout(DRAIN_TIMEOUT, server.connections.wait()).await.is_err() {
        let connections = server.connections.len();
        Event::DrainTimedOut { connections }.emit();
    }
    Ok(())
}

async fn keep_fresh(certificate: Arc<Certificate>, shutdown: CancellationToken) -> Stopped {
    let mut ticks = tokio::time::interval(CERTIFICATE_EVERY);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = shutdown.cancelled() => return Stopped,
            _ = ticks.tick() => certificate.refresh(),
        }
    }
}

impl Server {
    /// Starts accepting connections until the service ends.
    fn accept(&self, listener: TcpListener, door: Door) -> JoinHandle<()> {
        let server = self.clone();
        let listening = accept::Door {
            name: door.name(),
            remedy: "raise the open-file limit or lower --rest-connections",
            failures: Some(&CONNECTIONS_REFUSED),
        };
        let stop = self.shutdown.clone();
        task::vital(task::Name::RestAccept, async move {
            accept::run(listener, listening, stop, |stream, peer| {
                server.admit(stream, peer, &door);
            })
            .await;
            Stopped
        })
    }

    /// Serves an accepted connection, within the limit of connections.
    fn admit(&self, stream: TcpStream, peer: SocketAddr, door: &Door) {
        let Some(permit) = self.limits.admit(peer.ip()) else {
            return refused();
        };
        let (server, door) = (self.clone(), door.clone());
        self.connections.spawn(async move {
            server.connect(stream, peer, door).await;
            drop(permit);
        });
    }

    /// Serves a connection.
    async fn connect(self, stream: TcpStream, peer: SocketAddr, door: Door) {
        let entered = tokio::select! {
            biased;
            entered = self.enter(stream, peer, door) => entered,
            // No request has begun.
            () = self.shutdown.cancelled() => return,
        };
        if let Some((stream, address, connection)) = entered {
            self.serve(stream, address, connection).await;
        }
    }

    /// Reads the PROXY header, counts the connection, performs the TLS handshake.
    async fn enter(
        &self,
        mut stream: TcpStream,
        peer: SocketAddr,
        door: Door,
    ) -> Option<(Stream, IpAddr, Connection)> {
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "TCP_NODELAY could not be set");
        }
        unread::bound_unsent(&stream);
        let mut address = peer.ip().to_canonical();
        if self.limits.headers.contains(&door.port) {
            let origin = self.limits.gate.origin(&mut stream, address, door.flag());
            match timeout(HANDSHAKE_TIMEOUT, origin).await {
                Ok(Ok(origin)) => address = origin,
                Ok(Err(Closed::Gone)) => return None,
                Ok(Err(Closed::Refused)) | Err(_) => {
                    refused();
                    return None;
                }
            }
        }
        let Some(connection) = Connection::from(&self.limits, address) else {
            refused();
            return None;
        };
        let stream = Reading::new(stream, self.limits.unread);
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
        let rest = Unread::default();
        let left = rest.clone();
        let service = service_fn(move |request: Request<Incoming>| {
            let mut request = request.map(|body| Body::new(Watched::new(body, left.clone())));
            request.extensions_mut().insert(Peer(address));
            request.extensions_mut().insert(connection.clone());
            router.clone().oneshot(request)
        });
        let mut connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD_TIMEOUT)
            .max_buf_size(MAX_HEAD_BYTES)
            .serve_connection(TokioIo::new(stream), service);
        let ended = tokio::select! {
            outcome = &mut connection => Some(outcome),
            () = self.shutdown.cancelled() => None,
        };
        let outcome = match ended {
            Some(outcome) => outcome,
            None => {
                Pin::new(&mut connection).graceful_shutdown();
                (&mut connection).await
            }
        };
        if outcome.as_ref().is_err_and(unread::is_cause) {
            match connection.into_parts().io.into_inner() {
                Either::Left(plain) => unread::reset(plain.get_ref()),
                Either::Right(tls) => unread::reset(tls.get_ref().0.get_ref()),
            }
        // A head that was refused may go on, too.
        } else if rest.is_set() || outcome.as_ref().is_err_and(hyper::Error::is_parse) {
            // The service counts the connection for its address or user, and lives as long.
            let parts = connection.into_parts();
            linger::linger(parts.io.into_inner(), &self.shutdown).await;
        }
        if let Err(error) = outcome {
            tracing::debug!(%error, "a connection ended");
        }
    }
}

fn refused() {
    Event::ConnectionRefused.emit();
}

#[cfg(test)]
mod tests {
    use axum::routing::get;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;
    use crate::settings::Settings;

    const LONG_BYTES: usize = 32 * 1024 * 1024;

    /// A service that takes one connection, and closes one that reads nothing for `unread`.
    struct Narrow {
        address: SocketAddr,
        shutdown: CancellationToken,
        running: JoinHandle<anyhow::Result<()>>,
    }

    impl Narrow {
        async fn start(unread: Duration) -> Self {
            let one = std::num::NonZeroU32::MIN;
            let mut limits = ConnectionLimits::new(&Settings {
                rest_connections: one,
                ..Settings::default()
            });
            limits.unread = unread;
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let router = Router::new()
                .route("/", get(|| async { "here" }))
                .route("/long", get(|| async { vec![b'x'; LONG_BYTES] }));
            let shutdown = CancellationToken::new();
            Self {
                address: listener.local_addr().unwrap(),
                running: tokio::spawn(run(listener.into(), router, limits, shutdown.clone())),
                shutdown,
            }
        }

        /// Asks for more than the buffers of both sockets hold, from a socket with a small one.
        async fn ask_for_much(&self) -> TcpStream {
            let socket = tokio::net::TcpSocket::new_v4().unwrap();
            socket.set_recv_buffer_size(256 * 1024).unwrap();
            let mut stream = socket.connect(self.address).await.unwrap();
            let request = b"GET /long HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
            stream.write_all(request).await.unwrap();
            stream
        }

        async fn end(self) {
            self.shutdown.cancel();
            let ended = timeout(Duration::from_secs(60), self.running).await;
            ended.unwrap().unwrap().unwrap();
        }
    }

    #[tokio::test]
    async fn a_peer_that_does_not_read_its_answer_frees_its_connection() {
        let service = Narrow::start(Duration::from_millis(200)).await;
        let mut unread = service.ask_for_much().await;
        let next = async {
            loop {
                let mut next = TcpStream::connect(service.address).await.unwrap();
                if ask(&mut next).await.ends_with("here") {
                    break;
                }
                tokio::task::yield_now().await;
            }
        };
        timeout(Duration::from_secs(60), next).await.unwrap();
        let mut part = Vec::new();
        let end = unread.read_to_end(&mut part).await.unwrap_err();
        assert_eq!(end.kind(), std::io::ErrorKind::ConnectionReset);
        assert!(part.len() < LONG_BYTES, "{}", part.len());
        service.end().await;
    }

    #[tokio::test]
    async fn a_peer_that_reads_slowly_gets_all_of_its_answer() {
        let unread = Duration::from_secs(2);
        let service = Narrow::start(unread).await;
        let mut slow = service.ask_for_much().await;
        let begun = tokio::time::Instant::now();
        let mut answer = vec![0; 64 * 1024];
        let mut bytes = 0;
        while begun.elapsed() < unread * 3 / 2 {
            bytes += slow.read(&mut answer).await.unwrap();
            tokio::time::sleep(unread / 40).await;
        }
        let mut rest = Vec::new();
        bytes += slow.read_to_end(&mut rest).await.unwrap();
        assert!(bytes > LONG_BYTES, "{bytes}");
        service.end().await;
    }

    async fn ask(stream: &mut TcpStream) -> String {
        let request = b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
        let mut answer = String::new();
        if stream.write_all(request).await.is_ok() {
            // A connection that was closed at once may be reset.
            let _ = stream.read_to_string(&mut answer).await;
        }
        answer
    }

    #[tokio::test]
    async fn connections_beyond_the_limit_are_closed_until_others_end() {
        let two = std::num::NonZeroU32::new(2).unwrap();
        let limits = ConnectionLimits::new(&Settings {
            rest_connections: two,
            rest_connections_per_address: two,
            ..Settings::default()
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let shutdown = CancellationToken::new();
        let router = Router::new().route("/", get(|| async { "here" }));
        let running = tokio::spawn(run(listener.into(), router, limits, shutdown.clone()));
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
