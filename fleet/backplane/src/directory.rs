//! The directory of live nodes. Nodes of different versions read each other's lines: a new field has a default.

use serde::{Deserialize, Serialize};

/// Where apps reach a listener of a node.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeAddress {
    /// An IP address, as apps reach it.
    pub ip: String,
    /// Framed TCP.
    pub port: u16,
    /// The same over TLS, if the node has a certificate.
    pub tls_port: Option<u16>,
    /// The same over WebSocket, if the node listens for it.
    pub ws_port: Option<u16>,
    /// The node's domain name, if it has one; `ip` is one of its addresses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub domain: Option<String>,
    /// A `wss://` address of the node, if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wss: Option<String>,
}

/// One live node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeRecord {
    /// Unique in the fleet.
    pub node_id: String,
    /// The address in `/im/servers`.
    pub address: NodeAddress,
    /// Sessions on it now.
    pub sessions: u64,
    /// The version of the program.
    pub version: String,
    /// The process among all of the fleet's machines, if it is known: so a restarted node differs from a living one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub process: Option<String>,
}

/// Nodes of the newest version first, among them the least loaded: nodes that are being replaced get no new load.
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that fails says where")]

    use super::*;

    /// A line as version 0.1.0 writes it.
    const OLD: &str = r#"{"node_id":"a","address":{"ip":"192.0.2.1","port":9501,"tls_port":null,"ws_port":9502},"sessions":3,"version":"0.1.0"}"#;

    #[test]
    fn versions_read_each_other_s_lines() {
        let mut record: NodeRecord = serde_json::from_str(OLD).unwrap();
        assert_eq!((&record.address.domain, &record.address.wss), (&None, &None));
        assert_eq!(record.process, None);
        // A node without the new settings writes the line of the old one.
        assert_eq!(serde_json::to_string(&record).unwrap(), OLD);
        record.address.domain = Some("im1.example.com".into());
        record.address.wss = Some("wss://im1.example.com/".into());
        record.process = Some("boot pid:[1] 2 3".into());
        let line = serde_json::to_string(&record).unwrap();
        assert_eq!(serde_json::from_str::<NodeRecord>(&line).unwrap(), record);
        // A later version's field is passed over.
        let later = OLD.replace(r#""port""#, r#""planet":"earth","port""#);
        assert!(serde_json::from_str::<NodeRecord>(&later).is_ok());
    }
}
