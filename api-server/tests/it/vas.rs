//! Value-added services: the lines of the seed document about them, and who sees them.

use serde_json::{Value, json};

use super::{people::Person, scene::Scene, service::Reply};

pub fn proposal() -> Value {
    json!({"name": "视频复诊", "description": "一次 15 分钟的视频复诊", "price_fen": 9_900})
}

impl Scene {
    pub async fn propose(&self, consult: i64) -> i64 {
        let made = self
            .post(&self.doctor, format!("/consult/{consult}/vas"), proposal())
            .await
            .result();
        made["vas_id"].as_i64().unwrap()
    }

    pub async fn step(&self, who: &Person, vas: i64, step: &str) -> Reply {
        self.post(who, format!("/vas/{vas}/{step}"), json!({})).await
    }

    async fn vas_listed(&self, who: &Person, path: &str) -> Vec<i64> {
        let result = self.get(who, path.to_owned()).await.result();
        let items = result.as_array().unwrap().iter();
        items.map(|item| item["vas_id"].as_i64().unwrap()).collect()
    }

    fn expected(&self, vas: i64, consult: i64, state: &str, shown: &Value) -> Value {
        let mut expected = json!({
            "vas_id": vas, "consultation_id": consult, "team_id": self.team.id, "team_name": "儿科",
            "doctor_id": self.doctor.id, "doctor_name": "Dr. B", "member_id": self.patient.id, "member_name": "王芳",
            "name": "视频复诊", "description": "一次 15 分钟的视频复诊", "price_fen": 9_900, "charged": false,
            "refunded_fen": 0, "state": state,
            "created_ms": shown["created_ms"],
        });
        assert!(shown["created_ms"].as_i64().unwrap() > 1_700_000_000_000);
        if state != "proposed" {
            assert!(shown["decided_ms"].as_i64() >= shown["created_ms"].as_i64());
            expected["decided_ms"] = shown["decided_ms"].clone();
        }
        expected
    }
}

/// Seed: "咨询增值服务", "增值服务，病人端确认接口".
#[tokio::test]
async fn a_service_is_proposed_and_the_patient_confirms_it() {
    let scene = Scene::new().await;
    let consult = scene.in_process().await;
    let path = format!("/consult/{consult}/vas");
    let proposed = scene.post(&scene.doctor, path.clone(), proposal()).await;
    let shown = proposed.result();
    let vas = shown["vas_id"].as_i64().unwrap();
    let whole = |state: &str, shown: &Value| json!({"success": true, "code": 200, "result": scene.expected(vas, consult, state, shown)});
    assert_eq!(proposed.json, whole("proposed", &shown));
    for person in [&scene.patient, &scene.doctor, &scene.team.assistant] {
        let reply = scene.get(person, format!("/vas/{vas}")).await;
        assert_eq!(reply.json, whole("proposed", &shown));
        let list = scene.get(person, path.clone()).await;
        assert_eq!(
            list.json,
            json!({"success": true, "code": 200, "result": [shown], "has_more": false})
        );
    }
    let confirmed = scene.step(&scene.patient, vas, "confirm").await;
    let shown = confirmed.result();
    assert_eq!(confirmed.json, whole("confirmed", &shown));
    // Pressed again, on this device or another: the same answer, and no further entry.
    assert_eq!(
        scene.step(&scene.patient, vas, "confirm").await.json,
        confirmed.json
    );

    // Each step is an entry of the consult's journal, shown as a card.
    let entries = scene
        .get(&scene.patient, format!("/consult/{consult}/messages?limit=2"))
        .await
        .result();
    let card = |entry: &Value, kind: &str, state: &str, sender: i64| {
        json!({
            "conversation_id": consult, "seq": entry["seq"], "sender_id": sender, "kind": kind,
            "created_ms": entry["created_ms"], "mime_type": "application/vnd.huizhen.vas",
            "content": {
                "vas_id": vas, "name": "视频复诊", "description": "一次 15 分钟的视频复诊", "price_fen": 9_900,
            },
            "vas": {
                "vas_id": vas, "name": "视频复诊", "description": "一次 15 分钟的视频复诊", "price_fen": 9_900,
                "state": state, "doctor_id": scene.doctor.id,
            },
        })
    };
    assert_eq!(
        entries[0],
        card(&entries[0], "vas_confirmed", "confirmed", scene.patient.id)
    );
    assert_eq!(
        entries[1],
        card(&entries[1], "vas_proposed", "proposed", scene.doctor.id)
    );
}

/// Seed: 新增 - 我在团队咨询下发出的增值服务列表 - VAS - 需要修改.
#[tokio::test]
async fn a_doctor_sees_what_they_proposed_in_a_team() {
    let scene = Scene::new().await;
    let consult = scene.in_process().await;
    let colleague = scene.service.doctor_of(&scene.team, "Dr. C").await;
    scene.service.bring_in(&scene.team, consult, &colleague).await;
    let first = scene.propose(consult).await;
    let theirs = scene
        .post(&colleague, format!("/consult/{consult}/vas"), proposal())
        .await
        .result()["vas_id"]
        .clone();
    let second = scene.propose(consult).await;
    let path = format!("/team/{}/my_vas_list", scene.team.id);
    let list = scene.get(&scene.doctor, format!("{path}?count=true")).await;
    let items = list.json["result"].clone();
    assert_eq!(
        list.json,
        json!({
            "success": true, "code": 200, "has_more": false, "total": 2,
            "result": [
                scene.expected(second, consult, "proposed", &items[0]),
                scene.expected(first, consult, "proposed", &items[1]),
            ],
        })
    );
    assert_eq!(
        scene.vas_listed(&colleague, &path).await,
        [theirs.as_i64().unwrap()]
    );
    // Of this team alone.
    let other = scene.service.team_of(&scene.doctor, "内科").await;
    assert!(
        scene
            .vas_listed(&scene.doctor, &format!("/team/{}/my_vas_list", other.id))
            .await
            .is_empty()
    );
    let owners = scene.vas_listed(&scene.team.owner, &path).await;
    assert!(owners.is_empty(), "of the doctor who asks alone");
    // Seed: "我的增值服务次数", of those that were confirmed.
    scene.step(&scene.patient, first, "confirm").await.result();
    let history = format!("/team/{}/consult_history", scene.team.id);
    for (person, count) in [(&scene.doctor, 1), (&colleague, 0)] {
        assert_eq!(
            scene.get(person, history.clone()).await.result()["vas_by_me"],
            count
        );
    }
    let outsider = scene.service.doctor("Dr. X").await;
    for person in [&scene.patient, &scene.team.assistant, &outsider] {
        scene
            .get(person, path.clone())
            .await
            .refused(403, "vas.team_doctors_only");
    }
    scene
        .get(&scene.doctor, "/team/999999/my_vas_list".into())
        .await
        .refused(404, "team.not_found");
    // Who has left the consult keeps their own list.
    scene
        .delete(
            &scene.team.assistant,
            format!("/consult/{consult}/doctor/{}", scene.doctor.id),
        )
        .await
        .result();
    assert_eq!(scene.vas_listed(&scene.doctor, &path).await, [second, first]);
    assert_eq!(
        scene.get(&scene.doctor, format!("/vas/{second}")).await.result()["state"],
        "withdrawn"
    );
}

/// Seed: "增值服务删除（单个删除、全部删除） - 标记删除".
#[tokio::test]
async fn deleting_takes_from_ones_own_lists_and_destroys_nothing() {
    let scene = Scene::new().await;
    let consult = scene.in_process().await;
    let mut made = Vec::new();
    for _ in 0..4 {
        made.push(scene.propose(consult).await);
    }
    let [first, second, third, open] = made[..] else {
        panic!("four were made")
    };
    let one = scene.delete(&scene.patient, format!("/vas/{first}")).await;
    one.refused(409, "vas.undecided");
    scene.step(&scene.patient, first, "confirm").await.result();
    scene.step(&scene.patient, second, "decline").await.result();
    scene.step(&scene.doctor, third, "withdraw").await.result();
    let mine = format!("/team/{}/my_vas_list", scene.team.id);
    for _ in 0..2 {
        let one = scene.delete(&scene.patient, format!("/vas/{first}")).await;
        assert_eq!(one.json, json!({"success": true, "code": 200, "result": {}}));
    }
    assert_eq!(
        scene.vas_listed(&scene.patient, "/vas").await,
        [open, third, second]
    );
    assert_eq!(
        scene
            .get(&scene.patient, "/vas?count=true&limit=1".into())
            .await
            .json["total"],
        3
    );
    for path in ["/vas", &mine] {
        assert_eq!(
            scene.vas_listed(&scene.doctor, path).await,
            [open, third, second, first],
            "the other one keeps it"
        );
    }
    let all = scene.delete(&scene.doctor, "/vas".into()).await;
    assert_eq!(all.json, json!({"success": true, "code": 200, "result": {}}));
    for path in ["/vas", &mine] {
        assert_eq!(
            scene.vas_listed(&scene.doctor, path).await,
            [open],
            "what is not decided stays"
        );
    }
    assert_eq!(
        scene.vas_listed(&scene.patient, "/vas").await,
        [open, third, second]
    );
    // Nothing is destroyed.
    for person in [&scene.patient, &scene.doctor] {
        let all = scene.vas_listed(person, &format!("/consult/{consult}/vas")).await;
        assert_eq!(all, [open, third, second, first]);
        scene.get(person, format!("/vas/{first}")).await.result();
    }
    // The assistant sees it and has no list that it stands on.
    scene
        .delete(&scene.team.assistant, format!("/vas/{first}"))
        .await
        .refused(403, "vas.forbidden");
    let stranger = scene.service.member("Sam").await;
    scene
        .delete(&stranger, format!("/vas/{first}"))
        .await
        .refused(404, "vas.not_found");
}

#[tokio::test]
async fn proposing_is_checked() {
    let scene = Scene::new().await;
    let consult = scene.in_process().await;
    let path = format!("/consult/{consult}/vas");
    for (field, value) in [
        ("name", json!("")),
        ("name", json!("x".repeat(65))),
        ("name", json!("a\0b")),
        ("name", Value::Null),
        ("description", json!("x".repeat(2001))),
        ("description", json!(7)),
        ("price_fen", json!(-1)),
        ("price_fen", json!(1_000_000_001_i64)),
        ("price_fen", json!(1.5)),
        ("price_fen", json!("1")),
    ] {
        let mut body = proposal();
        body[field] = value;
        let reply = scene.post(&scene.doctor, path.clone(), body).await;
        reply.refused(400, "request.invalid").field(field);
    }
    for person in [&scene.patient, &scene.team.assistant] {
        scene
            .post(person, path.clone(), proposal())
            .await
            .refused(403, "consult.forbidden");
    }
    let stranger = scene.service.member("Sam").await;
    for person in [&stranger, &scene.team.owner] {
        scene
            .post(person, path.clone(), proposal())
            .await
            .refused(404, "consult.not_found");
        scene
            .get(person, path.clone())
            .await
            .refused(404, "consult.not_found");
    }
    for _ in 0..20 {
        scene.propose(consult).await;
    }
    scene
        .post(&scene.doctor, path.clone(), proposal())
        .await
        .refused(409, "vas.limit_reached");
    scene
        .post(&scene.doctor, format!("/consult/{consult}/finish"), json!({}))
        .await
        .result();
    scene
        .post(&scene.doctor, path, proposal())
        .await
        .refused(409, "consult.ended");
}
