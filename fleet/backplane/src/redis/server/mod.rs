//! Connecting to one server.

pub(crate) mod refusal;

use std::{io, time::Duration};

use ::redis::{
    AsyncConnectionConfig, Client, ConnectionAddr, ConnectionInfo, PushInfo, RedisError, TlsCertificates,
    aio::MultiplexedConnection,
};
use tokio::time::timeout;

/// How long connecting may take, TLS and login included.
const CONNECT_LIMIT: Duration = Duration::from_millis(1_500);
/// How long an answer may take.
pub(crate) const ANSWER_LIMIT: Duration = Duration::from_millis(1_200);

/// Host and port.
pub(crate) type Place = (String, u16);

/// How to reach the servers of a set, all but their address.
#[derive(Clone)]
pub(crate) struct Template {
    /// Login and TLS; its address is replaced.
    pub(crate) info: ConnectionInfo,
    /// The authorities, PEM; `None` for the machine's own.
    pub(crate) authorities: Option<Vec<u8>>,
}

impl Template {
    pub(crate) fn client(&self, (host, port): &Place) -> Result<Client, RedisError> {
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
pub(crate) fn open(info: ConnectionInfo, authorities: Option<Vec<u8>>) -> Result<Client, RedisError> {
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
pub(crate) async fn connect(
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
