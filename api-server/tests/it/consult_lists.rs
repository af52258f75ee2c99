//! Paging through consults, value-added services and chats.

use serde_json::json;

use super::{
    lists::{coarsen, walk, walk_by},
    scene::Scene,
    service::Service,
};

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
    let walked = walk(&service, &patient, "/consult/history_list", 6, async || {
        let other = service.consult(&patient, &team).await;
        let path = format!("/consult/{other}/cancel");
        patient.post(&service, &path, json!({})).send().await.result();
    })
    .await;
    assert_eq!(walked, made);
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
    let chat = async || {
        let doctor = service.doctor_of(&team, "Dr.").await;
        let chat = team
            .owner
            .post(&service, "/chat", json!({"user_id": doctor.id}))
            .send()
            .await
            .result();
        chat["conversation_id"].as_i64().unwrap()
    };
    let mut made = Vec::new();
    for _ in 0..7 {
        made.insert(0, chat().await);
    }
    coarsen(&service, "UPDATE chat SET created_ms = created_ms / 50 * 50").await;
    let walked = walk(&service, &team.owner, "/chat_list", 3, async || {
        chat().await;
    })
    .await;
    assert_eq!(walked, made);
    assert_eq!(
        team.owner
            .get(&service, "/chat_list?count=true")
            .send()
            .await
            .json["total"],
        7 + 3
    );
}

#[tokio::test]
async fn a_walk_of_an_operator_meets_each_once_while_more_is_said() {
    let scene = Scene::new().await;
    let service = &scene.service;
    let (operator, _) = super::operators::operator(service, "张伟").await;
    let mut made = Vec::new();
    for _ in 0..7 {
        made.insert(0, scene.consult().await);
    }
    coarsen(service, "UPDATE consult SET created_ms = created_ms / 50 * 50").await;
    coarsen(
        service,
        "UPDATE consult_person SET created_ms = created_ms / 50 * 50",
    )
    .await;
    let search = async |query: String| {
        let body = json!({"user_id": scene.patient.id});
        scene
            .post(&operator, format!("/operator/consults/search{query}"), body)
            .await
    };
    let walked = walk_by(search, 3, async || {
        scene.consult().await;
    })
    .await;
    assert_eq!(walked, made);

    let consult = scene.in_process().await;
    let propose = async || {
        let body = json!({"name": "n", "description": "", "price_fen": 1});
        let path = format!("/consult/{consult}/vas");
        scene.post(&scene.doctor, path, body).await.result();
    };
    for _ in 0..4 {
        propose().await;
    }
    let read = async |query: String| {
        let body = json!({"reason": "投诉 2026-118"});
        scene
            .post(
                &operator,
                format!("/operator/consult/{consult}/read{query}"),
                body,
            )
            .await
    };
    // Two people, the state, the doctor, the state, four services.
    let all = walk_by(&read, 200, async || {}).await;
    assert!(
        all.len() >= 8 && all.is_sorted_by(|a, b| a == &(b + 1)),
        "{all:?}"
    );
    let walked = walk_by(&read, 3, propose).await;
    assert_eq!(walked, all);
}

#[tokio::test]
async fn a_walk_through_a_teams_consults_meets_each_once_while_others_end() {
    let service = Service::start().await;
    let team = service.team("儿科").await;
    let doctor = service.doctor_of(&team, "Dr. B").await;
    let patient = service.member("Pat").await;
    let finish = async || {
        let consult = service.consult(&patient, &team).await;
        service.bring_in(&team, consult, &doctor).await;
        let path = format!("/consult/{consult}/finish");
        doctor.post(&service, &path, json!({})).send().await.result();
        consult
    };
    let mut made = Vec::new();
    for _ in 0..9 {
        made.insert(0, finish().await);
    }
    for sql in [
        "UPDATE consult SET created_ms = created_ms / 50 * 50",
        "UPDATE consult_person SET created_ms = created_ms / 50 * 50",
    ] {
        coarsen(&service, sql).await;
    }
    for (person, list) in [(&team.assistant, "consult_list"), (&doctor, "my_consult_list")] {
        let path = format!("/team/{}/{list}", team.id);
        let before: Vec<i64> = walk(&service, person, &path, 200, async || {}).await;
        assert!(before.ends_with(&made));
        let walked = walk(&service, person, &path, 2, async || {
            finish().await;
        })
        .await;
        assert_eq!(walked, before);
    }
}
