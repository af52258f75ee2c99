//! Clients by every way to a node, from addresses of their own, with what proxies write before them.

use std::{net::Ipv4Addr, sync::Arc, time::Duration};

use futures_util::{SinkExt, StreamExt};
use prost::Message;
use proto::wire::{
    ByeReason, ClientFrame, Login, ServerFrame, client_frame::Body as Request, server_frame::Body,
};
use rustls_pki_types::{CertificateDer, ServerName};
use testkit::PATIENCE;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
};
use tokio_tungstenite::{WebSocketStream, tungstenite};

use super::{
    app::login,
    fleet::{Fleet, Ports},
};

/// A way to a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    Tcp,
    Ws,
    Tls,
    Wss,
}

pub const WAYS: [Way; 4] = [Way::Tcp, Way::Ws, Way::Tls, Way::Wss];

/// A certificate for localhost in a folder of its own.
pub struct Paper {
    pub folder: tempfile::TempDir,
    pub der: CertificateDer<'static>,
}

/// A certificate and its key, PEM.
pub struct Pair {
    pub chain: String,
    pub key: String,
    pub der: CertificateDer<'static>,
}

pub fn pair() -> Pair {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".into()]).unwrap();
    Pair {
        chain: made.cert.pem(),
        key: made.signing_key.serialize_pem(),
        der: made.cert.der().clone(),
    }
}

impl Paper {
    pub fn new() -> Self {
        let pair = pair();
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("cert.pem"), pair.chain).unwrap();
        std::fs::write(folder.path().join("key.pem"), pair.key).unwrap();
        Self {
            folder,
            der: pair.der,
        }
    }

    /// The flags that switch TLS on, and others.
    pub fn flags(&self, others: &[&str]) -> Vec<String> {
        let file = |name: &str| self.folder.path().join(name).to_str().unwrap().to_owned();
        let mut flags = vec![
            "--tls-cert".to_owned(),
            file("cert.pem"),
            "--tls-key".to_owned(),
            file("key.pem"),
        ];
        flags.extend(others.iter().map(|flag| (*flag).to_owned()));
        flags
    }
}

/// A node with TLS and these flags.
pub async fn node(others: &[&str]) -> (Fleet, Paper) {
    let paper = Paper::new();
    let flags = paper.flags(others);
    let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
    (Fleet::start_with(&flags, 1).await, paper)
}

/// A client's steps before its first frame.
#[derive(Clone, Debug)]
pub struct Client {
    pub way: Way,
    /// Where it connects from.
    pub from: [u8; 4],
    pub header: Vec<u8>,
    /// X-Forwarded-For, on WebSocket.
    pub forwarded: Option<String>,
}

pub fn client(way: Way) -> Client {
    Client {
        way,
        from: [127, 0, 0, 1],
        header: Vec::new(),
        forwarded: None,
    }
}

/// A header of the PROXY protocol, version 1.
pub fn version_1(from: &str) -> Vec<u8> {
    let protocol = if from.contains(':') { "TCP6" } else { "TCP4" };
    let to = if from.contains(':') { "::1" } else { "127.0.0.1" };
    format!("PROXY {protocol} {from} {to} 4711 9501\r\n").into_bytes()
}

/// The same in version 2, of an IPv4 address.
pub fn version_2(from: &str) -> Vec<u8> {
    let mut header = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c".to_vec();
    header.extend(from.parse::<Ipv4Addr>().unwrap().octets());
    header.extend([127, 0, 0, 1, 0x12, 0x67, 0x25, 0x1d]);
    header
}

/// A connection that has not logged in.
pub enum Open {
    Framed(Box<dyn AsyncDuplex>),
    Socket(Box<WebSocketStream<Box<dyn AsyncDuplex>>>),
}

/// Bytes in both directions, whatever carries them.
pub trait AsyncDuplex: AsyncRead + AsyncWrite + Unpin + Send {}
impl<S: AsyncRead + AsyncWrite + Unpin + Send> AsyncDuplex for S {}

/// The outcome of a login.
#[derive(Debug, PartialEq, Eq)]
pub enum Answer {
    In,
    Bye(ByeReason),
    /// Closed without a word.
    Closed,
}

impl Client {
    pub fn from(self, from: [u8; 4]) -> Self {
        Self { from, ..self }
    }

    pub fn header(self, header: Vec<u8>) -> Self {
        Self { header, ..self }
    }

    pub fn forwarded(self, forwarded: &str) -> Self {
        Self {
            forwarded: Some(forwarded.to_owned()),
            ..self
        }
    }

    async fn stream(&self, ports: Ports, paper: &Paper) -> Option<Box<dyn AsyncDuplex>> {
        let address = match self.way {
            Way::Tcp => ports.tcp(),
            Way::Ws => ports.ws(),
            Way::Tls | Way::Wss => ports.tls(),
        };
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind((Ipv4Addr::from(self.from), 0).into()).unwrap();
        let mut stream: TcpStream = socket.connect(address).await.unwrap();
        // It may be closed already.
        let _ = stream.write_all(&self.header).await;
        if matches!(self.way, Way::Tcp | Way::Ws) {
            return Some(Box::new(stream));
        }
        let stream = connector(paper).connect(ServerName::try_from("localhost").unwrap(), stream);
        Some(Box::new(stream.await.ok()?))
    }

    /// Does all that comes before the login; none when the node hangs up.
    pub async fn open(&self, fleet: &Fleet, paper: &Paper) -> Option<Open> {
        let stream = self.stream(fleet.ports(), paper).await?;
        if matches!(self.way, Way::Tcp | Way::Tls) {
            return Some(Open::Framed(stream));
        }
        let mut request =
            tungstenite::client::IntoClientRequest::into_client_request("ws://localhost/").unwrap();
        if let Some(forwarded) = &self.forwarded {
            request
                .headers_mut()
                .insert("x-forwarded-for", forwarded.parse().unwrap());
        }
        let (socket, _) = tokio_tungstenite::client_async(request, stream).await.ok()?;
        Some(Open::Socket(Box::new(socket)))
    }

    /// Logs in; the returned connection stays open.
    pub async fn log_in(&self, fleet: &Fleet, paper: &Paper, login: Login) -> (Answer, Option<Open>) {
        let Some(mut open) = self.open(fleet, paper).await else {
            return (Answer::Closed, None);
        };
        let answer = tokio::time::timeout(PATIENCE, open.log_in(login))
            .await
            .expect("an answer");
        (answer, Some(open))
    }

    /// A login with the right password.
    pub async fn right(&self, fleet: &Fleet, paper: &Paper, user: i64) -> (Answer, Option<Open>) {
        let password = fleet.password(user, "phone").await;
        self.log_in(fleet, paper, login(user, "phone", &password)).await
    }

    /// A login with a wrong one.
    pub async fn wrong(&self, fleet: &Fleet, paper: &Paper) -> Answer {
        self.log_in(fleet, paper, login(9, "phone", "wrong")).await.0
    }
}

fn connector(paper: &Paper) -> tokio_rustls::TlsConnector {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(paper.der.clone()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    Arc::new(config).into()
}

impl Open {
    async fn log_in(&mut self, login: Login) -> Answer {
        let frame = ClientFrame {
            request_id: 1,
            body: Some(Request::Login(login)),
        }
        .encode_to_vec();
        let answer = match self {
            Self::Framed(stream) => {
                let length = u32::try_from(frame.len()).unwrap().to_be_bytes();
                let _ = stream.write_all(&[&length[..], &frame].concat()).await;
                let mut length = [0; 4];
                if stream.read_exact(&mut length).await.is_err() {
                    return Answer::Closed;
                }
                let mut answer = vec![0; u32::from_be_bytes(length) as usize];
                stream.read_exact(&mut answer).await.unwrap();
                answer
            }
            Self::Socket(socket) => {
                let _ = socket.send(tungstenite::Message::Binary(frame.into())).await;
                match socket.next().await {
                    Some(Ok(tungstenite::Message::Binary(answer))) => answer.to_vec(),
                    _ => return Answer::Closed,
                }
            }
        };
        match ServerFrame::decode(&answer[..]).unwrap().body {
            Some(Body::LoginOk(_)) => Answer::In,
            Some(Body::Bye(bye)) => Answer::Bye(bye.reason()),
            other => panic!("{other:?}"),
        }
    }
}

/// Asks again and again until the answer is this one: what counts for an address is given back a moment later.
pub async fn until(expected: Answer, mut ask: impl AsyncFnMut() -> Answer) {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    loop {
        let answer = ask().await;
        if answer == expected {
            return;
        }
        assert!(
            tokio::time::Instant::now() < deadline,
            "{answer:?}, not {expected:?}"
        );
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Connections that have not logged in, as many as an address may have: kept until the next login of it is refused.
pub async fn crowd(app: &Client, fleet: &Fleet, paper: &Paper) -> Vec<Option<Open>> {
    let mut waiting = Vec::new();
    until(Answer::Bye(ByeReason::Overloaded), async || {
        // Another may have been faster, or one of them was told to log in at last.
        waiting.push(app.open(fleet, paper).await);
        app.right(fleet, paper, 99).await.0
    })
    .await;
    waiting
}
