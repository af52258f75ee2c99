//! The consults of a team: numbers and lists.

use serde_json::{Value, json};

use super::{
    people::{Person, Team},
    service::Service,
};

struct Scene {
    service: Service,
    team: Team,
    doctor: Person,
    patient: Person,
    /// Finished with the doctor, finished with the owner only, running with the doctor, cancelled with the doctor.
    consults: [i64; 4],
}

impl Scene {
    async fn new() -> Self {
        let service = Service::start().await;
        let team = service.team("儿科").await;
        let doctor = service.doctor_of(&team, "赵医生").await;
        let patient = service.member("Pat").await;
        let mut consults = [0; 4];
        for (at, brought_in) in [&doctor, &team.owner, &doctor, &doctor].into_iter().enumerate() {
            consults[at] = service.consult(&patient, &team).await;
            service.bring_in(&team, consults[at], brought_in).await;
        }
        for (at, end) in [(0, "finish"), (1, "finish"), (3, "cancel")] {
            team.assistant
                .post(&service, &format!("/consult/{}/{end}", consults[at]), json!({}))
                .send()
                .await
                .result();
        }
        // Another team's, by the same doctor.
        let other = service.team_of(&doctor, "内科").await;
        let elsewhere = service.consult(&patient, &other).await;
        service.bring_in(&other, elsewhere, &doctor).await;
        Self {
            service,
            team,
            doctor,
            patient,
            consults,
        }
    }

    async fn get(&self, who: &Person, list: &str) -> Value {
        let path = format!("/team/{}/{list}", self.team.id);
        let reply = who.get(&self.service, &path).send().await;
        reply.result();
        reply.json
    }
}

/// An item without what the journal says, which `desk.rs` looks at.
fn record(item: &Value) -> Value {
    let mut record = item.clone();
    for field in ["unread", "last_message", "accepted_ms"] {
        record.as_object_mut().unwrap().remove(field);
    }
    record
}

fn ids(list: &Value) -> Vec<i64> {
    list["result"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| item["consultation_id"].as_i64().unwrap())
        .collect()
}

/// Seed: 新增 - 团队咨询历史接口 返回：团队总所得、团队处理咨询总数、我所服务的次数、我的增值服务次数 团队收入 - 咨询历史.
#[tokio::test]
async fn a_teams_history_counts_what_it_handled_and_what_i_served() {
    let scene = Scene::new().await;
    for (who, served) in [
        (&scene.doctor, 1),
        (&scene.team.owner, 1),
        (&scene.team.assistant, 0),
    ] {
        assert_eq!(
            scene.get(who, "consult_history").await,
            json!({
                "success": true, "code": 200,
                "result": {
                    "team_id": scene.team.id, "total_income_fen": 0, "handled": 2, "served_by_me": served,
                    "vas_by_me": 0,
                },
            })
        );
    }
}

/// Seed: 新增 - 团队处理咨询过的列表接口.
#[tokio::test]
async fn the_consults_that_a_team_handled_are_listed() {
    let scene = Scene::new().await;
    let [first, second, ..] = scene.consults;
    for who in [&scene.team.owner, &scene.team.assistant] {
        let list = scene.get(who, "consult_list?count=true").await;
        assert_eq!((ids(&list), &list["total"]), (vec![second, first], &json!(2)));
        let item = &list["result"][1];
        let whole = json!({
            "success": true, "code": 200, "result": [list["result"][0], item], "has_more": false, "total": 2,
        });
        assert_eq!(list, whole);
        // The owner is in none of them, so the journal says nothing to them.
        assert_eq!(item["unread"].is_i64(), who.id == scene.team.assistant.id);
        assert_eq!(
            record(item),
            json!({
                "status": "finished", "consultation_id": first, "creator_member_id": scene.patient.id,
                "creator_member_name": "Pat", "target_member_id": scene.patient.id, "target_member_name": "Pat",
                "team_id": scene.team.id, "team_name": "儿科", "doctor_ids": [scene.doctor.id],
                "symptom_content": "头痛三天", "symptom_type": "text/plain", "images": ["media/1", "media/2"],
                "created": item["created"], "relation": "self", "complaint": "头痛三天",
                "doctors": [{"doctor_id": scene.doctor.id, "name": "赵医生", "title": ""}],
            })
        );
    }
}

/// Seed: 新增 - 我（医生）在团队下处理的咨询列表接口.
#[tokio::test]
async fn the_consults_that_i_handle_in_a_team_are_listed() {
    let scene = Scene::new().await;
    let [first, second, running, cancelled] = scene.consults;
    let list = scene.get(&scene.doctor, "my_consult_list?count=true").await;
    assert_eq!(
        (ids(&list), &list["total"]),
        (vec![cancelled, running, first], &json!(3))
    );
    assert_eq!(
        record(&list["result"][1]),
        json!({
            "status": "in_process", "consultation_id": running, "creator_member_id": scene.patient.id,
            "creator_member_name": "Pat", "target_member_id": scene.patient.id, "target_member_name": "Pat",
            "team_id": scene.team.id, "team_name": "儿科", "doctor_ids": [scene.doctor.id],
            "symptom_content": "头痛三天", "symptom_type": "text/plain", "images": ["media/1", "media/2"],
            "created": list["result"][1]["created"], "relation": "self", "complaint": "头痛三天",
            "doctors": [{"doctor_id": scene.doctor.id, "name": "赵医生", "title": ""}],
        })
    );
    assert_eq!(
        ids(&scene.get(&scene.team.owner, "my_consult_list").await),
        [second]
    );
    // A record of work: hiding it from one's history changes nothing; being taken out does.
    scene
        .doctor
        .delete(&scene.service, "/consult/history_list")
        .send()
        .await
        .result();
    assert_eq!(
        ids(&scene.get(&scene.doctor, "my_consult_list").await),
        [cancelled, running, first]
    );
    scene
        .doctor
        .delete(
            &scene.service,
            &format!("/consult/{running}/doctor/{}", scene.doctor.id),
        )
        .send()
        .await
        .result();
    assert_eq!(
        ids(&scene.get(&scene.doctor, "my_consult_list").await),
        [cancelled, first]
    );
}

#[tokio::test]
async fn a_teams_numbers_and_lists_are_for_those_who_may_see_them() {
    let scene = Scene::new().await;
    let outside = scene.service.doctor("Dr. Out").await;
    let team = scene.team.id;
    for list in ["consult_history", "consult_list", "my_consult_list"] {
        let path = format!("/team/{team}/{list}");
        for person in [&outside, &scene.patient] {
            person
                .get(&scene.service, &path)
                .send()
                .await
                .refused(403, "team.forbidden");
        }
        scene
            .service
            .get(&path)
            .send()
            .await
            .refused(401, "auth.required");
        scene
            .doctor
            .get(&scene.service, &format!("/team/999999/{list}"))
            .send()
            .await
            .refused(404, "team.not_found");
    }
    // The team's whole list is not for each of its doctors.
    scene
        .doctor
        .get(&scene.service, &format!("/team/{team}/consult_list"))
        .send()
        .await
        .refused(403, "team.forbidden");
}
