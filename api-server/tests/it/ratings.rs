//! Ratings, and further questions after the end.

use serde_json::{Value, json};

use super::{
    operators::operator,
    people::{Person, new_consult},
    scene::Scene,
    service::Reply,
};

const DAY: i64 = 24 * 60 * 60 * 1000;

async fn rate(scene: &Scene, who: &Person, consult: i64, body: Value) -> Reply {
    let path = format!("/consult/{consult}/rating");
    who.put(&scene.service, &path, body).send().await
}

async fn finished(scene: &Scene) -> i64 {
    let consult = scene.in_process().await;
    let path = format!("/consult/{consult}/finish");
    scene.post(&scene.doctor, path, json!({})).await.result();
    consult
}

#[tokio::test]
async fn a_patient_rates_once_and_changes_it_for_seven_days() {
    let scene = Scene::new().await;
    let consult = scene.in_process().await;
    let five = json!({"stars": 5, "words": "很耐心"});
    rate(&scene, &scene.patient, consult, five.clone())
        .await
        .refused(409, "consult.not_finished");
    let path = format!("/consult/{consult}/finish");
    scene.post(&scene.doctor, path, json!({})).await.result();
    let first = rate(&scene, &scene.patient, consult, five).await.result();
    let changed = rate(&scene, &scene.patient, consult, json!({"stars": 4}))
        .await
        .result();
    assert_eq!(changed["created_ms"], first["created_ms"]);
    for who in [&scene.patient, &scene.doctor, &scene.team.assistant] {
        let shown = scene.get(who, format!("/consult/{consult}")).await.result();
        assert_eq!(
            (&shown["rating"]["stars"], &shown["rating"]["words"]),
            (&json!(4), &json!(""))
        );
    }
    let page = scene
        .get(&scene.patient, format!("/team/{}", scene.team.id))
        .await
        .result();
    assert!(page.to_string().contains("\"count\":1"), "{page}");
    scene
        .execute(
            "UPDATE consult_rating SET created_ms = created_ms - $1",
            vec![(7 * DAY + 1).into()],
        )
        .await;
    rate(&scene, &scene.patient, consult, json!({"stars": 1}))
        .await
        .refused(409, "consult.rating_settled");
    for stars in [0, 6] {
        rate(&scene, &scene.patient, consult, json!({"stars": stars}))
            .await
            .refused(400, "request.invalid")
            .field("stars");
    }
    for who in [&scene.doctor, &scene.team.assistant] {
        rate(&scene, who, consult, json!({"stars": 5}))
            .await
            .refused(403, "consult.forbidden");
    }
}

#[tokio::test]
async fn staff_and_operators_list_the_ratings_of_a_team() {
    let scene = Scene::new().await;
    let mut consults = Vec::new();
    for stars in 1..=3 {
        let consult = finished(&scene).await;
        rate(&scene, &scene.patient, consult, json!({"stars": stars}))
            .await
            .result();
        consults.push(consult);
    }
    let path = format!("/team/{}/rating_list", scene.team.id);
    let (operator, _) = operator(&scene.service, "李伟").await;
    for who in [&scene.doctor, &scene.team.owner, &scene.team.assistant, &operator] {
        let listed = scene.get(who, format!("{path}?count=true")).await;
        assert_eq!(listed.json["total"], 3);
        let ids: Vec<i64> = listed
            .result()
            .as_array()
            .unwrap()
            .iter()
            .map(|rating| rating["consultation_id"].as_i64().unwrap())
            .collect();
        assert_eq!(ids, consults.iter().rev().copied().collect::<Vec<_>>());
    }
    scene
        .get(&scene.patient, path)
        .await
        .refused(403, "team.forbidden");
}

async fn ask_again(scene: &Scene, who: &Person, consult: i64) -> Reply {
    let mut body = new_consult(who, scene.team.id);
    body["follow_up_of"] = consult.into();
    let begin = who.post(&scene.service, "/consult", body);
    let number = scene.service.number("SELECT count(*) FROM consult").await;
    begin.key(&format!("again-{number}")).send().await
}

#[tokio::test]
async fn further_questions_are_a_linked_consult_that_is_free() {
    let scene = Scene::charging().await;
    scene.service.credit(&scene.patient, 2_000).await;
    scene.set_clock(json!({"follow_up_days": 14})).await;
    let consult = finished(&scene).await;
    // The price is paid, and there is no more.
    let balance = scene.get(&scene.patient, "/wallet".into()).await.result()["balance_fen"].clone();
    assert_eq!(balance, 0);
    let again = ask_again(&scene, &scene.patient, consult).await.result();
    assert_eq!(again["follow_up_of"], consult);
    assert!(again.get("price_fen").is_none(), "{again}");
    let second = again["consultation_id"].as_i64().unwrap();
    ask_again(&scene, &scene.patient, consult)
        .await
        .refused(409, "consult.follow_up_open")
        .field("follow_up_of");
    scene
        .post(&scene.patient, format!("/consult/{second}/cancel"), json!({}))
        .await
        .result();
    ask_again(&scene, &scene.patient, consult).await.result();
    scene.service.balances().await;
}

#[tokio::test]
async fn further_questions_are_about_an_own_consult_that_was_finished_lately() {
    let scene = Scene::new().await;
    let running = scene.in_process().await;
    ask_again(&scene, &scene.patient, running)
        .await
        .refused(409, "consult.not_finished");
    let consult = finished(&scene).await;
    // The team offers none.
    ask_again(&scene, &scene.patient, consult)
        .await
        .refused(409, "consult.follow_up_over");
    scene.set_clock(json!({"follow_up_days": 14})).await;
    let other = scene.service.member("刘洋").await;
    ask_again(&scene, &other, consult)
        .await
        .refused(404, "consult.not_found")
        .field("follow_up_of");
    let mut body = new_consult(&scene.patient, scene.team.id);
    body["follow_up_of"] = consult.into();
    body["price_fen"] = 2_000.into();
    let begin = scene.patient.post(&scene.service, "/consult", body);
    begin.send().await.refused(409, "team.price_changed");
    let ended = "UPDATE consult SET ended_ms = ended_ms - $1 WHERE id = $2";
    scene
        .execute(ended, vec![(14 * DAY + 1).into(), consult.into()])
        .await;
    ask_again(&scene, &scene.patient, consult)
        .await
        .refused(409, "consult.follow_up_over");
}
