//! A doctor's advice, and corrections of messages.

use prost::Message;
use proto::wire;
use serde_json::{Value, json};

use super::{
    messages::{Pen, recall},
    people::Person,
    scene::Scene,
};

const PLAIN: &str = "text/plain";
const ADVICE: &str = "application/vnd.huizhen.advice";

fn advice(text: &str) -> Value {
    json!({
        "impression": "紧张性头痛", "text": text, "medicines": "布洛芬，疼痛时服用", "follow_up_date": "2026-12-20"
    })
}

async fn shown(scene: &Scene, who: &Person, consult: i64) -> Value {
    scene.get(who, format!("/consult/{consult}")).await.result()["advice"].clone()
}

#[tokio::test]
async fn the_record_shows_the_newest_advice() {
    let scene = Scene::new().await;
    let consult = scene.in_process().await;
    assert_eq!(shown(&scene, &scene.patient, consult).await, Value::Null);
    let path = format!("/consult/{consult}/advice");
    for text in ["规律作息", "少看屏幕"] {
        scene
            .post(&scene.doctor, path.clone(), advice(text))
            .await
            .result();
    }
    for who in [&scene.patient, &scene.doctor, &scene.team.assistant] {
        let shown = shown(&scene, who, consult).await;
        assert_eq!(
            (&shown["text"], &shown["title"], &shown["doctor_id"]),
            (&json!("少看屏幕"), &json!("医生建议"), &json!(scene.doctor.id))
        );
        assert_eq!(shown["follow_up_date"], "2026-12-20");
    }
    // It is a message of the doctor, for every app.
    let entries = scene.entries(consult).await;
    let last = entries.last().unwrap();
    assert_eq!(
        (&last["kind"], &last["mime_type"], &last["sender_id"]),
        (&json!("message"), &json!(ADVICE), &json!(scene.doctor.id))
    );
    assert_eq!(last["content"]["medicines"], "布洛芬，疼痛时服用");
    // Recalled advice is none.
    let seq = last["seq"].as_i64().unwrap();
    recall(&scene.service, consult, &scene.doctor, seq).await;
    assert_eq!(shown(&scene, &scene.patient, consult).await, Value::Null);
}

#[tokio::test]
async fn advice_that_is_corrected_is_shown_as_corrected() {
    let scene = Scene::new().await;
    let consult = scene.in_process().await;
    let path = format!("/consult/{consult}/advice");
    scene.post(&scene.doctor, path, advice("两片")).await.result();
    let seq = scene.entries(consult).await.last().unwrap()["seq"]
        .as_i64()
        .unwrap();
    let card = wire::AdviceCard {
        text: "一片".into(),
        ..wire::AdviceCard::default()
    };
    let pen = Pen::new(&scene.service);
    pen.correct(consult, &scene.doctor, ADVICE, card.encode_to_vec(), seq)
        .await;
    let shown = shown(&scene, &scene.patient, consult).await;
    assert_eq!(
        (&shown["text"], shown["seq"].as_i64()),
        (&json!("一片"), Some(seq + 1))
    );
}

#[tokio::test]
async fn a_doctor_finishes_with_advice() {
    let scene = Scene::new().await;
    let consult = scene.in_process().await;
    let path = format!("/consult/{consult}/finish");
    let finish = async |who: &Person| {
        let body = json!({"advice": advice("按时复诊")});
        scene.post(who, path.clone(), body).await
    };
    finish(&scene.team.assistant)
        .await
        .refused(403, "consult.forbidden");
    finish(&scene.doctor).await.result();
    let entries = scene.entries(consult).await;
    let kinds: Vec<&str> = entries
        .iter()
        .map(|entry| entry["kind"].as_str().unwrap())
        .collect();
    assert_eq!(kinds[kinds.len() - 2..], ["message", "status_changed"]);
    assert_eq!(shown(&scene, &scene.patient, consult).await["text"], "按时复诊");
    finish(&scene.doctor).await.refused(409, "consult.ended");
    let path = format!("/consult/{consult}/advice");
    scene
        .post(&scene.doctor, path, advice("太晚"))
        .await
        .refused(409, "consult.ended");
}

#[tokio::test]
async fn only_a_doctor_in_it_advises_and_with_a_whole_date() {
    let scene = Scene::new().await;
    let consult = scene.in_process().await;
    let path = format!("/consult/{consult}/advice");
    for who in [&scene.patient, &scene.team.assistant] {
        scene
            .post(who, path.clone(), advice("a"))
            .await
            .refused(403, "consult.forbidden");
    }
    scene
        .post(&scene.team.owner, path.clone(), advice("a"))
        .await
        .refused(404, "consult.not_found");
    for date in ["2026-13-01", "2026-02-30", "20261220  ", "2026-1-012"] {
        let mut body = advice("a");
        body["follow_up_date"] = date.into();
        let reply = scene.post(&scene.doctor, path.clone(), body).await;
        reply.refused(400, "request.invalid").field("follow_up_date");
    }
    let reply = scene.post(&scene.doctor, path, json!({"text": ""})).await;
    reply.refused(400, "request.invalid").field("text");
}

// protocol: "Both stay: show the first as corrected"
// protocol: "Of several corrections of one message the newest counts"
// protocol: "lists name the newest correction"
#[tokio::test]
async fn a_corrected_message_names_its_newest_correction() {
    let scene = Scene::new().await;
    let consult = scene.in_process().await;
    let pen = Pen::new(&scene.service);
    let wrong = pen.write(consult, &scene.doctor, PLAIN, "一天两次").await;
    let other = pen.write(consult, &scene.patient, PLAIN, "好的").await;
    let first = pen
        .correct(consult, &scene.doctor, PLAIN, "一天三次", wrong)
        .await;
    let second = pen
        .correct(consult, &scene.doctor, PLAIN, "一天一次", wrong)
        .await;
    let marks = async || {
        let entries = scene.entries(consult).await;
        let messages = entries.into_iter().filter(|entry| entry["mime_type"] == PLAIN);
        let mark = |entry: Value| {
            let number = |field: &str| entry[field].as_i64();
            (
                entry["seq"].as_i64().unwrap(),
                number("corrects_seq"),
                number("corrected_by_seq"),
            )
        };
        messages.map(mark).collect::<Vec<_>>()
    };
    let corrected = [
        (wrong, None, Some(second)),
        (other, None, None),
        (first, Some(wrong), None),
        (second, Some(wrong), None),
    ];
    assert_eq!(marks().await, corrected);
    // The first message stays readable.
    let entries = scene.entries(consult).await;
    let of = |seq: i64| entries.iter().find(|entry| entry["seq"] == seq).unwrap();
    assert_eq!(of(wrong)["text"], "一天两次");
    recall(&scene.service, consult, &scene.doctor, second).await;
    assert_eq!(marks().await[0], (wrong, None, Some(first)));
}
