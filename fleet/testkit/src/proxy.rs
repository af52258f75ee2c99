//! A TCP proxy that misbehaves on demand: it delays, cuts and leaves connections half open.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpListener, TcpStream,
        tcp::{ReadHalf, WriteHalf},
    },
    sync::watch,
    task::AbortHandle,
};

/// The most bytes that one read takes.
const READ_BYTES: usize = 16 * 1024;

/// A proxy in front of one address of this machine. It ends when it is dropped, and its connections with it.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    rules: Arc<watch::Sender<Rules>>,
    accepting: AbortHandle,
}

/// The rules for all connections; a connection compares the numbers with those in force when it began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Rules {
    /// Where new connections go; without it they are closed at once.
    upstream: Option<SocketAddr>,
    /// How long each piece of data waits.
    delay: Duration,
    /// The most bytes of one piece; without it as many as one read returns.
    piece_bytes: Option<usize>,
    /// Nothing is carried while this holds; connections stay open.
    stalled: bool,
    /// Connections that began under another number are reset.
    cut: u64,
    /// Connections that began under another number have lost their server side and do not know it.
    half_open: u64,
}

impl Proxy {
    /// Listens on a free port of 127.0.0.1 and passes connections on to `upstream`.
    ///
    /// # Errors
    /// When no port is free.
    pub async fn start(upstream: SocketAddr) -> io::Result<Self> {
        let proxy = Self::listen().await?;
        proxy.lead_to(upstream);
        Ok(proxy)
    }

    /// Listens on a free port of 127.0.0.1 for a server that is not there yet.
    ///
    /// # Errors
    /// When no port is free.
    pub async fn listen() -> io::Result<Self> {
        let listener = TcpListener::bind((std::net::Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let (rules, _) = watch::channel(Rules::default());
        let rules = Arc::new(rules);
        let accepting = tokio::spawn(accept(listener, rules.clone())).abort_handle();
        Ok(Self {
            address,
            rules,
            accepting,
        })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Passes new connections on to another address: the server has moved.
    pub fn lead_to(&self, upstream: SocketAddr) {
        self.rules.send_modify(|rules| rules.upstream = Some(upstream));
    }

    /// Delays each piece of data, in both directions; zero: not any more.
    pub fn delay(&self, delay: Duration) {
        self.rules.send_modify(|rules| rules.delay = delay);
    }

    /// Carries data in pieces of at most this many bytes; `None`: not any more.
    pub fn dribble(&self, piece_bytes: Option<usize>) {
        self.rules.send_modify(|rules| rules.piece_bytes = piece_bytes);
    }

    /// Carries nothing in either direction, or goes on. Connections stay open, and their senders feel the pressure back.
    pub fn stall(&self, stalled: bool) {
        self.rules.send_modify(|rules| rules.stalled = stalled);
    }

    /// Resets all connections that there are. New ones pass.
    pub fn cut(&self) {
        self.rules.send_modify(|rules| rules.cut += 1);
    }

    /// Resets all connections and closes new ones at once, until [`lead_to`](Self::lead_to).
    pub fn refuse(&self) {
        self.rules.send_modify(|rules| {
            rules.upstream = None;
            rules.cut += 1;
        });
    }

    /// Closes the server's side of all connections that there are and leaves the client's side open and silent, as
    /// a NAT that forgot them does, until [`cut`](Self::cut). New ones pass.
    pub fn half_open(&self) {
        self.rules.send_modify(|rules| rules.half_open += 1);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
        self.cut();
    }
}

async fn accept(listener: TcpListener, rules: Arc<watch::Sender<Rules>>) {
    loop {
        match listener.accept().await {
            Ok((client, _)) => {
                tokio::spawn(carry(client, rules.subscribe()));
            }
            // Out of files, for instance: what is open goes on.
            Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
}

async fn carry(mut client: TcpStream, mut rules: watch::Receiver<Rules>) {
    let began = *rules.borrow();
    let Some(upstream) = began.upstream else { return };
    let Ok(mut server) = TcpStream::connect(upstream).await else {
        return;
    };
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    {
        let (client_read, client_write) = client.split();
        let (server_read, server_write) = server.split();
        let mut changed = rules.clone();
        let both = async {
            tokio::join!(
                pump(client_read, server_write, &rules),
                pump(server_read, client_write, &rules)
            )
        };
        tokio::select! {
            _ = both => return,
            _ = changed.wait_for(|now| now.cut != began.cut || now.half_open != began.half_open) => {}
        }
    }
    if rules.borrow().cut == began.cut {
        drop(server);
        let _ = rules.wait_for(|now| now.cut != began.cut).await;
    }
    let _ = client.set_zero_linger();
}

/// Carries one direction until its end.
async fn pump(mut from: ReadHalf<'_>, mut to: WriteHalf<'_>, rules: &watch::Receiver<Rules>) {
    let mut rules = rules.clone();
    let mut buffer = vec![0; READ_BYTES];
    loop {
        // The sender of the rules lives as long as the proxy does.
        let Ok(rule) = rules.wait_for(|rules| !rules.stalled).await.map(|rules| *rules) else {
            break;
        };
        let most = rule.piece_bytes.unwrap_or(READ_BYTES).clamp(1, READ_BYTES);
        let read = match from.read(&mut buffer[..most]).await {
            Ok(0) | Err(_) => break,
            Ok(read) => read,
        };
        let delay = rules.borrow().delay;
        if !delay.is_zero() {
            tokio::time::sleep(delay).await;
        }
        if rules.wait_for(|rules| !rules.stalled).await.is_err() {
            break;
        }
        if to.write_all(&buffer[..read]).await.is_err() {
            break;
        }
    }
    let _ = to.shutdown().await;
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
mod tests {
    use std::time::Instant;

    use tokio::time::timeout;

    use super::*;

    const SOON: Duration = Duration::from_secs(60);

    /// A server that sends everything back.
    async fn echo() -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                tokio::spawn(async move {
                    let (mut read, mut write) = stream.split();
                    let _ = tokio::io::copy(&mut read, &mut write).await;
                });
            }
        });
        address
    }

    async fn ask(stream: &mut TcpStream) -> io::Result<u8> {
        stream.write_all(b"?").await?;
        stream.read_u8().await
    }

    #[tokio::test]
    async fn what_passes_comes_back_and_ends_when_the_client_ends() {
        let proxy = Proxy::start(echo().await).await.unwrap();
        let mut stream = TcpStream::connect(proxy.address()).await.unwrap();
        assert_eq!(ask(&mut stream).await.unwrap(), b'?');
        stream.shutdown().await.unwrap();
        let end = timeout(SOON, stream.read(&mut [0; 1])).await.unwrap();
        assert_eq!(end.unwrap(), 0);
    }

    #[tokio::test]
    async fn a_delay_holds_both_ways() {
        let proxy = Proxy::start(echo().await).await.unwrap();
        let mut stream = TcpStream::connect(proxy.address()).await.unwrap();
        proxy.delay(Duration::from_millis(100));
        let begun = Instant::now();
        ask(&mut stream).await.unwrap();
        assert!(begun.elapsed() >= Duration::from_millis(200));
    }

    #[tokio::test]
    async fn a_stalled_connection_stays_open_and_goes_on_where_it_was() {
        let proxy = Proxy::start(echo().await).await.unwrap();
        let mut stream = TcpStream::connect(proxy.address()).await.unwrap();
        ask(&mut stream).await.unwrap();
        proxy.stall(true);
        stream.write_all(b"x").await.unwrap();
        let silence = timeout(Duration::from_millis(200), stream.read_u8()).await;
        assert!(silence.is_err());
        proxy.stall(false);
        assert_eq!(timeout(SOON, stream.read_u8()).await.unwrap().unwrap(), b'x');
    }

    #[tokio::test]
    async fn data_comes_in_pieces_that_are_whole_together() {
        let proxy = Proxy::start(echo().await).await.unwrap();
        let mut stream = TcpStream::connect(proxy.address()).await.unwrap();
        proxy.dribble(Some(3));
        let sent: Vec<u8> = (0..=255).collect();
        stream.write_all(&sent).await.unwrap();
        let mut came = vec![0; sent.len()];
        timeout(SOON, stream.read_exact(&mut came))
            .await
            .unwrap()
            .unwrap();
        assert_eq!(came, sent);
    }

    #[tokio::test]
    async fn a_cut_resets_what_there_is_and_lets_new_ones_pass() {
        let proxy = Proxy::start(echo().await).await.unwrap();
        let mut stream = TcpStream::connect(proxy.address()).await.unwrap();
        ask(&mut stream).await.unwrap();
        proxy.cut();
        let error = timeout(SOON, stream.read(&mut [0; 1]))
            .await
            .unwrap()
            .unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
        let mut again = TcpStream::connect(proxy.address()).await.unwrap();
        assert_eq!(ask(&mut again).await.unwrap(), b'?');
    }

    #[tokio::test]
    async fn one_that_refuses_takes_nobody_until_it_leads_somewhere_again() {
        let upstream = echo().await;
        let proxy = Proxy::start(upstream).await.unwrap();
        let mut stream = TcpStream::connect(proxy.address()).await.unwrap();
        ask(&mut stream).await.unwrap();
        proxy.refuse();
        ask(&mut stream).await.unwrap_err();
        let mut refused = TcpStream::connect(proxy.address()).await.unwrap();
        ask(&mut refused).await.unwrap_err();
        proxy.lead_to(upstream);
        let mut again = TcpStream::connect(proxy.address()).await.unwrap();
        assert_eq!(ask(&mut again).await.unwrap(), b'?');
    }

    #[tokio::test]
    async fn a_half_open_connection_is_silent_until_it_is_cut() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let proxy = Proxy::start(listener.local_addr().unwrap()).await.unwrap();
        let mut client = TcpStream::connect(proxy.address()).await.unwrap();
        client.write_all(b"x").await.unwrap();
        let (mut server, _) = listener.accept().await.unwrap();
        server.read_u8().await.unwrap();
        proxy.half_open();
        // The server sees the end; the client may write and hears nothing.
        timeout(SOON, server.read(&mut [0; 1])).await.unwrap().unwrap();
        client.write_all(b"y").await.unwrap();
        let silence = timeout(Duration::from_millis(200), client.read(&mut [0; 1])).await;
        assert!(silence.is_err());
        proxy.cut();
        timeout(SOON, client.read(&mut [0; 1]))
            .await
            .unwrap()
            .unwrap_err();
    }
}
