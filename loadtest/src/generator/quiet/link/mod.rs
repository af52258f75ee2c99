//! A connection of any transport, for workloads that compare them.

mod websocket;

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::{Context, Result};
use proto::client::{Address, Connection, Tls};
use proto::wire::{ClientFrame, ServerFrame};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;

pub use websocket::WebSocket;

/// Where and how to connect.
#[derive(Clone, Debug)]
pub enum Endpoint {
    /// Frames over TCP.
    Tcp(SocketAddr),
    /// Frames over WebSocket.
    Ws(SocketAddr),
    /// Frames over TLS.
    Tls(SocketAddr, Tls),
}

impl Endpoint {
    /// TLS to a node whose certificate is among `roots` (PEM) and carries `name`.
    ///
    /// # Errors
    /// When there is no certificate in `roots`, or `name` is not a name.
    pub fn tls(address: SocketAddr, roots: &[u8], name: &str) -> Result<Self> {
        use rustls_pki_types::pem::PemObject;
        let mut store = rustls::RootCertStore::empty();
        for certificate in rustls_pki_types::CertificateDer::pem_slice_iter(roots) {
            store.add(certificate.context("not a certificate in PEM")?)?;
        }
        anyhow::ensure!(
            !store.is_empty(),
            "there is no certificate in the file given by --tls-ca"
        );
        let config = ClientConfig::builder()
            .with_root_certificates(store)
            .with_no_client_auth();
        let server_name = ServerName::try_from(name.to_owned()).context("--tls-name is not a host name")?;
        Ok(Self::Tls(
            address,
            Tls {
                config: Arc::new(config),
                server_name,
            },
        ))
    }
}

/// A connection.
#[derive(Debug)]
pub enum Link {
    /// TCP or TLS.
    Stream(Box<Connection>),
    /// WebSocket.
    WebSocket(Box<WebSocket>),
}

impl Link {
    /// Connects.
    ///
    /// # Errors
    /// When the node cannot be reached or a handshake fails.
    pub async fn connect(endpoint: &Endpoint) -> Result<Self> {
        Ok(match endpoint {
            Endpoint::Tcp(address) => {
                Self::Stream(Box::new(Connection::connect(&Address::tcp(*address)).await?))
            }
            Endpoint::Tls(address, tls) => {
                let address = Address {
                    address: *address,
                    tls: Some(tls.clone()),
                };
                Self::Stream(Box::new(Connection::connect(&address).await?))
            }
            Endpoint::Ws(address) => Self::WebSocket(Box::new(WebSocket::connect(*address).await?)),
        })
    }

    /// Sends a frame.
    ///
    /// # Errors
    /// When the connection is broken.
    pub async fn send(&mut self, frame: &ClientFrame) -> Result<()> {
        match self {
            Self::Stream(connection) => Ok(connection.send(frame).await?),
            Self::WebSocket(socket) => socket.send(frame).await,
        }
    }

    /// The next frame; none once the node has closed the connection. Dropping the future loses nothing.
    ///
    /// # Errors
    /// When the connection is broken or what comes is not a frame.
    pub async fn receive(&mut self) -> Result<Option<ServerFrame>> {
        match self {
            Self::Stream(connection) => Ok(connection.receive().await?),
            Self::WebSocket(socket) => socket.receive().await,
        }
    }
}
