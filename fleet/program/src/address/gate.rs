//! Whose PROXY headers count, and one line a minute about those that do not.

use std::net::IpAddr;

use tokio::net::TcpStream;

use super::{
    Refusals, TrustedProxies,
    header::{self, Error},
};

/// Why a connection is closed before its first own byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Closed {
    /// The peer went away: a health check by connecting, most often.
    Gone,
    /// Its header is not taken; the log says why, once a minute.
    Refused,
}

/// The gate of a server: the same for all its listeners.
#[derive(Debug, Default)]
pub struct Gate {
    proxies: TrustedProxies,
    strangers: Refusals,
    headless: Refusals,
    unexpected: Refusals,
}

impl Gate {
    /// A gate that believes these proxies.
    pub fn new(proxies: TrustedProxies) -> Self {
        Self {
            proxies,
            ..Self::default()
        }
    }

    /// Who is believed.
    pub fn proxies(&self) -> &TrustedProxies {
        &self.proxies
    }

    /// The address that a connection comes from, on a listener whose connections begin with a PROXY header; `flag` is the
    /// setting that demands it.
    ///
    /// # Errors
    /// When the connection is to be closed.
    pub async fn origin(&self, stream: &mut TcpStream, peer: IpAddr, flag: &str) -> Result<IpAddr, Closed> {
        // A stranger's header is not even read: it could name any address.
        if !self.proxies.may_send_header(peer) {
            if let Some(line) = self.strangers.line(peer) {
                tracing::warn!(
                    address = %line.address, untold = line.untold,
                    "a connection is refused: this port takes PROXY headers, and only those of trusted proxies; if \
                     this address is your balancer's, add it to --trusted-proxies, else connect to the balancer"
                );
            }
            return Err(Closed::Refused);
        }
        let reason = match header::read(stream).await {
            Ok(source) => return Ok(source.unwrap_or(peer)),
            // A balancer that looks whether the port is open.
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

    /// Says once a minute that a PROXY header came where none is taken, which `flag` would change.
    pub fn unexpected(&self, peer: IpAddr, flag: &str) {
        if let Some(line) = self.unexpected.line(peer) {
            tracing::warn!(
                address = %line.address, untold = line.untold,
                "a connection is refused: it begins with a PROXY header, and this port takes none; if a balancer of \
                 yours sends it, set {flag}"
            );
        }
    }
}
