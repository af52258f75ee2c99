//! Nodes that share a database and a Redis and nothing else, and what Redis may do to them.

use std::time::Duration;

use journal::UserNotice;
use proto::{
    UserId,
    wire::{ByeReason, Role, client_frame::Body as Request, server_frame::Body},
};
use testkit::{
    PATIENCE,
    cluster::{Cluster, Shape},
    eventually,
    redis::{Options, Redis},
    sentinel::{self, SentinelSet},
};
use tokio::time::{sleep, timeout};

use super::{
    apart::named,
    app::{App, login},
    fleet::Fleet,
};

async fn redis() -> Redis {
    tokio::task::spawn_blocking(|| Redis::start(Options::default()).unwrap())
        .await
        .unwrap()
}

// protocol: "Each entry arrives once and in order"
#[tokio::test(flavor = "multi_thread")]
async fn a_message_reaches_everybody_on_whatever_node_once_and_in_order() {
    let fleet = Fleet::start_apart(&Redis::shared().prefixed_url(), 3).await;
    let consult = fleet.consult().await;
    let mut patient = fleet.app_on(0, 1, "phone").await;
    let (mut doctor, mut pad) = (fleet.app_on(1, 2, "pad").await, fleet.app_on(2, 1, "pad").await);
    for at in 0..50 {
        patient.say(consult, &format!("p{at}"), "hello").await.unwrap();
        doctor.say(consult, &format!("d{at}"), "hello").await.unwrap();
    }
    let again = pad.say(consult, "p7", "hello").await.unwrap();
    assert!(again.duplicate);
    // The doctor came second.
    for (app, first) in [(&mut patient, 1), (&mut doctor, 2), (&mut pad, 1)] {
        let theirs: Vec<i64> = (first..=102).collect();
        assert_eq!(timeout(PATIENCE, app.seqs(theirs.len())).await.unwrap(), theirs);
    }
    let nodes = fleet.backplane.nodes().await.unwrap();
    assert_eq!(nodes.len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_has_one_session_on_whatever_node() {
    let fleet = Fleet::start_apart(&Redis::shared().prefixed_url(), 3).await;
    let (mut first, mut other) = (fleet.app_on(0, 1, "phone").await, fleet.app_on(0, 1, "pad").await);
    let mut second = fleet.app_on(1, 1, "phone").await;
    assert_eq!(first.bye().await.reason(), ByeReason::Replaced);
    let third = fleet.app_on(2, 1, "phone").await;
    assert_eq!(second.bye().await.reason(), ByeReason::Replaced);
    other.nothing_came().await;
    let user = UserId::from_database(1);
    let devices = async || {
        let presence = fleet.backplane.presence(&[user]).await.unwrap().remove(0);
        let mut devices: Vec<String> = presence
            .devices
            .into_iter()
            .map(|device| device.device_id)
            .collect();
        devices.sort();
        devices
    };
    assert_eq!(devices().await, ["pad", "phone"]);
    drop(third);
    eventually("the phone is gone", async || devices().await == ["pad"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_logout_ends_the_session_on_whatever_node() {
    let fleet = Fleet::start_apart(&Redis::shared().prefixed_url(), 2).await;
    let (mut phone, mut pad) = (fleet.app_on(1, 1, "phone").await, fleet.app_on(1, 1, "pad").await);
    let user = UserId::from_database(1);
    let generation = fleet.backplane.revoke_im_passwords(user, "phone").await.unwrap();
    let notice = UserNotice::LoggedOut {
        device_id: "phone".to_owned(),
        generation: generation.0,
    };
    fleet.journal.notify(user, &notice);
    assert_eq!(phone.bye().await.reason(), ByeReason::LoggedOut);
    pad.nothing_came().await;
    // The same again ends no later login, neither does a disabling that is over.
    let generation = fleet.backplane.next_generation(user).await.unwrap().0;
    let (mut again, mut last) = (
        fleet.app_on(1, 1, "phone").await,
        fleet.app_on(1, 1, "watch").await,
    );
    fleet.journal.notify(user, &notice);
    fleet.journal.notify(user, &UserNotice::Disabled { generation });
    assert_eq!(pad.bye().await.reason(), ByeReason::Disabled);
    // Notices for one user arrive in order.
    let generation = fleet
        .backplane
        .revoke_im_passwords(user, "watch")
        .await
        .unwrap()
        .0;
    let device_id = "watch".to_owned();
    fleet.journal.notify(
        user,
        &UserNotice::LoggedOut {
            device_id,
            generation,
        },
    );
    assert_eq!(last.bye().await.reason(), ByeReason::LoggedOut);
    again.nothing_came().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_notice_ends_sessions_all_the_same() {
    let redis = redis().await;
    let fleet = Fleet::start_apart(&redis.url(), 2).await;
    let (mut phone, mut pad) = (fleet.app_on(0, 1, "phone").await, fleet.app_on(0, 1, "pad").await);
    let user = UserId::from_database(1);
    // A logout whose notice never comes, and a login elsewhere whose notice is cut off.
    fleet.backplane.revoke_im_passwords(user, "pad").await.unwrap();
    redis.command(&["CLIENT", "KILL", "TYPE", "pubsub"]).unwrap();
    let _again = fleet.app_on(1, 1, "phone").await;
    redis.command(&["CLIENT", "KILL", "TYPE", "pubsub"]).unwrap();
    assert_eq!(
        timeout(PATIENCE, pad.bye()).await.unwrap().reason(),
        ByeReason::LoggedOut
    );
    assert_eq!(
        timeout(PATIENCE, phone.bye()).await.unwrap().reason(),
        ByeReason::Replaced
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn while_redis_is_away_sessions_go_on_and_logins_are_told_to_wait() {
    let redis = redis().await;
    let fleet = Fleet::start_apart(&redis.url(), 2).await;
    let consult = fleet.consult().await;
    let password = fleet.password(2, "pad").await;
    let (mut patient, mut other) = (
        fleet.app_on(0, 1, "phone").await,
        fleet.app_on(0, 1, "other").await,
    );
    redis.kill().unwrap();
    let mut late = App::connect(fleet.nodes[1].1.tcp()).await;
    late.send(Request::Login(login(2, "pad", &password))).await;
    let bye = late.bye().await;
    assert_eq!(bye.reason(), ByeReason::Unavailable);
    assert!(bye.retry_after_ms > 0);
    patient.say(consult, "a", "hello").await.unwrap();
    assert_eq!(other.seqs(3).await, [1, 2, 3]);
    // Presence and typing are away, and nothing else.
    redis.start_again().unwrap();
    eventually("Redis is back", async || fleet.backplane.is_available().await).await;
    let mut doctor = fleet.app_on(1, 2, "pad").await;
    assert_eq!(doctor.seqs(2).await, [2, 3]);
    patient.say(consult, "b", "hello").await.unwrap();
    assert_eq!(timeout(PATIENCE, doctor.seqs(1)).await.unwrap(), [4]);
    // The node is in the directory again, and who is logged in is known again.
    let user = UserId::from_database(1);
    eventually("it is as it was", async || {
        let nodes = fleet.backplane.nodes().await.unwrap_or_default();
        let presence = fleet.backplane.presence(&[user]).await.unwrap_or_default();
        nodes.len() == 2 && presence.first().is_some_and(|person| person.devices.len() == 2)
    })
    .await;
}

/// People on three nodes write while Redis suffers, and one joins: each gets each entry of theirs once, in order, soon
/// after it has ended.
async fn chat_through(begin: impl FnOnce(&Redis), end: impl FnOnce(&Redis)) {
    let redis = redis().await;
    chat_over(&redis.url(), || begin(&redis), || end(&redis)).await;
}

async fn chat_over(redis_url: &str, begin: impl FnOnce(), end: impl FnOnce()) {
    let fleet = Fleet::start_apart(redis_url, 3).await;
    let consult = fleet.consult().await;
    let mut patient = fleet.app_on(0, 1, "phone").await;
    let mut doctor = fleet.app_on(1, 2, "pad").await;
    let (mut guest, mut leaver) = (fleet.app_on(2, 3, "pad").await, fleet.app_on(2, 4, "pad").await);
    let came = fleet.join(consult, 4, Role::Assistant).await;
    let mut said = 0;
    let mut write = async |count: usize| {
        for _ in 0..count {
            said += 1;
            patient.say(consult, &format!("p{said}"), "hello").await.unwrap();
            doctor.say(consult, &format!("d{said}"), "hello").await.unwrap();
        }
    };
    write(10).await;
    begin();
    write(10).await;
    let joined = fleet.join(consult, 3, Role::Assistant).await;
    write(10).await;
    let left = fleet.leave(consult, 4).await;
    write(10).await;
    end();
    write(10).await;
    // Two joined at first, two later; one left.
    let last = 2 + 100 + 3;
    let everything: Vec<i64> = (1..=last).collect();
    let whole = usize::try_from(last).unwrap();
    let recovered = async {
        assert_eq!(patient.seqs(whole).await, everything);
        assert_eq!(doctor.seqs(whole - 1).await, everything[1..]);
        let of_guest: Vec<i64> = (joined..=last).collect();
        assert_eq!(guest.seqs(of_guest.len()).await, of_guest);
        let of_leaver: Vec<i64> = (came..=left).collect();
        assert_eq!(leaver.seqs(of_leaver.len()).await, of_leaver);
    };
    timeout(PATIENCE, recovered).await.expect("everything in time");
    for app in [&mut patient, &mut doctor, &mut guest, &mut leaver] {
        app.nothing_came().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_when_redis_dies_and_comes_back() {
    chat_through(
        |redis| redis.kill().unwrap(),
        |redis| redis.start_again().unwrap(),
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_when_redis_freezes() {
    chat_through(
        |redis| redis.pause(),
        |redis| {
            std::thread::sleep(Duration::from_secs(4));
            redis.resume();
        },
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_when_redis_is_emptied() {
    let flush = |redis: &Redis| assert_eq!(redis.command(&["FLUSHALL"]).unwrap(), "OK");
    chat_through(flush, flush).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_when_subscriptions_are_cut() {
    let cut = |redis: &Redis| {
        redis.command(&["CLIENT", "KILL", "TYPE", "pubsub"]).unwrap();
    };
    chat_through(cut, cut).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_when_sentinels_replace_the_master() {
    let set = tokio::task::spawn_blocking(|| SentinelSet::start(sentinel::Shape::default()).unwrap())
        .await
        .unwrap();
    chat_over(
        &set.url(),
        || set.servers[0].kill().unwrap(),
        || set.wait_until_master(1).unwrap(),
    )
    .await;
}

async fn cluster(shape: Shape) -> Cluster {
    tokio::task::spawn_blocking(|| Cluster::start(shape).unwrap())
        .await
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_when_a_replica_takes_over_in_a_cluster() {
    let cluster = cluster(Shape {
        replicas: true,
        ..Shape::default()
    })
    .await;
    // The first conversation's channel is there.
    let master = cluster.first_owner(&named("c:1")).unwrap();
    chat_over(
        &cluster.url(),
        || cluster.nodes[master].kill().unwrap(),
        || cluster.wait_until_replaced(master).unwrap(),
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_when_slots_move_in_a_cluster() {
    let cluster = cluster(Shape {
        spare: true,
        ..Shape::default()
    })
    .await;
    let names = [
        named("c:1"),
        named("u:1"),
        named("u:2"),
        named("u:3"),
        named("p:1"),
    ];
    let slots = names.map(|name| (cluster.slot(&name).unwrap(), cluster.first_owner(&name).unwrap()));
    let spare = cluster.nodes.len() - 1;
    chat_over(
        &cluster.url(),
        || {
            for (slot, from) in slots {
                cluster.begin_move(slot, from, spare).unwrap();
            }
            let (slot, from) = slots[0];
            cluster.finish_move(slot, from, spare).unwrap();
        },
        || {
            for (slot, from) in &slots[1..] {
                cluster.finish_move(*slot, *from, spare).unwrap();
            }
        },
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_that_is_checked_while_its_node_drains_ends_with_a_bye() {
    let redis = redis().await;
    let fleet = Fleet::start_apart(&redis.url(), 1).await;
    let password = fleet.password(1, "phone").await;
    let mut app = App::connect(fleet.ports().tcp()).await;
    // The check waits for Redis, and is several answers behind the drain.
    redis.command(&["CLIENT", "PAUSE", "700", "ALL"]).unwrap();
    app.send(Request::Login(login(1, "phone", &password))).await;
    // Nothing shows that the node has read it; a drain that comes first refuses the login with the same Bye.
    sleep(Duration::from_millis(200)).await;
    let ending = async {
        loop {
            match app.receive().await.expect("a Bye comes").body {
                Some(Body::Bye(bye)) => break bye.reason(),
                Some(Body::LoginOk(_)) => {}
                other => panic!("{other:?}"),
            }
        }
    };
    let (reason, ()) = tokio::join!(ending, fleet.nodes[0].0.drain(Duration::ZERO));
    assert_eq!(reason, ByeReason::Draining);
}
