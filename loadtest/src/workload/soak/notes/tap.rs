//! Stands between a client that is not ours to change and its node, on a socket of its own, and shows each frame to a
//! scribe before it goes on.

use std::collections::HashMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

use prost::Message;
use proto::client::{Address, Directory, DirectoryError, Password};
use proto::frame::FrameReader;
use proto::wire::{ClientFrame, ServerFrame};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::AbortHandle;

use super::scribe::Scribe;

/// The most bytes that one read takes.
const READ_BYTES: usize = 16 * 1024;
/// More than any frame has: what is too long is for the client to find.
const FRAME_LIMIT: usize = 1 << 20;

/// Leads a client to its taps instead of to the nodes.
pub(in crate::workload::soak) struct TappedDirectory<D> {
    inner: D,
    scribe: Arc<Scribe>,
    taps: Mutex<HashMap<SocketAddr, (SocketAddr, AbortHandle)>>,
}

impl<D: Directory> TappedDirectory<D> {
    pub(in crate::workload::soak) fn new(inner: D, scribe: Arc<Scribe>) -> Self {
        Self {
            inner,
            scribe,
            taps: Mutex::default(),
        }
    }

    /// The tap before a node; the same each time.
    async fn tap(&self, node: SocketAddr) -> io::Result<SocketAddr> {
        if let Some((tap, _)) = self
            .taps
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(&node)
        {
            return Ok(*tap);
        }
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let accepting = tokio::spawn(accept(listener, node, self.scribe.clone())).abort_handle();
        let mut taps = self.taps.lock().unwrap_or_else(PoisonError::into_inner);
        taps.insert(node, (address, accepting));
        Ok(address)
    }
}

impl<D> Drop for TappedDirectory<D> {
    fn drop(&mut self) {
        let taps = self.taps.lock().unwrap_or_else(PoisonError::into_inner);
        taps.values().for_each(|(_, accepting)| accepting.abort());
    }
}

impl<D: Directory> Directory for TappedDirectory<D> {
    async fn servers(&self) -> Result<Vec<Address>, DirectoryError> {
        let mut tapped = Vec::new();
        for node in self.inner.servers().await? {
            let tap = self.tap(node.address).await;
            tapped.push(Address::tcp(tap.map_err(|error| {
                DirectoryError::Unavailable(format!("no tap: {error}"))
            })?));
        }
        Ok(tapped)
    }

    async fn password(&self) -> Result<Password, DirectoryError> {
        self.inner.password().await
    }
}

async fn accept(listener: TcpListener, node: SocketAddr, scribe: Arc<Scribe>) {
    // A client has one connection at a time: with the next one the one before is over.
    while let Ok((client, _)) = listener.accept().await {
        let Ok(server) = TcpStream::connect(node).await else {
            continue;
        };
        tokio::spawn(carry(client, server, scribe.clone()));
    }
}

async fn carry(client: TcpStream, server: TcpStream, scribe: Arc<Scribe>) {
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    scribe.connected();
    let (client_read, client_write) = client.into_split();
    let (server_read, server_write) = server.into_split();
    let up = pump(client_read, server_write, |bytes| {
        if let Ok(frame) = ClientFrame::decode(bytes) {
            scribe.asks(&frame);
        }
    });
    let down = pump(server_read, client_write, |bytes| {
        if let Ok(frame) = ServerFrame::decode(bytes) {
            scribe.came(&frame);
        }
    });
    // The end of either is the end of both: nothing is noted that the client does not read.
    tokio::select! {
        () = up => {}
        () = down => {}
    }
    scribe.disconnected();
}

/// Carries one direction until its end, and shows each frame before its last byte goes on.
async fn pump(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, mut show: impl FnMut(&[u8])) {
    let mut frames = FrameReader::default();
    let mut buffer = vec![0; READ_BYTES];
    while let Ok(read @ 1..) = from.read(&mut buffer).await {
        let mut unread = &buffer[..read];
        loop {
            match frames.next(&mut unread, FRAME_LIMIT) {
                Ok(Some(frame)) => show(frame),
                Ok(None) => break,
                Err(_) => return,
            }
        }
        if to.write_all(&buffer[..read]).await.is_err() {
            return;
        }
    }
}
