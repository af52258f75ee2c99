//! Notices of what operators have decided: about a doctor, a team, a clinic.

use serde_json::{Value, json};

use super::{
    lists::{coarsen, walk},
    operators::operator,
    people::Person,
    places::{add, new_clinic},
    scene::Scene,
    service::Service,
    verification::{ask, decide, strict, strict_scene},
};

async fn notices(service: &Service, user: &Person) -> Vec<Value> {
    let list = user.get(service, "/account/notice_list").send().await.result();
    list.as_array().unwrap().clone()
}

async fn unread(service: &Service, user: &Person) -> i64 {
    let account = user.get(service, "/account").send().await.result();
    account["unread_notices"].as_i64().unwrap()
}

/// Kinds and reasons, the newest first.
fn told(notices: &[Value]) -> Vec<(&str, &str)> {
    let texts = notices.iter().map(|notice| {
        (
            notice["kind"].as_str().unwrap(),
            notice["reason"].as_str().unwrap(),
        )
    });
    texts.collect()
}

#[tokio::test]
async fn a_doctor_is_notified_of_each_decision() {
    let (service, operator) = strict().await;
    let doctor = service.doctor("Dr. A").await;
    assert_eq!(unread(&service, &doctor).await, 0);
    let reason = "证书编号与姓名不符";
    ask(&service, &doctor).await.result();
    assert_eq!(notices(&service, &doctor).await, [] as [Value; 0], "it waits");
    decide(&service, &operator, &doctor, "decline").await.result();
    // A repetition decides nothing, and a refused decision notifies of nothing.
    decide(&service, &operator, &doctor, "decline").await.result();
    decide(&service, &operator, &doctor, "suspend")
        .await
        .refused(409, "doctor.verification_state");
    let first = notices(&service, &doctor).await;
    assert_eq!(told(&first), [("doctor_declined", reason)]);
    assert!(first[0].get("place_id").is_none() && first[0].get("read_ms").is_none());
    ask(&service, &doctor).await.result();
    decide(&service, &operator, &doctor, "approve").await.result();
    assert_eq!(unread(&service, &doctor).await, 2);
    // They have read the first one.
    let read = |id: &Value| {
        let body = json!({"notice_id": id});
        doctor.post(&service, "/account/notice_list/read", body).send()
    };
    read(&first[0]["notice_id"]).await.result();
    read(&first[0]["notice_id"]).await.result();
    assert_eq!(unread(&service, &doctor).await, 1);
    decide(&service, &operator, &doctor, "suspend").await.result();
    // A suspension ends their devices; once they have logged in again, they read why.
    service.pass_the_minute(&doctor.phone).await;
    let code = service.code(&doctor.phone).await;
    let body = json!({"phone": doctor.phone, "code": code, "device_id": "phone-1", "platform": "ios"});
    let login = service.post("/account/login").json(body).send().await.result();
    let doctor = Person {
        token: login["access_token"].as_str().unwrap().to_owned(),
        ..doctor.clone()
    };
    assert_eq!(
        told(&notices(&service, &doctor).await)[0],
        ("doctor_suspended", reason)
    );
    decide(&service, &operator, &doctor, "reinstate").await.result();
    let all = notices(&service, &doctor).await;
    assert_eq!(
        told(&all),
        [
            ("doctor_reinstated", ""),
            ("doctor_suspended", reason),
            ("doctor_approved", ""),
            ("doctor_declined", reason),
        ]
    );
    assert!(all[3]["read_ms"].is_i64() && all[0].get("read_ms").is_none());
    let file = doctor.get(&service, "/account/export").send().await;
    assert_eq!(file.json["notices"], json!(all));
    assert_eq!(unread(&service, &doctor).await, 3);
    // Notices are their user's alone.
    let other = service.doctor("Dr. B").await;
    let body = json!({"notice_id": all[0]["notice_id"]});
    let read = other.post(&service, "/account/notice_list/read", body).send();
    read.await.result();
    assert_eq!(notices(&service, &other).await, [] as [Value; 0]);
    assert_eq!(unread(&service, &doctor).await, 3);
}

#[tokio::test]
async fn owners_and_founders_are_notified_of_closing_and_reopening() {
    let scene = Scene::new().await;
    let (service, owner) = (&scene.service, &scene.team.owner);
    let founder = service.doctor("Dr. Founder").await;
    let clinic = new_clinic(service, owner).await;
    let other = service.team_of(&founder, "内科").await;
    add(service, owner, clinic, scene.team.id).await.result();
    let (operator, _) = operator(service, "李伟").await;
    let reason = "投诉 2026-118，核查中";
    let act = async |path: String| {
        let path = format!("/operator/{path}");
        let call = operator.post(service, &path, json!({"reason": reason}));
        call.send().await.result()
    };
    act(format!("team/{}/close", other.id)).await;
    act(format!("team/{}/close", other.id)).await;
    act(format!("team/{}/reopen", other.id)).await;
    act(format!("team/{}/reopen", other.id)).await;
    let told_founder = notices(service, &founder).await;
    assert_eq!(
        told(&told_founder),
        [("team_reopened", ""), ("team_closed", reason)]
    );
    assert_eq!(
        (&told_founder[0]["place_id"], &told_founder[0]["place_name"]),
        (&json!(other.id), &json!("内科"))
    );
    act(format!("clinic/{clinic}/close")).await;
    act(format!("clinic/{clinic}/reopen")).await;
    let told_owner = notices(service, owner).await;
    assert_eq!(
        told(&told_owner),
        [
            ("team_reopened", ""),
            ("clinic_reopened", ""),
            ("team_closed", reason),
            ("clinic_closed", reason),
        ]
    );
    assert_eq!(told_owner[1]["place_id"], clinic);
    // The notices are theirs alone.
    for user in [&scene.doctor, &scene.patient, &scene.team.assistant] {
        assert_eq!(notices(service, user).await, [] as [Value; 0]);
    }
    assert_eq!(notices(service, &founder).await.len(), 2);
}

#[tokio::test]
async fn notices_are_walked_and_read_as_a_list() {
    let (scene, operator) = strict_scene().await;
    let (service, doctor) = (&scene.service, &scene.team.owner);
    let team = scene.team.id;
    for _ in 0..4 {
        for act in ["close", "reopen"] {
            let path = format!("/operator/team/{team}/{act}");
            let call = operator.post(service, &path, json!({"reason": "投诉核查中"}));
            call.send().await.result();
        }
    }
    // Several with the same time, as a fast clock has them.
    coarsen(
        service,
        "UPDATE user_notice SET created_ms = created_ms / 1000 * 1000",
    )
    .await;
    let all: Vec<i64> = notices(service, doctor)
        .await
        .iter()
        .map(|notice| notice["notice_id"].as_i64().unwrap())
        .collect();
    // The approval came before.
    assert_eq!(all.len(), 9);
    let page = async |query: String| {
        let path = format!("/account/notice_list?{query}");
        doctor.get(service, &path).send().await
    };
    let counted = page("limit=2&count=true".into()).await;
    assert_eq!(
        (&counted.json["total"], &counted.json["has_more"]),
        (&json!(9), &json!(true))
    );
    let walked = walk(service, doctor, "/account/notice_list", 2, async || {
        let path = format!("/operator/team/{team}/close");
        let call = operator.post(service, &path, json!({"reason": "投诉核查中"}));
        call.send().await.result();
    });
    assert_eq!(walked.await, all);
    for bad in [json!({}), json!({"notice_id": 0}), json!({"notice_id": "1"})] {
        let call = doctor.post(service, "/account/notice_list/read", bad).send();
        call.await.refused(400, "request.invalid").field("notice_id");
    }
    let body = json!({"notice_id": all[0]});
    let read = doctor.post(service, "/account/notice_list/read", body).send();
    read.await.result();
    assert_eq!(unread(service, doctor).await, 1, "one came while they walked");
}
