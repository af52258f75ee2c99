//! TLS on a socket that never blocks.

use std::io::{self, IoSlice, Read, Write};

use rustls::ServerConnection;
use tokio::net::TcpStream;

/// A non-blocking socket for rustls.
struct Now<'s>(&'s TcpStream);

impl Read for Now<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.try_read(buffer)
    }
}

impl Write for Now<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.try_write(bytes)
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        self.0.try_write_vectored(slices)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

pub(super) fn try_read(
    tls: &mut ServerConnection,
    stream: &TcpStream,
    buffer: &mut [u8],
) -> io::Result<usize> {
    loop {
        match tls.reader().read(buffer) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            outcome => return outcome,
        }
        if tls.read_tls(&mut Now(stream))? == 0 {
            return Ok(0);
        }
        let processed = tls.process_new_packets();
        // An alert or a key update in answer.
        let flushed = try_flush(tls, stream);
        processed.map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
        match flushed {
            Err(error) if error.kind() != io::ErrorKind::WouldBlock => return Err(error),
            _ => {}
        }
    }
}

pub(super) fn try_write(
    tls: &mut ServerConnection,
    stream: &TcpStream,
    slices: &[IoSlice<'_>],
) -> io::Result<usize> {
    // Earlier bytes must have left, so that at most one write is buffered here.
    try_flush(tls, stream)?;
    let taken = tls.writer().write_vectored(slices)?;
    match try_flush(tls, stream) {
        Err(error) if error.kind() != io::ErrorKind::WouldBlock => Err(error),
        _ => Ok(taken),
    }
}

pub(super) fn try_flush(tls: &mut ServerConnection, stream: &TcpStream) -> io::Result<()> {
    while tls.wants_write() {
        tls.write_tls(&mut Now(stream))?;
    }
    Ok(())
}
