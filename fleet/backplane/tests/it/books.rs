//! IM passwords, generations, presence, the directory.

use backplane::{HeldSession, NodeAddress, NodeRecord, Outdone, PASSWORDS_PER_DEVICE, hash_password};
use proto::{UserId, wire::Platform};

use crate::{Engine, on_each};

const USER: UserId = UserId::from_database(7);

on_each!(
    a_password_is_good_for_its_user_device_and_time_only,
    logging_a_device_out_leaves_the_other_devices_passwords,
    the_oldest_password_of_a_device_makes_room_and_no_other_device_s,
    an_older_session_does_not_release_a_newer_one,
    presence_comes_in_the_order_asked_for,
    a_login_that_missed_its_end_learns_of_it_when_it_is_renewed,
    live_nodes_come_least_loaded_first_and_dead_ones_not_at_all,
    nodes_of_the_newest_version_come_first,
);

async fn a_password_is_good_for_its_user_device_and_time_only(engine: Engine) {
    let backplane = engine.open().await;
    let (hash, soon_over) = (hash_password("secret"), hash_password("soon over"));
    for (hash, lasts_ms) in [(hash, 60_000), (soon_over, 500)] {
        backplane
            .put_im_password(USER, "phone", hash, lasts_ms)
            .await
            .unwrap();
    }
    let other = UserId::from_database(8);
    let check = async |user, device, hash| backplane.check_im_password(user, device, &hash).await.unwrap();
    let left_ms = check(USER, "phone", hash).await.unwrap();
    assert!((1..=60_000).contains(&left_ms), "{left_ms}");
    assert_eq!(check(USER, "pad", hash).await, None);
    assert_eq!(check(USER, "phon", hash).await, None);
    assert_eq!(check(other, "phone", hash).await, None);
    assert_eq!(check(USER, "phone", hash_password("x")).await, None);
    crate::eventually("the short one has expired", async || {
        check(USER, "phone", soon_over).await.is_none()
    })
    .await;
    assert!(check(USER, "phone", hash).await.unwrap() < left_ms);
}

async fn logging_a_device_out_leaves_the_other_devices_passwords(engine: Engine) {
    let backplane = engine.open().await;
    let (one, two) = (hash_password("one"), hash_password("two"));
    backplane
        .put_im_password(USER, "phone", one, 60_000)
        .await
        .unwrap();
    backplane.put_im_password(USER, "pad", two, 50_000).await.unwrap();
    backplane.revoke_im_passwords(USER, "phone").await.unwrap();
    backplane.revoke_im_passwords(USER, "never seen").await.unwrap();
    assert_eq!(backplane.check_im_password(USER, "phone", &one).await, Ok(None));
    let left_ms = backplane.check_im_password(USER, "pad", &two).await.unwrap();
    assert!(left_ms.is_some_and(|left_ms| left_ms <= 50_000), "{left_ms:?}");
    let presence = backplane.presence(&[USER]).await.unwrap().remove(0);
    assert_eq!(presence.devices, [], "a logout is no login");
}

async fn the_oldest_password_of_a_device_makes_room_and_no_other_device_s(engine: Engine) {
    let backplane = engine.open().await;
    let kept = hash_password("pad");
    backplane
        .put_im_password(USER, "pad", kept, 60_000)
        .await
        .unwrap();
    let hashes: Vec<_> = (0..=PASSWORDS_PER_DEVICE)
        .map(|at| hash_password(&at.to_string()))
        .collect();
    for hash in &hashes {
        backplane
            .put_im_password(USER, "phone", *hash, 60_000)
            .await
            .unwrap();
    }
    let good = async |device, hash| {
        backplane
            .check_im_password(USER, device, hash)
            .await
            .unwrap()
            .is_some()
    };
    assert!(!good("phone", &hashes[0]).await);
    for hash in &hashes[1..] {
        assert!(good("phone", hash).await);
    }
    assert!(good("pad", &kept).await);
}

async fn an_older_session_does_not_release_a_newer_one(engine: Engine) {
    let backplane = engine.open().await;
    let older = backplane
        .claim_session(USER, "phone", Platform::Ios)
        .await
        .unwrap();
    let newer = backplane
        .claim_session(USER, "phone", Platform::Android)
        .await
        .unwrap();
    assert!(newer > older);
    backplane.release_session(USER, "phone", older, 5);
    crate::eventually("the older has ended", async || {
        backplane.presence(&[USER]).await.unwrap()[0].last_seen_ms == Some(5)
    })
    .await;
    let presence = backplane.presence(&[USER]).await.unwrap().remove(0);
    assert_eq!(presence.devices.len(), 1);
    assert_eq!(presence.devices[0].platform, Platform::Android);
    backplane.release_session(USER, "phone", newer, 6);
    crate::eventually("the newer has ended", async || {
        let presence = backplane.presence(&[USER]).await.unwrap().remove(0);
        (presence.devices.len(), presence.last_seen_ms) == (0, Some(6))
    })
    .await;
}

async fn presence_comes_in_the_order_asked_for(engine: Engine) {
    let backplane = engine.open().await;
    let users: Vec<UserId> = (1..=450).rev().map(UserId::from_database).collect();
    for user in users.iter().step_by(100) {
        backplane
            .claim_session(*user, "phone", Platform::Ios)
            .await
            .unwrap();
    }
    let presence = backplane.presence(&users).await.unwrap();
    assert_eq!(presence.len(), users.len());
    for (at, presence) in presence.iter().enumerate() {
        assert_eq!(presence.user, users[at]);
        assert_eq!(presence.devices.len(), usize::from(at % 100 == 0));
    }
    assert_eq!(backplane.presence(&[]).await.unwrap(), []);
}

async fn a_login_that_missed_its_end_learns_of_it_when_it_is_renewed(engine: Engine) {
    let backplane = engine.open().await;
    let claim = async |device: &str| HeldSession {
        user: USER,
        device_id: device.into(),
        platform: Platform::Ios,
        generation: backplane
            .claim_session(USER, device, Platform::Ios)
            .await
            .unwrap(),
    };
    let (older, pad) = (claim("phone").await, claim("pad").await);
    assert_eq!(
        backplane.renew_sessions(&[older.clone(), pad.clone()]).await,
        Ok(vec![])
    );
    let newer = claim("phone").await;
    assert_eq!(
        backplane.renew_sessions(&[pad, older, newer]).await,
        Ok(vec![(1, Outdone::Replaced)])
    );
    assert_eq!(backplane.renew_sessions(&[]).await, Ok(vec![]));
}

fn node(node_id: &str, sessions: u64, version: &str) -> NodeRecord {
    NodeRecord {
        node_id: node_id.into(),
        address: NodeAddress {
            ip: "127.0.0.1".into(),
            port: 1,
            ws_port: Some(2),
            domain: Some("im1.example.com".into()),
            wss: Some("wss://im1.example.com/".into()),
            ..NodeAddress::default()
        },
        sessions,
        version: version.into(),
        process: None,
    }
}

async fn live_nodes_come_least_loaded_first_and_dead_ones_not_at_all(engine: Engine) {
    let backplane = engine.open().await;
    for (node_id, sessions, lasts_ms) in [
        ("b", 5, 60_000),
        ("a", 5, 60_000),
        ("c", 1, 60_000),
        ("d", 0, 200),
        ("e", 0, 60_000),
    ] {
        backplane
            .announce_node(node(node_id, sessions, "1.0.0"), lasts_ms)
            .await
            .unwrap();
    }
    backplane.remove_node("e").await;
    backplane.remove_node("nobody").await;
    let live = async || {
        let nodes = backplane.nodes().await.unwrap();
        nodes.into_iter().map(|node| node.node_id).collect::<Vec<_>>()
    };
    crate::eventually("d has expired", async || live().await == ["c", "a", "b"]).await;
    backplane
        .announce_node(node("b", 0, "1.0.0"), 60_000)
        .await
        .unwrap();
    assert_eq!(live().await, ["b", "c", "a"]);
    let nodes = backplane.nodes().await.unwrap();
    assert_eq!(nodes[0], node("b", 0, "1.0.0"));
}

async fn nodes_of_the_newest_version_come_first(engine: Engine) {
    let backplane = engine.open().await;
    for (node_id, sessions, version) in [
        ("old", 0, "0.9.0"),
        ("new", 9, "0.10.0"),
        ("new too", 8, "0.10.0"),
    ] {
        backplane
            .announce_node(node(node_id, sessions, version), 60_000)
            .await
            .unwrap();
    }
    let nodes = backplane.nodes().await.unwrap();
    let names: Vec<&str> = nodes.iter().map(|node| &*node.node_id).collect();
    assert_eq!(names, ["new too", "new", "old"]);
}
