//! A hidden conversation stays hidden: on lists over REST, on each device that listens, and on the next new one.

use proto::wire::EntryKind;
use serde_json::json;

use super::{
    lists::walk,
    people::Person,
    pushes::{Device, start_node},
    scene::Scene,
    service::Service,
};

/// The newest entry that a user sees.
async fn last_seq(scene: &Scene, who: &Person, consult: i64) -> i64 {
    let messages = scene.get(who, format!("/consult/{consult}/messages")).await;
    messages.result()[0]["seq"].as_i64().unwrap()
}

async fn chats(service: &Service, who: &Person) -> Vec<i64> {
    let list = who.get(service, "/chat_list?count=true").send().await;
    let chats: Vec<i64> = list
        .result()
        .as_array()
        .unwrap()
        .iter()
        .map(|chat| chat["conversation_id"].as_i64().unwrap())
        .collect();
    assert_eq!(list.json["total"], chats.len());
    chats
}

/// A patient with a phone and a tablet.
async fn with_tablet(scene: &mut Scene) -> Person {
    scene.patient = scene
        .service
        .register("李雷", "member", Some("correct horse"))
        .await;
    scene
        .service
        .log_in(&scene.patient, "correct horse", "tablet")
        .await
}

#[tokio::test]
async fn a_hidden_consult_leaves_each_device_and_a_refund_brings_it_back() {
    let mut scene = Scene::charging().await;
    let tablet = with_tablet(&mut scene).await;
    let service = &scene.service;
    let _node = start_node(service).await;
    service.credit(&scene.patient, 50_000).await;
    let consult = scene.charged("one").await;
    scene.end(&scene.doctor, consult, "finish").await.result();
    let last = last_seq(&scene, &scene.patient, consult).await;
    let mut listening = Device::online(service, &tablet).await;
    for _ in 0..2 {
        let path = format!("/consult/history_list/{consult}");
        scene.delete(&scene.patient, path).await;
    }
    listening.hears_hidden(consult, last).await;
    // A device that never heard of it.
    let phone = Device::online(service, &scene.patient).await;
    assert_eq!(phone.hidden().iter().collect::<Vec<_>>(), [(&consult, &last)]);
    assert!(scene.listed(&tablet, "history_list").await.is_empty());
    assert_eq!(scene.listed(&scene.doctor, "history_list").await, [consult]);

    let because = json!({"reason": "服务未完成，协商退款"});
    let path = format!("/consult/{consult}/refund");
    let refund = scene.team.owner.post(service, &path, because).key("back");
    refund.send().await.result();
    let refunded = listening.entry(consult, EntryKind::Refunded).await;
    assert!(refunded.seq > last, "its entries come as ever");
    assert_eq!(scene.listed(&tablet, "history_list").await, [consult]);
}

/// The staff room goes with its consult, for those who are in it.
#[tokio::test]
async fn staff_hide_a_consult_with_its_staff_room_and_put_both_back() {
    let scene = Scene::new().await;
    let service = &scene.service;
    let _node = start_node(service).await;
    let consult = scene.consult().await;
    let shown = service.bring_in(&scene.team, consult, &scene.doctor).await;
    let room = shown["staff_conversation_id"].as_i64().unwrap();
    let mut doctor = Device::online(service, &scene.doctor).await;
    let path = format!("/consult/history_list/{consult}");
    scene
        .delete(&scene.doctor, path.clone())
        .await
        .refused(409, "consult.not_ended");
    scene
        .post(&scene.doctor, path.clone(), json!({}))
        .await
        .refused(409, "consult.not_ended");
    scene.end(&scene.doctor, consult, "finish").await.result();
    scene.delete(&scene.doctor, path.clone()).await;
    let last = last_seq(&scene, &scene.doctor, consult).await;
    doctor.hears_hidden(consult, last).await;
    let new = Device::online(service, &scene.doctor).await;
    let hidden: Vec<i64> = new.hidden().keys().copied().collect();
    assert_eq!(hidden, [consult, room]);
    // The patient is in no staff room, and hears of none.
    scene.delete(&scene.patient, "/consult/history_list".into()).await;
    let patient = Device::online(service, &scene.patient).await;
    assert_eq!(patient.hidden().keys().copied().collect::<Vec<_>>(), [consult]);

    for _ in 0..2 {
        scene.post(&scene.doctor, path.clone(), json!({})).await.result();
    }
    let mut new = Device::online(service, &scene.doctor).await;
    new.hears_hidden(consult, 0).await;
    new.hears_hidden(room, 0).await;
    assert_eq!(scene.listed(&scene.doctor, "history_list").await, [consult]);
    assert!(scene.listed(&scene.patient, "history_list").await.is_empty());
    let stranger = service.doctor("Dr. X").await;
    scene
        .post(&stranger, path, json!({}))
        .await
        .refused(404, "consult.not_found");
}

#[tokio::test]
async fn a_hidden_chat_leaves_each_device_and_a_message_brings_it_back() {
    let mut scene = Scene::new().await;
    let tablet = with_tablet(&mut scene).await;
    let (service, patient, doctor) = (&scene.service, &scene.patient, &scene.doctor);
    let _node = start_node(service).await;
    let consult = scene.in_process().await;
    let with = json!({"user_id": doctor.id});
    let opened = scene.post(patient, "/chat".into(), with.clone()).await.result();
    let chat = opened["conversation_id"].as_i64().unwrap();
    let path = || format!("/chat/{chat}/hide");
    let mut listening = Device::online(service, &tablet).await;
    for _ in 0..2 {
        let hidden = scene.post(patient, path(), json!({})).await.result();
        assert_eq!(hidden["hidden"], true);
    }
    listening.hears_hidden(chat, 2).await;
    assert!(chats(service, &tablet).await.is_empty());
    assert_eq!(chats(service, doctor).await, [chat], "the other side keeps it");
    // It is found, and says that it is hidden.
    let found = scene.post(patient, "/chat".into(), with).await.result();
    assert_eq!(
        (&found["conversation_id"], &found["hidden"]),
        (&json!(chat), &json!(true))
    );
    let phone = Device::online(service, patient).await;
    assert_eq!(phone.hidden().get(&chat), Some(&2));

    let said = Device::online(service, doctor)
        .await
        .say(chat, "复查结果好")
        .await;
    let entry = listening.entry(chat, EntryKind::Message).await;
    assert_eq!(entry.seq, said);
    assert!(listening.hidden()[&chat] < said, "the entry is beyond");
    assert_eq!(chats(service, &tablet).await, [chat]);

    scene.post(&tablet, path(), json!({})).await.result();
    listening.hears_hidden(chat, said).await;
    for _ in 0..2 {
        let shown = scene.delete(patient, path()).await.result();
        assert_eq!(shown.get("hidden"), None);
    }
    listening.hears_hidden(chat, 0).await;
    assert_eq!(chats(service, patient).await, [chat]);

    let stranger = service.member("Sam").await;
    scene
        .post(&stranger, path(), json!({}))
        .await
        .refused(404, "chat.not_found");
    scene
        .delete(&stranger, path())
        .await
        .refused(404, "chat.not_found");
    let of_consult = scene
        .post(patient, format!("/chat/{consult}/hide"), json!({}))
        .await;
    of_consult.refused(404, "chat.not_found");
}

/// Hidden chats lie between those that are shown.
#[tokio::test]
async fn pages_of_chats_pass_over_hidden_ones() {
    let scene = Scene::new().await;
    let (service, doctor) = (&scene.service, &scene.doctor);
    let mut opened = Vec::new();
    for name in ["甲", "乙", "丙", "丁", "戊", "己"] {
        let colleague = service.doctor_of(&scene.team, name).await;
        let with = json!({"user_id": colleague.id});
        let chat = scene.post(doctor, "/chat".into(), with).await.result();
        opened.push(chat["conversation_id"].as_i64().unwrap());
    }
    let hide = async |at: usize| {
        let path = format!("/chat/{}/hide", opened[at]);
        scene.post(doctor, path, json!({})).await.result();
    };
    // The two newest, one between, and the oldest.
    for at in [5, 4, 2, 0] {
        hide(at).await;
    }
    let shown = [opened[3], opened[1]];
    assert_eq!(chats(service, doctor).await, shown);
    for limit in [1, 2, 3] {
        assert_eq!(
            walk(service, doctor, "/chat_list", limit, async || ()).await,
            shown
        );
    }
    for at in [3, 1] {
        hide(at).await;
    }
    assert!(chats(service, doctor).await.is_empty());
    assert!(
        walk(service, doctor, "/chat_list", 1, async || ())
            .await
            .is_empty()
    );
}

/// More consults than one transaction hides. A repetition leaves alone what came since.
#[tokio::test]
async fn a_long_history_is_hidden_whole_and_once() {
    const MANY: usize = 101;
    let scene = Scene::new().await;
    let service = &scene.service;
    let end_one = async || {
        let consult = scene.consult().await;
        scene.end(&scene.patient, consult, "cancel").await.result();
    };
    let ended = async || {
        let list = scene.get(&scene.patient, "/consult/history_list?count=true".to_owned());
        list.await.json["total"].as_u64().unwrap()
    };
    let hide_all = async || {
        let hidden = scene.patient.delete(service, "/consult/history_list").key("all");
        assert_eq!(hidden.send().await.json["code"], 200);
    };
    for _ in 0..MANY {
        end_one().await;
    }
    assert_eq!(ended().await, MANY as u64);
    hide_all().await;
    assert_eq!(ended().await, 0);
    end_one().await;
    hide_all().await;
    assert_eq!(ended().await, 1);
}
