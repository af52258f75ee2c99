//! Private chats.

use proto::{
    ConversationId,
    wire::{ConversationKind, Role},
};
use serde_json::json;
use testkit::citus::OF_A_TEST;

use super::{
    people::Person,
    scene::Scene,
    service::{Reply, Service},
};

async fn open(service: &Service, who: &Person, with: i64) -> Reply {
    who.post(service, "/chat", json!({"user_id": with}))
        .header("X-Request-Id", "same")
        .send()
        .await
}

/// Seed: 私信聊天IM.
#[tokio::test]
async fn doctors_of_a_team_chat_and_others_do_not() {
    let service = Service::start().await;
    let team = service.team("儿科").await;
    let doctor = service.doctor_of(&team, "Dr. B").await;
    let outsider = service.doctor("Dr. X").await;
    let member = service.member("Pat").await;
    let reply = open(&service, &doctor, team.owner.id).await;
    let result = reply.result();
    let conversation = result["conversation_id"].as_i64().unwrap();
    let expected = json!({
        "conversation_id": conversation, "user_id": team.owner.id, "name": "Dr. Owner", "created": result["created"],
    });
    assert_eq!(
        reply.json,
        json!({"success": true, "code": 200, "result": expected})
    );
    let list = doctor.get(&service, "/chat_list").send().await;
    assert_eq!(
        list.json,
        json!({"success": true, "code": 200, "result": [expected], "has_more": false})
    );
    // Found again, from the other side as well.
    assert_eq!(open(&service, &doctor, team.owner.id).await.text, reply.text);
    let other = open(&service, &team.owner, doctor.id).await.result();
    assert_eq!(
        (&other["conversation_id"], &other["name"]),
        (&json!(conversation), &json!("Dr. B"))
    );
    let id = ConversationId::from_database(conversation);
    assert_eq!(
        service.journal.conversation(id).await.unwrap().unwrap().kind,
        ConversationKind::Private
    );
    let participants = service.journal.participants(id).await.unwrap();
    assert!(participants.len() == 2 && participants.iter().all(|p| p.role == Role::Peer));

    let refused = open(&service, &doctor, 999_999).await;
    refused.refused(404, "chat.person_not_found").field("user_id");
    for (who, with) in [
        (&doctor, outsider.id),
        (&outsider, doctor.id),
        (&doctor, member.id),
        (&member, doctor.id),
        (&doctor, team.assistant.id),
        (&team.assistant, doctor.id),
        (&member, outsider.id),
    ] {
        assert_eq!(
            open(&service, who, with).await.text,
            refused.text,
            "the same bytes as for nobody"
        );
    }
    open(&service, &doctor, doctor.id)
        .await
        .refused(400, "request.invalid")
        .field("user_id");
    open(&service, &doctor, 0)
        .await
        .refused(400, "request.invalid")
        .field("user_id");
    service
        .post("/chat")
        .json(json!({"user_id": doctor.id}))
        .send()
        .await
        .refused(401, "auth.required");
}

#[tokio::test]
async fn a_patient_chats_with_a_doctor_of_their_consult_also_later() {
    let service = Service::start().await;
    let team = service.team("儿科").await;
    let doctor = service.doctor_of(&team, "Dr. B").await;
    let patient = service.member("Pat").await;
    let other = service.member("Sam").await;
    let consult = service.consult(&patient, &team).await;
    open(&service, &patient, doctor.id)
        .await
        .refused(404, "chat.person_not_found");
    service.bring_in(&team, consult, &doctor).await;
    team.assistant
        .delete(&service, &format!("/consult/{consult}/doctor/{}", doctor.id))
        .send()
        .await
        .result();
    let theirs = open(&service, &doctor, patient.id).await.result();
    assert_eq!(theirs["name"], "Pat");
    let ours = open(&service, &patient, doctor.id).await.result();
    assert_eq!(ours["conversation_id"], theirs["conversation_id"]);
    // Patients do not chat with each other, nor with doctors of other consults.
    open(&service, &patient, other.id)
        .await
        .refused(404, "chat.person_not_found");
    open(&service, &other, doctor.id)
        .await
        .refused(404, "chat.person_not_found");
    open(&service, &patient, team.owner.id)
        .await
        .refused(404, "chat.person_not_found");
    service
        .get("/chat_list")
        .send()
        .await
        .refused(401, "auth.required");
    for person in [&patient, &doctor] {
        let list = person.get(&service, "/chat_list").send().await.result();
        assert_eq!(list.as_array().unwrap().len(), 1);
        assert_eq!(list[0]["conversation_id"], ours["conversation_id"]);
    }
}

#[tokio::test]
async fn requests_of_both_sides_that_race_open_one_conversation() {
    let service = Service::start().await;
    let team = service.team("儿科").await;
    let doctor = service.doctor_of(&team, "Dr. B").await;
    let calls = (0..20).map(|at| {
        let (who, with) = if at % 2 == 0 {
            (&doctor, &team.owner)
        } else {
            (&team.owner, &doctor)
        };
        open(&service, who, with.id)
    });
    let replies = futures_util::future::join_all(calls).await;
    let first = replies[0].result()["conversation_id"].clone();
    assert!(
        replies
            .iter()
            .all(|reply| reply.result()["conversation_id"] == first)
    );
    let rows = service
        .database
        .query(format!("{OF_A_TEST}SELECT count(*) FROM conversation"), vec![])
        .await
        .unwrap();
    assert_eq!(rows[0].get::<i64>(0).unwrap(), 1);
}

#[tokio::test]
async fn either_side_blocks_a_chat_and_takes_only_the_own_block_back() {
    let scene = Scene::new().await;
    scene.in_process().await;
    let (patient, doctor) = (&scene.patient, &scene.doctor);
    let opened = scene
        .post(patient, "/chat".into(), json!({"user_id": doctor.id}))
        .await
        .result();
    let chat = opened["conversation_id"].as_i64().unwrap();
    let path = || format!("/chat/{chat}/block");
    let sides = |chat: serde_json::Value| (chat["blocked_by_me"] == true, chat["blocked_by_other"] == true);
    let blocked = scene.post(patient, path(), json!({})).await.result();
    assert_eq!(sides(blocked), (true, false));
    let again = scene.post(patient, path(), json!({})).await.result();
    assert_eq!(sides(again), (true, false));
    let both = scene.post(doctor, path(), json!({})).await.result();
    assert_eq!(sides(both), (true, true));
    let left = scene.delete(patient, path()).await.result();
    assert_eq!(sides(left), (false, true));
    let open = scene.delete(doctor, path()).await.result();
    assert_eq!(sides(open), (false, false));
    let rows = scene
        .service
        .database
        .query(
            "SELECT count(*) FROM entry WHERE conversation_id = $1 AND kind = 4",
            database::params![chat],
        )
        .await
        .unwrap();
    assert_eq!(rows[0].get::<i64>(0).unwrap(), 2, "closed once, opened once");
    let stranger = scene.service.member("Sam").await;
    let refused = scene.post(&stranger, path(), json!({})).await;
    refused.refused(404, "chat.not_found");
}

/// A card is shown to those who met its user in a conversation or a team; others do not learn that the user exists.
#[tokio::test]
async fn a_card_is_shown_to_those_who_met_its_user() {
    let service = Service::start().await;
    let team = service.team("儿科").await;
    let doctor = service.doctor_of(&team, "Dr. B").await;
    let colleague = service.doctor_of(&team, "Dr. C").await;
    let (patient, other) = (service.member("Pat").await, service.member("Oth").await);
    let outsider = service.doctor("Dr. X").await;
    let card = async |who: &Person, of: &Person| {
        let path = format!("/user/{}", of.id);
        who.get(&service, &path).send().await
    };
    let shown = card(&colleague, &doctor).await.result();
    assert_eq!(
        (&shown["user_id"], &shown["name"], &shown["role"]),
        (&json!(doctor.id), &json!("Dr. B"), &json!("doctor"))
    );
    card(&doctor, &doctor).await.result();
    for (who, of) in [
        (&patient, &doctor),
        (&doctor, &patient),
        (&outsider, &doctor),
        (&other, &patient),
    ] {
        card(who, of).await.refused(404, "chat.person_not_found");
    }
    let consult = service.consult(&patient, &team).await;
    service.consult(&other, &team).await;
    service.bring_in(&team, consult, &doctor).await;
    card(&patient, &doctor).await.result();
    card(&doctor, &patient).await.result();
    card(&patient, &team.assistant).await.result();
    // Also after they left.
    let path = format!("/consult/{consult}/doctor/{}", doctor.id);
    team.assistant.delete(&service, &path).send().await.result();
    card(&patient, &doctor).await.result();
    card(&other, &patient).await.refused(404, "chat.person_not_found");
    card(&other, &doctor).await.refused(404, "chat.person_not_found");
}
