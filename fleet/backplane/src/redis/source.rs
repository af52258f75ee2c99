//! Where the server is: always at one address, or where the sentinels say that the master is now.

use std::{io, time::Duration};

use ::redis::{
    AsyncConnectionConfig, Client, ConnectionAddr, ConnectionInfo, PushInfo, RedisError, TlsCertificates,
    aio::MultiplexedConnection,
};
use tokio::time::timeout;

use super::sentinels::Sentinels;

/// How long a connection may take to be made, TLS and login included.
const CONNECT_LIMIT: Duration = Duration::from_millis(1_500);
/// How long an answer may take.
pub(super) const ANSWER_LIMIT: Duration = Duration::from_millis(1_200);

/// Host and port.
pub(super) type Place = (String, u16);

/// Where connections go.
#[derive(Clone)]
pub(super) enum Source {
    /// One server.
    Server(Client),
    /// The master of a Sentinel set.
    Sentinels(Sentinels),
}

impl Source {
    /// Makes one connection; with sentinels, to a server that says that it is a master.
    pub(super) async fn connect(
        &self,
        on_push: impl Fn(PushInfo) + Clone + Send + Sync + 'static,
    ) -> Result<(MultiplexedConnection, Option<Place>), RedisError> {
        match self {
            Self::Server(client) => Ok((connect(client, on_push).await?, None)),
            Self::Sentinels(set) => {
                let (connection, place) = set.connect(on_push).await?;
                Ok((connection, Some(place)))
            }
        }
    }

    /// Returns when most sentinels say that the master is elsewhere; of one server never.
    pub(super) async fn until_moved(&self, place: Option<&Place>) {
        match (self, place) {
            (Self::Sentinels(set), Some(place)) => set.until_moved(place).await,
            _ => std::future::pending().await,
        }
    }
}

/// How to reach the servers of a set, all but their address.
#[derive(Clone)]
pub(super) struct Template {
    /// Login and TLS; its address is put in.
    pub(super) info: ConnectionInfo,
    /// The authorities, PEM; the machine's own without.
    pub(super) authorities: Option<Vec<u8>>,
}

impl Template {
    pub(super) fn client(&self, (host, port): &Place) -> Result<Client, RedisError> {
        let address = match self.info.addr() {
            ConnectionAddr::TcpTls {
                insecure, tls_params, ..
            } => ConnectionAddr::TcpTls {
                host: host.clone(),
                port: *port,
                insecure: *insecure,
                tls_params: tls_params.clone(),
            },
            _ => ConnectionAddr::Tcp(host.clone(), *port),
        };
        open(self.info.clone().set_addr(address), self.authorities.clone())
    }
}

/// A client that trusts these authorities, or those of the machine.
pub(super) fn open(info: ConnectionInfo, authorities: Option<Vec<u8>>) -> Result<Client, RedisError> {
    match authorities {
        None => Client::open(info),
        Some(pem) => Client::build_with_tls(
            info,
            TlsCertificates {
                client_tls: None,
                root_cert: Some(pem),
            },
        ),
    }
}

/// Makes one connection.
pub(super) async fn connect(
    client: &Client,
    on_push: impl Fn(PushInfo) + Send + Sync + 'static,
) -> Result<MultiplexedConnection, RedisError> {
    let config = AsyncConnectionConfig::new()
        .set_connection_timeout(Some(CONNECT_LIMIT))
        .set_response_timeout(Some(ANSWER_LIMIT))
        .set_push_sender(move |push: PushInfo| {
            on_push(push);
            Ok::<(), ::redis::aio::SendError>(())
        });
    let connecting = client.get_multiplexed_async_connection_with_config(&config);
    match timeout(CONNECT_LIMIT, connecting).await {
        Ok(connection) => connection,
        Err(_) => Err(io::Error::new(io::ErrorKind::TimedOut, "no connection in time").into()),
    }
}
