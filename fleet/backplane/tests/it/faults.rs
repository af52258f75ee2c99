//! Faults of Redis: it dies, hangs, is emptied.

use std::time::Duration;

use backplane::{Backplane, HeldSession, NodeRecord, Outdone, Unavailable, hash_password};
use proto::{UserId, wire::Platform};
use testkit::redis::{Options, Redis};

use crate::{
    PATIENCE, eventually,
    listening::{CHANNEL, Listener, say},
    named, open,
};

const USER: UserId = UserId::from_database(7);

/// Two processes on a Redis of the test's own; one listens.
async fn pair(options: Options) -> (Redis, Backplane, Backplane, Listener) {
    let redis = tokio::task::spawn_blocking(|| Redis::start(options).unwrap())
        .await
        .unwrap();
    let (speaks, hears) = (open(&redis.url()).await, open(&redis.url()).await);
    let listener = Listener::join(&hears);
    hears.subscribe(listener.id, CHANNEL).await.unwrap();
    (redis, speaks, hears, listener)
}

/// Waits until the listeners are notified to compare.
pub async fn told_to_compare(resumed: &mut tokio::sync::watch::Receiver<u64>) {
    tokio::time::timeout(PATIENCE, resumed.changed())
        .await
        .expect("nobody was told to compare")
        .unwrap();
}

/// Says something until it is heard: what is said while Redis is away is lost, and that is all.
pub async fn heard_again(speaks: &Backplane, listener: &Listener, word: &str) {
    eventually("something is heard again", async || {
        say(speaks, CHANNEL, word, None);
        tokio::time::sleep(Duration::from_millis(50)).await;
        listener.heard().iter().any(|heard| heard == word)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_is_overcome_and_told() {
    let (redis, speaks, hears, listener) = pair(Options::default()).await;
    let mut resumed = hears.resumed();
    resumed.borrow_and_update();
    redis.kill().unwrap();
    eventually("it is noticed", async || !hears.is_available().await).await;
    assert_eq!(
        speaks.claim_session(USER, "phone", Platform::Ios).await,
        Err(Unavailable)
    );
    assert_eq!(hears.nodes().await, Err(Unavailable));
    // Kept in mind, and made when it is back.
    let late = Listener::join(&hears);
    assert_eq!(hears.subscribe(late.id, CHANNEL).await, Err(Unavailable));
    tokio::time::sleep(Duration::from_millis(500)).await;
    redis.start_again().unwrap();
    told_to_compare(&mut resumed).await;
    heard_again(&speaks, &listener, "again").await;
    assert!(late.heard().contains(&"again".to_owned()));
    speaks.claim_session(USER, "phone", Platform::Ios).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_frozen_server_is_noticed_and_nobody_waits_for_it() {
    let (redis, speaks, hears, listener) = pair(Options::default()).await;
    let mut resumed = hears.resumed();
    resumed.borrow_and_update();
    redis.pause();
    // All of it while the server stands still: a caller that waited for it would wait for ever.
    eventually("it is noticed", async || {
        !hears.is_available().await && !speaks.is_available().await
    })
    .await;
    let asked = tokio::time::timeout(PATIENCE, speaks.presence(&[USER])).await;
    assert_eq!(asked.unwrap(), Err(Unavailable));
    (0..100_000).for_each(|_| say(&speaks, CHANNEL, "lost", None));
    redis.resume();
    told_to_compare(&mut resumed).await;
    heard_again(&speaks, &listener, "again").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_was_emptied_is_noticed_and_generations_go_on() {
    let (redis, speaks, hears, listener) = pair(Options::default()).await;
    let held = HeldSession {
        user: USER,
        device_id: "phone".into(),
        platform: Platform::Ios,
        generation: speaks.claim_session(USER, "phone", Platform::Ios).await.unwrap(),
    };
    let hash = hash_password("secret");
    speaks.put_im_password(USER, "phone", hash, 60_000).await.unwrap();
    let mut resumed = hears.resumed();
    resumed.borrow_and_update();
    // The first look must have been taken.
    eventually("marks stand", async || {
        redis
            .command(&["KEYS", &named("mark:*")])
            .unwrap()
            .lines()
            .count()
            == 2
    })
    .await;
    redis.command(&["FLUSHALL"]).unwrap();
    told_to_compare(&mut resumed).await;
    assert_eq!(speaks.check_im_password(USER, "phone", &hash).await, Ok(None));
    // A renewal puts the login back; a later login is above it all the same.
    assert_eq!(
        hears.renew_sessions(std::slice::from_ref(&held)).await,
        Ok(vec![])
    );
    assert_eq!(hears.presence(&[USER]).await.unwrap()[0].devices.len(), 1);
    redis.command(&["FLUSHALL"]).unwrap();
    let newer = speaks.claim_session(USER, "phone", Platform::Ios).await.unwrap();
    assert!(newer > held.generation);
    assert_eq!(
        hears.renew_sessions(std::slice::from_ref(&held)).await,
        Ok(vec![(0, Outdone::Replaced)])
    );
    heard_again(&speaks, &listener, "still").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_logout_whose_notice_was_lost_ends_the_login_when_it_is_renewed() {
    let backplane = open(&Redis::shared().prefixed_url()).await;
    let held = HeldSession {
        user: USER,
        device_id: "phone".into(),
        platform: Platform::Ios,
        generation: backplane
            .claim_session(USER, "phone", Platform::Ios)
            .await
            .unwrap(),
    };
    backplane.revoke_im_passwords(USER, "phone").await.unwrap();
    assert_eq!(
        backplane.renew_sessions(std::slice::from_ref(&held)).await,
        Ok(vec![(0, Outdone::LoggedOut)])
    );
    let newer = backplane
        .claim_session(USER, "phone", Platform::Ios)
        .await
        .unwrap();
    assert!(newer > held.generation);
    let newer = HeldSession {
        generation: newer,
        ..held
    };
    assert_eq!(backplane.renew_sessions(&[newer]).await, Ok(vec![]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_subscription_is_made_again() {
    let (redis, speaks, hears, listener) = pair(Options::default()).await;
    for round in 0..5 {
        let mut resumed = hears.resumed();
        resumed.borrow_and_update();
        redis.command(&["CLIENT", "KILL", "TYPE", "pubsub"]).unwrap();
        told_to_compare(&mut resumed).await;
        heard_again(&speaks, &listener, &format!("round {round}")).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_subscriptions_are_made_again_together() {
    let (redis, speaks, hears, listener) = pair(Options::default()).await;
    let channel = |at| backplane::Channel::Conversation(proto::ConversationId::from_database(at));
    let mut subscribing = tokio::task::JoinSet::new();
    for at in 1..=3_000 {
        let (hears, id) = (hears.clone(), listener.id);
        subscribing.spawn(async move { hears.subscribe(id, channel(at)).await });
    }
    while let Some(subscribed) = subscribing.join_next().await {
        subscribed.unwrap().unwrap();
    }
    let mut resumed = hears.resumed();
    resumed.borrow_and_update();
    redis.command(&["CLIENT", "KILL", "TYPE", "pubsub"]).unwrap();
    told_to_compare(&mut resumed).await;
    for at in 1..=3_000 {
        say(&speaks, channel(at), &format!("{at}"), None);
    }
    eventually("all are heard", async || listener.heard().len() == 3_000).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tiny_output_buffer_costs_publications_and_nothing_else() {
    let (_redis, speaks, hears, listener) = pair(Options {
        settings: vec!["client-output-buffer-limit pubsub 64kb 32kb 1".into()],
        ..Options::default()
    })
    .await;
    let large = "x".repeat(60_000);
    for _ in 0..300 {
        say(&speaks, CHANNEL, &large, None);
    }
    heard_again(&speaks, &listener, "after all").await;
    eventually("it is connected", async || hears.is_available().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dead_node_leaves_the_directory() {
    let (redis, speaks, hears, _) = pair(Options::default()).await;
    let record: NodeRecord = NodeRecord {
        node_id: "a".into(),
        address: backplane::NodeAddress {
            ip: "192.0.2.1".into(),
            port: 9501,
            ..backplane::NodeAddress::default()
        },
        sessions: 3,
        version: "1.0.0".into(),
        process: None,
    };
    speaks.announce_node(record.clone(), 60_000).await.unwrap();
    assert_eq!(hears.nodes().await.unwrap(), std::slice::from_ref(&record));
    speaks.announce_node(record.clone(), 500).await.unwrap();
    eventually("it is gone", async || hears.nodes().await.unwrap().is_empty()).await;
    let other = NodeRecord {
        node_id: "b".into(),
        ..record
    };
    speaks.announce_node(other, 60_000).await.unwrap();
    assert_eq!(
        redis.command(&["HLEN", &named("nodes")]).unwrap(),
        "1",
        "dead lines are taken out"
    );
}
