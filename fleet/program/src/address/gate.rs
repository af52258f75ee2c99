//! Decides which PROXY headers are trusted, and logs one line a minute about the others.

use std::net::IpAddr;

use tokio::net::TcpStream;

use super::{
    Refusals, TrustedProxies,
    header::{self, Error},
};

/// Why a connection is closed before its first byte of its own protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Closed {
    /// The peer closed it: most often a health check.
    Gone,
    /// Its header is refused; the log explains it once a minute.
    Refused,
}

/// The gate of a server, shared by its listeners.
#[derive(Debug, Default)]
pub struct Gate {
    proxies: TrustedProxies,
    strangers: Refusals,
    headless: Refusals,
    unexpected: Refusals,
}

impl Gate {
    /// A gate that trusts these proxies.
    pub fn new(proxies: TrustedProxies) -> Self {
        Self {
            proxies,
            ..Self::default()
        }
    }

    /// The trusted proxies.
    pub fn proxies(&self) -> &TrustedProxies {
        &self.proxies
    }

    /// Reads the origin of a connection from its PROXY header, on a listener where the setting `flag` demands one.
    ///
    /// # Errors
    /// When the connection is to be closed.
    pub async fn origin(&self, stream: &mut TcpStream, peer: IpAddr, flag: &str) -> Result<IpAddr, Closed> {
        // The header of a stranger could name any address, and is not read.
        if !self.proxies.may_send_header(peer) {
            if let Some(line) = self.strangers.line(peer) {
                tracing::warn!(
                    address = %line.address, untold = line.untold,
                    "a connection is refused: this port accepts PROXY headers of trusted proxies only; if this address is \
                     your balancer's, add it to --trusted-proxies, else connect to the balancer"
                );
            }
            return Err(Closed::Refused);
        }
        let reason = match header::read(stream).await {
            Ok(source) => return Ok(source.unwrap_or(peer)),
            // A balancer probes the port.
            Err(Error::Silent) => return Err(Closed::Gone),
            Err(Error::Io(error)) => {
                tracing::debug!(%error, "a connection broke in its PROXY header");
                return Err(Closed::Gone);
            }
            Err(Error::Missing) => "has no PROXY header",
            Err(Error::Malformed) => {
                "begins with a PROXY header that is neither of version 1 nor of version 2"
            }
        };
        if let Some(line) = self.headless.line(peer) {
            tracing::warn!(
                address = %line.address, untold = line.untold,
                "a connection is refused: it {reason}, which {flag} demands of every connection to this port; \
                 switch it on in the balancer, or take the port out of {flag}"
            );
        }
        Err(Closed::Refused)
    }

    /// Logs once a minute that a PROXY header came to a port without them, which `flag` would change.
    pub fn unexpected(&self, peer: IpAddr, flag: &str) {
        if let Some(line) = self.unexpected.line(peer) {
            tracing::warn!(
                address = %line.address, untold = line.untold,
                "a connection is refused: it begins with a PROXY header, and this port accepts none; if a balancer of \
                 yours sends it, set {flag}"
            );
        }
    }
}
