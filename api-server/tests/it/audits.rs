//! Operators' searches and reads, and the audit log.

use serde_json::{Value, json};

use super::{
    operators::{acts, operator},
    scene::Scene,
    service::Service,
};

#[tokio::test]
async fn people_and_consults_are_found_and_the_search_is_logged() {
    let scene = Scene::new().await;
    let service = &scene.service;
    let (operator, _) = operator(service, "张伟").await;
    let first = scene.in_process().await;
    let second = scene.consult().await;
    let search = async |what: &str, query: &str, body: Value| {
        operator
            .post(service, &format!("/operator/{what}/search{query}"), body)
            .send()
            .await
    };
    for body in [
        json!({"user_id": scene.patient.id}),
        json!({"phone": scene.patient.phone}),
    ] {
        let found = search("people", "", body).await.result();
        assert_eq!(
            (found.as_array().unwrap().len(), &found[0]["name"]),
            (1, &json!("王芳"))
        );
    }
    for nobody in [
        json!({"user_id": 999_999}),
        json!({"phone": "13900000000"}),
        json!({"user_id": operator.id}),
    ] {
        assert_eq!(search("people", "", nobody).await.result(), json!([]));
    }
    for bad in [json!({}), json!({"user_id": 1, "phone": "13900000000"})] {
        search("people", "", bad.clone())
            .await
            .refused(400, "request.invalid")
            .field("body");
        search("consults", "", bad)
            .await
            .refused(400, "request.invalid")
            .field("body");
    }
    search("people", "", json!({"phone": "abc"}))
        .await
        .refused(400, "request.invalid")
        .field("phone");
    for body in [
        json!({"user_id": scene.patient.id}),
        json!({"phone": scene.patient.phone}),
    ] {
        let page = search("consults", "?limit=1&count=true", body.clone()).await;
        assert_eq!(
            (&page.json["total"], &page.json["result"][0]["consultation_id"]),
            (&json!(2), &json!(second))
        );
        let cursor = page.json["next_cursor"].as_str().unwrap();
        let next = search("consults", &format!("?limit=1&cursor={cursor}"), body).await;
        let found = &next.json["result"][0];
        assert_eq!(
            next.json,
            json!({
                "success": true, "code": 200, "has_more": false,
                "result": [{
                    "consultation_id": first, "status": "in_process", "creator_member_id": scene.patient.id,
                    "creator_member_name": "王芳", "target_member_id": scene.patient.id,
                    "target_member_name": "王芳", "team_id": scene.team.id, "team_name": "儿科",
                    "doctor_ids": [scene.doctor.id], "created": found["created"],
                }],
            }),
            "and nothing of what was said"
        );
    }
    let one = search("consults", "", json!({"consultation_id": first}))
        .await
        .result();
    assert_eq!(one[0]["consultation_id"], first);
    assert_eq!(
        search("consults", "", json!({"consultation_id": 999_999}))
            .await
            .result(),
        json!([])
    );
    let log = acts(service, &operator).await;
    assert_eq!(log[0]["act"], "consults_searched");
    assert_eq!(
        (&log[1]["act"], &log[1]["consultation_id"]),
        (&json!("consults_searched"), &json!(first))
    );
    let text = serde_json::to_string(&log).unwrap();
    assert!(!text.contains(&scene.patient.phone), "the log tells ids");
    assert_eq!(
        log.iter()
            .filter(|item| item["account_id"] == scene.patient.id)
            .count(),
        6
    );
}

/// I8: the original stays sealed for the record, and is read with a reason alone.
#[tokio::test]
async fn what_was_said_is_read_with_a_reason_that_is_logged() {
    let scene = Scene::new().await;
    let service = &scene.service;
    let (operator, _) = operator(service, "张伟").await;
    let consult = scene.in_process().await;
    let room = scene
        .get(&scene.doctor, format!("/consult/{consult}"))
        .await
        .result()["staff_conversation_id"]
        .as_i64()
        .unwrap();
    let pen = super::messages::Pen::new(service);
    pen.write(consult, &scene.patient, "text/plain", "头痛三天").await;
    let taken_back = pen
        .write(consult, &scene.patient, "text/plain", "写错了的话")
        .await;
    pen.write(room, &scene.doctor, "text/plain", "内部讨论").await;
    super::messages::recall(service, consult, &scene.patient, taken_back).await;

    // By no other way.
    for path in ["", "/messages", "/vas"] {
        let reply = scene.get(&operator, format!("/consult/{consult}{path}")).await;
        reply.refused(404, "consult.not_found");
    }
    let path = format!("/operator/consult/{consult}/read");
    for (field, bad) in [
        ("reason", json!({})),
        ("reason", json!({"reason": " "})),
        ("reason", json!({"reason": "x".repeat(501)})),
        ("room", json!({"reason": "投诉 2026-118", "room": "other"})),
    ] {
        scene
            .post(&operator, path.clone(), bad)
            .await
            .refused(400, "request.invalid")
            .field(field);
    }
    let before = acts(service, &operator).await.len();
    let body = json!({"reason": "投诉 2026-118"});
    let page = scene
        .post(&operator, format!("{path}?limit=3&count=true"), body.clone())
        .await;
    let items = page.result();
    assert_eq!(items[0]["kind"], "recalled");
    assert_eq!(
        items[1],
        json!({
            "conversation_id": consult, "seq": taken_back, "sender_id": scene.patient.id, "kind": "message",
            "created_ms": items[1]["created_ms"], "client_msg_id": items[1]["client_msg_id"],
            "mime_type": "text/plain", "text": "写错了的话", "recalled": true,
        })
    );
    assert_eq!(
        (&items[2]["text"], items[2].get("recalled")),
        (&json!("头痛三天"), None)
    );
    assert_eq!(
        (&page.json["has_more"], &page.json["total"]),
        (&json!(true), &json!(8))
    );
    // The patient is shown nothing of it.
    let shown = scene
        .get(&scene.patient, format!("/consult/{consult}/messages"))
        .await;
    assert!(shown.text.contains("头痛三天") && !shown.text.contains("写错了的话"));
    // To the first entry.
    let mut seqs: Vec<i64> = items
        .as_array()
        .unwrap()
        .iter()
        .map(|item| item["seq"].as_i64().unwrap())
        .collect();
    let mut cursor = page.json["next_cursor"].as_str().map(str::to_owned);
    while let Some(at) = cursor {
        let page = scene
            .post(&operator, format!("{path}?limit=3&cursor={at}"), body.clone())
            .await;
        seqs.extend(
            page.result()
                .as_array()
                .unwrap()
                .iter()
                .map(|item| item["seq"].as_i64().unwrap()),
        );
        cursor = page.json["next_cursor"].as_str().map(str::to_owned);
    }
    assert_eq!(seqs, [8, 7, 6, 5, 4, 3, 2, 1]);
    let staff = json!({"reason": "投诉 2026-118", "room": "staff"});
    let staff = scene.post(&operator, path.clone(), staff).await;
    assert_eq!(staff.result()[0]["text"], "内部讨论");
    let log = acts(service, &operator).await;
    assert_eq!(log.len(), before + 4, "each page, and no refusal");
    assert_eq!(
        log[0],
        json!({
            "audit_id": log[0]["audit_id"], "operator_id": operator.id, "operator_name": "张伟",
            "act": "staff_room_read", "consultation_id": consult, "reason": "投诉 2026-118",
            "created_ms": log[0]["created_ms"],
        })
    );
    assert_eq!(log[1]["act"], "consult_read");
    scene
        .post(&operator, "/operator/consult/999999/read".into(), body)
        .await
        .refused(404, "consult.not_found");
    assert_eq!(acts(service, &operator).await.len(), before + 4);
}

#[tokio::test]
async fn a_walk_through_the_log_meets_each_act_once() {
    let service = Service::start().await;
    let (operator, _) = operator(&service, "张伟").await;
    for _ in 0..11 {
        operator
            .post(&service, "/operator/people/search", json!({"user_id": 1}))
            .send()
            .await
            .result();
    }
    let mut walked: Vec<i64> = Vec::new();
    let mut query = "?limit=4&count=true".to_owned();
    loop {
        let page = operator
            .get(&service, &format!("/operator/audit{query}"))
            .send()
            .await;
        walked.extend(
            page.result()
                .as_array()
                .unwrap()
                .iter()
                .map(|item| item["audit_id"].as_i64().unwrap()),
        );
        // More is written meanwhile.
        operator
            .post(&service, "/operator/people/search", json!({"user_id": 1}))
            .send()
            .await
            .result();
        match page.json["next_cursor"].as_str() {
            Some(cursor) => query = format!("?limit=4&cursor={cursor}"),
            None => break,
        }
    }
    let expected: Vec<i64> = (1..=13).rev().collect();
    assert_eq!(walked, expected);
    let counted = operator
        .get(&service, "/operator/audit?count=true&limit=1")
        .send()
        .await;
    assert_eq!(counted.json["total"], 13 + 4);
}
