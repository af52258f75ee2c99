//! An intruder may read and write everything in Redis, but has no key: nothing of it is believed.

use std::sync::OnceLock;

use backplane::{Channel, HeldSession, Identity, NodeAddress, NodeRecord, Outdone, hash_password};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use proto::{UserId, wire::Platform};
use redis::aio::MultiplexedConnection;
use testkit::{
    cluster::Cluster,
    redis::{Options, Redis},
};

use crate::{
    eventually,
    listening::{CHANNEL, Listener, say},
    named, now_ms, open, open_as,
};

const USER: UserId = UserId::from_database(7);
const OTHER: UserId = UserId::from_database(8);
/// Before the text of each record.
const AUTHENTICATOR_BYTES: usize = 16;

/// How many of a kind this process has found.
fn found(what: &str) -> u64 {
    static METRICS: OnceLock<PrometheusHandle> = OnceLock::new();
    let metrics = METRICS.get_or_init(|| PrometheusBuilder::new().install_recorder().unwrap());
    let name = format!("huizhen_backplane_forged_total{{what=\"{what}\"}} ");
    let text = metrics.render();
    let line = text.lines().find_map(|line| line.strip_prefix(&name));
    line.map_or(0, |number| number.parse().unwrap())
}

/// A Redis of the test's own, and an attacker with all rights there.
async fn intruder() -> (Redis, MultiplexedConnection) {
    found("publication");
    let redis = tokio::task::spawn_blocking(|| Redis::start(Options::default()).unwrap())
        .await
        .unwrap();
    let client = redis::Client::open(redis.url()).unwrap();
    let connection = client.get_multiplexed_async_connection().await.unwrap();
    (redis, connection)
}

async fn run<T: redis::FromRedisValue>(connection: &mut MultiplexedConnection, words: &[&[u8]]) -> T {
    let mut command = redis::Cmd::new();
    for word in words {
        command.arg(*word);
    }
    command.query_async(connection).await.unwrap()
}

fn changed(bytes: &[u8], at: usize) -> Vec<u8> {
    let mut changed = bytes.to_vec();
    changed[at] ^= 1;
    changed
}

/// The bytes that go over a channel when this is said on it.
async fn overheard(redis: &Redis, name: &str, say: impl FnOnce()) -> Vec<u8> {
    use futures_util::StreamExt;
    let client = redis::Client::open(redis.url()).unwrap();
    let mut listens = client.get_async_pubsub().await.unwrap();
    listens.subscribe(name).await.unwrap();
    say();
    let message = listens.on_message().next().await.unwrap();
    // Redis would count it among the receivers of what follows.
    listens.unsubscribe(name).await.unwrap();
    message.get_payload().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn publications_that_were_forged_changed_or_moved_are_refused_and_counted() {
    let (redis, mut intruder) = intruder().await;
    let (speaks, hears) = (open(&redis.url()).await, open(&redis.url()).await);
    let listener = Listener::join(&hears);
    let other = Channel::User(OTHER);
    for channel in [CHANNEL, other] {
        hears.subscribe(listener.id, channel).await.unwrap();
    }
    let (name, other_name) = (named("u:7"), named("u:8"));
    let genuine = overheard(&redis, &name, || say(&speaks, CHANNEL, "genuine", None)).await;
    eventually("it is heard", async || listener.heard() == ["genuine"]).await;
    let before = found("publication");
    let mut refused: Vec<(&str, Vec<u8>)> = vec![
        (&name, Vec::new()),
        (&name, b"\0\0\0\0\0\0\0\0as version 0.1.0 published it".to_vec()),
        (&name, genuine[..genuine.len() - 1].to_vec()),
        (&name, [&genuine[..], b"x"].concat()),
        // A genuine one on another channel.
        (&other_name, genuine.clone()),
    ];
    let places = [0, 1, 16, 24, 25, 33, genuine.len() - 1];
    refused.extend(places.map(|at| (name.as_str(), changed(&genuine, at))));
    for (name, payload) in &refused {
        let receivers: i64 = run(&mut intruder, &[b"PUBLISH", name.as_bytes(), payload]).await;
        assert_eq!(receivers, 1);
    }
    say(&speaks, CHANNEL, "after", None);
    say(&speaks, other, "after", None);
    eventually("what is genuine is heard", async || listener.heard().len() == 3).await;
    assert_eq!(listener.heard(), ["genuine", "after", "after"]);
    let refused = u64::try_from(refused.len()).unwrap();
    eventually("all are counted", async || {
        found("publication") >= before + refused
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn publications_forged_in_a_cluster_are_refused_and_counted() {
    let cluster = Cluster::shared();
    let before = found("publication");
    let backplane = open(&cluster.url()).await;
    let listener = Listener::join(&backplane);
    let channel = Channel::User(UserId::from_database(4_711));
    backplane.subscribe(listener.id, channel).await.unwrap();
    let name = named("u:4711");
    let node = &cluster.nodes[cluster.first_owner(&name).unwrap()];
    assert_eq!(node.command(&["SPUBLISH", &name, "forged"]).unwrap(), "1");
    say(&backplane, channel, "genuine", None);
    eventually("it is heard", async || listener.heard() == ["genuine"]).await;
    eventually("it is counted", async || found("publication") > before).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_publication_made_with_another_key_is_refused() {
    let url = Redis::shared().prefixed_url();
    let before = found("publication");
    // The id is no secret.
    let stranger = open_as(&url, &Identity::new(0x1d, [0; 32])).await;
    let backplane = open(&url).await;
    let listener = Listener::join(&backplane);
    backplane.subscribe(listener.id, CHANNEL).await.unwrap();
    say(&stranger, CHANNEL, "forged", None);
    eventually("it is counted", async || found("publication") > before).await;
    say(&backplane, CHANNEL, "genuine", None);
    eventually("what is genuine is heard", async || {
        listener.heard() == ["genuine"]
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn passwords_that_were_forged_changed_or_moved_log_nobody_in() {
    let (redis, mut intruder) = intruder().await;
    let backplane = open(&redis.url()).await;
    let hash = hash_password("secret");
    backplane
        .put_im_password(OTHER, "phone", hash, 60_000)
        .await
        .unwrap();
    let (theirs, ours) = (named("w:8:phone"), named("w:7:phone"));
    let genuine: Vec<Vec<u8>> = run(&mut intruder, &[b"LRANGE", theirs.as_bytes(), b"0", b"-1"]).await;
    let genuine = &genuine[0];
    let before = found("password");
    let later = (now_ms() + 60_000).to_be_bytes();
    let text = [&hash[..], &later].concat();
    let forged = [
        // As version 0.1.0 kept it; with an authenticator of nothing; a genuine one of another user.
        text.clone(),
        [&[0; AUTHENTICATOR_BYTES][..], &text].concat(),
        [&genuine[..AUTHENTICATOR_BYTES], &text].concat(),
        genuine.clone(),
        b"short".to_vec(),
    ];
    for record in &forged {
        run::<i64>(&mut intruder, &[b"RPUSH", ours.as_bytes(), record]).await;
    }
    assert_eq!(backplane.check_im_password(USER, "phone", &hash).await, Ok(None));
    assert!(found("password") >= before + forged.len() as u64);
    // Those beside them are good all the same.
    backplane
        .put_im_password(USER, "phone", hash, 60_000)
        .await
        .unwrap();
    let left_ms = backplane.check_im_password(USER, "phone", &hash).await;
    assert!(matches!(left_ms, Ok(Some(1..=60_000))), "{left_ms:?}");
    // One that is to last longer.
    run::<String>(
        &mut intruder,
        &[
            b"LSET",
            theirs.as_bytes(),
            b"0",
            &changed(genuine, genuine.len() - 8),
        ],
    )
    .await;
    assert_eq!(backplane.check_im_password(OTHER, "phone", &hash).await, Ok(None));
    let stranger = open_as(&redis.url(), &Identity::new(0x1d, [0; 32])).await;
    assert_eq!(stranger.check_im_password(USER, "phone", &hash).await, Ok(None));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn logins_that_were_forged_changed_or_moved_show_and_end_nobody() {
    let (redis, mut intruder) = intruder().await;
    let backplane = open(&redis.url()).await;
    let generation = backplane
        .claim_session(USER, "phone", Platform::Ios)
        .await
        .unwrap();
    let held = HeldSession {
        user: USER,
        device_id: "phone".into(),
        platform: Platform::Ios,
        generation,
    };
    let (ours, theirs) = (named("p:7"), named("p:8"));
    let genuine: Vec<u8> = run(&mut intruder, &[b"HGET", ours.as_bytes(), b"phone"]).await;
    assert!(genuine[AUTHENTICATOR_BYTES..].starts_with(generation.0.to_string().as_bytes()));
    let before = found("login");
    // Copies of a genuine login: of another user, another device, as a renewal, as the time of the last session.
    for (key, field) in [
        (&theirs, &b"phone"[..]),
        (&ours, b"pad"),
        (&ours, b"\0pad"),
        (&theirs, b""),
    ] {
        run::<i64>(&mut intruder, &[b"HSET", key.as_bytes(), field, &genuine]).await;
    }
    let presence = backplane.presence(&[USER, OTHER]).await.unwrap();
    assert_eq!(presence[0].devices.len(), 1);
    assert_eq!(
        (&presence[1].devices[..], presence[1].last_seen_ms),
        (&[][..], None)
    );
    assert!(found("login") >= before + 4);
    // Lines that would replace the session, or log it out.
    for platform in ["1", "x"] {
        let line = format!("{} {platform} 99999999999999", u64::MAX);
        for record in [
            line.clone().into_bytes(),
            [&genuine[..AUTHENTICATOR_BYTES], line.as_bytes()].concat(),
        ] {
            run::<i64>(&mut intruder, &[b"HSET", ours.as_bytes(), b"phone", &record]).await;
            let renewed = backplane.renew_sessions(std::slice::from_ref(&held)).await;
            assert_eq!(renewed, Ok(vec![]), "{line}");
            let stored: Vec<u8> = run(&mut intruder, &[b"HGET", ours.as_bytes(), b"phone"]).await;
            assert_ne!(stored, record, "the login is put back");
        }
        run::<i64>(
            &mut intruder,
            &[b"HSET", ours.as_bytes(), b"phone", line.as_bytes()],
        )
        .await;
        let newer = backplane.next_generation(USER).await.unwrap();
        assert!(newer.0 > generation.0 && newer.0 < u64::MAX, "{newer:?}");
    }
    // A genuine login takes the place of a forged one, and what is not ours is taken out.
    let newer = backplane
        .claim_session(USER, "phone", Platform::Ios)
        .await
        .unwrap();
    assert!(newer > generation);
    assert_eq!(
        backplane.renew_sessions(std::slice::from_ref(&held)).await,
        Ok(vec![(0, Outdone::Replaced)])
    );
    let mut fields: Vec<Vec<u8>> = run(&mut intruder, &[b"HKEYS", ours.as_bytes()]).await;
    fields.sort();
    assert_eq!(fields, [&b"\0phone"[..], b"phone"]);
    let stranger = open_as(&redis.url(), &Identity::new(0x1d, [0; 32])).await;
    assert_eq!(stranger.presence(&[USER]).await.unwrap()[0].devices, []);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_that_were_forged_or_renamed_are_handed_out_to_nobody() {
    let (redis, mut intruder) = intruder().await;
    let backplane = open(&redis.url()).await;
    let node = |node_id: &str| NodeRecord {
        node_id: node_id.into(),
        address: NodeAddress::default(),
        sessions: 1,
        version: "1.0.0".into(),
        process: None,
    };
    backplane.announce_node(node("a"), 60_000).await.unwrap();
    let directory = named("nodes");
    let genuine: Vec<u8> = run(&mut intruder, &[b"HGET", directory.as_bytes(), b"a"]).await;
    let before = found("node");
    let line = genuine[AUTHENTICATOR_BYTES..].to_vec();
    let forged = [
        ("b", genuine.clone()),
        ("c", line.clone()),
        ("d", [&genuine[..AUTHENTICATOR_BYTES], &line[1..]].concat()),
        ("e", changed(&genuine, genuine.len() - 3)),
    ];
    for (node_id, record) in &forged {
        run::<i64>(
            &mut intruder,
            &[b"HSET", directory.as_bytes(), node_id.as_bytes(), record],
        )
        .await;
    }
    assert_eq!(backplane.nodes().await.unwrap(), [node("a")]);
    assert!(found("node") >= before + 4);
    let stranger = open_as(&redis.url(), &Identity::new(0x1d, [0; 32])).await;
    assert_eq!(stranger.nodes().await.unwrap(), []);
    // The next announcement takes them out.
    backplane.announce_node(node("f"), 60_000).await.unwrap();
    assert_eq!(
        run::<i64>(&mut intruder, &[b"HLEN", directory.as_bytes()]).await,
        2
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_release_before_left_is_neither_read_nor_in_the_way() {
    let (redis, mut intruder) = intruder().await;
    let (hash, until) = (hash_password("secret"), now_ms() + 60_000);
    let password = [&hash[..], &until.to_be_bytes()].concat();
    run::<i64>(&mut intruder, &[b"RPUSH", b"huizhen:w:7:phone", &password]).await;
    let login = format!("9 1 {until}");
    run::<i64>(
        &mut intruder,
        &[b"HSET", b"huizhen:p:7", b"phone", login.as_bytes()],
    )
    .await;
    let node = format!(
        "{until} {{\"node_id\":\"a\",\"address\":{{\"ip\":\"192.0.2.1\",\"port\":9501}},\"sessions\":3,\"version\":\"0.1.0\"}}"
    );
    run::<i64>(&mut intruder, &[b"HSET", b"huizhen:nodes", b"a", node.as_bytes()]).await;
    let backplane = open(&redis.url()).await;
    let listener = Listener::join(&backplane);
    backplane.subscribe(listener.id, CHANNEL).await.unwrap();
    let heard: i64 = run(
        &mut intruder,
        &[b"PUBLISH", b"huizhen:u:7", b"\0\0\0\0\0\0\0\0old"],
    )
    .await;
    assert_eq!(heard, 0);
    assert_eq!(backplane.check_im_password(USER, "phone", &hash).await, Ok(None));
    assert_eq!(backplane.presence(&[USER]).await.unwrap()[0].devices, []);
    assert_eq!(backplane.nodes().await.unwrap(), []);
    backplane
        .claim_session(USER, "phone", Platform::Ios)
        .await
        .unwrap();
    let left: String = run(&mut intruder, &[b"HGET", b"huizhen:p:7", b"phone"]).await;
    assert_eq!(left, login, "the nodes that still run keep what is theirs");
}
