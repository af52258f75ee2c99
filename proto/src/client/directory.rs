//! The questions of a client to the REST service. An app may ask them in its own way; `proto::rest` is one.

use std::fmt;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;

use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use thiserror::Error;

/// Where nodes are, and what a login needs.
pub trait Directory: Send + Sync + 'static {
    /// The nodes to try, the best first: `GET /im/servers`.
    fn servers(&self) -> impl Future<Output = Result<Vec<Address>, DirectoryError>> + Send;

    /// A fresh IM password for this user and device: `GET /im/password`.
    fn password(&self) -> impl Future<Output = Result<Password, DirectoryError>> + Send;
}

/// Where a node listens.
#[derive(Clone, Debug)]
pub struct Address {
    /// Its address and port.
    pub address: SocketAddr,
    /// How to speak TLS there; none for plain TCP.
    pub tls: Option<Tls>,
}

impl Address {
    /// A plain TCP listener.
    pub const fn tcp(address: SocketAddr) -> Self {
        Self { address, tls: None }
    }
}

/// How to speak TLS with a node.
#[derive(Clone)]
pub struct Tls {
    /// Roots, protocol versions, crypto provider.
    pub config: Arc<ClientConfig>,
    /// The name that the node's certificate must carry.
    pub server_name: ServerName<'static>,
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls")
            .field("server_name", &self.server_name)
            .finish_non_exhaustive()
    }
}

/// An IM password.
#[derive(Clone)]
pub struct Password {
    /// The password itself.
    pub password: String,
    /// How long it is good, seconds.
    pub expire_s: u64,
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Password")
            .field("expire_s", &self.expire_s)
            .finish_non_exhaustive()
    }
}

/// Why the directory gave nothing.
#[derive(Debug, Error)]
pub enum DirectoryError {
    /// It cannot be reached now; the client asks again later.
    #[error("the directory cannot be reached: {0}")]
    Unavailable(String),
    /// The access token is no longer good: the client stays away.
    #[error("the directory refuses: {0}")]
    Refused(String),
}
