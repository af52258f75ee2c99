//! Consults: 1.3 to 1.7 of the seed document, and the steps of their life.

use proto::{ConversationId, UserId};
use serde_json::{Value, json};

use super::{
    people::new_consult,
    scene::{Scene, story},
    service::Reply,
};

/// The item of the seed document: `"status": "consultation_id": 12334, "creator_member_id": 1234,
/// "creator_member_name": "abld", "target_member_id":1234, "target_member_name": "asdf", "team_id":1234, "team_name":
/// "asdf", "doctor_ids": […], "symptom_content": …, "symptom_type": …, "images": […], "created": …`.
fn expected(scene: &Scene, id: i64, status: &str, doctor_ids: &[i64], created: i64) -> Value {
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
    })
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
    let whole = |items: Value| json!({"success": true, "code": 200, "result": items, "has_more": false});
    assert_eq!(
        list.json,
        whole(json!([expected(&scene, id, "waiting", &[], created)]))
    );
    scene.service.bring_in(&scene.team, id, &scene.doctor).await;
    let doctors = [scene.doctor.id];
    for person in [&scene.patient, &scene.team.assistant, &scene.doctor] {
        let list = scene.get(person, "/consult/in_process_list".into()).await;
        assert_eq!(
            list.json,
            whole(json!([expected(&scene, id, "in_process", &doctors, created)]))
        );
        let list = scene.get(person, "/consult/history_list".into()).await;
        assert_eq!(list.json, whole(json!([])));
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
        assert_eq!(
            list.json,
            whole(json!([expected(&scene, id, "finished", &doctors, created)]))
        );
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
    // What ends later is there.
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

#[tokio::test]
async fn roles_decide_who_may_do_what() {
    let scene = Scene::new().await;
    let id = scene.in_process().await;
    let colleague = scene.service.doctor_of(&scene.team, "Dr. C").await;
    scene.service.bring_in(&scene.team, id, &colleague).await;
    let bring = |who| {
        scene.post(
            who,
            format!("/consult/{id}/doctor"),
            json!({"doctor_id": scene.team.owner.id}),
        )
    };
    bring(&scene.patient).await.refused(403, "consult.forbidden");
    bring(&scene.doctor).await.refused(403, "consult.forbidden");
    let out = format!("/consult/{id}/doctor/{}", colleague.id);
    scene
        .delete(&scene.patient, out.clone())
        .await
        .refused(403, "consult.forbidden");
    scene
        .delete(&scene.doctor, out)
        .await
        .refused(403, "consult.forbidden");
    scene
        .post(&scene.patient, format!("/consult/{id}/finish"), json!({}))
        .await
        .refused(403, "consult.forbidden");
    scene
        .post(&scene.doctor, format!("/consult/{id}/cancel"), json!({}))
        .await
        .refused(403, "consult.forbidden");
    // A doctor may go by themselves, and still gets an answer.
    let left = scene
        .delete(&colleague, format!("/consult/{id}/doctor/{}", colleague.id))
        .await
        .result();
    assert_eq!(left["doctor_ids"], json!([scene.doctor.id]));
    scene
        .get(&colleague, format!("/consult/{id}"))
        .await
        .refused(404, "consult.not_found");
}

#[tokio::test]
async fn doctors_come_in_and_go_with_the_journal_telling_of_it() {
    let scene = Scene::new().await;
    let id = scene.consult().await;
    let path = format!("/consult/{id}/doctor");
    let outsider = scene.service.doctor("Dr. X").await;
    for nobody in [outsider.id, scene.patient.id, 999_999] {
        let reply = scene
            .post(&scene.team.assistant, path.clone(), json!({"doctor_id": nobody}))
            .await;
        reply.refused(404, "consult.doctor_not_found").field("doctor_id");
    }
    let reply = scene
        .delete(&scene.team.assistant, format!("{path}/{}", scene.doctor.id))
        .await;
    reply.refused(404, "consult.doctor_not_found");
    let shown = scene.service.bring_in(&scene.team, id, &scene.doctor).await;
    assert_eq!(
        (&shown["status"], &shown["doctor_ids"]),
        (&json!("in_process"), &json!([scene.doctor.id]))
    );
    let room = shown["staff_conversation_id"].as_i64().unwrap();
    let reply = scene
        .post(
            &scene.team.assistant,
            path.clone(),
            json!({"doctor_id": scene.doctor.id}),
        )
        .await;
    reply.refused(409, "consult.already_in").field("doctor_id");
    let second = scene.service.bring_in(&scene.team, id, &scene.team.owner).await;
    assert_eq!(
        second["doctor_ids"],
        json!([scene.doctor.id, scene.team.owner.id])
    );
    for conversation in [id, room] {
        let conversation = ConversationId::from_database(conversation);
        let participants = scene.service.journal.participants(conversation).await.unwrap();
        assert!(
            participants
                .iter()
                .any(|p| p.user == UserId::from_database(scene.doctor.id))
        );
    }
    assert_eq!(
        scene.get(&scene.doctor, format!("/consult/{id}")).await.result()["staff_conversation_id"],
        room
    );
    assert!(
        scene
            .get(&scene.patient, format!("/consult/{id}"))
            .await
            .result()
            .get("staff_conversation_id")
            .is_none()
    );

    let out = format!("{path}/{}", scene.doctor.id);
    let left = scene.delete(&scene.team.assistant, out.clone()).await.result();
    assert_eq!(
        (&left["status"], &left["doctor_ids"]),
        (&json!("in_process"), &json!([scene.team.owner.id]))
    );
    scene
        .delete(&scene.team.assistant, out)
        .await
        .refused(404, "consult.doctor_not_found");
    // Sees nothing any more, in no list either.
    for path in [format!("/consult/{id}"), format!("/consult/{id}/messages")] {
        scene
            .get(&scene.doctor, path)
            .await
            .refused(404, "consult.not_found");
    }
    for list in ["in_process_list", "history_list"] {
        assert!(scene.listed(&scene.doctor, list).await.is_empty());
    }
    let again = scene.service.bring_in(&scene.team, id, &scene.doctor).await;
    assert_eq!(again["doctor_ids"], json!([scene.team.owner.id, scene.doctor.id]));
    assert_eq!(scene.listed(&scene.doctor, "in_process_list").await, [id]);

    let story = story(&scene, id).await;
    let (d, o) = (scene.doctor.id, scene.team.owner.id);
    assert_eq!(
        story,
        [
            format!("+{}", scene.patient.id),
            format!("+{}", scene.team.assistant.id),
            format!("+{d}"),
            "in_process true".into(),
            format!("+{o}"),
            format!("-{d}"),
            format!("+{d}"),
        ]
    );
    // A removed doctor is on no list after the end, either.
    scene
        .delete(&scene.team.assistant, format!("{path}/{o}"))
        .await
        .result();
    scene
        .post(&scene.doctor, format!("/consult/{id}/finish"), json!({}))
        .await
        .result();
    assert!(scene.listed(&scene.team.owner, "history_list").await.is_empty());
    scene
        .delete(&scene.team.owner, format!("/consult/history_list/{id}"))
        .await
        .refused(404, "consult.not_found");
}

#[tokio::test]
async fn nothing_leaves_the_last_two_states() {
    let scene = Scene::new().await;
    let waiting = scene.consult().await;
    let reply = scene
        .post(
            &scene.team.assistant,
            format!("/consult/{waiting}/finish"),
            json!({}),
        )
        .await;
    reply.refused(409, "consult.waiting");
    let cancelled = scene
        .post(&scene.patient, format!("/consult/{waiting}/cancel"), json!({}))
        .await
        .result();
    assert_eq!(cancelled["status"], "cancelled");
    let finished = scene.in_process().await;
    let result = scene
        .post(
            &scene.team.assistant,
            format!("/consult/{finished}/finish"),
            json!({}),
        )
        .await
        .result();
    assert_eq!(result["status"], "finished");
    for id in [waiting, finished] {
        let assistant = &scene.team.assistant;
        for step in ["finish", "cancel"] {
            scene
                .post(assistant, format!("/consult/{id}/{step}"), json!({}))
                .await
                .refused(409, "consult.ended");
        }
        let body = json!({"doctor_id": scene.team.owner.id});
        scene
            .post(assistant, format!("/consult/{id}/doctor"), body)
            .await
            .refused(409, "consult.ended");
        let out = format!("/consult/{id}/doctor/{}", scene.doctor.id);
        scene.delete(assistant, out).await.refused(409, "consult.ended");
        // Both conversations are closed.
        let room =
            scene.get(assistant, format!("/consult/{id}")).await.result()["staff_conversation_id"].as_i64();
        for conversation in [id, room.unwrap()] {
            let conversation = ConversationId::from_database(conversation);
            let conversation = scene
                .service
                .journal
                .conversation(conversation)
                .await
                .unwrap()
                .unwrap();
            assert!(!conversation.open);
        }
    }
}

#[tokio::test]
async fn fifty_of_finish_against_cancel_have_one_winner_and_one_story() {
    let scene = Scene::new().await;
    for _ in 0..6 {
        let id = scene.in_process().await;
        let finish = format!("/consult/{id}/finish");
        let cancel = format!("/consult/{id}/cancel");
        let calls = (0..50).map(|at| {
            let (who, path) = match at % 4 {
                0 => (&scene.doctor, &finish),
                1 => (&scene.patient, &cancel),
                2 => (&scene.team.assistant, &finish),
                _ => (&scene.team.assistant, &cancel),
            };
            who.post(&scene.service, path, json!({})).send()
        });
        let replies = futures_util::future::join_all(calls).await;
        let winners: Vec<&Reply> = replies.iter().filter(|reply| reply.status == 200).collect();
        assert_eq!(winners.len(), 1);
        for loser in replies.iter().filter(|reply| reply.status != 200) {
            loser.refused(409, "consult.ended");
        }
        let status = winners[0].json["result"]["status"].as_str().unwrap().to_owned();
        let told: Vec<String> = story(&scene, id)
            .await
            .into_iter()
            .filter(|word| word.ends_with("false"))
            .collect();
        assert_eq!(told, [format!("{status} false")]);
        assert_eq!(
            scene.get(&scene.patient, format!("/consult/{id}")).await.result()["status"],
            status
        );
    }
}

#[tokio::test]
async fn racing_requests_bring_a_doctor_in_once() {
    let scene = Scene::new().await;
    let id = scene.consult().await;
    let path = format!("/consult/{id}/doctor");
    let body = json!({"doctor_id": scene.doctor.id});
    let calls = (0..10).map(|_| {
        scene
            .team
            .assistant
            .post(&scene.service, &path, body.clone())
            .send()
    });
    let replies = futures_util::future::join_all(calls).await;
    assert_eq!(replies.iter().filter(|reply| reply.status == 200).count(), 1);
    let joined = format!("+{}", scene.doctor.id);
    assert_eq!(
        story(&scene, id)
            .await
            .iter()
            .filter(|word| **word == joined)
            .count(),
        1
    );
}
