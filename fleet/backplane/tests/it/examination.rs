//! Findings about a Redis that answers and yet will not do.

use backplane::{Backplane, Complaint};
use testkit::{
    cluster::Cluster,
    redis::{Options, Redis},
};

use crate::open;

const LIMITED: [&str; 2] = ["maxmemory 1gb", "maxmemory-policy noeviction"];

async fn start(settings: &[&str]) -> Redis {
    let settings = settings.iter().map(|line| (*line).to_owned()).collect();
    tokio::task::spawn_blocking(move || {
        Redis::start(Options {
            settings,
            ..Options::default()
        })
        .unwrap()
    })
    .await
    .unwrap()
}

async fn complaints(url: &str) -> Vec<Complaint> {
    open(url).await.complaints().await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_as_deployed_is_fine() {
    let redis = start(&LIMITED).await;
    assert_eq!(complaints(&redis.url()).await, []);
    assert_eq!(
        redis.command(&["KEYS", "*check*"]).unwrap(),
        "",
        "nothing is left"
    );
    assert_eq!(Backplane::memory().complaints().await, Ok(vec![]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn limits_that_lose_something_are_told() {
    let redis = start(&[
        "maxmemory 1gb",
        "maxmemory-policy allkeys-lru",
        "client-output-buffer-limit pubsub 64kb 32kb 1",
    ])
    .await;
    let said = complaints(&redis.url()).await;
    assert!(said.iter().all(|complaint| complaint.is_grave), "{said:?}");
    let said: Vec<&str> = said.iter().map(|complaint| &*complaint.cure).collect();
    assert_eq!(said.len(), 2);
    assert!(said[0].contains("noeviction"), "{said:?}");
    assert!(
        said[1].contains("client-output-buffer-limit pubsub 256mb"),
        "{said:?}"
    );
}

/// The ACL line in deploy/redis/redis.conf.
fn deployed_user() -> String {
    let conf = include_str!("../../../../deploy/redis/redis.conf");
    let line = conf
        .lines()
        .find_map(|line| {
            line.trim_start_matches(['#', ' '])
                .strip_prefix("user huizhen on ")
        })
        .unwrap();
    format!("user huizhen on {}", line.replace("PASSWORD", "geheim"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_user_of_the_deployed_file_may_do_everything() {
    let user = deployed_user();
    let redis = start(&[LIMITED[0], LIMITED[1], &user]).await;
    let url = redis.url().replace("redis://", "redis://huizhen:geheim@");
    assert_eq!(complaints(&url).await, []);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rights_that_are_missing_are_named() {
    for (wrong, command) in [
        ("-eval", "EVAL"),
        ("-lrange", "LRANGE"),
        ("-rpush", "EVAL"),
        ("-publish", "PUBLISH"),
        ("-subscribe", "SUBSCRIBE"),
        ("resetchannels", "PUBLISH"),
        ("-client|info", "CLIENT INFO"),
    ] {
        let user = format!("{} {wrong}", deployed_user());
        let redis = start(&[LIMITED[0], LIMITED[1], &user]).await;
        let url = redis.url().replace("redis://", "redis://huizhen:geheim@");
        let said = complaints(&url).await;
        assert!(!said.is_empty(), "{wrong}");
        assert!(
            said.iter()
                .any(|complaint| complaint.is_grave && complaint.problem.starts_with(command)),
            "{wrong}: {said:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_master_of_a_cluster_is_looked_at() {
    let said = complaints(&Cluster::shared().prefixed_url()).await;
    // The fixture sets no limit of memory; all masters say the same.
    assert_eq!(said.len(), 1, "{said:?}");
    assert!(
        !said[0].is_grave && said[0].problem.contains("no limit"),
        "{said:?}"
    );
}
