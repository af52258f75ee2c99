//! Stopping a node: nothing is lost, and apps are asked to reconnect.

use std::time::Duration;

use proto::wire::{ByeReason, client_frame::Body as Request};

use super::{app::message, fleet::Fleet};

#[tokio::test(flavor = "multi_thread")]
async fn a_draining_node_leaves_the_directory_and_says_bye_to_everybody() {
    let fleet = Fleet::start_with(&[], 2).await;
    let consult = fleet.consult().await;
    let (mut patient, mut doctor) = (fleet.app_on(0, 1, "phone").await, fleet.app_on(1, 2, "pad").await);
    let nodes = fleet.backplane.nodes().await.unwrap();
    assert_eq!(nodes.len(), 2);
    for at in 0..20 {
        patient
            .send(Request::Send(message(consult, &format!("{at}"), "hello")))
            .await;
    }
    // Messages handed over before the node stops are written.
    assert_eq!(doctor.seqs(21).await, (2..=22).collect::<Vec<_>>());
    fleet.nodes[0].0.drain(Duration::from_millis(100)).await;
    let bye = patient.bye().await;
    assert_eq!(bye.reason(), ByeReason::Draining);
    assert!(bye.retry_after_ms > 0);
    let left = fleet.backplane.nodes().await.unwrap();
    assert_eq!(
        left.iter().map(|node| node.address.port).collect::<Vec<_>>(),
        [fleet.nodes[1].1.tcp().port()]
    );
    assert!(
        tokio::net::TcpStream::connect(fleet.nodes[0].1.tcp())
            .await
            .is_err(),
        "no more connections"
    );
    let mut back = fleet.app_on(1, 1, "phone").await;
    assert!(back.say(consult, "0", "hello").await.unwrap().duplicate);
}

// protocol: "Some fleets also name a domain"
#[tokio::test(flavor = "multi_thread")]
async fn a_node_gives_out_its_name_and_its_wss_address() {
    let flags = [
        "--advertise=localhost:7001",
        "--advertise-wss=wss://im.example.com/1",
    ];
    let fleet = Fleet::start_with(&flags, 1).await;
    let address = fleet.backplane.nodes().await.unwrap().remove(0).address;
    assert_eq!(
        (address.domain.as_deref(), address.port, address.wss.as_deref()),
        (Some("localhost"), 7001, Some("wss://im.example.com/1"))
    );
    assert!(address.ip.parse::<std::net::IpAddr>().unwrap().is_loopback());
    assert_eq!(address.ws_port, Some(fleet.ports().ws().port()));
    let plain = Fleet::start().await;
    let address = plain.backplane.nodes().await.unwrap().remove(0).address;
    assert_eq!((address.domain, address.wss), (None, None));
}
