//! Consults: 1.3 to 1.7 of the seed document.

use proto::ConversationId;
use serde_json::{Value, json};

use super::{people::new_consult, scene::Scene};

/// The item of the seed document: `"status": "consultation_id": 12334, "creator_member_id": 1234,
/// "creator_member_name": "abld", "target_member_id":1234, "target_member_name": "asdf", "team_id":1234, "team_name":
/// "asdf", "doctor_ids": […], "symptom_content": …, "symptom_type": …, "images": […], "created": …`.
fn expected(scene: &Scene, id: i64, status: &str, doctor_ids: &[i64], created: i64) -> Value {
    let doctors = doctor_ids.iter();
    let doctors: Vec<Value> = doctors
        .map(|id| json!({"doctor_id": id, "name": scene.doctor.name, "title": ""}))
        .collect();
    json!({
        "status": status,
        "consultation_id": id,
        "creator_member_id": scene.patient.id,
        "creator_member_name": "王芳",
        "target_member_id": scene.patient.id,
        "target_member_name": "王芳",
        "team_id": scene.team.id,
        "team_name": "儿科",
        "doctor_ids": doctor_ids,
        "symptom_content": "头痛三天",
        "symptom_type": "text/plain",
        "images": ["media/1", "media/2"],
        "created": created,
        "relation": "self",
        "doctors": doctors,
    })
}

/// In a list: with the complaint's first words, and without what the journal says, which `desk.rs` looks at.
fn listed(list: &Value, mut expected: Value) -> (Value, Value) {
    expected["complaint"] = "头痛三天".into();
    let mut list = list.clone();
    for item in list["result"].as_array_mut().unwrap() {
        let item = item.as_object_mut().unwrap();
        assert!(item.remove("unread").unwrap().is_i64());
        item.remove("last_message");
        // Once a doctor came in.
        item.remove("accepted_ms");
    }
    (
        list,
        json!({"success": true, "code": 200, "result": [expected], "has_more": false}),
    )
}

/// Seed 1.3 and 1.4, whole.
/// Seed: 创建新咨询 接口.
/// Seed: 拉取固定 咨询 的信息.
/// Seed: 1.3 创建新咨询接口.
/// Seed: 1.4 获取指定咨询的信息.
/// Seed: 咨询创建时只有群助手和病人.
#[tokio::test]
async fn a_consult_is_begun_and_shown_as_the_document_says() {
    let scene = Scene::new().await;
    let body = new_consult(&scene.patient, scene.team.id);
    let begun = scene.post(&scene.patient, "/consult".into(), body).await;
    let id = begun.json["result"]["consultation_id"].as_i64().unwrap();
    let created = begun.json["created"].as_i64().unwrap();
    assert!(created > 1_700_000_000_000);
    let whole = json!({
        "success": true, "code": 200, "created": created,
        "result": expected(&scene, id, "waiting", &[], created),
    });
    assert_eq!(begun.json, whole);
    let shown = scene.get(&scene.patient, format!("/consult/{id}")).await;
    assert_eq!(shown.json, whole);

    // At creation only the team's assistant and the patient are in it; the staff room has the assistant alone.
    let conversation = ConversationId::from_database(id);
    let main = scene.service.journal.participants(conversation).await.unwrap();
    assert_eq!(
        main.iter().map(|p| p.user.get()).collect::<Vec<_>>(),
        [scene.team.assistant.id, scene.patient.id]
    );
    let staff = scene
        .get(&scene.team.assistant, format!("/consult/{id}"))
        .await
        .result();
    let room = staff["staff_conversation_id"].as_i64().unwrap();
    assert_ne!(room, id);
    let staff = scene
        .service
        .journal
        .participants(ConversationId::from_database(room))
        .await
        .unwrap();
    assert_eq!(
        staff.iter().map(|p| p.user.get()).collect::<Vec<_>>(),
        [scene.team.assistant.id]
    );
    let conversation = scene
        .service
        .journal
        .conversation(conversation)
        .await
        .unwrap()
        .unwrap();
    assert_eq!((conversation.title.as_str(), conversation.open), ("儿科", true));
    assert_eq!(conversation.consult_id, Some(id));
}

/// Seed 1.5, 1.6 and 1.7, whole.
/// Seed: 咨询删除（单个删除、全部删除）.
/// Seed: 拉取正在进行咨询接口.
/// Seed: 拉取历史咨询接口.
/// Seed: 1.5 获取进行中的咨询列表.
/// Seed: 1.6 获取历史咨询.
/// Seed: 1.7 删除历史咨询.
#[tokio::test]
async fn lists_and_hiding_are_as_the_document_says() {
    let scene = Scene::new().await;
    let id = scene.consult().await;
    let list = scene.get(&scene.patient, "/consult/in_process_list".into()).await;
    let created = list.json["result"][0]["created"].as_i64().unwrap();
    let none = json!({"success": true, "code": 200, "result": [], "has_more": false});
    let (found, whole) = listed(&list.json, expected(&scene, id, "waiting", &[], created));
    assert_eq!(found, whole);
    scene.service.bring_in(&scene.team, id, &scene.doctor).await;
    let doctors = [scene.doctor.id];
    for person in [&scene.patient, &scene.team.assistant, &scene.doctor] {
        let list = scene.get(person, "/consult/in_process_list".into()).await;
        let (found, whole) = listed(&list.json, expected(&scene, id, "in_process", &doctors, created));
        assert_eq!(found, whole);
        let list = scene.get(person, "/consult/history_list".into()).await;
        assert_eq!(list.json, none);
    }
    let not_yet = scene
        .delete(&scene.patient, format!("/consult/history_list/{id}"))
        .await;
    not_yet.refused(409, "consult.not_ended");
    scene
        .post(&scene.doctor, format!("/consult/{id}/finish"), json!({}))
        .await
        .result();
    for person in [&scene.patient, &scene.team.assistant, &scene.doctor] {
        let list = scene.get(person, "/consult/history_list".into()).await;
        let (found, whole) = listed(&list.json, expected(&scene, id, "finished", &doctors, created));
        assert_eq!(found, whole);
        assert!(scene.listed(person, "in_process_list").await.is_empty());
    }
    // 1.7: `{"sucess":true, "code": 200}`.
    let hidden = scene
        .delete(&scene.patient, format!("/consult/history_list/{id}"))
        .await;
    assert_eq!(hidden.json, json!({"success": true, "sucess": true, "code": 200}));
    assert!(scene.listed(&scene.patient, "history_list").await.is_empty());
    assert_eq!(
        scene.listed(&scene.doctor, "history_list").await,
        [id],
        "others keep it"
    );
    // Nothing is destroyed, and once more is no mistake.
    scene.get(&scene.patient, format!("/consult/{id}")).await.result();
    scene
        .get(&scene.patient, format!("/consult/{id}/messages"))
        .await
        .result();
    assert_eq!(
        scene
            .delete(&scene.patient, format!("/consult/history_list/{id}"))
            .await
            .status,
        200
    );
}

#[tokio::test]
async fn hiding_all_hides_what_has_ended_and_of_oneself_only() {
    let scene = Scene::new().await;
    let mut ended = Vec::new();
    for _ in 0..3 {
        let id = scene.consult().await;
        scene
            .post(&scene.patient, format!("/consult/{id}/cancel"), json!({}))
            .await
            .result();
        ended.push(id);
    }
    let open = scene.consult().await;
    ended.reverse();
    assert_eq!(scene.listed(&scene.patient, "history_list").await, ended);
    let hidden = scene.delete(&scene.patient, "/consult/history_list".into()).await;
    assert_eq!(hidden.json, json!({"success": true, "sucess": true, "code": 200}));
    assert!(scene.listed(&scene.patient, "history_list").await.is_empty());
    assert_eq!(scene.listed(&scene.patient, "in_process_list").await, [open]);
    assert_eq!(scene.listed(&scene.team.assistant, "history_list").await, ended);
    // A consult that ends later is listed.
    scene
        .post(&scene.patient, format!("/consult/{open}/cancel"), json!({}))
        .await
        .result();
    assert_eq!(scene.listed(&scene.patient, "history_list").await, [open]);
}

#[tokio::test]
async fn beginning_a_consult_is_checked() {
    let scene = Scene::new().await;
    let good = new_consult(&scene.patient, scene.team.id);
    let with = |field: &str, value: Value| {
        let mut body = good.clone();
        body[field] = value;
        body
    };
    scene
        .service
        .post("/consult")
        .json(good.clone())
        .send()
        .await
        .refused(401, "auth.required");
    for (field, value) in [
        ("creator_member_id", json!(0)),
        ("target_member_id", json!("1")),
        ("team_id", json!(9_007_199_254_740_992_i64)),
        ("symptom_content", json!("")),
        ("symptom_content", json!("x".repeat(4001))),
        ("symptom_content", json!("a\0b")),
        ("symptom_type", json!("text")),
        ("symptom_type", json!("text/html")),
        ("symptom_type", json!("application/vnd.huizhen.vas")),
        ("images", json!(vec!["a"; 10])),
        ("images", json!(["a", ""])),
        ("images", json!(["a b"])),
        ("images", json!(["x".repeat(2049)])),
        ("images", json!("a")),
    ] {
        let reply = scene
            .post(&scene.patient, "/consult".into(), with(field, value))
            .await;
        reply.refused(400, "request.invalid").field(field);
    }
    let reply = scene
        .post(&scene.patient, "/consult".into(), with("images", json!(["a", 1])))
        .await;
    reply.refused(400, "request.invalid").field("images[1]");
    // A voice upload is a uri.
    let mut voice = with("symptom_type", json!("audio/aac"));
    voice["symptom_content"] = "media/3".into();
    scene
        .post(&scene.patient, "/consult".into(), voice.clone())
        .await
        .result();
    voice["symptom_content"] = "not a uri".into();
    let reply = scene.post(&scene.patient, "/consult".into(), voice.clone()).await;
    reply.refused(400, "request.invalid").field("symptom_content");
    let other = scene.service.member("Sam").await;
    let reply = scene.post(&other, "/consult".into(), good.clone()).await;
    reply
        .refused(403, "consult.not_creator")
        .field("creator_member_id");
    let reply = scene
        .post(
            &scene.doctor,
            "/consult".into(),
            new_consult(&scene.doctor, scene.team.id),
        )
        .await;
    reply.refused(403, "consult.members_only");
    let reply = scene
        .post(&scene.patient, "/consult".into(), with("team_id", json!(999_999)))
        .await;
    reply.refused(404, "team.not_found").field("team_id");
    // Whether or not there is such a person.
    let mut texts = Vec::new();
    for target in [other.id, 999_999] {
        let body = with("target_member_id", json!(target));
        let call = scene
            .patient
            .post(&scene.service, "/consult", body)
            .header("X-Request-Id", "same");
        let reply = call.send().await;
        reply
            .refused(404, "consult.target_not_found")
            .field("target_member_id");
        texts.push(reply.text);
    }
    assert_eq!(texts[0], texts[1]);
    // No images, unknown fields.
    let mut plain = with("status", json!("finished"));
    plain.as_object_mut().unwrap().remove("images");
    let result = scene
        .post(&scene.patient, "/consult".into(), plain)
        .await
        .result();
    assert_eq!(
        (&result["images"], &result["status"]),
        (&json!([]), &json!("waiting"))
    );
}

/// Each request about a consult, with who may send it.
fn requests(scene: &Scene, id: &str) -> Vec<(reqwest::Method, String, Value)> {
    vec![
        (reqwest::Method::GET, format!("/consult/{id}"), json!({})),
        (reqwest::Method::GET, format!("/consult/{id}/messages"), json!({})),
        (
            reqwest::Method::POST,
            format!("/consult/{id}/doctor"),
            json!({"doctor_id": scene.doctor.id}),
        ),
        (
            reqwest::Method::DELETE,
            format!("/consult/{id}/doctor/{}", scene.doctor.id),
            json!({}),
        ),
        (reqwest::Method::POST, format!("/consult/{id}/finish"), json!({})),
        (reqwest::Method::POST, format!("/consult/{id}/cancel"), json!({})),
        (
            reqwest::Method::DELETE,
            format!("/consult/history_list/{id}"),
            json!({}),
        ),
    ]
}

#[tokio::test]
async fn none_and_not_yours_are_the_same_bytes() {
    let scene = Scene::new().await;
    let id = scene.in_process().await;
    let stranger = scene.service.member("Sam").await;
    // Of the same team, but not in this consult.
    let colleague = scene.service.doctor_of(&scene.team, "Dr. C").await;
    for person in [&stranger, &colleague, &scene.team.owner] {
        let theirs = requests(&scene, &id.to_string());
        let nobodys = requests(&scene, "9007199254740991");
        for ((method, path, body), (_, nowhere, _)) in theirs.into_iter().zip(nobodys) {
            let mut texts = Vec::new();
            for path in [&path, &nowhere] {
                let call = scene
                    .service
                    .call(method.clone(), path)
                    .token(&person.token)
                    .json(body.clone());
                let reply = call.header("X-Request-Id", "same").send().await;
                reply.refused(404, "consult.not_found");
                texts.push(reply.text);
            }
            assert_eq!(texts[0], texts[1], "{method} {path}");
        }
    }
    for (method, path, body) in requests(&scene, &id.to_string()) {
        scene
            .service
            .call(method, &path)
            .json(body)
            .send()
            .await
            .refused(401, "auth.required");
    }
    for (method, path, body) in requests(&scene, "0") {
        let call = scene
            .service
            .call(method, &path)
            .token(&scene.patient.token)
            .json(body);
        call.send().await.refused(400, "request.invalid").field("id");
    }
}
