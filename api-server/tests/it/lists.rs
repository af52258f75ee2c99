//! Paging: a walk repeats and skips nothing while rows are being added.

use serde_json::json;

use super::{
    people::{Person, new_consult},
    scene::Scene,
    service::Service,
};

async fn walk(
    service: &Service,
    person: &Person,
    path: &str,
    limit: usize,
    between: impl AsyncFn(),
) -> Vec<i64> {
    let mut ids = Vec::new();
    let mut query = format!("?limit={limit}");
    loop {
        let reply = person.get(service, &format!("{path}{query}")).send().await;
        let items = reply.result().as_array().unwrap().clone();
        assert!(items.len() <= limit);
        ids.extend(items.iter().map(|item| {
            item.get("vas_id")
                .or(item.get("consultation_id"))
                .or(item.get("conversation_id"))
                .unwrap()
                .as_i64()
                .unwrap()
        }));
        between().await;
        match reply.json["next_cursor"].as_str() {
            Some(cursor) => {
                assert_eq!(reply.json["has_more"], true);
                assert_eq!(items.len(), limit);
                query = format!("?limit={limit}&cursor={cursor}");
            }
            None => {
                assert_eq!(reply.json["has_more"], false);
                return ids;
            }
        }
    }
}

#[tokio::test]
async fn a_walk_through_consults_meets_each_once_while_others_begin() {
    let service = Service::start().await;
    let team = service.team("儿科").await;
    let patient = service.member("Pat").await;
    let mut made = Vec::new();
    for _ in 0..23 {
        made.push(service.consult(&patient, &team).await);
    }
    // Several with the same time, as a fast clock has them.
    service
        .database
        .transaction(|tx| {
            Box::pin(async move {
                tx.execute("UPDATE consult SET created_ms = created_ms / 20 * 20", vec![])
                    .await?;
                tx.execute(
                    "UPDATE consult_person SET created_ms = created_ms / 20 * 20",
                    vec![],
                )
                .await
            })
        })
        .await
        .unwrap();
    made.reverse();
    for person in [&patient, &team.assistant] {
        let path = "/consult/in_process_list";
        let walked = walk(&service, person, path, 5, async || {}).await;
        assert_eq!(walked, made);
    }
    let walked = walk(&service, &patient, "/consult/in_process_list", 4, async || {
        service.consult(&patient, &team).await;
    })
    .await;
    assert_eq!(walked, made);
    let counted = patient
        .get(&service, "/consult/in_process_list?count=true&limit=1")
        .send()
        .await;
    assert_eq!(counted.json["total"], 23 + 6);
    for id in &made {
        patient
            .post(&service, &format!("/consult/{id}/cancel"), json!({}))
            .send()
            .await
            .result();
    }
    assert_eq!(
        walk(&service, &patient, "/consult/history_list", 6, async || {}).await,
        made
    );
    assert!(
        patient
            .get(&service, "/consult/history_list")
            .send()
            .await
            .json
            .get("total")
            .is_none()
    );
}

#[tokio::test]
async fn a_walk_through_services_meets_each_once_while_others_are_proposed() {
    let scene = Scene::new().await;
    let consult = scene.in_process().await;
    let propose = async || {
        let body = json!({"name": "n", "description": "", "price_fen": 1});
        let made = scene
            .post(&scene.doctor, format!("/consult/{consult}/vas"), body)
            .await
            .result();
        made["vas_id"].as_i64().unwrap()
    };
    let mut made = Vec::new();
    for _ in 0..11 {
        made.push(propose().await);
    }
    // Several with the same time, as a fast clock has them.
    for table in ["vas", "vas_person"] {
        let sql = format!("UPDATE {table} SET created_ms = created_ms / 20 * 20");
        let service = &scene.service;
        service
            .database
            .transaction(|tx| Box::pin(async move { tx.execute(sql, vec![]).await }))
            .await
            .unwrap();
    }
    made.reverse();
    let of_consult = format!("/consult/{consult}/vas");
    let of_team = format!("/team/{}/my_vas_list", scene.team.id);
    let mut others = 0;
    for (person, path) in [
        (&scene.patient, "/vas"),
        (&scene.doctor, "/vas"),
        (&scene.doctor, &of_team),
        (&scene.team.assistant, &of_consult),
    ] {
        let walked = walk(&scene.service, person, path, 4, async || {
            // Not past the limit of those that are proposed at a time.
            let vas = propose().await;
            scene
                .post(&scene.doctor, format!("/vas/{vas}/withdraw"), json!({}))
                .await
                .result();
        })
        .await;
        assert_eq!(walked[walked.len() - made.len()..], made, "{path}");
        assert_eq!(walked.len(), made.len() + others, "{path}");
        others = walked.len() - made.len() + (walked.len()).div_ceil(4);
    }
}

#[tokio::test]
async fn a_walk_through_chats_meets_each_once() {
    let service = Service::start().await;
    let team = service.team("儿科").await;
    let mut made = Vec::new();
    for at in 0..7 {
        let doctor = service.doctor_of(&team, &format!("Dr. {at}")).await;
        let chat = team
            .owner
            .post(&service, "/chat", json!({"user_id": doctor.id}))
            .send()
            .await
            .result();
        made.push(chat["conversation_id"].as_i64().unwrap());
    }
    made.reverse();
    assert_eq!(
        walk(&service, &team.owner, "/chat_list", 3, async || {}).await,
        made
    );
    assert_eq!(
        team.owner
            .get(&service, "/chat_list?count=true")
            .send()
            .await
            .json["total"],
        7
    );
}

#[tokio::test]
async fn pages_are_asked_for_as_they_must_be() {
    let service = Service::start().await;
    let team = service.team("儿科").await;
    let patient = service.member("Pat").await;
    let consult = patient
        .post(&service, "/consult", new_consult(&patient, team.id))
        .send()
        .await
        .result();
    let messages = format!("/consult/{}/messages", consult["consultation_id"]);
    for path in [
        "/consult/in_process_list",
        "/consult/history_list",
        "/chat_list",
        &messages,
    ] {
        for (query, field) in [
            ("limit=0", "limit"),
            ("limit=201", "limit"),
            ("limit=x", "limit"),
            ("limit=-1", "limit"),
            ("cursor=", "cursor"),
            ("cursor=abc", "cursor"),
            ("cursor=%00", "cursor"),
            ("count=yes", "count"),
        ] {
            let reply = patient.get(&service, &format!("{path}?{query}")).send().await;
            reply.refused(400, "request.invalid").field(field);
        }
        patient
            .get(&service, &format!("{path}?limit=200&unknown=1"))
            .send()
            .await
            .result();
        service.get(path).send().await.refused(401, "auth.required");
    }
}
