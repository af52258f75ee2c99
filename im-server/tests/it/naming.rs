//! Nodes of one name: the second does not start while the first is alive.

use backplane::{NodeAddress, NodeRecord};
use im_server::{Listeners, Node};
use testkit::PATIENCE;
use tokio::net::TcpListener;

use super::fleet::{Fleet, settings};

/// Longer than any start waits.
const FOR_LONG_MS: i64 = 3_600_000;

async fn start(fleet: &Fleet, flags: &[&str]) -> anyhow::Result<Node> {
    let listeners = Listeners {
        tcp: TcpListener::bind("127.0.0.1:0").await?,
        ws: None,
        tls: None,
    };
    let settings = settings(flags);
    let starting = Node::start_with(&settings, fleet.journal.clone(), listeners);
    tokio::time::timeout(PATIENCE, starting).await?
}

/// The line of a node on another machine.
fn line(ip: &str, process: Option<&str>) -> NodeRecord {
    NodeRecord {
        node_id: "im-1".into(),
        address: NodeAddress {
            ip: ip.into(),
            port: 9501,
            ..NodeAddress::default()
        },
        sessions: 0,
        version: "0.1.0".into(),
        process: process.map(str::to_owned),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_of_the_same_machine_is_known_at_once() {
    let fleet = Fleet::start_with(&["--node-id=im-1"], 1).await;
    let refusal = start(&fleet, &["--node-id=im-1"]).await.err().unwrap();
    assert!(refusal.to_string().contains("\"im-1\" is alive"), "{refusal}");
    // The first is still the one that apps are sent to.
    let nodes = fleet.backplane.nodes().await.unwrap();
    assert_eq!(nodes.len(), 1);
    assert_eq!(nodes[0].address.port, fleet.ports().tcp().port());
    start(&fleet, &["--node-id=im-2"]).await.unwrap();
    start(&fleet, &[]).await.unwrap();
    // Drained, its name is free.
    fleet.nodes[0].0.drain(std::time::Duration::ZERO).await;
    start(&fleet, &["--node-id=im-1"]).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_line_of_another_machine_must_expire_or_be_of_the_same_address() {
    let foreign = Some("another-boot pid:[1] 2 3");
    for process in [foreign, None] {
        let fleet = Fleet::start_with(&[], 0).await;
        let stands = |ip: &str, lasts_ms| {
            let (backplane, record) = (fleet.backplane.clone(), line(ip, process));
            async move { backplane.announce_node(record, lasts_ms).await.unwrap() }
        };
        stands("192.0.2.1", FOR_LONG_MS).await;
        let refusal = start(&fleet, &["--node-id=im-1"]).await.err().unwrap();
        assert!(refusal.to_string().contains("192.0.2.1:9501"), "{refusal}");
        // A new boot of what apps reach there.
        let node = start(&fleet, &["--node-id=im-1", "--advertise=192.0.2.1:9501"]).await;
        node.unwrap().drain(std::time::Duration::ZERO).await;
        // One that is not renewed any more.
        stands("192.0.2.1", 1_000).await;
        start(&fleet, &["--node-id=im-1"]).await.unwrap();
    }
}
