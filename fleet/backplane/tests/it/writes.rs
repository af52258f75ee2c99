//! A Redis that answers and accepts no writes: no login succeeds, so it is not available, and it says why.

use backplane::{Backplane, Unavailable};
use proto::{UserId, wire::Platform};
use testkit::redis::{Options, Redis};

use crate::{eventually, open};

const USER: UserId = UserId::from_database(7);

async fn refuses_and_recovers(spoil: &[&[&str]], mend: &[&str], told: &str) {
    let redis = tokio::task::spawn_blocking(|| Redis::start(Options::default()).unwrap())
        .await
        .unwrap();
    let backplane = open(&redis.url()).await;
    eventually("it is available", async || backplane.is_available().await).await;
    claim(&backplane).await.unwrap();
    for words in spoil {
        redis.command(words).unwrap();
    }
    eventually("it says why", async || {
        backplane.is_ready().await.is_err_and(|why| why.contains(told))
    })
    .await;
    assert!(!backplane.is_available().await);
    assert_eq!(claim(&backplane).await, Err(Unavailable));
    redis.command(mend).unwrap();
    eventually("it is available again", async || backplane.is_available().await).await;
    eventually("logins go again", async || claim(&backplane).await.is_ok()).await;
}

async fn claim(backplane: &Backplane) -> Result<(), Unavailable> {
    backplane
        .claim_session(USER, "phone", Platform::Ios)
        .await
        .map(drop)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_memory_is_not_available_until_there_is_room() {
    let limit = |bytes| ["CONFIG", "SET", "maxmemory", bytes];
    refuses_and_recovers(&[&limit("1")], &limit("0"), "OOM").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_without_its_master_is_not_available_until_it_is_promoted() {
    let spoil: [&[&str]; 1] = [&["REPLICAOF", "127.0.0.1", "1"]];
    refuses_and_recovers(&spoil, &["REPLICAOF", "NO", "ONE"], "takes no writes").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_that_serves_nothing_is_not_available_until_it_is_promoted() {
    let spoil: [&[&str]; 2] = [
        &["CONFIG", "SET", "replica-serve-stale-data", "no"],
        &["REPLICAOF", "127.0.0.1", "1"],
    ];
    refuses_and_recovers(&spoil, &["REPLICAOF", "NO", "ONE"], "").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_master_that_misses_its_replicas_is_not_available() {
    let replicas = |number| ["CONFIG", "SET", "min-replicas-to-write", number];
    refuses_and_recovers(&[&replicas("1")], &replicas("0"), "NOREPLICAS").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_examination_names_the_cure() {
    let redis = tokio::task::spawn_blocking(|| Redis::start(Options::default()).unwrap())
        .await
        .unwrap();
    let backplane = open(&redis.url()).await;
    redis.command(&["CONFIG", "SET", "maxmemory", "1"]).unwrap();
    let complaints = backplane.complaints().await.unwrap();
    let grave: Vec<_> = complaints
        .iter()
        .filter(|complaint| complaint.problem.contains("OOM"))
        .collect();
    assert!(!grave.is_empty(), "{complaints:?}");
    for complaint in grave {
        assert!(
            complaint.is_grave && complaint.cure.contains("raise maxmemory"),
            "{complaint:?}"
        );
    }
}
