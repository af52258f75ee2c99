//! Idempotency keys.

use database::params;
use serde_json::json;
use sha2::{Digest, Sha256};

use super::{
    people::{new_consult, new_team},
    service::Service,
};

async fn count(service: &Service, table: &str) -> i64 {
    let rows = service
        .database
        .query(format!("SELECT count(*) FROM {table}"), vec![])
        .await
        .unwrap();
    rows[0].get(0).unwrap()
}

#[tokio::test]
async fn the_same_request_is_done_once_and_answered_again() {
    let service = Service::start().await;
    let team = service.team("儿科").await;
    let patient = service.member("Pat").await;
    let body = new_consult(&patient, team.id);
    let send = || patient.post(&service, "/consult", body.clone()).key("k-1").send();
    let first = send().await;
    assert!(first.headers.get("idempotent-replayed").is_none());
    let again = send().await;
    assert_eq!(again.text, first.text);
    assert_eq!(again.header("idempotent-replayed"), "true");
    assert_eq!(count(&service, "consult").await, 1);
    let mut other = body.clone();
    other["symptom_content"] = "别的".into();
    let reply = patient.post(&service, "/consult", other).key("k-1").send().await;
    reply
        .refused(422, "idempotency.key_reused")
        .field("Idempotency-Key");
    patient
        .post(&service, "/consult", body.clone())
        .key("k-2")
        .send()
        .await
        .result();
    assert_eq!(count(&service, "consult").await, 2);
}

#[tokio::test]
async fn a_key_belongs_to_its_user_and_route() {
    let service = Service::start().await;
    let team = service.team("儿科").await;
    let one = service.member("Pat").await;
    let two = service.member("Sam").await;
    for person in [&one, &two] {
        let body = new_consult(person, team.id);
        person
            .post(&service, "/consult", body)
            .key("same")
            .send()
            .await
            .result();
    }
    let ids = [
        service.consult(&one, &team).await,
        service.consult(&one, &team).await,
    ];
    let cancel = |id: i64| {
        one.post(&service, &format!("/consult/{id}/cancel"), json!({}))
            .key("same")
            .send()
    };
    cancel(ids[0]).await.result();
    // The same route and body, another consult: another request.
    cancel(ids[1]).await.refused(422, "idempotency.key_reused");
    let again = cancel(ids[0]).await;
    assert_eq!(again.header("idempotent-replayed"), "true");
    // Without the key the state refuses.
    one.post(&service, &format!("/consult/{}/cancel", ids[0]), json!({}))
        .send()
        .await
        .refused(409, "consult.ended");
}

#[tokio::test]
async fn racing_requests_with_one_key_have_one_effect() {
    let service = Service::start().await;
    let doctor = service.doctor("Dr. A").await;
    let calls = (0..30).map(|_| doctor.post(&service, "/team", new_team("x")).key("race").send());
    let replies = futures_util::future::join_all(calls).await;
    assert_eq!(count(&service, "team").await, 1);
    let fresh = replies
        .iter()
        .filter(|reply| reply.status == 200 && reply.headers.get("idempotent-replayed").is_none());
    assert_eq!(fresh.count(), 1);
    let first = replies.iter().find(|reply| reply.status == 200).unwrap();
    for reply in &replies {
        match reply.status {
            200 => assert_eq!(reply.text, first.text),
            _ => {
                reply.refused(409, "idempotency.running");
            }
        }
    }
}

#[tokio::test]
async fn a_refusal_is_not_kept() {
    let service = Service::start().await;
    let team = service.team("儿科").await;
    let patient = service.member("Pat").await;
    let consult = service.consult(&patient, &team).await;
    let finish = || {
        team.assistant
            .post(&service, &format!("/consult/{consult}/finish"), json!({}))
            .key("f")
            .send()
    };
    finish().await.refused(409, "consult.waiting");
    service.bring_in(&team, consult, &team.owner).await;
    finish().await.result();
    assert_eq!(finish().await.header("idempotent-replayed"), "true");
}

#[tokio::test]
async fn keys_are_forgotten_after_seven_days() {
    let service = Service::start().await;
    let doctor = service.doctor("Dr. A").await;
    let send = |name: &str| doctor.post(&service, "/team", new_team(name)).key("old").send();
    send("one").await.result();
    service
        .database
        .transaction(|tx| {
            Box::pin(async move {
                tx.execute(
                    "UPDATE idempotency SET created_ms = created_ms - 604800000",
                    vec![],
                )
                .await
            })
        })
        .await
        .unwrap();
    let second = send("two").await;
    assert_eq!(second.result()["name"], "two");
    assert!(second.headers.get("idempotent-replayed").is_none());
    assert_eq!(send("two").await.text, second.text);
    assert_eq!(count(&service, "team").await, 2);
}

#[tokio::test]
async fn keys_have_their_form_and_answers_with_secrets_are_not_kept() {
    let service = Service::start().await;
    let team = service.team("儿科").await;
    for bad in ["", &"k".repeat(129)] {
        let call = team.owner.post(&service, "/team", new_team("x")).key(bad);
        call.send()
            .await
            .refused(400, "request.invalid")
            .field("Idempotency-Key");
    }
    let path = format!("/team/{}/assistant/login", team.id);
    let body = json!({"device_id": "desk-2", "platform": "web"});
    let first = team
        .owner
        .post(&service, &path, body.clone())
        .key("k")
        .send()
        .await
        .result();
    let second = team
        .owner
        .post(&service, &path, body)
        .key("k")
        .send()
        .await
        .result();
    assert_ne!(first["access_token"], second["access_token"]);
    assert_eq!(count(&service, "idempotency").await, 0);
}

#[tokio::test]
async fn a_write_runs_to_its_end_when_the_caller_goes_away() {
    let service = Service::start().await;
    let doctor = service.doctor("Dr. A").await;
    for at in 0..5 {
        let call = doctor
            .post(&service, "/team", new_team("x"))
            .key(&format!("gone-{at}"))
            .send();
        // Given up at some moment between sending and the answer.
        let _ = tokio::time::timeout(std::time::Duration::from_micros(300 * at), call).await;
    }
    let mut made = Vec::new();
    for at in 0..5 {
        let reply = loop {
            let reply = doctor
                .post(&service, "/team", new_team("x"))
                .key(&format!("gone-{at}"))
                .send()
                .await;
            if reply.status != 409 {
                break reply;
            }
        };
        made.push(reply.result()["team_id"].as_i64().unwrap());
    }
    made.dedup();
    assert_eq!((made.len(), count(&service, "team").await), (5, 5));
}

#[tokio::test]
async fn a_request_is_the_same_however_it_is_written() {
    let service = Service::start().await;
    let doctor = service.doctor("Dr. A").await;
    let send = |body: &str, content_type: &str| {
        let call = service.post("/team").token(&doctor.token).key("k");
        call.header("content-type", content_type)
            .body(body.to_owned())
            .send()
    };
    let body = r#"{"name":"儿科","introduction":"a/b","agreement":"","membership_fee_fen":10,"consult_price_fen":0}"#;
    let first = send(body, "application/json").await;
    first.result();
    for (same, content_type) in [
        (body, "application/json; charset=utf-8"),
        (body, "APPLICATION/JSON"),
        (
            "{ \"consult_price_fen\" : 0,\r\n\t\"agreement\": \"\", \"introduction\": \"a/b\", \"membership_fee_fen\": 10, \"name\": \"儿科\" }",
            "application/json",
        ),
        (
            r#"{"name":"\u513f\u79d1","introduction":"a\/b","agreement":"","membership_fee_fen":10,"consult_price_fen":0}"#,
            "application/json",
        ),
        (
            r#"{"n\u0061me":"儿科","introduction":"a/b","agreement":"","membership_fee_fen":10,"consult_price_fen":0}"#,
            "application/json",
        ),
        // No integer for the service, and yet the number that it was sent first.
        (
            r#"{"name":"儿科","introduction":"a/b","agreement":"","membership_fee_fen":1e1,"consult_price_fen":0.0}"#,
            "application/json",
        ),
    ] {
        let again = send(same, content_type).await;
        assert_eq!(again.text, first.text, "{same}");
        assert_eq!(again.header("idempotent-replayed"), "true");
    }
    for other in [
        r#"{"name":"儿科","introduction":"a/b","agreement":"","membership_fee_fen":11,"consult_price_fen":0}"#,
        r#"{"name":"儿科","introduction":"a/b","agreement":"","membership_fee_fen":0,"consult_price_fen":10}"#,
        r#"{"name":"儿科 ","introduction":"a/b","agreement":"","membership_fee_fen":10,"consult_price_fen":0}"#,
        r#"{"name":"儿科","introduction":"a/b","agreement":"","membership_fee_fen":10,"consult_price_fen":0,"x":null}"#,
    ] {
        let reply = send(other, "application/json").await;
        reply.refused(422, "idempotency.key_reused");
    }
    assert_eq!(count(&service, "team").await, 1);
    let two = service.post("/team").token(&doctor.token).key("one").key("two");
    let reply = two.json(new_team("x")).send().await;
    reply.refused(400, "request.invalid").field("Idempotency-Key");
}

/// Changes the only row of the table.
async fn rewrite(service: &Service, request_hash: Option<[u8; 32]>, keeps_meaning: bool) {
    service
        .database
        .transaction(move |tx| {
            Box::pin(async move {
                if let Some(hash) = request_hash {
                    tx.execute("UPDATE idempotency SET request_hash = $1", params![&hash[..]])
                        .await?;
                }
                if !keeps_meaning {
                    tx.execute("UPDATE idempotency SET meaning_hash = NULL", vec![])
                        .await?;
                }
                Ok::<_, database::Error>(())
            })
        })
        .await
        .unwrap();
}

/// As releases before 2026-12 hash a request.
fn old_hash(path: &str, body: &str) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(path.as_bytes());
    hash.update([0]);
    hash.update(body.as_bytes());
    hash.finalize().into()
}

#[tokio::test]
async fn keys_of_an_earlier_release_stay_good() {
    let service = Service::start().await;
    let doctor = service.doctor("Dr. A").await;
    let send = |body: &str| {
        let call = service.post("/clinic").token(&doctor.token).key("k");
        call.header("content-type", "application/json")
            .body(body.to_owned())
            .send()
    };
    let (body, spaced) = (
        r#"{"name":"仁心","introduction":""}"#,
        r#"{"name": "仁心", "introduction": ""}"#,
    );
    let first = send(body).await;
    first.result();
    // Its row has the hash of the bytes alone.
    rewrite(&service, Some(old_hash("/clinic", body)), false).await;
    assert_eq!(send(body).await.text, first.text);
    send(spaced).await.refused(422, "idempotency.key_reused");

    // The earlier release accepted it, this one would not: its answer stands.
    let refused_now = "{\"name\":\"仁\\u200b心\",\"introduction\":\"\"}";
    rewrite(&service, Some(old_hash("/clinic", refused_now)), false).await;
    let again = send(refused_now).await;
    assert_eq!(again.text, first.text);
    assert_eq!(again.header("idempotent-replayed"), "true");
    let fresh = service.post("/clinic").token(&doctor.token).key("fresh");
    let fresh = fresh.header("content-type", "application/json").body(refused_now);
    fresh.send().await.refused(400, "request.invalid").field("name");
    assert_eq!(count(&service, "clinic").await, 1);
}

#[tokio::test]
async fn what_an_earlier_release_wrote_over_has_no_meaning() {
    let service = Service::start().await;
    let doctor = service.doctor("Dr. A").await;
    let send = |body: &str| {
        let call = service.post("/clinic").token(&doctor.token).key("k");
        call.header("content-type", "application/json")
            .body(body.to_owned())
            .send()
    };
    let body = r#"{"name":"仁心","introduction":""}"#;
    send(body).await.result();
    // It reuses an expired key, and keeps the column that it does not know.
    let other = r#"{"name":"仁爱","introduction":""}"#;
    rewrite(&service, Some(old_hash("/clinic", other)), true).await;
    send(body).await.refused(422, "idempotency.key_reused");
    assert_eq!(send(other).await.header("idempotent-replayed"), "true");
}
