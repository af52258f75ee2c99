//! Faults of a cluster: masters die, come back, are replaced, and slots move.

use std::time::Duration;

use backplane::{Backplane, Channel, OpenError, PasswordHash, hash_password};
use proto::{UserId, wire::Platform};
use testkit::{
    cluster::{Cluster, Shape},
    redis::{Options, Redis},
};

use crate::{
    IDENTITY, eventually,
    faults::told_to_compare,
    listening::{Listener, say},
    named, open,
    refusals::{certificate, foreign_authority},
};

/// Enough for some to fall to each master.
const PEOPLE: i64 = 30;

fn person(id: i64) -> UserId {
    UserId::from_database(id)
}

/// A cluster of the test's own and two processes; one listens on the channel of each user.
struct World {
    cluster: Cluster,
    speaks: Backplane,
    hears: Backplane,
    listener: Listener,
}

impl World {
    async fn start(shape: Shape) -> Self {
        let cluster = tokio::task::spawn_blocking(move || Cluster::start(shape).unwrap())
            .await
            .unwrap();
        let (speaks, hears) = (open(&cluster.url()).await, open(&cluster.url()).await);
        let listener = Listener::join(&hears);
        for id in 1..=PEOPLE {
            hears
                .subscribe(listener.id, Channel::User(person(id)))
                .await
                .unwrap();
        }
        Self {
            cluster,
            speaks,
            hears,
            listener,
        }
    }

    /// The users whose channel falls to a master at the start.
    fn people_of(&self, master: usize) -> Vec<i64> {
        let is_theirs = |id: &i64| self.cluster.first_owner(&named(&format!("u:{id}"))).unwrap() == master;
        let people: Vec<i64> = (1..=PEOPLE).filter(is_theirs).collect();
        assert!(!people.is_empty());
        people
    }

    /// Publishes on the channels of these users until each has received a payload.
    async fn heard_by(&self, people: &[i64], word: &str) {
        eventually(word, async || {
            let heard = self.listener.heard();
            let missing: Vec<i64> = people
                .iter()
                .copied()
                .filter(|id| !heard.contains(&format!("{word} {id}")))
                .collect();
            for id in &missing {
                say(
                    &self.speaks,
                    Channel::User(person(*id)),
                    &format!("{word} {id}"),
                    None,
                );
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
            missing.is_empty()
        })
        .await;
    }

    async fn heard_by_all(&self, word: &str) {
        self.heard_by(&(1..=PEOPLE).collect::<Vec<_>>(), word).await;
    }

    async fn claim(&self, id: i64) -> bool {
        let claimed = self.speaks.claim_session(person(id), "phone", Platform::Ios);
        claimed.await.is_ok()
    }

    async fn all_are_claimed(&self) {
        for id in 1..=PEOPLE {
            eventually("everybody may log in", async || self.claim(id).await).await;
        }
        let people: Vec<UserId> = (1..=PEOPLE).map(person).collect();
        let presence = self.speaks.presence(&people).await.unwrap();
        assert!(presence.iter().all(|person| person.devices.len() == 1));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_master_that_dies_takes_its_slots_only_and_brings_them_back() {
    let world = World::start(Shape::default()).await;
    world.heard_by_all("before").await;
    world.all_are_claimed().await;
    let mut resumed = world.hears.resumed();
    world.cluster.nodes[1].kill().unwrap();
    eventually("it is noticed", async || !world.hears.is_available().await).await;
    let (theirs, others) = (world.people_of(1), world.people_of(2));
    world.heard_by(&others, "meanwhile").await;
    // A user's records are in another slot than their channel.
    let is_elsewhere = |id: &i64| world.cluster.first_owner(&named(&format!("p:{id}"))).unwrap() == 2;
    let elsewhere = (1..=PEOPLE).find(is_elsewhere).unwrap();
    assert!(world.claim(elsewhere).await);
    eventually("some cannot log in", async || {
        for id in 1..=PEOPLE {
            if !world.claim(id).await {
                return true;
            }
        }
        false
    })
    .await;
    resumed.borrow_and_update();
    world.cluster.nodes[1].start_again().unwrap();
    told_to_compare(&mut resumed).await;
    world.heard_by(&theirs, "again").await;
    world.all_are_claimed().await;
    eventually("all of it is there", async || {
        world.hears.is_available().await && world.speaks.is_available().await
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_that_takes_over_is_found() {
    let world = World::start(Shape {
        replicas: true,
        ..Shape::default()
    })
    .await;
    world.heard_by_all("before").await;
    let mut resumed = world.hears.resumed();
    resumed.borrow_and_update();
    world.cluster.nodes[0].kill().unwrap();
    world.heard_by_all("after").await;
    told_to_compare(&mut resumed).await;
    world.cluster.wait_until_replaced(0).unwrap();
    world.all_are_claimed().await;
    eventually("all of it is there", async || world.hears.is_available().await).await;
    // Back, the old master is a replica of the new one, and not needed.
    world.cluster.nodes[0].start_again().unwrap();
    eventually("it is a replica", async || {
        let info = world.cluster.nodes[0].command(&["INFO", "replication"]);
        info.is_ok_and(|info| info.contains("role:slave"))
    })
    .await;
    world.heard_by_all("afterwards").await;
    world.all_are_claimed().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slot_that_moves_takes_its_subscriptions_along() {
    let world = World::start(Shape {
        spare: true,
        ..Shape::default()
    })
    .await;
    world.heard_by_all("before").await;
    let cluster = &world.cluster;
    let mut resumed = world.hears.resumed();
    // To another master, to one that had nothing, and back.
    for (round, to) in [1, 3, 0].into_iter().enumerate() {
        let id = world.people_of(0)[0];
        let slot = cluster.slot(&named(&format!("u:{id}"))).unwrap();
        let from = [0, 1, 3][round];
        resumed.borrow_and_update();
        cluster.begin_move(slot, from, to).unwrap();
        world.heard_by(&[id], &format!("on the way {round}")).await;
        cluster.finish_move(slot, from, to).unwrap();
        told_to_compare(&mut resumed).await;
        world.heard_by_all(&format!("round {round}")).await;
    }
    eventually("all of it is there", async || world.hears.is_available().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slot_that_moves_takes_its_keys_along() {
    let world = World::start(Shape {
        spare: true,
        ..Shape::default()
    })
    .await;
    let backplane = &world.speaks;
    let hash = hash_password("secret");
    // Braces in the name of a device, which a cluster takes for the part that decides.
    for device in ["phone", "{pad}", "{}"] {
        let user = person(7);
        let key = named(&format!("w:7:{device}"));
        let (slot, from) = (
            world.cluster.slot(&key).unwrap(),
            world.cluster.first_owner(&key).unwrap(),
        );
        let is_good = async |hash: &PasswordHash| {
            let left_ms = backplane.check_im_password(user, device, hash).await.unwrap();
            left_ms.is_some()
        };
        backplane
            .put_im_password(user, device, hash, 60_000)
            .await
            .unwrap();
        assert!(is_good(&hash).await);
        world.cluster.begin_move(slot, from, 3).unwrap();
        assert!(is_good(&hash).await, "asked where it is by now");
        let other = hash_password("other");
        backplane
            .put_im_password(user, device, other, 60_000)
            .await
            .unwrap();
        world.cluster.finish_move(slot, from, 3).unwrap();
        assert!(is_good(&hash).await);
        assert!(is_good(&other).await);
    }
    // Many together, some of which have moved.
    world.all_are_claimed().await;
    let key = named("p:1");
    let (slot, from) = (
        world.cluster.slot(&key).unwrap(),
        world.cluster.first_owner(&key).unwrap(),
    );
    world.cluster.begin_move(slot, from, 3).unwrap();
    world.all_are_claimed().await;
    world.cluster.finish_move(slot, from, 3).unwrap();
    world.all_are_claimed().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_frozen_or_emptied_master_is_noticed() {
    let world = World::start(Shape::default()).await;
    world.heard_by_all("before").await;
    let node = &world.cluster.nodes[2];
    eventually("each master has a mark of each process", async || {
        world.cluster.nodes.iter().all(|node| {
            let marks = node.command(&["KEYS", &named("mark:*")]).unwrap();
            marks.lines().filter(|line| !line.is_empty()).count() == 2
        })
    })
    .await;
    let mut resumed = world.hears.resumed();
    resumed.borrow_and_update();
    node.command(&["FLUSHALL"]).unwrap();
    told_to_compare(&mut resumed).await;

    node.pause();
    eventually("it is noticed", async || {
        !world.hears.is_available().await && !world.speaks.is_available().await
    })
    .await;
    world.heard_by(&world.people_of(0), "meanwhile").await;
    resumed.borrow_and_update();
    node.resume();
    told_to_compare(&mut resumed).await;
    world.heard_by_all("again").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn subscriptions_that_are_cut_are_made_again() {
    let world = World::start(Shape::default()).await;
    for round in 0..3 {
        let mut resumed = world.hears.resumed();
        resumed.borrow_and_update();
        world.cluster.nodes[round]
            .command(&["CLIENT", "KILL", "TYPE", "pubsub"])
            .unwrap();
        told_to_compare(&mut resumed).await;
        world.heard_by_all(&format!("round {round}")).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn coming_and_going_costs_no_connection() {
    let world = World::start(Shape::default()).await;
    world.heard_by_all("before").await;
    let mut resumed = world.hears.resumed();
    resumed.borrow_and_update();
    for round in 0..200 {
        let channel = Channel::User(person(round % PEOPLE + 1));
        world.hears.unsubscribe(world.listener.id, channel);
        if round % 3 == 0 {
            tokio::task::yield_now().await;
        }
        world.hears.subscribe(world.listener.id, channel).await.unwrap();
    }
    world.heard_by_all("after").await;
    assert!(!resumed.has_changed().unwrap(), "a connection was given up");
}

async fn refused(url: &str) -> OpenError {
    match Backplane::open(url, &IDENTITY).await {
        Ok(_) => panic!("{url} was taken"),
        Err(error) => error,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_cluster_and_what_is_one_are_told_apart() {
    let single = refused(&Redis::shared().url().replace("redis://", "redis+cluster://")).await;
    assert!(single.to_string().contains("no part of a cluster"), "{single}");
    let node = Cluster::shared().nodes[0].url();
    let cluster = refused(&node).await;
    assert!(cluster.to_string().contains("redis+cluster://"), "{cluster}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_want_the_login_and_one_that_answers_will_do() {
    let world = World::start(Shape {
        login: Some(("huizhen", "geheim")),
        certificate: Some(certificate()),
        ..Shape::default()
    })
    .await;
    world.heard_by_all("hello").await;
    world.all_are_claimed().await;
    let error = refused(world.cluster.url().split('?').next().unwrap()).await;
    assert!(error.to_string().contains("ca_cert=FILE"), "{error}");
    let folder = tempfile::tempdir().unwrap();
    let url = world.cluster.url();
    let (before, _) = url.split_once("ca_cert=").unwrap();
    let error = refused(&format!("{before}ca_cert={}", foreign_authority(&folder))).await;
    let text = error.to_string();
    assert!(
        matches!(error, OpenError::Refused { .. }) && text.contains("certificate"),
        "{text}"
    );
    let error = refused(&world.cluster.url().replace("geheim", "falsch")).await;
    assert!(matches!(error, OpenError::Refused { .. }), "{error}");
    let text = error.to_string();
    assert!(
        text.contains("user and password") && !text.contains("falsch"),
        "{text}"
    );

    // A seed that does not resolve, one that is away.
    let away = Redis::start(Options::default()).unwrap();
    away.stop().unwrap();
    let late = world.cluster.nodes[2].address();
    let url = world.cluster.url();
    let (_, authority) = url.split_once('?').unwrap();
    let url = format!(
        "rediss+cluster://huizhen:geheim@{},{late}?{authority}",
        away.address()
    );
    let backplane = open(&url).await;
    backplane
        .claim_session(person(1), "phone", Platform::Ios)
        .await
        .unwrap();
}
