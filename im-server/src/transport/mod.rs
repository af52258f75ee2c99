//! One connection's bytes: TCP, with or without TLS. Reads and writes never block; a caller that waits polls for
//! readiness. Only TLS buffers bytes.

mod tls;

use std::{
    io::{self, IoSlice, Read},
    task::{Context, Poll},
};

use parking_lot::Mutex;
use rustls::ServerConnection;
use tokio::{io::Interest, net::TcpStream};

pub(crate) struct Transport {
    stream: TcpStream,
    /// Locked for one read or write; after the outbox's lock where both are held.
    tls: Option<Box<Mutex<ServerConnection>>>,
}

impl Transport {
    pub(crate) fn plain(stream: TcpStream) -> Self {
        Self { stream, tls: None }
    }

    pub(crate) fn tls(stream: TcpStream, tls: ServerConnection) -> Self {
        Self {
            stream,
            tls: Some(Box::new(Mutex::new(tls))),
        }
    }

    /// Reads available bytes; 0 at the end.
    ///
    /// # Errors
    /// `WouldBlock` when none are available.
    pub(crate) fn try_read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        match &self.tls {
            None => try_read(&self.stream, buffer),
            Some(tls) => tls::try_read(&mut tls.lock(), &self.stream, buffer),
        }
    }

    /// Writes as much as the socket takes; returns the number of bytes.
    ///
    /// # Errors
    /// `WouldBlock` when the socket is full.
    pub(crate) fn try_write(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        match &self.tls {
            None => self.stream.try_write_vectored(slices),
            Some(tls) => tls::try_write(&mut tls.lock(), &self.stream, slices),
        }
    }

    /// For contiguous bytes: on a plain socket that is `send`, which costs less than `writev`.
    ///
    /// # Errors
    /// `WouldBlock` when the socket is full.
    pub(crate) fn try_write_one(&self, bytes: &[u8]) -> io::Result<usize> {
        match &self.tls {
            None => self.stream.try_write(bytes),
            Some(_) => self.try_write(&[IoSlice::new(bytes)]),
        }
    }

    /// Writes the bytes that TLS buffers.
    ///
    /// # Errors
    /// `WouldBlock` when the socket is full.
    pub(crate) fn try_flush(&self) -> io::Result<()> {
        match &self.tls {
            None => Ok(()),
            Some(tls) => tls::try_flush(&mut tls.lock(), &self.stream),
        }
    }

    pub(crate) fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream.poll_read_ready(cx)
    }

    pub(crate) fn poll_writable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream.poll_write_ready(cx)
    }

    pub(crate) async fn readable(&self) -> io::Result<()> {
        self.stream.readable().await
    }

    pub(crate) async fn writable(&self) -> io::Result<()> {
        self.stream.writable().await
    }

    /// Signals the end of output to the peer.
    pub(crate) fn end_writing(&self) {
        if let Some(tls) = &self.tls {
            let mut tls = tls.lock();
            tls.send_close_notify();
            let _ = tls::try_flush(&mut tls, &self.stream);
        }
        let _ = socket(&self.stream).shutdown(std::net::Shutdown::Write);
    }
}

/// A read that does not fill the buffer has emptied the socket (epoll(7)), so readiness is cleared: otherwise every
/// read would be followed by one that finds nothing. New bytes or the end set it again.
fn try_read(stream: &TcpStream, buffer: &mut [u8]) -> io::Result<usize> {
    let mut emptied = 0;
    let read = stream.try_io(Interest::READABLE, || {
        let read = (&*socket(stream)).read(buffer)?;
        if read == 0 || read == buffer.len() {
            return Ok(read);
        }
        emptied = read;
        Err(io::ErrorKind::WouldBlock.into())
    });
    if emptied > 0 { Ok(emptied) } else { read }
}

fn socket(stream: &TcpStream) -> socket2::SockRef<'_> {
    socket2::SockRef::from(stream)
}
