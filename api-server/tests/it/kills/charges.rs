//! Kills while services are confirmed and consults finished.

use serde_json::{Value, json};

use super::super::{
    money::{income, wallet},
    scene::Scene,
    service::Service,
};
use super::{request, survives};

/// Each has a service: more requests than all killed children get through.
const CONSULTS: usize = 24;
const PRICE: i64 = 2_000 + 9_900;

/// State, transfer and entry of each service and consult are all there, or none is. Each consult has one service.
const PARTS: [&str; 6] = [
    "SELECT count(*) FROM vas v WHERE (v.state = 'confirmed') <> EXISTS (
         SELECT 1 FROM transfer t WHERE t.kind = 'vas' AND t.cause = 'vas:' || CAST(v.id AS TEXT))",
    "SELECT count(*) FROM vas v WHERE (v.state = 'confirmed') <> EXISTS (
         SELECT 1 FROM entry e WHERE e.conversation_id = v.consult_id AND e.kind = 6)",
    "SELECT count(*) FROM consult c WHERE (c.status = 'finished') <> EXISTS (
         SELECT 1 FROM transfer t WHERE t.kind = 'finish' AND t.cause = 'consult:' || CAST(c.id AS TEXT))",
    "SELECT count(*) FROM consult c JOIN consult_charge h ON h.consult_id = c.id
     WHERE (c.status = 'finished') <> (h.state = 'earned')",
    "SELECT count(*) FROM consult c WHERE (c.status = 'finished') <> (2 = (
         SELECT count(*) FROM entry e WHERE e.conversation_id = c.id AND e.kind = 4))",
    "SELECT count(*) FROM consult c JOIN conversation n ON n.id = c.id
     WHERE (c.status = 'finished') = n.open",
];

const DONE: &str = "SELECT (SELECT count(*) FROM vas WHERE state = 'confirmed')
                         + (SELECT count(*) FROM consult WHERE status = 'finished')";

/// Consults with a proposed service each, and the requests that confirm and finish all.
async fn prepared() -> (Scene, Vec<Value>) {
    let scene = Scene::charging().await;
    scene
        .service
        .credit(&scene.patient, PRICE * CONSULTS as i64)
        .await;
    let mut requests = Vec::new();
    for at in 0..CONSULTS {
        let consult = scene.charged(&at.to_string()).await;
        let vas = scene.propose(consult).await;
        for (who, path) in [
            (&scene.patient, format!("/vas/{vas}/confirm")),
            (&scene.doctor, format!("/consult/{consult}/finish")),
        ] {
            requests.push(request(who, &path, &json!({})));
        }
    }
    (scene, requests)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn i6_confirms_and_finishes_survive_a_kill_at_any_sync() {
    let (scene, requests) = prepared().await;
    let (patient, team) = (scene.patient.clone(), scene.team.clone());
    let place = scene.service.end().await;
    survives(&place, &requests, &PARTS, DONE).await;
    let service = Service::restarted(&place).await;
    assert_eq!(service.balance(wallet(&patient)).await, 0);
    let earned = service.balance(income(&team)).await;
    assert_eq!(earned, PRICE * CONSULTS as i64);
}
