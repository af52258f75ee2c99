//! Spreads concurrent requests over the nodes. The load in the directory is as old as the node's last announcement: by it
//! alone, all apps that ask between two announcements would connect to the same node.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use backplane::NodeRecord;
use parking_lot::Mutex;

use crate::app::Part;

/// How long referrals count for a node whose load does not change: two announcements.
const COUNTED: Duration = Duration::from_secs(4);

/// The referrals of this process to each node since its last announcement.
#[derive(Default)]
pub struct Spread {
    handed: Mutex<HashMap<String, Handed>>,
}

impl Part for Spread {}

struct Handed {
    /// The load of the last announcement.
    sessions: u64,
    /// Referrals since then.
    count: u64,
    since: Instant,
}

impl Spread {
    /// Orders `nodes` for one more app: within a version by sessions, recent referrals included.
    pub(crate) fn arrange(&self, nodes: &mut [NodeRecord], now: Instant) {
        let mut handed = self.handed.lock();
        handed.retain(|node_id, _| nodes.iter().any(|node| node.node_id == *node_id));
        for node in &*nodes {
            let counted = handed.entry(node.node_id.clone()).or_insert(Handed {
                sessions: node.sessions,
                count: 0,
                since: now,
            });
            if counted.sessions != node.sessions || now.saturating_duration_since(counted.since) >= COUNTED {
                *counted = Handed {
                    sessions: node.sessions,
                    count: 0,
                    since: now,
                };
            }
        }
        let load = |node: &NodeRecord| {
            let sent = handed.get(&node.node_id).map_or(0, |handed| handed.count);
            node.sessions.saturating_add(sent)
        };
        for alike in nodes.chunk_by_mut(|one, other| one.version == other.version) {
            alike.sort_by_key(load);
        }
        if let Some(first) = nodes.first()
            && let Some(handed) = handed.get_mut(&first.node_id)
        {
            handed.count += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use backplane::NodeAddress;

    use super::*;

    fn node(node_id: &str, sessions: u64, version: &str) -> NodeRecord {
        NodeRecord {
            node_id: node_id.into(),
            address: NodeAddress {
                ip: "192.0.2.1".into(),
                port: 9501,
                tls_port: None,
                ws_port: None,
                domain: None,
                wss: None,
            },
            sessions,
            version: version.into(),
            process: None,
        }
    }

    /// Referrals to each node when many apps ask at once.
    fn sent(spread: &Spread, nodes: &[NodeRecord], times: usize, now: Instant) -> HashMap<String, usize> {
        let mut sent = HashMap::new();
        for _ in 0..times {
            let mut nodes = nodes.to_vec();
            spread.arrange(&mut nodes, now);
            *sent.entry(nodes[0].node_id.clone()).or_default() += 1;
        }
        sent
    }

    #[test]
    fn a_crowd_is_spread_and_levels_what_differs() {
        let spread = Spread::default();
        let nodes = [
            node("a", 10, "1.0.0"),
            node("b", 40, "1.0.0"),
            node("c", 40, "1.0.0"),
        ];
        let sent = sent(&spread, &nodes, 90, Instant::now());
        assert_eq!((sent["a"], sent["b"], sent["c"]), (50, 20, 20));
    }

    #[test]
    fn what_a_node_tells_takes_the_place_of_what_was_counted() {
        let spread = Spread::default();
        let begun = Instant::now();
        let nodes = [node("a", 0, "1.0.0"), node("b", 0, "1.0.0")];
        assert_eq!(sent(&spread, &nodes, 10, begun).len(), 2);
        // The referred apps connected, and some sessions of b have ended since.
        let nodes = [node("b", 2, "1.0.0"), node("a", 5, "1.0.0")];
        let sent_now = sent(&spread, &nodes, 3, begun + Duration::from_secs(2));
        assert_eq!(sent_now.get("a"), None);
        // No app connected: after a while the referrals expire.
        let sent_later = sent(&spread, &nodes, 3, begun + Duration::from_secs(6));
        assert_eq!(sent_later["b"], 3);
    }

    #[test]
    fn an_older_version_comes_after_a_newer_one_however_many_are_sent_there() {
        let spread = Spread::default();
        let nodes = [node("new", 90, "1.1.0"), node("old", 0, "1.0.0")];
        assert_eq!(sent(&spread, &nodes, 50, Instant::now())["new"], 50);
    }

    #[test]
    fn without_nodes_nothing_happens() {
        Spread::default().arrange(&mut [], Instant::now());
    }
}
