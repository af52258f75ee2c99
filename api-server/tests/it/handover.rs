//! A doctor hands a consult over to another.

use proto::ConversationId;
use serde_json::json;

use super::scene::{Scene, story};

#[tokio::test]
async fn the_other_comes_and_the_caller_goes_in_one_step() {
    let scene = Scene::new().await;
    let consult = scene.in_process().await;
    let other = scene.service.doctor_of(&scene.team, "Dr. C").await;
    let vas = scene
        .post(
            &scene.doctor,
            format!("/consult/{consult}/vas"),
            json!({"name": "n", "description": "", "price_fen": 1}),
        )
        .await
        .result()["vas_id"]
        .clone();
    let path = format!("/consult/{consult}/handover");
    let done = scene
        .post(&scene.doctor, path.clone(), json!({"doctor_id": other.id}))
        .await
        .result();
    assert_eq!(
        (&done["status"], &done["doctor_ids"]),
        (&json!("in_process"), &json!([other.id]))
    );
    let told = story(&scene, consult).await;
    assert_eq!(
        told[told.len() - 3..],
        [
            format!("+{}", other.id),
            format!("vas_withdrawn {vas}"),
            format!("-{}", scene.doctor.id)
        ]
    );
    // The staff room goes along.
    let room = done["staff_conversation_id"].as_i64().unwrap();
    for conversation in [consult, room] {
        let people = scene
            .service
            .journal
            .participants(ConversationId::from_database(conversation))
            .await
            .unwrap();
        let people: Vec<i64> = people.iter().map(|person| person.user.get()).collect();
        assert!(
            people.contains(&other.id) && !people.contains(&scene.doctor.id),
            "{people:?}"
        );
    }
    // The doctor who handed over sees the record as it was then, and can do nothing more in it.
    let left = scene
        .get(&scene.doctor, format!("/consult/{consult}"))
        .await
        .result();
    assert!(left["left_ms"].is_i64());
    assert_eq!(left["doctor_ids"], json!([other.id]));
    let services = format!("/consult/{consult}/vas");
    scene
        .get(&scene.doctor, services.clone())
        .await
        .refused(404, "consult.not_found");
    scene.get(&other, services).await.result();
    assert_eq!(scene.listed(&other, "in_process_list").await, [consult]);
    assert!(scene.listed(&scene.doctor, "in_process_list").await.is_empty());
    // And back again.
    let back = scene
        .post(&other, path, json!({"doctor_id": scene.doctor.id}))
        .await
        .result();
    assert_eq!(back["doctor_ids"], json!([scene.doctor.id]));
}

#[tokio::test]
async fn handing_over_is_checked() {
    let scene = Scene::new().await;
    let consult = scene.in_process().await;
    let second = scene.service.doctor_of(&scene.team, "Dr. C").await;
    let third = scene.service.doctor_of(&scene.team, "Dr. D").await;
    scene.service.bring_in(&scene.team, consult, &second).await;
    let outsider = scene.service.doctor("Dr. X").await;
    let path = format!("/consult/{consult}/handover");
    let to = |id: i64| json!({"doctor_id": id});
    for nobody in [outsider.id, scene.patient.id, scene.team.assistant.id, 999_999] {
        let reply = scene.post(&scene.doctor, path.clone(), to(nobody)).await;
        reply.refused(404, "consult.doctor_not_found").field("doctor_id");
    }
    for already in [second.id, scene.doctor.id] {
        let reply = scene.post(&scene.doctor, path.clone(), to(already)).await;
        reply.refused(409, "consult.already_in").field("doctor_id");
    }
    for person in [&scene.patient, &scene.team.assistant] {
        scene
            .post(person, path.clone(), to(third.id))
            .await
            .refused(403, "consult.forbidden");
    }
    for person in [&third, &outsider, &scene.team.owner] {
        scene
            .post(person, path.clone(), to(third.id))
            .await
            .refused(404, "consult.not_found");
    }
    for bad in [json!({}), json!({"doctor_id": 0}), json!({"doctor_id": "1"})] {
        scene
            .post(&scene.doctor, path.clone(), bad)
            .await
            .refused(400, "request.invalid")
            .field("doctor_id");
    }
    let shown = scene
        .get(&scene.doctor, format!("/consult/{consult}"))
        .await
        .result();
    assert_eq!(
        shown["doctor_ids"],
        json!([scene.doctor.id, second.id]),
        "refusals change nothing"
    );
    scene
        .post(&scene.doctor, format!("/consult/{consult}/finish"), json!({}))
        .await
        .result();
    scene
        .post(&scene.doctor, path, to(third.id))
        .await
        .refused(409, "consult.ended");
}

#[tokio::test]
async fn racing_handovers_leave_one_successor() {
    let scene = Scene::new().await;
    let consult = scene.in_process().await;
    let mut others = Vec::new();
    for at in 0..5 {
        others.push(scene.service.doctor_of(&scene.team, &format!("Dr. {at}")).await);
    }
    let path = format!("/consult/{consult}/handover");
    let calls = (0..50).map(|at| {
        let body = json!({"doctor_id": others[at % 5].id});
        scene.doctor.post(&scene.service, &path, body).send()
    });
    let replies = futures_util::future::join_all(calls).await;
    let won: Vec<_> = replies.iter().filter(|reply| reply.status == 200).collect();
    assert_eq!(won.len(), 1);
    for lost in replies.iter().filter(|reply| reply.status != 200) {
        lost.refused(404, "consult.not_found");
    }
    let successor = won[0].json["result"]["doctor_ids"][0].as_i64().unwrap();
    let told = story(&scene, consult).await;
    assert_eq!(
        told[told.len() - 2..],
        [format!("+{successor}"), format!("-{}", scene.doctor.id)]
    );
    assert_eq!(told.len(), 6);
}
