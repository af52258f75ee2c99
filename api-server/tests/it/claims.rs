//! Doctors who take waiting consults, doctors who left, relatives whom consults are about.

use proto::UserId;
use serde_json::{Value, json};

use super::{
    messages::Pen,
    people::{Person, new_consult},
    scene::{Scene, story},
};

async fn let_claim(scene: &Scene, claims: bool) {
    let path = format!("/team/{}", scene.team.id);
    let body = json!({"claims": claims});
    let changed = scene.team.owner.put(&scene.service, &path, body).send().await;
    assert_eq!(changed.result()["claims"], claims);
}

async fn rename(scene: &Scene, who: &Person, name: &'static str) {
    let id = who.id;
    let renamed = scene.service.database.transaction(move |tx| {
        Box::pin(async move {
            let sql = "UPDATE account SET name = $1 WHERE id = $2";
            tx.execute(sql, database::params![name, id]).await
        })
    });
    renamed.await.unwrap();
}

async fn seqs(scene: &Scene, who: &Person, consult: i64) -> Vec<i64> {
    let path = format!("/consult/{consult}/messages?limit=200&count=true");
    let reply = scene.get(who, path).await;
    let entries = reply.result();
    let seqs: Vec<i64> = entries
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| entry["seq"].as_i64().unwrap())
        .collect();
    assert_eq!(reply.json["total"], seqs.len());
    seqs
}

#[tokio::test]
async fn a_doctor_of_the_team_takes_a_waiting_consult() {
    let scene = Scene::new().await;
    let consult = scene.consult().await;
    let path = format!("/consult/{consult}/claim");
    let shown = scene
        .get(&scene.doctor, format!("/team/{}", scene.team.id))
        .await
        .result();
    assert_eq!(shown["claims"], false);
    let claim = |who| scene.post(who, path.clone(), json!({}));
    claim(&scene.doctor).await.refused(403, "consult.no_claims");
    let_claim(&scene, true).await;
    let outsider = scene.service.doctor("Dr. X").await;
    let stranger = scene.service.member("Eve").await;
    for who in [&outsider, &stranger] {
        claim(who).await.refused(404, "consult.not_found");
    }
    for who in [&scene.patient, &scene.team.assistant] {
        claim(who).await.refused(403, "consult.forbidden");
    }
    let claimed = claim(&scene.doctor).await.result();
    assert_eq!(
        (&claimed["status"], &claimed["doctor_ids"]),
        (&json!("in_process"), &json!([scene.doctor.id]))
    );
    assert!(claimed["staff_conversation_id"].is_i64());
    claim(&scene.doctor).await.refused(409, "consult.already_in");
    claim(&scene.team.owner).await.refused(409, "consult.claimed");
    let words = story(&scene, consult).await;
    assert_eq!(
        words[words.len() - 2..],
        [format!("+{}", scene.doctor.id), "in_process true".into()]
    );
    let nowhere = scene
        .post(&scene.doctor, "/consult/999999/claim".into(), json!({}))
        .await;
    nowhere.refused(404, "consult.not_found");
}

#[tokio::test]
async fn of_doctors_who_claim_at_once_one_wins() {
    let scene = Scene::new().await;
    let_claim(&scene, true).await;
    let mut doctors = vec![scene.doctor.clone(), scene.team.owner.clone()];
    for at in 0..4 {
        doctors.push(scene.service.doctor_of(&scene.team, &format!("Dr. {at}")).await);
    }
    for _ in 0..4 {
        let consult = scene.consult().await;
        let path = format!("/consult/{consult}/claim");
        let calls = doctors
            .iter()
            .map(|doctor| doctor.post(&scene.service, &path, json!({})).send());
        let replies = futures_util::future::join_all(calls).await;
        let won: Vec<_> = replies.iter().filter(|reply| reply.status == 200).collect();
        assert_eq!(won.len(), 1);
        for lost in replies.iter().filter(|reply| reply.status != 200) {
            lost.refused(409, "consult.claimed");
        }
        let winner = &won[0].json["result"]["doctor_ids"];
        let joined = story(&scene, consult)
            .await
            .into_iter()
            .filter(|word| word.starts_with('+'))
            .count();
        assert_eq!((joined, winner.as_array().unwrap().len()), (3, 1));
    }
}

#[tokio::test]
async fn who_handed_over_keeps_the_work_and_sees_no_further() {
    let scene = Scene::new().await;
    let successor = scene.service.doctor_of(&scene.team, "Dr. C").await;
    let consult = scene.in_process().await;
    let pen = Pen::new(&scene.service);
    pen.write(consult, &scene.doctor, "text/plain", "请说说").await;
    let path = format!("/consult/{consult}/handover");
    let done = scene
        .post(&scene.doctor, path, json!({"doctor_id": successor.id}))
        .await;
    done.result();
    let before = seqs(&scene, &scene.doctor, consult).await;
    let unseen = pen
        .write(consult, &scene.patient, "text/plain", "只给新医生")
        .await;
    scene
        .post(&successor, format!("/consult/{consult}/finish"), json!({}))
        .await
        .result();
    assert_eq!(seqs(&scene, &scene.doctor, consult).await, before);
    assert!(before[0] < unseen);
    let wire = scene
        .service
        .journal
        .history(
            proto::ConversationId::from_database(consult),
            UserId::from_database(scene.doctor.id),
            journal::history::Direction::After(proto::Seq::ZERO),
            200,
        )
        .await
        .unwrap();
    let wire: Vec<i64> = wire.entries.iter().rev().map(|entry| entry.seq.get()).collect();
    assert_eq!(wire, before, "REST shows what the wire shows");
    let shown = scene
        .get(&scene.doctor, format!("/consult/{consult}"))
        .await
        .result();
    assert_eq!(
        (&shown["status"], &shown["doctor_ids"]),
        (&json!("in_process"), &json!([successor.id])),
        "the record is as of then"
    );
    let list = format!("/team/{}/my_consult_list?count=true", scene.team.id);
    let list = scene.get(&scene.doctor, list).await;
    let item = &list.json["result"][0];
    assert_eq!(
        (&list.json["total"], &item["consultation_id"]),
        (&json!(1), &json!(consult))
    );
    assert_eq!(
        (&item["left_ms"], &item["status"]),
        (&shown["left_ms"], &json!("in_process"))
    );
    assert!(!list.text.contains("只给新医生"));
    let numbers = format!("/team/{}/consult_history", scene.team.id);
    for who in [&scene.doctor, &successor] {
        let numbers = scene.get(who, numbers.clone()).await.result();
        assert_eq!(numbers["served_by_me"], 1);
    }
    // Nothing is done by who left.
    for (path, body) in [
        (
            format!("/consult/{consult}/handover"),
            json!({"doctor_id": successor.id}),
        ),
        (format!("/consult/{consult}/finish"), json!({})),
        (
            format!("/consult/{consult}/vas"),
            json!({"name": "n", "description": "", "price_fen": 1}),
        ),
    ] {
        let refused = scene.post(&scene.doctor, path, body).await;
        refused.refused(404, "consult.not_found");
    }
}

#[tokio::test]
async fn who_is_taken_out_keeps_the_work_that_was_done() {
    let scene = Scene::new().await;
    let idle = scene.service.doctor_of(&scene.team, "Dr. C").await;
    let consult = scene.in_process().await;
    scene.service.bring_in(&scene.team, consult, &idle).await;
    let pen = Pen::new(&scene.service);
    pen.write(consult, &scene.doctor, "text/plain", "请说说").await;
    for doctor in [&scene.doctor, &idle] {
        let out = format!("/consult/{consult}/doctor/{}", doctor.id);
        scene.delete(&scene.team.assistant, out).await.result();
    }
    scene
        .service
        .bring_in(&scene.team, consult, &scene.team.owner)
        .await;
    let finish = format!("/consult/{consult}/finish");
    scene
        .post(&scene.team.assistant, finish, json!({}))
        .await
        .result();
    let mine = format!("/team/{}/my_consult_list", scene.team.id);
    let numbers = format!("/team/{}/consult_history", scene.team.id);
    for (who, served, stayed) in [(&scene.doctor, 1, json!([idle.id])), (&idle, 0, json!([]))] {
        let list = scene.get(who, mine.clone()).await.result();
        assert_eq!(list.as_array().unwrap().len(), served);
        assert_eq!(
            scene.get(who, numbers.clone()).await.result()["served_by_me"],
            served
        );
        let shown = scene.get(who, format!("/consult/{consult}")).await.result();
        assert_eq!(
            (&shown["status"], &shown["doctor_ids"]),
            (&json!("in_process"), &stayed)
        );
        let kinds = seqs(&scene, who, consult).await;
        assert!(kinds.len() < seqs(&scene, &scene.patient, consult).await.len());
        assert!(scene.listed(who, "in_process_list").await.is_empty());
        assert!(scene.listed(who, "history_list").await.is_empty());
    }
}

#[tokio::test]
async fn a_rename_changes_no_record() {
    let scene = Scene::new().await;
    let child = json!({"relation_type": "child", "name": "小明"});
    let child = scene.post(&scene.patient, "/family".into(), child).await.result();
    let child = child["relation_user_id"].as_i64().unwrap();
    let mut body = new_consult(&scene.patient, scene.team.id);
    body["target_member_id"] = child.into();
    let begun = scene.post(&scene.patient, "/consult".into(), body).await.result();
    let consult = begun["consultation_id"].as_i64().unwrap();
    let title = json!({"title": "主任医师"});
    scene
        .post(&scene.doctor, "/doctor/detail".into(), title)
        .await
        .result();
    scene.service.bring_in(&scene.team, consult, &scene.doctor).await;
    let vas = json!({"name": "n", "description": "", "price_fen": 1});
    let vas = scene
        .post(&scene.doctor, format!("/consult/{consult}/vas"), vas)
        .await
        .result();
    let shown = async || {
        let consult = scene
            .get(&scene.patient, format!("/consult/{consult}"))
            .await
            .result();
        let vas = scene
            .get(&scene.patient, format!("/vas/{}", vas["vas_id"]))
            .await
            .result();
        (consult, vas)
    };
    let before = shown().await;
    rename(&scene, &scene.patient, "王芳芳").await;
    rename(&scene, &scene.doctor, "Dr. Z").await;
    let path = format!("/team/{}", scene.team.id);
    let renamed = scene
        .team
        .owner
        .put(&scene.service, &path, json!({"name": "内科"}))
        .send()
        .await;
    renamed.result();
    let renamed = json!({"name": "大明", "relation_type": "other"});
    let path = format!("/family/{child}");
    scene
        .patient
        .put(&scene.service, &path, renamed)
        .send()
        .await
        .result();
    let title = json!({"title": "院长"});
    scene
        .post(&scene.doctor, "/doctor/detail".into(), title)
        .await
        .result();
    let after = shown().await;
    assert_eq!(after.0, before.0);
    for name in [
        "creator_member_name",
        "target_member_name",
        "team_name",
        "relation",
    ] {
        assert!(after.0[name].is_string());
    }
    assert_eq!(
        after.0["doctors"],
        json!([{"doctor_id": scene.doctor.id, "name": "Dr. B", "title": "主任医师"}])
    );
    for name in ["doctor_name", "member_name"] {
        assert_eq!(after.1[name], before.1[name]);
    }
    // The next record has the new names.
    let next = scene
        .get(&scene.patient, format!("/consult/{}", scene.consult().await))
        .await
        .result();
    assert_eq!(
        (&next["creator_member_name"], &next["team_name"]),
        (&json!("王芳芳"), &json!("内科"))
    );
}

#[tokio::test]
async fn a_relative_finds_what_is_opened_about_them_and_refuses_more() {
    let scene = Scene::new().await;
    let mother = scene.service.member("李梅").await;
    let stranger = scene.service.member("Eve").await;
    scene.service.relate(&scene.patient, &mother).await;
    let open = async || {
        let mut body = new_consult(&scene.patient, scene.team.id);
        body["target_member_id"] = mother.id.into();
        scene.post(&scene.patient, "/consult".into(), body).await
    };
    let consult = open().await.result()["consultation_id"].as_i64().unwrap();
    // One's own is not one that others opened.
    scene.service.consult(&mother, &scene.team).await;
    let list = async |who: &Person| {
        scene
            .get(who, "/consult/about_me_list?count=true".into())
            .await
            .json
    };
    let found = list(&mother).await;
    let item = &found["result"][0];
    assert_eq!(
        (found["result"].as_array().unwrap().len(), &found["total"]),
        (1, &json!(1))
    );
    assert_eq!(
        (
            &item["consultation_id"],
            &item["creator_member_name"],
            &item["refused"]
        ),
        (&json!(consult), &json!("王芳"), &json!(false))
    );
    assert_eq!(
        (&item["symptom_content"], &item["relation"]),
        (&json!("头痛三天"), &json!("parent"))
    );
    for who in [&scene.patient, &stranger] {
        assert_eq!(list(who).await["result"], json!([]));
    }
    // The record and its state, no conversation.
    let path = format!("/consult/{consult}");
    let shown = scene.get(&mother, path.clone()).await.result();
    assert_eq!(shown["status"], "waiting");
    assert!(shown.get("staff_conversation_id").is_none() && shown.get("price_fen").is_none());
    for hidden in [format!("{path}/messages"), format!("{path}/vas")] {
        scene.get(&mother, hidden).await.refused(404, "consult.not_found");
    }
    let cancel = scene.post(&mother, format!("{path}/cancel"), json!({})).await;
    cancel.refused(404, "consult.not_found");
    scene.get(&stranger, path).await.refused(404, "consult.not_found");
    // Further ones are refused, until they are permitted again.
    let refusal = "/consult/about_me/refusal";
    let refuse =
        async |who: &Person, user: i64| scene.post(who, refusal.into(), json!({"user_id": user})).await;
    for user in [stranger.id, mother.id, scene.doctor.id, 999_999] {
        let refused = refuse(&mother, user).await;
        refused.refused(404, "consult.opener_not_found").field("user_id");
    }
    let refused = refuse(&scene.doctor, scene.patient.id).await;
    refused.refused(403, "member.members_only");
    for _ in 0..2 {
        assert_eq!(refuse(&mother, scene.patient.id).await.result(), json!({}));
    }
    assert_eq!(list(&mother).await["result"][0]["refused"], true);
    open()
        .await
        .refused(403, "consult.target_refuses")
        .field("target_member_id");
    // Their own, and those of others, go on.
    scene.service.consult(&mother, &scene.team).await;
    scene.consult().await;
    let permit = format!("{refusal}/{}", scene.patient.id);
    for _ in 0..2 {
        assert_eq!(scene.delete(&mother, permit.clone()).await.result(), json!({}));
    }
    assert_ne!(open().await.result(), Value::Null);
}
