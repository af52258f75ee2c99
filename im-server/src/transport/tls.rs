//! TLS on a socket that never waits, and the certificate, which may change while the node runs.

use std::{
    io::{self, IoSlice, Read, Write},
    path::{Path, PathBuf},
    sync::Arc,
    time::SystemTime,
};

use anyhow::Context;
use arc_swap::ArcSwap;
use parking_lot::Mutex;
use program::certificate::not_after;
use rustls::{ServerConfig, ServerConnection};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use tokio::net::TcpStream;

/// The socket as rustls wants it: without waiting.
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
        // An alert or a key update that answers what came.
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
    // What was taken before must have left, so that at most one write's worth is held here.
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

/// The certificate in force, read again when its file changes.
pub(crate) struct Certificate {
    chain: PathBuf,
    key: PathBuf,
    config: ArcSwap<ServerConfig>,
    modified: Mutex<Option<SystemTime>>,
}

impl Certificate {
    pub(crate) fn load(chain: &Path, key: &Path) -> anyhow::Result<Self> {
        let config = ArcSwap::new(read(chain, key)?);
        let modified = Mutex::new(modified(chain));
        Ok(Self {
            chain: chain.into(),
            key: key.into(),
            config,
            modified,
        })
    }

    pub(crate) fn config(&self) -> Arc<ServerConfig> {
        self.config.load_full()
    }

    /// Reads the files again if the certificate has changed. One that cannot be read leaves the old one in force.
    pub(crate) fn reload(&self) {
        let now = modified(&self.chain);
        let mut before = self.modified.lock();
        if now == *before {
            return;
        }
        *before = now;
        match read(&self.chain, &self.key) {
            Ok(config) => {
                self.config.store(config);
                tracing::info!(file = %self.chain.display(), "a new certificate is in force");
            }
            Err(error) => tracing::error!(
                error = format!("{error:#}"),
                "the new certificate is not usable; the old one stays in force"
            ),
        }
    }
}

fn modified(path: &Path) -> Option<SystemTime> {
    std::fs::metadata(path).and_then(|file| file.modified()).ok()
}

fn read(chain: &Path, key: &Path) -> anyhow::Result<Arc<ServerConfig>> {
    let certificates = CertificateDer::pem_file_iter(chain)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .with_context(|| format!("--tls-cert {} holds no PEM certificates", chain.display()))?;
    let expires = certificates.first().and_then(|first| not_after(first));
    let private_key = PrivateKeyDer::from_pem_file(key)
        .with_context(|| format!("--tls-key {} holds no PEM private key", key.display()))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(certificates, private_key)
        .context("certificate and key do not belong together")?;
    // Small records and no early keeping of tickets: an idle connection should cost little.
    config.send_tls13_tickets = 1;
    if let Some(expires) = expires {
        metrics::gauge!("huizhen_im_certificate_expires_seconds").set(expires.as_second() as f64);
    }
    Ok(Arc::new(config))
}
