//! Acts in a consult: who may do what, doctors who join and leave, the end.

use proto::{ConversationId, UserId};
use serde_json::json;

use super::{
    scene::{Scene, story},
    service::Reply,
};

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
    let path = format!("/consult/{id}/vas");
    scene
        .get(&colleague, path)
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
    // One who cannot log in would leave the patient alone.
    let service = &scene.service;
    for (sql, is_enabled) in [
        ("UPDATE account SET disabled_ms = 1 WHERE id = $1", false),
        ("UPDATE account SET disabled_ms = NULL WHERE id = $1", true),
    ] {
        service.rewrite(sql, scene.doctor.id).await;
        if !is_enabled {
            let to = json!({"doctor_id": scene.doctor.id});
            let refused = scene.post(&scene.team.assistant, path.clone(), to).await;
            refused
                .refused(404, "consult.doctor_not_found")
                .field("doctor_id");
        }
    }
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
    // Sees it as it was then, in neither list.
    let shown = scene.get(&scene.doctor, format!("/consult/{id}")).await.result();
    assert_eq!(shown["doctor_ids"], json!([scene.team.owner.id]));
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
