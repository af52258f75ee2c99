//! The directory of live nodes.

/// Where apps reach a listener of a node.
#[derive(Clone, Debug, PartialEq, Eq)]
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
#[derive(Clone, Debug, PartialEq, Eq)]
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
