//! The directory of live nodes. Nodes of different versions read each other's lines: a new field has a default.

use serde::{Deserialize, Serialize};

/// Where apps reach a listener of a node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeAddress {
    /// An IP address, as apps reach it.
    pub ip: String,
    /// Framed TCP.
    pub port: u16,
    /// The same over TLS, if the node has a certificate.
    pub tls_port: Option<u16>,
    /// The same over WebSocket, if the node listens for it.
    pub ws_port: Option<u16>,
}

/// One live node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeRecord {
    /// Unique in the fleet.
    pub node_id: String,
    /// What `/im/servers` hands out.
    pub address: NodeAddress,
    /// Sessions on it now.
    pub sessions: u64,
    /// The version of the program.
    pub version: String,
}

/// Those of the newest version first, of those the least loaded: what is being replaced gets no new load.
pub(crate) fn sort(nodes: &mut [NodeRecord]) {
    nodes.sort_by(|a, b| {
        version(&b.version)
            .cmp(&version(&a.version))
            .then_with(|| (a.sessions, &a.node_id).cmp(&(b.sessions, &b.node_id)))
    });
}

/// The numbers of a version: 0.10 comes after 0.9.
fn version(text: &str) -> Vec<u64> {
    text.split(|character: char| !character.is_ascii_digit())
        .filter_map(|number| number.parse().ok())
        .collect()
}
