//! 1.1: the live IM nodes.

use std::time::Instant;

use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use super::Spread;
use crate::{
    app::App,
    caller::User,
    http::{
        answer::{Answer, Envelope},
        error::Error,
    },
};

/// An IM node.
#[derive(Serialize, ToSchema)]
#[schema(as = ImServer)]
pub(crate) struct Server {
    ip: String,
    /// Framed TCP.
    port: u16,
    /// The same over TLS, if the node has a certificate.
    #[serde(skip_serializing_if = "Option::is_none")]
    tls_port: Option<u16>,
    /// The same over WebSocket, if the node listens for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    ws_port: Option<u16>,
    /// The node's domain name, if it has one: connect to it instead of `ip`, and verify its certificate by it.
    #[serde(skip_serializing_if = "Option::is_none")]
    domain: Option<String>,
    /// The node's address for WebSocket over TLS, if it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    wss: Option<String>,
}

/// Where the IM nodes are (1.1)
///
/// The live nodes, the least loaded first; a draining or dead node is absent within 10 s.
#[utoipa::path(
    operation_id = "listImServers",
    get, path = "/im/servers", tag = "im",
    responses((status = 200, body = Envelope<Vec<Server>>)),
    security(("access_token" = []), ("bearer" = []))
)]
// protocol: "lists the live nodes, the least loaded first"
pub(crate) async fn list(State(app): State<App>, _: User) -> Result<Answer, Error> {
    let mut nodes = app.backplane.nodes().await?;
    app.part::<Spread>().arrange(&mut nodes, Instant::now());
    let servers: Vec<Server> = nodes
        .into_iter()
        .map(|node| Server {
            ip: node.address.ip,
            port: node.address.port,
            tls_port: node.address.tls_port,
            ws_port: node.address.ws_port,
            domain: node.address.domain,
            wss: node.address.wss,
        })
        .collect();
    Answer::one(&servers)
}
