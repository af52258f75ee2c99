//! The clock of a consult: answers in time, silence, who may still cancel.

use serde_json::{Value, json};

use super::{
    consult_clock::promise,
    messages::Pen,
    people::Person,
    scene::{Scene, eventually},
};

const MINUTE: i64 = 60_000;
const DAY: i64 = 24 * 60 * MINUTE;

#[tokio::test]
async fn a_team_shows_its_clock_and_its_owner_changes_it() {
    let scene = Scene::new().await;
    let path = format!("/team/{}", scene.team.id);
    let shown = async || scene.get(&scene.patient, path.clone()).await.result()["clock"].clone();
    assert_eq!(shown().await, json!({"late_cancel": true}));
    let set = json!({
        "answer_minutes": 60, "reminder_minutes": 15, "silence_days": 7, "silence_warning_days": 2,
        "follow_up_days": 14, "late_cancel": false
    });
    let change = async |who: &Person, clock: &Value| {
        let body = json!({"clock": clock});
        who.put(&scene.service, &path, body).send().await
    };
    let owner = &scene.team.owner;
    assert_eq!(change(owner, &set).await.result()["clock"], set);
    assert_eq!(shown().await, set);
    // Fields that are absent stay.
    let none = change(owner, &json!({"follow_up_days": 0})).await.result();
    assert!(none["clock"].get("follow_up_days").is_none());
    assert_eq!(none["clock"]["answer_minutes"], 60);
    for (clock, field) in [
        (json!({"reminder_minutes": 60}), "reminder_minutes"),
        (json!({"answer_minutes": 10}), "reminder_minutes"),
        (json!({"silence_warning_days": 7}), "silence_warning_days"),
        (json!({"answer_minutes": 43_201}), "clock.answer_minutes"),
        (json!({"silence_days": -1}), "clock.silence_days"),
    ] {
        change(owner, &clock)
            .await
            .refused(400, "request.invalid")
            .field(field);
    }
    for other in [&scene.doctor, &scene.team.assistant, &scene.patient] {
        change(other, &set).await.refused(403, "team.forbidden");
    }
    assert_eq!(shown().await, none["clock"]);
}

#[tokio::test]
async fn without_a_clock_a_consult_has_no_deadline() {
    let scene = Scene::new().await;
    let consult = scene.in_process().await;
    let shown = scene
        .get(&scene.patient, format!("/consult/{consult}"))
        .await
        .result();
    assert!(shown.get("deadline").is_none(), "{shown}");
    assert_eq!(scene.deadlines(consult).await, Vec::<String>::new());
    assert_eq!(
        scene
            .service
            .number("SELECT count(*) FROM consult_deadline")
            .await,
        0
    );
    assert!(shown["accepted_ms"].is_i64());
}

// protocol: "A team may promise a first answer within minutes"
// protocol: "A message is noticed when a deadline is due"
// protocol: "the same for everybody in it, and each change is"
#[tokio::test]
async fn an_answer_in_time_is_met_and_counted() {
    let scene = Scene::new().await;
    scene
        .set_clock(json!({"answer_minutes": 60, "reminder_minutes": 15}))
        .await;
    let consult = scene.in_process().await;
    let shown = scene
        .get(&scene.patient, format!("/consult/{consult}"))
        .await
        .result();
    let due_ms = shown["deadline"]["due_ms"].as_i64().unwrap();
    assert_eq!(shown["deadline"]["kind"], "first_answer");
    let created = shown["created"].as_i64().unwrap();
    // Two clocks of one machine.
    assert!(
        (due_ms - created - 60 * MINUTE).abs() < MINUTE,
        "{due_ms} {created}"
    );
    let pen = Pen::new(&scene.service);
    pen.write(consult, &scene.patient, "text/plain", "头痛").await;
    pen.write(consult, &scene.doctor, "text/plain", "多久了？").await;
    scene.expire(consult, "answer_reminder").await;
    scene.until(consult, "first_answer met").await;
    let entries = scene.deadline_entries(consult).await;
    assert_eq!(promise(&entries), ["first_answer set", "first_answer met"]);
    assert_eq!(entries[0]["sender_id"], scene.patient.id);
    assert_eq!(entries[1]["sender_id"], scene.doctor.id);
    let shown = scene
        .get(&scene.patient, format!("/consult/{consult}"))
        .await
        .result();
    assert!(shown.get("deadline").is_none(), "{shown}");
    assert!(shown["answered_ms"].as_i64().unwrap() >= created);
    assert_eq!(scene.answers().await, (1, true));
    // The end counts it no second time.
    scene
        .post(&scene.doctor, format!("/consult/{consult}/finish"), json!({}))
        .await
        .result();
    assert_eq!(scene.answers().await, (1, true));
}

// protocol: "come before the two, as entries"
#[tokio::test]
async fn an_answer_that_is_missed_is_reminded_of_and_fires_once() {
    let scene = Scene::new().await;
    scene
        .set_clock(json!({"answer_minutes": 60, "reminder_minutes": 15}))
        .await;
    let consult = scene.in_process().await;
    let pen = Pen::new(&scene.service);
    pen.write(consult, &scene.patient, "text/plain", "头痛").await;
    scene.expire(consult, "answer_reminder").await;
    scene.until(consult, "answer_reminder fired").await;
    let shown = scene
        .get(&scene.doctor, format!("/consult/{consult}"))
        .await
        .result();
    assert_eq!(shown["deadline"]["kind"], "first_answer");
    scene.expire(consult, "first_answer").await;
    scene.until(consult, "first_answer fired").await;
    scene.turns(2).await;
    let told = ["first_answer set", "answer_reminder fired", "first_answer fired"];
    assert_eq!(promise(&scene.deadline_entries(consult).await), told);
    assert_eq!(scene.answers().await, (0, false));
    // A late answer is noticed at the end.
    pen.write(consult, &scene.doctor, "text/plain", "多久了？").await;
    scene
        .post(&scene.doctor, format!("/consult/{consult}/finish"), json!({}))
        .await
        .result();
    assert_eq!(scene.answers().await, (1, true));
}

// protocol: "that has fired, the STATUS_CHANGED of the end"
#[tokio::test]
async fn silence_cancels_a_consult_without_an_answer_and_returns_its_price() {
    let scene = Scene::charging().await;
    scene
        .set_clock(json!({"silence_days": 7, "silence_warning_days": 2}))
        .await;
    scene.service.credit(&scene.patient, 50_000).await;
    let before = scene.get(&scene.patient, "/wallet".into()).await.result()["balance_fen"].clone();
    let consult = scene.in_process().await;
    let due = scene
        .get(&scene.patient, format!("/consult/{consult}"))
        .await
        .result()["deadline"]
        .clone();
    assert_eq!(due["kind"], "silence_end");
    // The warning is due, and then the end.
    scene.expire(consult, "silence_warning").await;
    scene.until(consult, "silence_warning fired").await;
    scene.expire(consult, "silence_end").await;
    scene.until(consult, "silence_end fired").await;
    let shown = scene
        .get(&scene.patient, format!("/consult/{consult}"))
        .await
        .result();
    assert_eq!(
        (&shown["status"], &shown["charge_state"]),
        (&json!("cancelled"), &json!("returned"))
    );
    assert!(shown.get("deadline").is_none());
    let entries = scene.entries(consult).await;
    let last = &entries[entries.len() - 2..];
    assert_eq!(last[0]["deadline"]["kind"], "silence_end");
    assert_eq!(
        (&last[1]["status"]["status"], &last[1]["status"]["cause"]),
        (&json!("cancelled"), &json!("silence"))
    );
    let after = scene.get(&scene.patient, "/wallet".into()).await.result()["balance_fen"].clone();
    assert_eq!(after, before);
    scene.service.balances().await;
}

#[tokio::test]
async fn silence_finishes_a_consult_that_a_doctor_answered() {
    let scene = Scene::charging().await;
    scene.set_clock(json!({"silence_days": 7})).await;
    scene.service.credit(&scene.patient, 50_000).await;
    let consult = scene.in_process().await;
    let pen = Pen::new(&scene.service);
    pen.write(consult, &scene.doctor, "text/plain", "多喝水").await;
    // The message begins the silence anew.
    scene.expire(consult, "silence_end").await;
    scene.until_count(consult, "silence_end set", 2).await;
    scene.expire(consult, "silence_end").await;
    scene.until(consult, "silence_end fired").await;
    let shown = scene
        .get(&scene.patient, format!("/consult/{consult}"))
        .await
        .result();
    assert_eq!(
        (&shown["status"], &shown["charge_state"]),
        (&json!("finished"), &json!("earned"))
    );
    assert_eq!(scene.answers().await, (1, true));
    scene.service.balances().await;
}

#[tokio::test]
async fn a_message_puts_the_end_off_by_the_whole_time() {
    let scene = Scene::new().await;
    scene
        .set_clock(json!({"silence_days": 7, "silence_warning_days": 2}))
        .await;
    let consult = scene.consult().await;
    Pen::new(&scene.service)
        .write(consult, &scene.patient, "text/plain", "在吗")
        .await;
    scene.expire(consult, "silence_warning").await;
    scene.until_count(consult, "silence_end set", 2).await;
    let entries = scene.deadline_entries(consult).await;
    assert_eq!(promise(&entries), ["silence_end set", "silence_end set"]);
    let due_ms = entries[1]["deadline"]["due_ms"].as_i64().unwrap();
    let created_ms = entries[1]["created_ms"].as_i64().unwrap();
    assert!((due_ms - created_ms - 7 * DAY).abs() < 5 * MINUTE);
    let shown = scene
        .get(&scene.patient, format!("/consult/{consult}"))
        .await
        .result();
    assert_eq!(shown["deadline"]["due_ms"], due_ms);
}

// protocol: "The deadlines of a consult end with it"
#[tokio::test]
async fn the_deadlines_of_a_consult_end_with_it() {
    let scene = Scene::new().await;
    scene
        .set_clock(json!({"answer_minutes": 60, "silence_days": 7}))
        .await;
    let consult = scene.consult().await;
    let set = "SELECT count(*) FROM consult_deadline WHERE due_ms IS NOT NULL";
    assert_eq!(scene.service.number(set).await, 2);
    scene
        .post(&scene.patient, format!("/consult/{consult}/cancel"), json!({}))
        .await
        .result();
    assert_eq!(scene.service.number(set).await, 0);
    let shown = scene
        .get(&scene.patient, format!("/consult/{consult}"))
        .await
        .result();
    assert!(shown.get("deadline").is_none(), "{shown}");
    let kept = "SELECT count(*) FROM conversation WHERE deadline_kind IS NOT NULL";
    assert_eq!(scene.service.number(kept).await, 0);
}

/// The release before knows no deadlines: it ends a consult and leaves them.
#[tokio::test]
async fn deadlines_of_a_consult_that_an_earlier_release_ended_fire_nothing() {
    let scene = Scene::new().await;
    scene.set_clock(json!({"answer_minutes": 60})).await;
    let consult = scene.consult().await;
    scene
        .execute(
            "UPDATE consult SET status = 'cancelled', ended_ms = 1 WHERE id = $1",
            vec![consult.into()],
        )
        .await;
    scene.expire(consult, "first_answer").await;
    let lifted = "SELECT count(*) FROM consult_deadline WHERE state = 'lifted'";
    eventually("the deadline is lifted", async || {
        scene.service.number(lifted).await == 1
    })
    .await;
    assert_eq!(
        promise(&scene.deadline_entries(consult).await),
        ["first_answer set"]
    );
}

/// The consult of a row that cannot be read: others fire, and what it has promised stays as it was.
#[tokio::test]
async fn a_consult_that_cannot_be_looked_at_keeps_none_waiting_and_its_promise() {
    let scene = Scene::new().await;
    scene.set_clock(json!({"answer_minutes": 60})).await;
    let (damaged, whole) = (scene.consult().await, scene.consult().await);
    scene
        .execute(
            "UPDATE consult SET status = 'nothing' WHERE id = $1",
            vec![damaged.into()],
        )
        .await;
    scene.expire(damaged, "first_answer").await;
    eventually("its look fails", async || {
        let failures = "SELECT count(*) FROM job WHERE name = 'deadlines' AND failure IS NOT NULL";
        scene.service.number(failures).await == 1
    })
    .await;
    scene.expire(whole, "first_answer").await;
    scene.until(whole, "first_answer fired").await;
    scene.turns(2).await;
    let kept = "SELECT count(*) FROM consult_deadline WHERE due_ms = 1 AND state = 'set'";
    assert_eq!(scene.service.number(kept).await, 1);
}

#[tokio::test]
async fn a_patient_cancels_until_a_doctor_came_in() {
    let scene = Scene::new().await;
    scene.set_clock(json!({"late_cancel": false})).await;
    let cancel = async |who: &Person, consult: i64| {
        scene
            .post(who, format!("/consult/{consult}/cancel"), json!({}))
            .await
    };
    let waiting = scene.consult().await;
    cancel(&scene.patient, waiting).await.result();
    let running = scene.in_process().await;
    cancel(&scene.patient, running)
        .await
        .refused(409, "consult.accepted");
    // Also without a doctor, once one was in it.
    scene
        .delete(
            &scene.team.assistant,
            format!("/consult/{running}/doctor/{}", scene.doctor.id),
        )
        .await
        .result();
    cancel(&scene.patient, running)
        .await
        .refused(409, "consult.accepted");
    scene.set_clock(json!({"late_cancel": true})).await;
    cancel(&scene.patient, running).await.result();
    scene.set_clock(json!({"late_cancel": false})).await;
    let third = scene.in_process().await;
    cancel(&scene.team.assistant, third).await.result();
}
