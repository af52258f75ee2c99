//! Two fleets on one Redis with the default prefix: staging beside production.

use backplane::{Backplane, Channel, HeldSession, Identity, NodeAddress, NodeRecord, hash_password};
use proto::{ConversationId, UserId, wire::Platform};
use testkit::{cluster::Cluster, redis::Redis, sentinel::SentinelSet};

use crate::{
    eventually,
    listening::{CHANNEL, Listener, say},
    now_ms, open_as,
};

const USER: UserId = UserId::from_database(7);

fn node(node_id: &str) -> NodeRecord {
    NodeRecord {
        node_id: node_id.into(),
        address: NodeAddress::default(),
        sessions: 0,
        version: "1.0.0".into(),
        process: None,
    }
}

async fn claim(backplane: &Backplane) -> HeldSession {
    HeldSession {
        user: USER,
        device_id: "phone".into(),
        platform: Platform::Ios,
        generation: backplane
            .claim_session(USER, "phone", Platform::Ios)
            .await
            .unwrap(),
    }
}

/// Everything that a fleet keeps and says, with the same users, devices and nodes in both.
async fn nothing_is_shared(url: &str) {
    let (ours, theirs) = (
        open_as(url, &Identity::random()).await,
        open_as(url, &Identity::random()).await,
    );
    let hash = hash_password("secret");
    ours.put_im_password(USER, "phone", hash, 60_000).await.unwrap();
    let check = async |backplane: &Backplane| backplane.check_im_password(USER, "phone", &hash).await;
    assert_eq!(check(&theirs).await, Ok(None));

    let held = claim(&ours).await;
    assert_eq!(theirs.presence(&[USER]).await.unwrap()[0].devices, []);
    let newer = claim(&theirs).await;
    assert_eq!(ours.renew_sessions(std::slice::from_ref(&held)).await, Ok(vec![]));
    theirs.revoke_im_passwords(USER, "phone").await.unwrap();
    assert!(matches!(check(&ours).await, Ok(Some(1..=60_000))));
    assert_eq!(ours.renew_sessions(&[held]).await, Ok(vec![]));
    assert_eq!(theirs.renew_sessions(&[newer]).await.unwrap().len(), 1);

    ours.announce_node(node("a"), 60_000).await.unwrap();
    theirs.announce_node(node("b"), 60_000).await.unwrap();
    theirs.remove_node("a").await;
    assert_eq!(ours.nodes().await.unwrap(), [node("a")]);
    assert_eq!(theirs.nodes().await.unwrap(), [node("b")]);

    let (we, they) = (Listener::join(&ours), Listener::join(&theirs));
    for channel in [CHANNEL, Channel::Conversation(ConversationId::from_database(7))] {
        ours.subscribe(we.id, channel).await.unwrap();
        theirs.subscribe(they.id, channel).await.unwrap();
        say(&ours, channel, "ours", None);
        eventually("we have heard it", async || {
            we.heard().contains(&"ours".to_owned())
        })
        .await;
        say(&theirs, channel, "theirs", None);
        eventually("they have heard theirs", async || {
            they.heard().contains(&"theirs".to_owned())
        })
        .await;
    }
    assert!(we.heard().iter().all(|heard| heard == "ours"), "{:?}", we.heard());
    assert!(
        they.heard().iter().all(|heard| heard == "theirs"),
        "{:?}",
        they.heard()
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_fleets_on_one_redis_share_nothing() {
    Box::pin(nothing_is_shared(&Redis::shared().url())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_fleets_on_one_cluster_share_nothing() {
    Box::pin(nothing_is_shared(&Cluster::shared().url())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_fleets_on_one_sentinel_set_share_nothing() {
    let set = tokio::task::spawn_blocking(|| SentinelSet::start(Default::default()).unwrap())
        .await
        .unwrap();
    Box::pin(nothing_is_shared(&set.url())).await;
}

/// The complaints about other fleets, as a process that only looks gets them.
async fn told(url: &str, identity: Option<&Identity>) -> Vec<String> {
    let looks = Backplane::open_to_look(url, identity).await.unwrap();
    eventually("it is connected", async || looks.is_available().await).await;
    let complaints = looks.complaints().await.unwrap();
    let fleets = complaints
        .into_iter()
        .filter(|complaint| complaint.problem.contains("fleet"));
    fleets
        .map(|complaint| {
            assert!(!complaint.is_grave && complaint.cure.contains("prefix="));
            complaint.problem
        })
        .collect()
}

async fn another_fleet_is_told(url: &str) {
    let (ours, theirs) = (Identity::random(), Identity::random());
    assert_eq!(told(url, Some(&ours)).await, [""; 0]);
    let _we = open_as(url, &ours).await;
    let _they = open_as(url, &theirs).await;
    eventually("both have said that they are there", async || {
        told(url, None).await.len() == 1
    })
    .await;
    let (here, there) = (
        told(url, Some(&ours)).await.remove(0),
        told(url, Some(&theirs)).await.remove(0),
    );
    let another = |other: &Identity, own: &Identity| {
        format!(
            "another fleet uses it under the same prefix: {} (this one is {})",
            other.id(),
            own.id()
        )
    };
    assert_eq!(here, another(&theirs, &ours));
    assert_eq!(there, another(&ours, &theirs));
    let mut ids = [ours.id(), theirs.id()];
    ids.sort();
    assert_eq!(
        told(url, None).await,
        [format!(
            "several fleets use it under the same prefix: {}",
            ids.join(", ")
        )]
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_fleet_on_a_redis_is_told() {
    another_fleet_is_told(&Redis::shared().prefixed_url()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_fleet_on_a_cluster_is_told() {
    another_fleet_is_told(&Cluster::shared().prefixed_url()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_fleet_is_no_matter_and_nonsense_in_the_list_neither() {
    let url = Redis::shared().prefixed_url();
    let prefix = url.split("prefix=").nth(1).unwrap();
    let (key, ours) = (format!("{prefix}fleets"), Identity::random());
    let _we = open_as(&url, &ours).await;
    let redis = Redis::shared();
    eventually("it has said that it is there", async || {
        redis.command(&["HEXISTS", &key, &ours.id()]).unwrap() == "1"
    })
    .await;
    let later = (now_ms() + 60_000).to_string();
    redis
        .command(&[
            "HSET",
            &key,
            "another\nline",
            &later,
            "0123456789abcdef",
            "x",
            "fedcba9876543210",
            "1",
        ])
        .unwrap();
    assert_eq!(told(&url, Some(&ours)).await, [""; 0]);
    assert_eq!(told(&url, None).await, [""; 0]);
    // The next process that starts takes them out.
    let _again = open_as(&url, &ours).await;
    eventually("it is taken out", async || {
        redis.command(&["HKEYS", &key]).unwrap() == ours.id()
    })
    .await;
}
