//! Invitations by link and QR code, into teams and clinics.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

use super::{
    invitations::World,
    joining::{count, join},
    people::{Person, Team},
    service::Service,
};

async fn invite(service: &Service, by: &Person, team: i64, body: Value) -> Value {
    by.post(service, &format!("/team/{team}/invitation"), body)
        .send()
        .await
        .result()
}

pub async fn link(service: &Service, team: &Team, max_uses: i64) -> String {
    let made = invite(service, &team.owner, team.id, json!({"max_uses": max_uses})).await;
    made["link"].as_str().unwrap().to_owned()
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
    // A phone reads the link from the picture.
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
    let page = shown.result();
    for (key, value) in joined.result().as_object().unwrap() {
        assert_eq!(page[key], *value, "{key}");
    }
    assert_eq!(shown.result()["doctor_ids"], json!([team.owner.id, doctor.id]));
    let list = format!("/team/{}/doctor_list", team.id);
    let listed = doctor.get(&service, &list).send().await.result();
    assert_eq!(
        listed[0],
        json!({
            "doctor_id": doctor.id, "name": "赵医生", "photo_id": null, "title": "", "department": "",
            "inviter_id": team.owner.id, "joined_ms": listed[0]["joined_ms"],
            "expertise": "",
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

#[tokio::test]
async fn a_clinics_link_lets_so_many_doctors_in_as_it_says() {
    let world = World::new().await;
    let World {
        service, team, guest, ..
    } = &world;
    let [_, in_clinic] = world.places();
    let path = format!("{in_clinic}/invitation");
    let made = world
        .post(&team.owner, &path, json!({"max_uses": 2}))
        .await
        .result();
    assert_eq!(made["clinic_name"], "仁心诊所");
    assert_eq!(made["inviter_name"], "Dr. Owner");
    let link = made["link"].as_str().unwrap().to_owned();
    assert!(link.starts_with("huizhen://clinic/join?clinic_id="));
    let join = json!({"invitation": link});
    let member = service.member("Pat").await;
    for nobody in [&member, &team.assistant] {
        world
            .post(nobody, "/clinic/join", join.clone())
            .await
            .refused(403, "clinic.doctors_only");
    }
    let joined = world.post(guest, "/clinic/join", join.clone()).await.result();
    assert_eq!(joined["clinic_id"], world.clinic);
    world
        .post(guest, "/clinic/join", join.clone())
        .await
        .refused(409, "clinic.already_in")
        .field("invitation");
    let mut doctors = Vec::new();
    for _ in 0..8 {
        doctors.push(service.doctor("Dr.").await);
    }
    let calls = doctors
        .iter()
        .map(|doctor| world.post(doctor, "/clinic/join", join.clone()));
    let replies = futures_util::future::join_all(calls).await;
    assert_eq!(replies.iter().filter(|reply| reply.status == 200).count(), 1);
    for reply in replies.iter().filter(|reply| reply.status != 200) {
        reply
            .refused(409, "clinic.invitation_used_up")
            .field("invitation");
    }
    // Refused: changed, of a team, withdrawn, expired.
    for bad in [
        "x".to_owned(),
        format!("{link}0"),
        link.replace("clinic_id=", "clinic_id=1"),
    ] {
        world
            .post(&doctors[0], "/clinic/join", json!({"invitation": bad}))
            .await
            .refused(403, "clinic.invitation_refused");
    }
    let team_link = world
        .post(&team.owner, &format!("/team/{}/invitation", team.id), json!({}))
        .await
        .result()["link"]
        .clone();
    world
        .post(&doctors[0], "/clinic/join", json!({"invitation": team_link}))
        .await
        .refused(403, "clinic.invitation_refused");
    world
        .post(&doctors[0], "/team/join", json!({"invitation": link}))
        .await
        .refused(403, "team.invitation_refused");
    let outside = service.doctor("Dr. Out").await;
    let made = world.post(&team.owner, &path, json!({})).await.result();
    let withdraw = format!("{path}/{}", made["invitation_id"]);
    team.owner.delete(service, &withdraw).send().await.result();
    world
        .post(&outside, "/clinic/join", json!({"invitation": made["link"]}))
        .await
        .refused(409, "clinic.invitation_used_up");
    for (field, value) in [("max_uses", 0), ("max_uses", 51), ("expires_in_s", 59)] {
        world
            .post(&team.owner, &path, json!({field: value}))
            .await
            .refused(400, "request.invalid")
            .field(field);
    }
    world
        .post(guest, &path, json!({}))
        .await
        .refused(403, "clinic.forbidden");
}
