//! The desk of a team.

use database::params;
use serde_json::{Value, json};

use super::{
    lists::{walk, walk_by},
    messages::{Pen, recall},
    operators::operator,
    people::{Person, new_consult},
    scene::Scene,
};

async fn desk(scene: &Scene, who: &Person, query: &str) -> Value {
    let path = format!("/team/{}/desk?{query}", scene.team.id);
    let reply = scene.get(who, path).await;
    reply.result();
    reply.json
}

async fn ids(scene: &Scene, who: &Person, query: &str) -> Vec<i64> {
    let desk = desk(scene, who, query).await;
    let rows = desk["result"].as_array().unwrap().iter();
    rows.map(|row| row["consultation_id"].as_i64().unwrap()).collect()
}

async fn open(scene: &Scene, who: &Person, change: Value) -> i64 {
    let mut body = new_consult(who, scene.team.id);
    for (field, value) in change.as_object().unwrap() {
        body[field] = value.clone();
    }
    let begun = scene.post(who, "/consult".into(), body).await.result();
    begun["consultation_id"].as_i64().unwrap()
}

async fn end(scene: &Scene, consult: i64, act: &str) {
    let path = format!("/consult/{consult}/{act}");
    scene.post(&scene.team.assistant, path, json!({})).await.result();
}

#[tokio::test]
async fn staff_see_by_state_what_waits_longest_first() {
    let scene = Scene::new().await;
    let colleague = scene.service.doctor_of(&scene.team, "Dr. C").await;
    let waiting = [scene.consult().await, scene.consult().await];
    let running = scene.in_process().await;
    let other = scene.consult().await;
    scene.service.bring_in(&scene.team, other, &colleague).await;
    // It lost its only doctor: it waits again, since before the others.
    let unassigned = scene.in_process().await;
    let out = format!("/consult/{unassigned}/doctor/{}", scene.doctor.id);
    scene.delete(&scene.team.assistant, out).await.result();
    let finished = scene.in_process().await;
    end(&scene, finished, "finish").await;
    let cancelled = scene.consult().await;
    end(&scene, cancelled, "cancel").await;
    let staff = [
        (&scene.team.assistant, vec![]),
        (&scene.team.owner, vec![]),
        (&scene.doctor, vec![running]),
        (&colleague, vec![other]),
    ];
    for (who, mine) in staff {
        let waits = [waiting[0], waiting[1], unassigned];
        assert_eq!(ids(&scene, who, "state=waiting").await, waits);
        assert_eq!(ids(&scene, who, "").await, waits);
        assert_eq!(ids(&scene, who, "state=mine").await, mine);
        assert_eq!(ids(&scene, who, "state=running").await, [running, other]);
        assert_eq!(ids(&scene, who, "state=ended").await, [cancelled, finished]);
        let page = desk(&scene, who, "state=ended&count=true&limit=1").await;
        assert_eq!((&page["total"], &page["has_more"]), (&json!(2), &json!(true)));
        let counts = json!({"waiting": 3, "mine": mine.len(), "running": 2, "ended": 2});
        assert_eq!(page["counts"], counts);
    }
}

#[tokio::test]
async fn a_row_says_for_whom_it_is_and_what_was_said_last() {
    let scene = Scene::new().await;
    let child = json!({"relation_type": "child", "name": "小明"});
    let child = scene.post(&scene.patient, "/family".into(), child).await.result();
    let target = &child["relation_user_id"];
    let consult = open(&scene, &scene.patient, json!({"target_member_id": target})).await;
    let voice = json!({"symptom_type": "audio/aac", "symptom_content": "media/9"});
    let spoken = open(&scene, &scene.patient, voice).await;
    let colleague = scene.service.doctor_of(&scene.team, "Dr. C").await;
    let detail = json!({"title": "主任医师"});
    scene
        .post(&scene.doctor, "/doctor/detail".into(), detail)
        .await
        .result();
    scene.service.bring_in(&scene.team, consult, &scene.doctor).await;
    let pen = Pen::new(&scene.service);
    pen.write(consult, &scene.patient, "text/plain", "痛".repeat(61))
        .await;
    let answer = pen.write(consult, &scene.doctor, "text/plain", "多久了？").await;
    let row = async |who: &Person, state: &str| {
        let desk = desk(&scene, who, &format!("state={state}")).await;
        desk["result"][0].clone()
    };
    let seen = row(&scene.team.assistant, "running").await;
    let last = &seen["last_message"];
    let expected = json!({
        "status": "in_process", "consultation_id": consult, "creator_member_id": scene.patient.id,
        "creator_member_name": "王芳", "target_member_id": target, "target_member_name": "小明", "relation": "child",
        "complaint": "头痛三天", "symptom_type": "text/plain", "created": seen["created"], "unread": seen["unread"],
        "doctors": [{"doctor_id": scene.doctor.id, "name": "Dr. B", "title": "主任医师"}],
        "last_message": {
            "seq": answer, "sender_id": scene.doctor.id, "sender_name": "Dr. B", "created_ms": last["created_ms"],
            "mime_type": "text/plain", "text": "多久了？",
        },
    });
    assert_eq!(seen, expected);
    // The doctor has not read what the patient wrote, and wrote the answer; the assistant has read neither.
    let unread = |row: &Value| row["unread"].as_i64().unwrap();
    assert_eq!(unread(&row(&scene.doctor, "mine").await) + 1, unread(&seen));
    assert!(unread(&seen) >= 2);
    // A doctor who is not in it sees the record, and no message.
    let mut unseen = expected.as_object().unwrap().clone();
    unseen.remove("unread");
    unseen.remove("last_message");
    for who in [&colleague, &scene.team.owner] {
        assert_eq!(row(who, "running").await, Value::from(unseen.clone()));
    }
    // The lists of patient and doctor have the same.
    for who in [&scene.patient, &scene.doctor] {
        let list = scene.get(who, "/consult/in_process_list".into()).await.result();
        let items = list.as_array().unwrap().iter();
        let mut item = items.filter(|item| item["consultation_id"] == consult);
        assert_eq!(item.next().unwrap()["last_message"], *last);
    }
    recall(&scene.service, consult, &scene.doctor, answer).await;
    let recalled = row(&scene.team.assistant, "running").await["last_message"].clone();
    assert_eq!(
        (&recalled["text"], &recalled["mime_type"], &recalled["recalled"]),
        (&json!(""), &json!(""), &json!(true))
    );
    assert!(!recalled.to_string().contains("多久"));
    // Voice says so, in the language of the reader.
    let path = format!("/team/{}/desk", scene.team.id);
    for (language, word) in [("zh-CN", "[语音]"), ("en", "[Voice]")] {
        let asked = scene.team.assistant.get(&scene.service, &path);
        let rows = asked.header("Accept-Language", language).send().await.result();
        assert_eq!(
            (&rows[0]["consultation_id"], &rows[0]["complaint"]),
            (&json!(spoken), &json!(word))
        );
    }
}

#[tokio::test]
async fn a_deadline_of_the_conversation_is_shown_to_everybody_in_it() {
    let scene = Scene::new().await;
    let consult = scene.in_process().await;
    let set = scene.service.database.transaction(move |tx| {
        Box::pin(async move {
            let sql = "UPDATE conversation SET deadline_kind = $1, deadline_ms = $2 WHERE id = $3";
            tx.execute(sql, params!["first_answer", 4_000_000_000_000_i64, consult])
                .await
        })
    });
    set.await.unwrap();
    let due = json!({"kind": "first_answer", "due_ms": 4_000_000_000_000_i64});
    for who in [&scene.patient, &scene.doctor, &scene.team.assistant] {
        let list = scene.get(who, "/consult/in_process_list".into()).await.result();
        assert_eq!(list[0]["deadline"], due);
        let shown = scene.get(who, format!("/consult/{consult}")).await.result();
        assert_eq!(shown["deadline"], due);
    }
    let desk = desk(&scene, &scene.team.owner, "state=running").await;
    assert_eq!(desk["result"][0]["deadline"], due);
}

#[tokio::test]
async fn the_desk_is_filtered_by_doctor_time_and_text() {
    let scene = Scene::new().await;
    let colleague = scene.service.doctor_of(&scene.team, "Dr. C").await;
    let second = scene.service.member("ＬＩ Mei").await;
    let cough = json!({"symptom_content": "咳嗽 100%_\n夜里更重"});
    let fever = json!({"symptom_content": "发烧三天，不退"});
    let coughs = open(&scene, &scene.patient, cough).await;
    let burns = open(&scene, &second, fever.clone()).await;
    let burnt = open(&scene, &second, fever).await;
    scene.service.bring_in(&scene.team, burns, &scene.doctor).await;
    scene.service.bring_in(&scene.team, burns, &colleague).await;
    scene.service.bring_in(&scene.team, burnt, &colleague).await;
    end(&scene, burnt, "finish").await;
    let who = &scene.doctor;
    let encoded = |text: &str| -> String { url::form_urlencoded::byte_serialize(text.as_bytes()).collect() };
    for (state, text, found) in [
        ("waiting", "咳嗽", vec![coughs]),
        ("waiting", "嗽100%_夜", vec![coughs]),
        ("waiting", "嗽 100%_夜里", vec![coughs]),
        ("waiting", "嗽1000_夜里", vec![]),
        ("waiting", "咳嗽100%_夜里更轻", vec![]),
        ("waiting", "王芳", vec![coughs]),
        ("waiting", "发烧", vec![]),
        ("running", "发烧三天", vec![burns]),
        ("running", "li mei", vec![burns]),
        ("running", "LI MEI", vec![burns]),
        ("running", "mei发", vec![]),
        ("mine", "三天", vec![burns]),
        ("ended", "烧三", vec![burnt]),
        ("ended", "发烧三天，不退", vec![burnt]),
        ("ended", "发烧三天，不好", vec![]),
        ("ended", "王芳", vec![]),
    ] {
        let query = format!("state={state}&text={}", encoded(text));
        assert_eq!(ids(&scene, who, &query).await, found, "{state} {text}");
    }
    for (query, found) in [
        (format!("state=running&doctor_id={}", colleague.id), vec![burns]),
        (format!("state=mine&doctor_id={}", colleague.id), vec![burns]),
        (format!("state=mine&doctor_id={}", scene.team.owner.id), vec![]),
        (format!("state=ended&doctor_id={}", colleague.id), vec![burnt]),
        (format!("state=ended&doctor_id={}", scene.doctor.id), vec![]),
        (format!("state=waiting&doctor_id={}", colleague.id), vec![]),
        (
            format!(
                "state=ended&doctor_id={}&text={}",
                colleague.id,
                encoded("发烧三天，不退")
            ),
            vec![burnt],
        ),
    ] {
        assert_eq!(ids(&scene, who, &query).await, found, "{query}");
    }
    let created = desk(&scene, who, "state=ended").await["result"][0]["created"]
        .as_i64()
        .unwrap();
    for (state, id) in [("ended", burnt), ("running", burns), ("waiting", coughs)] {
        let created = match state {
            "ended" => created,
            _ => desk(&scene, who, &format!("state={state}")).await["result"][0]["created"]
                .as_i64()
                .unwrap(),
        };
        for (range, found) in [
            (format!("from_ms={created}&to_ms={}", created + 1), vec![id]),
            (format!("from_ms={}", created + 1), vec![]),
            (format!("to_ms={created}"), vec![]),
        ] {
            let page = desk(&scene, who, &format!("state={state}&{range}&count=true")).await;
            let rows = page["result"].as_array().unwrap();
            let rows: Vec<i64> = rows
                .iter()
                .map(|row| row["consultation_id"].as_i64().unwrap())
                .collect();
            assert_eq!(rows, found, "{state} {range}");
            assert_eq!(page["total"], found.len());
        }
    }
}

#[tokio::test]
async fn a_walk_through_the_desk_meets_each_once_while_others_come() {
    let scene = Scene::new().await;
    let mut made = Vec::new();
    for _ in 0..7 {
        made.push(scene.consult().await);
    }
    let path = format!("/team/{}/desk", scene.team.id);
    let walked = super::lists::walk(&scene.service, &scene.team.owner, &path, 3, async || {
        scene.consult().await;
    })
    .await;
    assert_eq!(walked[..made.len()], made);
    let mut once = walked.clone();
    once.dedup();
    assert_eq!(once, walked);
    for consult in &made {
        end(&scene, *consult, "cancel").await;
    }
    made.reverse();
    let page = async |query: String| {
        let query = query.replace('?', "?state=ended&");
        scene.get(&scene.doctor, format!("{path}{query}")).await
    };
    let walked = super::lists::walk_by(page, 2, async || {}).await;
    assert_eq!(walked, made);
}

#[tokio::test]
async fn the_desk_refuses_other_users_and_bad_filters() {
    let scene = Scene::new().await;
    scene.consult().await;
    let path = format!("/team/{}/desk", scene.team.id);
    let outsider = scene.service.doctor("Dr. X").await;
    for who in [&scene.patient, &outsider] {
        scene.get(who, path.clone()).await.refused(403, "team.forbidden");
    }
    scene
        .get(&scene.doctor, "/team/999999/desk".into())
        .await
        .refused(404, "team.not_found");
    let long = "x".repeat(65);
    for (query, field) in [
        ("state=x", "state"),
        ("state=", "state"),
        ("doctor_id=0", "doctor_id"),
        ("doctor_id=x", "doctor_id"),
        ("from_ms=-1", "from_ms"),
        ("to_ms=1.5", "to_ms"),
        ("text=", "text"),
        ("text=%E2%80%8B", "text"),
        ("text=a%00", "text"),
        (&format!("text={long}"), "text"),
        ("limit=0", "limit"),
        ("cursor=x", "cursor"),
    ] {
        let reply = scene.get(&scene.doctor, format!("{path}?{query}")).await;
        reply.refused(400, "request.invalid").field(field);
    }
}

/// A consult of the release before this one has neither names nor pieces.
#[tokio::test]
async fn a_consult_of_an_earlier_release_is_found_once_the_job_was_there() {
    let scene = Scene::new().await;
    let consult = scene.in_process().await;
    let older = scene.service.database.transaction(move |tx| {
        Box::pin(async move {
            for sql in [
                "UPDATE consult SET folded_ms = NULL, search_text = '', creator_name = '', target_name = '',
                        team_name = '', relation = '', doctor_count = 0 WHERE id = $1",
                "UPDATE consult_person SET name = '', title = '' WHERE consult_id = $1",
                "DELETE FROM consult_gram WHERE consult_id = $1",
            ] {
                tx.execute(sql, params![consult]).await?;
            }
            Ok::<_, database::Error>(())
        })
    });
    older.await.unwrap();
    let shown = scene
        .get(&scene.patient, format!("/consult/{consult}"))
        .await
        .result();
    assert_eq!(
        (&shown["creator_member_name"], &shown["doctors"][0]["name"]),
        (&json!("王芳"), &json!("Dr. B"))
    );
    super::scene::eventually("the job has found it", async || {
        let at_once = scene.service.database.transaction(|tx| {
            Box::pin(async move {
                let sql = "UPDATE job SET due_ms = 0 WHERE name = 'consult_search' AND holder IS NULL";
                tx.execute(sql, vec![]).await
            })
        });
        at_once.await.unwrap();
        let text: String = url::form_urlencoded::byte_serialize("王芳".as_bytes()).collect();
        ids(&scene, &scene.doctor, &format!("state=running&text={text}")).await == [consult]
    })
    .await;
}

#[tokio::test]
async fn a_walk_through_a_clinics_day_meets_each_once() {
    let scene = Scene::new().await;
    let service = &scene.service;
    let (patient, team) = (&scene.patient, scene.team.id);
    let mother = service.member("李梅").await;
    service.relate(patient, &mother).await;
    let about = json!({"target_member_id": mother.id});
    let mut opened = Vec::new();
    for _ in 0..5 {
        opened.push(open(&scene, patient, about.clone()).await);
    }
    // The longest wait comes first: a later consult is behind those that are met.
    let assistant = &scene.team.assistant;
    let desk = async |query: String| scene.get(assistant, format!("/team/{team}/desk{query}")).await;
    let met = walk_by(desk, 2, async || {
        open(&scene, &mother, json!({})).await;
    });
    assert_eq!(met.await[..5], opened);
    let newest: Vec<i64> = opened.iter().rev().copied().collect();
    let met = walk(service, &mother, "/consult/about_me_list", 2, async || {
        open(&scene, patient, about.clone()).await;
    });
    assert_eq!(met.await, newest);
    for consult in &opened {
        service.bring_in(&scene.team, *consult, &scene.doctor).await;
        end(&scene, *consult, "finish").await;
        let path = format!("/consult/{consult}/rating");
        let rated = patient.put(service, &path, json!({"stars": 5})).send().await;
        rated.result();
    }
    let path = format!("/team/{team}/rating_list");
    assert_eq!(walk(service, assistant, &path, 2, async || {}).await, newest);

    let body = json!({"user_id": scene.doctor.id});
    let chat = scene.post(patient, "/chat".into(), body).await.result();
    let chat = chat["conversation_id"].as_i64().unwrap();
    let pen = Pen::new(service);
    for _ in 0..3 {
        pen.write(chat, patient, "text/plain", "谢谢").await;
    }
    let (operator, _) = operator(service, "陈静").await;
    let read = async |query: String| {
        let path = format!("/operator/chat/{chat}/read{query}");
        scene
            .post(&operator, path, json!({"reason": "投诉 2026-131"}))
            .await
    };
    let met = walk_by(read, 2, async || {
        pen.write(chat, patient, "text/plain", "再见").await;
    });
    assert_eq!(met.await, [5, 4, 3, 2, 1]);
}
