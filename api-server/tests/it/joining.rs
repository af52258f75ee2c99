//! Joining teams, leaving them, being removed; versions of the agreement.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

use super::{
    people::{Person, Team, new_team},
    service::{Reply, Service},
};

async fn invite(service: &Service, by: &Person, team: i64, body: Value) -> Value {
    by.post(service, &format!("/team/{team}/invitation"), body)
        .send()
        .await
        .result()
}

async fn link(service: &Service, team: &Team, max_uses: i64) -> String {
    let made = invite(service, &team.owner, team.id, json!({"max_uses": max_uses})).await;
    made["link"].as_str().unwrap().to_owned()
}

async fn join(service: &Service, doctor: &Person, link: &str) -> Reply {
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

async fn count(service: &Service, sql: &'static str) -> i64 {
    let rows = service.database.query(sql, vec![]).await.unwrap();
    rows[0].get(0).unwrap()
}

/// Seed: 修改 - 团队邀请时二维码生成规范（团队信息、邀请人信息） - 二维码内容确认 - 团队名称，团队id，邀请人.
#[tokio::test]
async fn an_invitation_shows_team_and_inviter_as_link_and_code() {
    let service = Service::start().await;
    let team = service.team("儿科").await;
    let made = team
        .owner
        .post(&service, &format!("/team/{}/invitation", team.id), json!({}))
        .send()
        .await;
    let result = made.result();
    let created = result["created_ms"].as_i64().unwrap();
    assert_eq!(
        made.json,
        json!({
            "success": true, "code": 200,
            "result": {
                "invitation_id": result["invitation_id"], "team_id": team.id, "team_name": "儿科",
                "inviter_id": team.owner.id, "inviter_name": "Dr. Owner", "link": result["link"],
                "qr_svg": result["qr_svg"], "qr_png": result["qr_png"], "max_uses": 1, "created_ms": created,
                "expires_ms": created + 7 * 24 * 60 * 60 * 1000,
            },
        })
    );
    let link: url::Url = result["link"].as_str().unwrap().parse().unwrap();
    assert_eq!(
        (link.scheme(), link.host_str(), link.path()),
        ("huizhen", Some("team"), "/join")
    );
    let pairs: Vec<(String, String)> = link.query_pairs().into_owned().collect();
    let names: Vec<&str> = pairs.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(
        names,
        [
            "team_id",
            "team_name",
            "inviter_id",
            "inviter_name",
            "invitation_id",
            "expires_ms",
            "signature"
        ]
    );
    assert_eq!(pairs[0].1, team.id.to_string());
    assert_eq!(pairs[1].1, "儿科");
    assert_eq!(pairs[2].1, team.owner.id.to_string());
    assert_eq!(pairs[3].1, "Dr. Owner");
    assert!(result["qr_svg"].as_str().unwrap().starts_with("<svg"));
    let png = STANDARD.decode(result["qr_png"].as_str().unwrap()).unwrap();
    assert!(png.starts_with(b"\x89PNG\r\n\x1a\n"));
    // What a phone reads from the picture is the link.
    let mut decoder = png::Decoder::new(std::io::Cursor::new(&png));
    decoder.set_transformations(png::Transformations::EXPAND);
    let mut reader = decoder.read_info().unwrap();
    let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
    let info = reader.next_frame(&mut pixels).unwrap();
    let (width, height) = (info.width as usize, info.height as usize);
    let mut image = rqrr::PreparedImage::prepare_from_greyscale(width, height, |x, y| pixels[y * width + x]);
    let read = image.detect_grids()[0].decode().unwrap().1;
    assert_eq!(read, result["link"]);

    // A doctor joins by it.
    let doctor = service.doctor("赵医生").await;
    let joined = join(&service, &doctor, &read).await;
    let shown = doctor.get(&service, &format!("/team/{}", team.id)).send().await;
    assert_eq!(joined.json, shown.json);
    assert_eq!(shown.result()["doctor_ids"], json!([team.owner.id, doctor.id]));
    let list = format!("/team/{}/doctor_list", team.id);
    let listed = doctor.get(&service, &list).send().await.result();
    assert_eq!(
        listed[0],
        json!({
            "doctor_id": doctor.id, "name": "赵医生", "photo_id": null, "title": "", "department": "",
            "inviter_id": team.owner.id, "joined_ms": listed[0]["joined_ms"],
        })
    );
    assert_eq!(listed[1]["inviter_id"], Value::Null);
}

#[tokio::test]
async fn invitations_are_made_by_owner_and_assistant_and_checked() {
    let service = Service::start().await;
    let team = service.team("儿科").await;
    let other = service.team("内科").await;
    let doctor = service.doctor_of(&team, "Dr. B").await;
    let member = service.member("Pat").await;
    let path = format!("/team/{}/invitation", team.id);
    for person in [&doctor, &member, &other.owner, &other.assistant] {
        person
            .post(&service, &path, json!({}))
            .send()
            .await
            .refused(403, "team.forbidden");
    }
    team.owner
        .post(&service, "/team/999999/invitation", json!({}))
        .send()
        .await
        .refused(404, "team.not_found");
    for (field, value) in [
        ("max_uses", json!(0)),
        ("max_uses", json!(51)),
        ("max_uses", json!("1")),
        ("expires_in_s", json!(59)),
        ("expires_in_s", json!(2_592_001)),
    ] {
        let mut body = json!({});
        body[field] = value;
        team.owner
            .post(&service, &path, body)
            .send()
            .await
            .refused(400, "request.invalid")
            .field(field);
    }
    let made = invite(
        &service,
        &team.assistant,
        team.id,
        json!({"max_uses": 50, "expires_in_s": 60}),
    )
    .await;
    assert_eq!(made["inviter_id"], team.assistant.id);
    assert_eq!(
        made["expires_ms"].as_i64().unwrap() - made["created_ms"].as_i64().unwrap(),
        60_000
    );
    // Withdrawn: good no more.
    let one = format!("{path}/{}", made["invitation_id"]);
    doctor
        .delete(&service, &one)
        .send()
        .await
        .refused(403, "team.forbidden");
    other
        .owner
        .delete(
            &service,
            &format!("/team/{}/invitation/{}", other.id, made["invitation_id"]),
        )
        .send()
        .await
        .refused(404, "team.invitation_not_found");
    team.owner.delete(&service, &one).send().await.result();
    team.owner
        .delete(&service, &one)
        .send()
        .await
        .refused(404, "team.invitation_not_found");
    let newcomer = service.doctor("Dr. C").await;
    join(&service, &newcomer, made["link"].as_str().unwrap())
        .await
        .refused(409, "team.invitation_used_up")
        .field("invitation");
}

#[tokio::test]
async fn a_link_that_was_changed_has_expired_or_is_missing_is_refused() {
    let service = Service::start().await;
    let other_service = Service::start().await;
    let team = service.team("儿科").await;
    let doctor = service.doctor("Dr. B").await;
    let member = service.member("Pat").await;
    let good = link(&service, &team, 1).await;
    let elsewhere = other_service.team("儿科").await;
    for bad in [
        good.replace("team_name=", "team_name=x"),
        good.replace("expires_ms=1", "expires_ms=2"),
        good[..good.len() - 1].to_owned(),
        "huizhen://team/join?team_id=1&signature=00".to_owned(),
        "x".to_owned(),
        // Each fleet has a secret of its own.
        link(&other_service, &elsewhere, 1).await,
    ] {
        join(&service, &doctor, &bad)
            .await
            .refused(403, "team.invitation_refused")
            .field("invitation");
    }
    for (person, body, field) in [
        (&doctor, json!({}), "invitation"),
        (
            &doctor,
            json!({"team_id": team.id, "agreement_version": 1}),
            "invitation",
        ),
        (&doctor, json!({"invitation": ""}), "invitation"),
        (&member, json!({"invitation": good}), "team_id"),
        (&member, json!({"team_id": team.id}), "agreement_version"),
        (
            &member,
            json!({"team_id": team.id, "agreement_version": 0}),
            "agreement_version",
        ),
    ] {
        person
            .post(&service, "/team/join", body)
            .send()
            .await
            .refused(400, "request.invalid")
            .field(field);
    }
    team.assistant
        .post(&service, "/team/join", json!({"invitation": good}))
        .send()
        .await
        .refused(403, "team.cannot_join");
    service
        .database
        .transaction(|tx| {
            Box::pin(async move {
                tx.execute("UPDATE team_invitation SET expires_ms = 1", vec![])
                    .await
            })
        })
        .await
        .unwrap();
    join(&service, &doctor, &good)
        .await
        .refused(409, "team.invitation_used_up");
    assert_eq!(count(&service, "SELECT count(*) FROM team_doctor").await, 1);
    assert_eq!(
        count(
            &service,
            "SELECT max(team_count) FROM account WHERE name = 'Dr. B'"
        )
        .await,
        0
    );
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
    // What was refused used nothing up.
    assert_eq!(
        count(&service, "SELECT CAST(sum(used) AS BIGINT) FROM team_invitation").await,
        4
    );
}

/// One invitation, used by 50 at once: by as many as it says.
#[tokio::test]
async fn one_invitation_is_used_as_often_as_it_says() {
    let service = Service::start().await;
    let team = service.team("儿科").await;
    let mut doctors = Vec::new();
    for at in 0..50 {
        doctors.push(service.doctor(&format!("Dr. {at}")).await);
    }
    for (max_uses, already) in [(1, 0), (7, 1)] {
        let link = link(&service, &team, max_uses).await;
        let joins = doctors.iter().map(|doctor| join(&service, doctor, &link));
        let replies = futures_util::future::join_all(joins).await;
        let joined = replies.iter().filter(|reply| reply.status == 200).count();
        assert_eq!(joined, usize::try_from(max_uses).unwrap());
        for reply in replies.iter().filter(|reply| reply.status != 200) {
            assert!(
                ["team.invitation_used_up", "team.already_in"]
                    .contains(&reply.json["error"].as_str().unwrap()),
                "{}",
                reply.text
            );
        }
        let sql = "SELECT count(*) FROM team_doctor";
        assert_eq!(count(&service, sql).await, 1 + already + max_uses);
    }
    assert_eq!(
        count(&service, "SELECT CAST(sum(team_count) AS BIGINT) FROM account").await,
        1 + 1 + 7
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

#[tokio::test]
async fn a_team_has_a_hundred_invitations_that_have_not_expired() {
    let service = Service::start().await;
    let team = service.team("儿科").await;
    let path = format!("/team/{}/invitation", team.id);
    service
        .database
        .transaction({
            let team = team.id;
            move |tx| {
                Box::pin(async move {
                    for id in 1..=99_i64 {
                        tx.execute(
                            "INSERT INTO team_invitation (team_id, id, inviter_id, max_uses, used, created_ms, expires_ms)
                             VALUES ($1, $2, 1, 1, 0, 1, 9000000000000)",
                            database::params![team, 1_000_000 + id],
                        )
                        .await?;
                    }
                    Ok::<_, database::Error>(())
                })
            }
        })
        .await
        .unwrap();
    let calls = (0..5).map(|_| team.owner.post(&service, &path, json!({})).send());
    let replies = futures_util::future::join_all(calls).await;
    assert_eq!(replies.iter().filter(|reply| reply.status == 200).count(), 1);
    for reply in replies.iter().filter(|reply| reply.status != 200) {
        reply.refused(409, "team.invitation_limit_reached");
    }
    service
        .database
        .transaction(|tx| {
            Box::pin(async move {
                tx.execute("UPDATE team_invitation SET expires_ms = 1", vec![])
                    .await
            })
        })
        .await
        .unwrap();
    team.owner.post(&service, &path, json!({})).send().await.result();
    assert_eq!(count(&service, "SELECT count(*) FROM team_invitation").await, 1);
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
    assert_eq!(joined.result(), before);
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
    assert_eq!(same, expected);
    let changed = team
        .owner
        .put(&service, &path, json!({"agreement": "第二版"}))
        .send()
        .await
        .result();
    expected["agreement"] = "第二版".into();
    expected["agreement_version"] = 2.into();
    assert_eq!(changed, expected);
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
    // What was accepted stays on record.
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
    doctor
        .get(&service, &format!("/consult/{running}"))
        .send()
        .await
        .refused(404, "consult.not_found");
    // The team's own lists are closed to them at once.
    for list in ["consult_history", "my_consult_list", "consult_list"] {
        doctor
            .get(&service, &format!("/team/{}/{list}", team.id))
            .send()
            .await
            .refused(403, "team.forbidden");
    }
}

/// The secret is made at the first start and kept: another process signs and reads the same.
#[tokio::test]
async fn there_is_one_secret_and_it_is_not_a_default_one() {
    let [one, other] = [Service::start().await, Service::start().await];
    let mut secrets = Vec::new();
    for service in [&one, &other] {
        service.team("儿科").await;
        let rows = service
            .database
            .query("SELECT value FROM secret WHERE name = 'team_invitation'", vec![])
            .await
            .unwrap();
        assert_eq!(rows.len(), 1);
        let secret: bytes::Bytes = rows[0].get(0).unwrap();
        assert_eq!(secret.len(), 32);
        secrets.push(secret);
    }
    assert_ne!(secrets[0], secrets[1]);
}
