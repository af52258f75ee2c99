//! Joining teams, leaving them, being removed; versions of the agreement.

use std::pin::pin;

use database::params;
use serde_json::json;

use super::{
    links::link,
    people::{Person, new_team},
    service::{Reply, Service},
};

pub async fn join(service: &Service, doctor: &Person, link: &str) -> Reply {
    doctor
        .post(service, "/team/join", json!({"invitation": link}))
        .send()
        .await
}

async fn accept(service: &Service, member: &Person, team: i64, version: i64) -> Reply {
    member
        .post(
            service,
            "/team/join",
            json!({"team_id": team, "agreement_version": version}),
        )
        .send()
        .await
}

pub async fn count(service: &Service, sql: &'static str) -> i64 {
    let rows = service.database.query(sql, vec![]).await.unwrap();
    rows[0].get(0).unwrap()
}

/// The sixth team by invitation: 50 requests, of a doctor who made one team, for 10 others.
#[tokio::test]
async fn fifty_racing_joins_fill_five_teams() {
    let service = Service::start().await;
    let doctor = service.doctor("Dr. A").await;
    doctor
        .post(&service, "/team", new_team("own"))
        .send()
        .await
        .result();
    let mut links = Vec::new();
    for at in 0..10 {
        let team = service.team(&format!("team {at}")).await;
        links.push(link(&service, &team, 50).await);
    }
    let joins = (0..50).map(|at| join(&service, &doctor, &links[at % 10]));
    let replies = futures_util::future::join_all(joins).await;
    assert_eq!(replies.iter().filter(|reply| reply.status == 200).count(), 4);
    for reply in replies.iter().filter(|reply| reply.status != 200) {
        assert_eq!(reply.status, 409, "{}", reply.text);
        let word = reply.json["error"].as_str().unwrap();
        assert!(
            ["team.limit_reached", "team.already_in"].contains(&word),
            "{word}"
        );
    }
    let sql =
        "SELECT count(*) FROM team_doctor d JOIN account a ON a.id = d.doctor_id WHERE a.name = 'Dr. A'";
    assert_eq!(count(&service, sql).await, 5);
    // A refused request uses nothing up.
    assert_eq!(
        count(&service, "SELECT CAST(sum(used) AS BIGINT) FROM team_invitation").await,
        4
    );
}

/// The same doctor, 50 times: once, and once counted.
#[tokio::test]
async fn a_doctor_joins_once() {
    let service = Service::start().await;
    let team = service.team("儿科").await;
    let doctor = service.doctor("Dr. B").await;
    let link = link(&service, &team, 50).await;
    let joins = (0..50).map(|_| join(&service, &doctor, &link));
    let replies = futures_util::future::join_all(joins).await;
    assert_eq!(replies.iter().filter(|reply| reply.status == 200).count(), 1);
    for reply in replies.iter().filter(|reply| reply.status != 200) {
        reply.refused(409, "team.already_in").field("invitation");
    }
    assert_eq!(
        count(&service, "SELECT CAST(sum(used) AS BIGINT) FROM team_invitation").await,
        1
    );
    assert_eq!(
        count(&service, "SELECT CAST(sum(team_count) AS BIGINT) FROM account").await,
        2
    );
}

/// Seed: 段对创建：增加会员加入协议字段. Its versions.
#[tokio::test]
async fn a_new_text_is_a_new_version_and_members_accept_the_current_one() {
    let service = Service::start().await;
    let team = service.team("儿科").await;
    let doctor = service.doctor_of(&team, "Dr. B").await;
    let member = service.member("Pat").await;
    let path = format!("/team/{}", team.id);
    let before = member.get(&service, &path).send().await.result();
    assert_eq!(before["agreement_version"], 1);
    for person in [&doctor, &member, &team.assistant] {
        person
            .put(&service, &path, json!({"agreement": "x"}))
            .send()
            .await
            .refused(403, "team.forbidden");
    }
    team.owner
        .put(&service, "/team/999999", json!({}))
        .send()
        .await
        .refused(404, "team.not_found");
    for (field, value) in [
        ("name", json!("")),
        ("agreement", json!("x".repeat(20_001))),
        ("membership_fee_fen", json!(-1)),
        ("consult_price_fen", json!(1_000_000_001_i64)),
    ] {
        let mut body = json!({});
        body[field] = value;
        team.owner
            .put(&service, &path, body)
            .send()
            .await
            .refused(400, "request.invalid")
            .field(field);
    }
    let joined = accept(&service, &member, team.id, 1).await;
    for (key, value) in joined.result().as_object().unwrap() {
        assert_eq!(before[key], *value, "{key}");
    }
    accept(&service, &member, team.id, 1)
        .await
        .refused(409, "team.already_in");
    // The same text is no new version; what is left out stays.
    let same = team
        .owner
        .put(
            &service,
            &path,
            json!({"agreement": "会员加入协议", "consult_price_fen": 3000, "owner_id": member.id}),
        )
        .send()
        .await
        .result();
    let mut expected = before.clone();
    expected["consult_price_fen"] = 3000.into();
    for (key, value) in same.as_object().unwrap() {
        assert_eq!(expected[key], *value, "{key}");
    }
    let changed = team
        .owner
        .put(&service, &path, json!({"agreement": "第二版"}))
        .send()
        .await
        .result();
    expected["agreement"] = "第二版".into();
    expected["agreement_version"] = 2.into();
    for (key, value) in changed.as_object().unwrap() {
        assert_eq!(expected[key], *value, "{key}");
    }
    assert_eq!(member.get(&service, &path).send().await.result(), expected);
    for (version, text) in [(1, "会员加入协议"), (2, "第二版")] {
        let shown = member
            .get(&service, &format!("{path}/agreement/{version}"))
            .send()
            .await;
        assert_eq!(
            shown.json,
            json!({
                "success": true, "code": 200,
                "result": {
                    "team_id": team.id, "version": version, "agreement": text,
                    "created_ms": shown.json["result"]["created_ms"],
                },
            })
        );
    }
    for missing in [
        format!("{path}/agreement/3"),
        "/team/999999/agreement/1".to_owned(),
    ] {
        member
            .get(&service, &missing)
            .send()
            .await
            .refused(404, "team.agreement_not_found");
    }
    let late = service.member("Late").await;
    for version in [1, 3] {
        accept(&service, &late, team.id, version)
            .await
            .refused(409, "team.agreement_changed")
            .field("agreement_version");
    }
    accept(&service, &late, 999_999, 1)
        .await
        .refused(404, "team.not_found")
        .field("team_id");
    // Who is in accepts the new one.
    accept(&service, &member, team.id, 2).await.result();
    let list = format!("{path}/member_list?count=true");
    let listed = team.owner.get(&service, &list).send().await;
    assert_eq!(
        listed.json,
        json!({
            "success": true, "code": 200, "has_more": false, "total": 1,
            "result": [{
                "member_id": member.id, "name": "Pat", "photo_id": null, "agreement_version": 2,
                "joined_ms": listed.json["result"][0]["joined_ms"],
            }],
        })
    );
    for person in [&doctor, &member] {
        person
            .get(&service, &list)
            .send()
            .await
            .refused(403, "team.forbidden");
    }
    assert_eq!(count(&service, "SELECT count(*) FROM team_acceptance").await, 2);
}

/// Changes of the text that race are versions one after the other.
#[tokio::test]
async fn racing_changes_are_versions_one_after_the_other() {
    let service = Service::start().await;
    let team = service.team("儿科").await;
    let path = format!("/team/{}", team.id);
    let changes = (0..20).map(|at| {
        team.owner
            .put(&service, &path, json!({"agreement": format!("text {at}")}))
            .send()
    });
    let mut versions: Vec<i64> = futures_util::future::join_all(changes)
        .await
        .iter()
        .map(|reply| reply.result()["agreement_version"].as_i64().unwrap())
        .collect();
    versions.sort_unstable();
    assert_eq!(versions, (2..=21).collect::<Vec<_>>());
    assert_eq!(count(&service, "SELECT count(*) FROM team_agreement").await, 21);
}

#[tokio::test]
async fn doctors_and_members_leave_and_are_removed() {
    let service = Service::start().await;
    let team = service.team("儿科").await;
    let [first, second] = [
        service.doctor_of(&team, "Dr. B").await,
        service.doctor_of(&team, "Dr. C").await,
    ];
    let [staying, going] = [service.member("Stay").await, service.member("Go").await];
    for member in [&staying, &going] {
        accept(&service, member, team.id, 1).await.result();
    }
    let leave = format!("/team/{}/leave", team.id);
    for person in [&team.owner, &team.assistant] {
        let reply = person.post(&service, &leave, json!({})).send().await;
        assert_eq!(reply.status, 409);
    }
    team.owner
        .post(&service, &leave, json!({}))
        .send()
        .await
        .refused(409, "team.owner_stays");
    for person in [&first, &going] {
        let left = person.post(&service, &leave, json!({})).send().await;
        assert_eq!(left.json, json!({"success": true, "code": 200, "result": {}}));
        person
            .post(&service, &leave, json!({}))
            .send()
            .await
            .refused(409, "team.not_in");
        person
            .post(&service, "/team/999999/leave", json!({}))
            .send()
            .await
            .refused(404, "team.not_found");
    }
    let doctor = |id: i64| format!("/team/{}/doctor/{id}", team.id);
    let member = |id: i64| format!("/team/{}/member/{id}", team.id);
    for person in [&second, &staying] {
        for path in [doctor(second.id), member(staying.id)] {
            person
                .delete(&service, &path)
                .send()
                .await
                .refused(403, "team.forbidden");
        }
    }
    team.assistant
        .delete(&service, &doctor(team.owner.id))
        .send()
        .await
        .refused(409, "team.owner_stays");
    for nobody in [first.id, 999_999] {
        team.owner
            .delete(&service, &doctor(nobody))
            .send()
            .await
            .refused(404, "team.doctor_not_found")
            .field("doctor_id");
    }
    team.owner
        .delete(&service, &member(going.id))
        .send()
        .await
        .refused(404, "team.member_not_found");
    team.assistant
        .delete(&service, &member(staying.id))
        .send()
        .await
        .result();
    let removed = team.owner.delete(&service, &doctor(second.id)).send().await;
    assert_eq!(
        removed.json,
        json!({
            "success": true, "code": 200,
            "result": {"team_id": team.id, "doctor_id": second.id, "running_consults": 0},
        })
    );
    // A place is free again, and they can come back.
    assert_eq!(
        count(&service, "SELECT CAST(sum(team_count) AS BIGINT) FROM account").await,
        1
    );
    let link = link(&service, &team, 1).await;
    join(&service, &second, &link).await.result();
    // An acceptance stays on record.
    assert_eq!(count(&service, "SELECT count(*) FROM team_acceptance").await, 2);
}

/// Leaving, being removed and joining at once: the count is that of the rows.
#[tokio::test]
async fn a_doctor_who_comes_and_goes_is_counted_right() {
    let service = Service::start().await;
    let team = service.team("儿科").await;
    let doctor = service.doctor_of(&team, "Dr. B").await;
    let link = link(&service, &team, 50).await;
    let leave = format!("/team/{}/leave", team.id);
    let remove = format!("/team/{}/doctor/{}", team.id, doctor.id);
    let moves = (0..45).map(|at| {
        let call = match at % 3 {
            0 => doctor.post(&service, &leave, json!({})),
            1 => team.owner.delete(&service, &remove),
            _ => doctor.post(&service, "/team/join", json!({"invitation": link})),
        };
        call.send()
    });
    for reply in futures_util::future::join_all(moves).await {
        assert!([200, 404, 409].contains(&reply.status), "{}", reply.text);
    }
    let rows =
        "SELECT count(*) FROM team_doctor d JOIN account a ON a.id = d.doctor_id WHERE a.name = 'Dr. B'";
    let counted = "SELECT team_count FROM account WHERE name = 'Dr. B'";
    assert_eq!(count(&service, rows).await, count(&service, counted).await);
}

/// A doctor who was removed stays in what is running, until the assistant takes them out, and gets into nothing new.
#[tokio::test]
async fn a_removed_doctor_stays_in_running_consults_and_gets_into_no_other() {
    let service = Service::start().await;
    let team = service.team("儿科").await;
    let doctor = service.doctor_of(&team, "Dr. B").await;
    let patient = service.member("Pat").await;
    let running = service.consult(&patient, &team).await;
    let ended = service.consult(&patient, &team).await;
    let waiting = service.consult(&patient, &team).await;
    for consult in [running, ended] {
        service.bring_in(&team, consult, &doctor).await;
    }
    team.assistant
        .post(&service, &format!("/consult/{ended}/finish"), json!({}))
        .send()
        .await
        .result();
    let path = format!("/team/{}/doctor/{}", team.id, doctor.id);
    let gone = team.owner.delete(&service, &path).send().await.result();
    assert_eq!(gone["running_consults"], 1);
    doctor
        .get(&service, &format!("/consult/{running}"))
        .send()
        .await
        .result();
    team.assistant
        .post(
            &service,
            &format!("/consult/{waiting}/doctor"),
            json!({"doctor_id": doctor.id}),
        )
        .send()
        .await
        .refused(404, "consult.doctor_not_found");
    team.assistant
        .delete(&service, &format!("/consult/{running}/doctor/{}", doctor.id))
        .send()
        .await
        .result();
    // They read it as it was then.
    let path = format!("/consult/{running}");
    let read = doctor.get(&service, &path).send().await.result();
    assert!(read["left_ms"].is_i64(), "{read}");
    // The team's own lists are closed to them at once.
    for list in ["consult_history", "my_consult_list", "consult_list"] {
        doctor
            .get(&service, &format!("/team/{}/{list}", team.id))
            .send()
            .await
            .refused(403, "team.forbidden");
    }
}

/// The handover is written and not committed yet when the doctor leaves.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_doctor_does_not_leave_the_team_that_becomes_theirs() {
    let service = Service::start().await;
    let team = service.team("儿科").await;
    let doctor = service.doctor_of(&team, "赵医生").await;
    let sql = "UPDATE team SET owner_id = $1 WHERE id = $2";
    let handover = service.hold(sql, params![doctor.id, team.id]).await;
    let path = format!("/team/{}/leave", team.id);
    let mut leaving = pin!(doctor.post(&service, &path, json!({})).send());
    tokio::select! {
        reply = &mut leaving => panic!("it did not wait: {}", reply.text),
        () = service.a_request_waits() => {}
    }
    handover.commit().await;
    leaving.await.refused(409, "team.owner_stays");
}
