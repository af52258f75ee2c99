//! Background work, as operators see it.

use std::time::Instant;

use database::params;
use serde_json::{Value, json};

use super::{
    operators::{acts, operator},
    people::Person,
    scene::eventually,
    service::Service,
};

pub async fn job(service: &Service, operator: &Person, name: &str) -> Option<Value> {
    let jobs = operator.get(service, "/operator/job_list").send().await.result();
    let found = jobs.as_array().unwrap().iter().find(|job| job["name"] == name);
    found.cloned()
}

async fn act(service: &Service, operator: &Person, name: &str, act: &str) -> super::service::Reply {
    let path = format!("/operator/job/{name}/{act}");
    operator.post(service, &path, json!({})).send().await
}

/// A key that was used long ago.
async fn old_key(service: &Service) {
    let put = service.database.transaction(|tx| {
        Box::pin(async move {
            let insert =
                "INSERT INTO idempotency (user_id, route, idempotency_key, request_hash, answer, created_ms)
                 VALUES (1, 'POST /x', 'old', $1, $1, 0)";
            tx.execute(insert, params![vec![0_u8; 32]]).await?;
            Ok::<_, database::Error>(())
        })
    });
    put.await.unwrap();
}

async fn old_keys(service: &Service) -> i64 {
    let count = "SELECT count(*) FROM idempotency WHERE created_ms = 0";
    let row = service.database.query_first(count, params![]).await;
    row.unwrap().unwrap().get(0).unwrap()
}

#[tokio::test]
async fn an_operator_pauses_a_job_and_lets_it_go_on() {
    let service = Service::start().await;
    let beside = service.beside().await;
    let (operator, _) = operator(&service, "张伟").await;
    eventually("the first turn", async || {
        let job = job(&service, &operator, "forget").await;
        job.is_some_and(|job| job["due_ms"].as_i64().unwrap() > 0)
    })
    .await;
    act(&beside, &operator, "forget", "pause").await.result();
    act(&service, &operator, "forget", "pause").await.result();
    let paused = job(&beside, &operator, "forget").await.unwrap();
    assert_eq!(paused["paused"], true);
    assert_eq!(paused["failures"], 0);
    assert_eq!(paused.get("holder"), None);

    old_key(&service).await;
    act(&service, &operator, "forget", "resume").await.result();
    eventually("what is old is forgotten", async || old_keys(&service).await == 0).await;
    assert_eq!(job(&service, &operator, "forget").await.unwrap()["paused"], false);

    let acts = acts(&service, &operator).await;
    let of_it: Vec<_> = acts
        .iter()
        .filter(|act| act["subject"] == "job:forget")
        .map(|act| (act["act"].as_str().unwrap(), act["operator_id"].clone()))
        .collect();
    let by = json!(operator.id);
    assert_eq!(of_it, [("job_resumed", by.clone()), ("job_paused", by)]);
}

#[tokio::test]
async fn an_unknown_job_is_refused() {
    let service = Service::start().await;
    let (operator, _) = operator(&service, "张伟").await;
    for name in ["none", "job%20list", "%E4%BB%BB%E5%8A%A1"] {
        for verb in ["pause", "resume"] {
            let reply = act(&service, &operator, name, verb).await;
            reply.refused(404, "job.not_found");
        }
    }
    let acts = acts(&service, &operator).await;
    assert!(acts.iter().all(|act| act.get("subject").is_none()), "{acts:?}");
}

/// Each looks for itself; one takes the lease.
#[tokio::test]
async fn one_of_two_services_does_a_turn() {
    let begun = Instant::now();
    let service = Service::start().await;
    let beside = service.beside().await;
    let (operator, _) = operator(&service, "张伟").await;
    eventually("a turn", async || {
        let job = job(&beside, &operator, "forget").await;
        job.is_some_and(|job| job["due_ms"].as_i64().unwrap() > 0)
    })
    .await;
    let lease = "SELECT lease FROM job WHERE name = 'forget'";
    let row = service.database.query_first(lease, params![]).await;
    let leases: i64 = row.unwrap().unwrap().get(0).unwrap();
    let turns = 1 + i64::try_from(begun.elapsed().as_secs() / 30).unwrap();
    assert!((1..=turns).contains(&leases), "{leases}");
}
