//! Teams.

use serde_json::{Value, json};

use super::{people::new_team, service::Service};

/// Seed: 段对创建：增加会员加入协议字段.
#[tokio::test]
async fn a_doctor_makes_a_team_and_everybody_sees_it() {
    let service = Service::start().await;
    let doctor = service.doctor("Dr. A").await;
    let member = service.member("Pat").await;
    let made = doctor.post(&service, "/team", new_team("儿科")).send().await;
    let result = made.result();
    let assistant = result["assistant_id"].as_i64().unwrap();
    assert!(assistant > 0 && assistant != doctor.id);
    assert!(result["created_ms"].as_i64().unwrap() > 1_700_000_000_000);
    assert_eq!(
        made.json,
        json!({
            "success": true,
            "code": 200,
            "result": {
                "team_id": result["team_id"], "name": "儿科", "introduction": "介绍", "agreement": "会员加入协议", "agreement_version": 1,
                "membership_fee_fen": 10_000, "consult_price_fen": 2_000, "owner_id": doctor.id,
                "assistant_id": assistant, "doctor_ids": [doctor.id], "created_ms": result["created_ms"],
                "members_only": false, "max_open_consults": 1000, "claims": false, "clock": {"late_cancel": true},
            },
        })
    );
    let path = format!("/team/{}", result["team_id"]);
    for person in [&doctor, &member] {
        let page = person.get(&service, &path).send().await.result();
        for (key, value) in result.as_object().unwrap() {
            assert_eq!(page[key], *value, "{key}");
        }
        assert_eq!(page["doctors"][0]["doctor_id"], doctor.id);
    }
    service.get(&path).send().await.refused(401, "auth.required");
    member
        .get(&service, "/team/999999")
        .send()
        .await
        .refused(404, "team.not_found");
    for bad in [
        "0",
        "-1",
        "9007199254740992",
        "99999999999999999999",
        "x",
        "1.5",
        "+1",
        "%201",
    ] {
        member
            .get(&service, &format!("/team/{bad}"))
            .send()
            .await
            .refused(400, "request.invalid")
            .field("id");
    }
}

#[tokio::test]
async fn only_doctors_make_teams_and_fields_are_checked() {
    let service = Service::start().await;
    let member = service.member("Pat").await;
    let doctor = service.doctor("Dr. A").await;
    service
        .post("/team")
        .json(new_team("x"))
        .send()
        .await
        .refused(401, "auth.required");
    member
        .post(&service, "/team", new_team("x"))
        .send()
        .await
        .refused(403, "team.doctors_only");
    for (field, value) in [
        ("name", json!("")),
        ("name", json!("x".repeat(65))),
        ("introduction", json!("x".repeat(2001))),
        ("agreement", json!(7)),
        ("membership_fee_fen", json!(-1)),
        ("membership_fee_fen", json!(1.5)),
        ("membership_fee_fen", json!("1")),
        ("consult_price_fen", json!(1_000_000_001_i64)),
        ("consult_price_fen", Value::Null),
    ] {
        let mut body = new_team("x");
        body[field] = value;
        doctor
            .post(&service, "/team", body)
            .send()
            .await
            .refused(400, "request.invalid")
            .field(field);
    }
}

/// Seed: 医生可创建团队最多可以创建或者加入5个.
#[tokio::test]
async fn fifty_racing_requests_make_five_teams() {
    let service = Service::start().await;
    let doctor = service.doctor("Dr. A").await;
    let calls = (0..50).map(|at| {
        doctor
            .post(&service, "/team", new_team(&format!("team {at}")))
            .send()
    });
    let replies = futures_util::future::join_all(calls).await;
    assert_eq!(replies.iter().filter(|reply| reply.status == 200).count(), 5);
    for reply in replies.iter().filter(|reply| reply.status != 200) {
        reply.refused(409, "team.limit_reached");
    }
    // Nothing is left of the refused ones.
    for (table, expected) in [
        ("team", 5),
        ("team_doctor", 5),
        ("account WHERE role = 'assistant'", 5),
    ] {
        let rows = service
            .database
            .query(format!("SELECT count(*) FROM {table}"), vec![])
            .await
            .unwrap();
        assert_eq!(rows[0].get::<i64>(0).unwrap(), expected, "{table}");
    }
}

#[tokio::test]
async fn created_and_joined_teams_count_together_under_racing() {
    let service = Service::start().await;
    let doctor = service.doctor("Dr. A").await;
    doctor
        .post(&service, "/team", new_team("own"))
        .send()
        .await
        .result();
    let mut teams = Vec::new();
    for at in 0..8 {
        teams.push(service.team(&format!("team {at}")).await);
    }
    for team in &teams {
        let path = format!("/team/{}/doctor", team.id);
        team.owner
            .post(&service, &path, json!({"doctor_id": doctor.id}))
            .send()
            .await
            .result();
    }
    let got = doctor.get(&service, "/invitation_list").send().await.result();
    let joins = got.as_array().unwrap().iter().map(|invitation| {
        let path = format!("/invitation/{}/accept", invitation["invitation_id"]);
        doctor.post(&service, &path, json!({})).send()
    });
    let replies = futures_util::future::join_all(joins).await;
    assert_eq!(replies.iter().filter(|reply| reply.status == 200).count(), 4);
    assert_eq!(replies.iter().filter(|reply| reply.status == 409).count(), 4);
    doctor
        .post(&service, "/team", new_team("sixth"))
        .send()
        .await
        .refused(409, "team.limit_reached");
}

#[tokio::test]
async fn doctors_are_invited_by_the_owner_or_the_assistant() {
    let service = Service::start().await;
    let team = service.team("儿科").await;
    let doctor = service.doctor("Dr. B").await;
    let another = service.doctor("Dr. C").await;
    let member = service.member("Pat").await;
    let path = format!("/team/{}/doctor", team.id);
    let body = |id: i64| json!({"doctor_id": id});
    service
        .post(&path)
        .json(body(doctor.id))
        .send()
        .await
        .refused(401, "auth.required");
    doctor
        .post(&service, &path, body(doctor.id))
        .send()
        .await
        .refused(403, "team.forbidden");
    member
        .post(&service, &path, body(doctor.id))
        .send()
        .await
        .refused(403, "team.forbidden");
    let owner = &team.owner;
    owner
        .post(&service, "/team/999999/doctor", body(doctor.id))
        .send()
        .await
        .refused(404, "team.not_found");
    for nobody in [member.id, team.assistant.id, 999_999] {
        owner
            .post(&service, &path, body(nobody))
            .send()
            .await
            .refused(404, "team.doctor_not_found")
            .field("doctor_id");
    }
    for bad in [
        json!({}),
        json!({"doctor_id": 0}),
        json!({"doctor_id": "1"}),
        json!({"doctor_id": 9_007_199_254_740_992_i64}),
    ] {
        owner
            .post(&service, &path, bad)
            .send()
            .await
            .refused(400, "request.invalid")
            .field("doctor_id");
    }
    let invited = owner.post(&service, &path, body(doctor.id)).send().await.result();
    assert_eq!(invited["doctor_ids"], json!([owner.id]));
    service.accept(&doctor).await.result();
    owner
        .post(&service, &path, body(doctor.id))
        .send()
        .await
        .refused(409, "team.already_in")
        .field("doctor_id");
    team.assistant
        .post(&service, &path, body(another.id))
        .send()
        .await
        .result();
    service.accept(&another).await.result();
    let joined = owner
        .get(&service, &format!("/team/{}", team.id))
        .send()
        .await
        .result();
    assert_eq!(joined["doctor_ids"], json!([owner.id, doctor.id, another.id]));
}

#[tokio::test]
async fn the_assistant_is_logged_in_by_the_owner_alone() {
    let service = Service::start().await;
    let team = service.team("儿科").await;
    let doctor = service.doctor_of(&team, "Dr. B").await;
    let path = format!("/team/{}/assistant/login", team.id);
    let body = json!({"device_id": "desk-2", "platform": "desktop"});
    service
        .post(&path)
        .json(body.clone())
        .send()
        .await
        .refused(401, "auth.required");
    for person in [&doctor, &team.assistant] {
        person
            .post(&service, &path, body.clone())
            .send()
            .await
            .refused(403, "team.forbidden");
    }
    team.owner
        .post(&service, "/team/999999/assistant/login", body.clone())
        .send()
        .await
        .refused(404, "team.not_found");
    team.owner
        .post(&service, &path, json!({"device_id": "d"}))
        .send()
        .await
        .refused(400, "request.invalid")
        .field("platform");
    let result = team.owner.post(&service, &path, body).send().await.result();
    assert_eq!(result["user_id"], team.assistant.id);
    // An assistant makes no teams and begins no consults.
    team.assistant
        .post(&service, "/team", new_team("x"))
        .send()
        .await
        .refused(403, "team.doctors_only");
    let consult = super::people::new_consult(&team.assistant, team.id);
    team.assistant
        .post(&service, "/consult", consult)
        .send()
        .await
        .refused(403, "consult.members_only");
}
