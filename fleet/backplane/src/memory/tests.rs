use std::sync::Arc;

use proto::{UserId, wire::Platform};

use super::*;
use crate::{Backplane, Channel, NodeAddress, NodeRecord, Unavailable, hash_password};

const USER: UserId = UserId::from_database(7);

#[tokio::test]
async fn while_it_is_away_nothing_is_accepted() {
    let backplane = Backplane::memory();
    let Backplane::Memory(memory) = &backplane else {
        panic!("not in memory")
    };
    memory.set_away(true);
    assert_eq!(
        backplane
            .check_im_password(USER, "phone", &hash_password("x"))
            .await,
        Err(Unavailable)
    );
    assert_eq!(
        backplane.claim_session(USER, "phone", Platform::Ios).await,
        Err(Unavailable)
    );
    assert!(!backplane.is_available().await);
}

#[tokio::test]
async fn what_has_expired_is_forgotten_and_nothing_else() {
    let backplane = Backplane::memory();
    let Backplane::Memory(memory) = &backplane else {
        panic!("not in memory")
    };
    let (old, young) = (hash_password("old"), hash_password("young"));
    backplane
        .put_im_password(USER, "phone", old, 1_000_000)
        .await
        .unwrap();
    backplane
        .put_im_password(USER, "phone", young, 2_000_000)
        .await
        .unwrap();
    let other = UserId::from_database(8);
    backplane
        .put_im_password(other, "phone", old, 1_000_000)
        .await
        .unwrap();
    memory.pass(1_500_000);
    backplane.forget_expired();
    assert_eq!(memory.books.passwords.len(), 1);
    let left_ms = backplane.check_im_password(USER, "phone", &young).await;
    assert!(matches!(left_ms, Ok(Some(1..=500_000))), "{left_ms:?}");
    memory.pass(500_000);
    assert_eq!(backplane.check_im_password(USER, "phone", &young).await, Ok(None));
    backplane.forget_expired();
    assert_eq!(memory.books.passwords.len(), 0);
}

#[tokio::test]
async fn a_node_is_listed_for_the_lifetime_it_was_announced_with() {
    let backplane = Backplane::memory();
    let Backplane::Memory(memory) = &backplane else {
        panic!("not in memory")
    };
    let node = NodeRecord {
        node_id: "a".into(),
        address: NodeAddress::default(),
        sessions: 1,
        version: "1.0.0".into(),
        process: None,
    };
    backplane.announce_node(node.clone(), 800_000).await.unwrap();
    memory.pass(400_000);
    backplane.forget_expired();
    assert_eq!(backplane.nodes().await, Ok(vec![node.clone()]));
    backplane.announce_node(node.clone(), 800_000).await.unwrap();
    memory.pass(600_000);
    backplane.forget_expired();
    assert_eq!(backplane.nodes().await, Ok(vec![node]), "it was renewed");
    memory.pass(200_000);
    assert_eq!(backplane.nodes().await, Ok(vec![]));
}

#[tokio::test]
async fn leaving_ends_every_subscription_and_leaves_those_of_others() {
    let backplane = Backplane::memory();
    let Backplane::Memory(memory) = &backplane else {
        panic!("not in memory")
    };
    let got = Arc::new(Mutex::new(0));
    let counting = got.clone();
    let stays = backplane.join(Arc::new(move |_, _| *counting.lock() += 1));
    let leaves = backplane.join(Arc::new(|_, _| panic!("it has left")));
    let (shared, own) = (Channel::User(USER), Channel::User(UserId::from_database(8)));
    backplane.subscribe(stays, shared).await.unwrap();
    // Twice is once.
    backplane.subscribe(stays, shared).await.unwrap();
    backplane.subscribe(leaves, shared).await.unwrap();
    backplane.subscribe(leaves, own).await.unwrap();
    assert_eq!(memory.channels(), 2);
    backplane.leave(leaves);
    assert_eq!(memory.channels(), 1);
    backplane.publish(shared, Bytes::from_static(b"1"), None);
    backplane.publish(own, Bytes::from_static(b"2"), None);
    assert_eq!(*got.lock(), 1);
}

#[tokio::test]
async fn a_fault_decides_what_becomes_of_a_payload() {
    let backplane = Backplane::memory();
    let Backplane::Memory(memory) = &backplane else {
        panic!("not in memory")
    };
    let got = Arc::new(Mutex::new(Vec::new()));
    let hearing = got.clone();
    let subscriber = backplane.join(Arc::new(move |_, payload| hearing.lock().push(payload)));
    let channel = Channel::User(USER);
    backplane.subscribe(subscriber, channel).await.unwrap();
    let publish = |text: &'static str| backplane.publish(channel, Bytes::from(text), None);
    // Loses a, doubles b, keeps c back until d.
    let mut kept = None;
    memory.set_fault(Some(Box::new(move |_, channel, payload| match &payload[..] {
        b"a" => vec![],
        b"b" => vec![(channel, payload.clone()), (channel, payload)],
        b"c" => {
            kept = Some(payload);
            vec![]
        }
        _ => std::iter::once((channel, payload))
            .chain(kept.take().map(|kept| (channel, kept)))
            .collect(),
    })));
    for text in ["a", "b", "c", "d"] {
        publish(text);
    }
    memory.set_fault(None);
    publish("a");
    assert_eq!(*got.lock(), ["b", "b", "d", "c", "a"]);
}
