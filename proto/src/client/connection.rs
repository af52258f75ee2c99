//! A socket that speaks frames, over TCP or TLS.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, Waker, ready};

use bytes::{Buf, BytesMut};
use prost::Message;
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf, ReadHalf, WriteHalf};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::directory::Address;
use crate::frame::{self, FrameReader, FrameTooLong};
use crate::wire::{ClientFrame, ServerFrame};

/// The most bytes of one read; the buffer is shared by all connections of a thread, so that a connection without traffic
/// owns no buffer.
const READ_BYTES: usize = 64 * 1024;
/// A node sends no frame longer than twice the `max_frame_bytes` of its LoginOk; until that is known, of its default.
const MAX_SERVER_FRAME_BYTES: usize = 2 * frame::MAX_FRAME_BYTES;

thread_local! {
    static READ_BUFFER: RefCell<Box<[u8]>> = RefCell::new(vec![0; READ_BYTES].into_boxed_slice());
}

/// Why nothing more can be received on a connection.
#[derive(Debug, Error)]
pub enum ReceiveError {
    /// The socket failed.
    #[error("the connection failed: {0}")]
    Io(#[from] io::Error),
    /// The node announced a frame longer than it may send.
    #[error("the node announced a frame of {} bytes; {} are allowed", .0.length, .0.limit)]
    TooLong(FrameTooLong),
    /// A frame is not a `ServerFrame`.
    #[error("the node sent something that is not a frame: {0}")]
    NotAFrame(#[from] prost::DecodeError),
}

/// Both directions of a connection.
#[derive(Debug)]
pub struct Connection {
    reader: Reader,
    writer: Writer,
}

impl Connection {
    /// Connects to a node; without a timeout of its own.
    ///
    /// # Errors
    /// When the node cannot be reached or its certificate is not accepted.
    pub async fn connect(address: &Address) -> io::Result<Self> {
        let stream = TcpStream::connect(address.address).await?;
        stream.set_nodelay(true)?;
        match &address.tls {
            None => Ok(Self::over_tcp(stream)),
            Some(tls) => {
                let connector = TlsConnector::from(tls.config.clone());
                let stream = Box::pin(connector.connect(tls.server_name.clone(), stream)).await?;
                Ok(Self::over_tls(stream))
            }
        }
    }

    /// Speaks frames over a connected TCP socket.
    pub fn over_tcp(stream: TcpStream) -> Self {
        let (read, write) = stream.into_split();
        Self::new(ReadSide::Tcp(read), WriteSide::Tcp(write))
    }

    /// Speaks frames over an established TLS stream.
    pub fn over_tls(stream: TlsStream<TcpStream>) -> Self {
        let (read, write) = tokio::io::split(Box::new(stream));
        Self::new(ReadSide::Tls(read), WriteSide::Tls(write))
    }

    fn new(read: ReadSide, write: WriteSide) -> Self {
        Self {
            reader: Reader {
                side: read,
                frames: FrameReader::default(),
                decoded: VecDeque::new(),
                limit: MAX_SERVER_FRAME_BYTES,
            },
            writer: Writer {
                side: write,
                queued: BytesMut::new(),
                flushed: true,
            },
        }
    }

    /// Sends a frame, and all that was queued before it.
    ///
    /// # Errors
    /// When the socket fails.
    pub async fn send(&mut self, frame: &ClientFrame) -> io::Result<()> {
        self.writer.send(frame).await
    }

    /// Queues a frame; [`flush`](Self::flush) sends it.
    pub fn queue(&mut self, frame: &ClientFrame) {
        self.writer.queue(frame);
    }

    /// Sends what is queued. Dropping the future loses nothing: what was not written stays queued.
    ///
    /// # Errors
    /// When the socket fails.
    pub async fn flush(&mut self) -> io::Result<()> {
        self.writer.flush().await
    }

    /// The next frame; none once the node has closed the connection. Dropping the future loses nothing.
    ///
    /// # Errors
    /// When the connection is broken or what comes is not a frame.
    pub async fn receive(&mut self) -> Result<Option<ServerFrame>, ReceiveError> {
        self.reader.receive().await
    }

    /// The two directions, to be used from two places at once.
    pub fn split(self) -> (Reader, Writer) {
        (self.reader, self.writer)
    }
}

/// The direction from the node.
#[derive(Debug)]
pub struct Reader {
    side: ReadSide,
    frames: FrameReader,
    decoded: VecDeque<ServerFrame>,
    limit: usize,
}

impl Reader {
    /// Sets how long a frame from the node may be, bytes: twice the `max_frame_bytes` of its LoginOk.
    pub fn set_limit(&mut self, bytes: usize) {
        self.limit = bytes;
    }

    /// The next frame; none once the node has closed the connection. Dropping the future loses nothing.
    ///
    /// # Errors
    /// When the connection is broken or what comes is not a frame.
    pub async fn receive(&mut self) -> Result<Option<ServerFrame>, ReceiveError> {
        loop {
            if let Some(frame) = self.decoded.pop_front() {
                return Ok(Some(frame));
            }
            let mut decoded = std::mem::take(&mut self.decoded);
            let mut bad = None;
            // protocol: "Skip unknown fields."
            let open = self
                .receive_with(|bytes| match ServerFrame::decode(bytes) {
                    Ok(frame) => decoded.push_back(frame),
                    Err(error) => bad = Some(error),
                })
                .await?;
            if let Some(error) = bad {
                return Err(error.into());
            }
            self.decoded = decoded;
            if !open {
                return Ok(None);
            }
        }
    }

    /// Waits until something comes, reads once and shows each complete frame's bytes (a `ServerFrame`, not decoded)
    /// to `visit`, which must not read from another connection itself. False once the node has closed the connection.
    ///
    /// # Errors
    /// When the connection is broken or a frame is too long.
    pub async fn receive_with(&mut self, mut visit: impl FnMut(&[u8])) -> Result<bool, ReceiveError> {
        poll_fn(|context| {
            READ_BUFFER.with_borrow_mut(|buffer| {
                let mut buffer = ReadBuf::new(buffer);
                ready!(self.side.poll_read(context, &mut buffer))?;
                let mut input = buffer.filled();
                if input.is_empty() {
                    return Poll::Ready(if self.frames.is_mid_frame() {
                        Err(io::Error::from(io::ErrorKind::UnexpectedEof).into())
                    } else {
                        Ok(false)
                    });
                }
                while let Some(bytes) = self
                    .frames
                    .next(&mut input, self.limit)
                    .map_err(ReceiveError::TooLong)?
                {
                    visit(bytes);
                }
                Poll::Ready(Ok(true))
            })
        })
        .await
    }
}

/// The direction to the node.
#[derive(Debug)]
pub struct Writer {
    side: WriteSide,
    queued: BytesMut,
    /// Nothing is queued, neither here nor in the TLS layer below.
    flushed: bool,
}

impl Writer {
    /// Sends a frame, and all that was queued before it.
    ///
    /// # Errors
    /// When the socket fails.
    pub async fn send(&mut self, frame: &ClientFrame) -> io::Result<()> {
        self.queue(frame);
        self.flush().await
    }

    /// Queues a frame; [`flush`](Self::flush) sends it.
    pub fn queue(&mut self, message: &ClientFrame) {
        frame::encode_into(message, message.encoded_len(), &mut self.queued);
        self.flushed = false;
    }

    /// Queues bytes as they are: frames that were encoded before, with their lengths.
    pub fn queue_bytes(&mut self, frames: &[u8]) {
        self.queued.extend_from_slice(frames);
        self.flushed = false;
    }

    /// How many bytes wait for [`flush`](Self::flush).
    pub fn queued_bytes(&self) -> usize {
        self.queued.len()
    }

    /// Whether something waits for [`flush`](Self::flush).
    pub fn is_flushed(&self) -> bool {
        self.flushed
    }

    /// Sends what is queued. Dropping the future loses nothing: what was not written stays queued.
    ///
    /// # Errors
    /// When the socket fails.
    pub async fn flush(&mut self) -> io::Result<()> {
        while self.queued.has_remaining() {
            let written = poll_fn(|context| self.side.poll_write(context, &self.queued)).await?;
            if written == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
            self.queued.advance(written);
        }
        poll_fn(|context| self.side.poll_flush(context)).await?;
        self.flushed = true;
        Ok(())
    }

    /// Writes until the socket's buffer is full, without waiting; false when bytes are left. No task is woken when the
    /// rest can be sent: call again, or [`flush`](Self::flush).
    ///
    /// # Errors
    /// When the socket fails.
    pub fn try_flush(&mut self) -> io::Result<bool> {
        let mut context = Context::from_waker(Waker::noop());
        while self.queued.has_remaining() {
            let written = match &self.side {
                WriteSide::Tcp(half) => half.try_write(&self.queued),
                WriteSide::Tls(_) => match self.side.poll_write(&mut context, &self.queued) {
                    Poll::Ready(written) => written,
                    Poll::Pending => return Ok(false),
                },
            };
            match written {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => self.queued.advance(written),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                Err(error) => return Err(error),
            }
        }
        match self.side.poll_flush(&mut context) {
            Poll::Ready(flushed) => flushed?,
            Poll::Pending => return Ok(false),
        }
        self.flushed = true;
        Ok(true)
    }

    /// Ends this direction: the node sees the end of the stream.
    ///
    /// # Errors
    /// When the socket fails.
    pub async fn shutdown(&mut self) -> io::Result<()> {
        match &mut self.side {
            WriteSide::Tcp(half) => half.shutdown().await,
            WriteSide::Tls(half) => half.shutdown().await,
        }
    }
}

#[derive(Debug)]
enum ReadSide {
    Tcp(OwnedReadHalf),
    Tls(ReadHalf<Box<TlsStream<TcpStream>>>),
}

impl ReadSide {
    fn poll_read(&mut self, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Tcp(half) => Pin::new(half).poll_read(context, buffer),
            Self::Tls(half) => Pin::new(half).poll_read(context, buffer),
        }
    }
}

#[derive(Debug)]
enum WriteSide {
    Tcp(OwnedWriteHalf),
    Tls(WriteHalf<Box<TlsStream<TcpStream>>>),
}

impl WriteSide {
    fn poll_write(&mut self, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self {
            Self::Tcp(half) => Pin::new(half).poll_write(context, bytes),
            Self::Tls(half) => Pin::new(half).poll_write(context, bytes),
        }
    }

    fn poll_flush(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Tcp(half) => Pin::new(half).poll_flush(context),
            Self::Tls(half) => Pin::new(half).poll_flush(context),
        }
    }
}
