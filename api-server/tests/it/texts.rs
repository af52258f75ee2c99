//! Users' text: names that cannot be mistaken for others, and text without invisible characters.

use database::params;
use serde_json::{Value, json};

use super::{
    people::{Person, new_phone, new_team},
    service::{Reply, Service},
};

/// Names that are unreadable or misleading.
const BAD_NAMES: [&str; 12] = [
    "\u{200b}",
    "\u{3164}",
    "\u{2800}",
    " \u{200b} ",
    "张\n伟",
    "张\0伟",
    "张\u{1b}[2J伟",
    "张\u{202e}伟",
    "张\u{2066}伟",
    "张伟\u{feff}",
    "张\u{e000}伟",
    "张\u{2028}伟",
];

/// A name as an app may send it, and as it is kept.
const TIDIED: (&str, &str) = (
    " E\u{301}le\u{300}ne 👩\u{200d}⚕\u{fe0f}\n",
    "Élène 👩\u{200d}⚕\u{fe0f}",
);

async fn clinic(service: &Service, doctor: &Person, name: &str) -> Reply {
    let body = json!({"name": name, "introduction": ""});
    doctor.post(service, "/clinic", body).send().await
}

async fn clinic_of_name(service: &Service, person: &Person, name: &str) -> Reply {
    let query: String = url::form_urlencoded::byte_serialize(name.as_bytes()).collect();
    person.get(service, &format!("/clinic?name={query}")).send().await
}

/// Every input of a name: caller, request, and the body without it.
struct Door<'p> {
    person: &'p Person,
    method: reqwest::Method,
    path: String,
    body: Value,
    field: &'static str,
}

impl Door<'_> {
    async fn send(&self, service: &Service, name: &str) -> Reply {
        let mut body = self.body.clone();
        body[self.field] = name.into();
        let call = service.call(self.method.clone(), &self.path);
        call.token(&self.person.token).json(body).send().await
    }
}

#[tokio::test]
async fn a_name_is_one_line_that_can_be_seen() {
    let service = Service::start().await;
    let team = service.team("儿科").await;
    let doctor = &team.owner;
    let member = service.member("Pat").await;
    let consult = service.consult(&member, &team).await;
    service.bring_in(&team, consult, doctor).await;
    let made = clinic(&service, doctor, "仁心诊所").await.result();
    let child = json!({"relation_type": "child", "name": "小明"});
    let child = member.post(&service, "/family", child).send().await.result();
    let door = |person, method: &str, path: String, body, field| Door {
        person,
        method: method.parse().unwrap(),
        path,
        body,
        field,
    };
    let doors = [
        door(&member, "PUT", "/member/detail".into(), json!({}), "name"),
        door(doctor, "POST", "/doctor/detail".into(), json!({}), "name"),
        door(doctor, "POST", "/doctor/detail".into(), json!({}), "title"),
        door(doctor, "POST", "/doctor/detail".into(), json!({}), "department"),
        door(doctor, "POST", "/team".into(), new_team("x"), "name"),
        door(doctor, "PUT", format!("/team/{}", team.id), json!({}), "name"),
        door(
            doctor,
            "POST",
            "/clinic".into(),
            json!({"introduction": ""}),
            "name",
        ),
        door(
            doctor,
            "PUT",
            format!("/clinic/{}", made["clinic_id"]),
            json!({}),
            "name",
        ),
        door(
            &member,
            "POST",
            "/family".into(),
            json!({"relation_type": "child"}),
            "name",
        ),
        door(
            &member,
            "PUT",
            format!("/family/{}", child["relation_user_id"]),
            json!({}),
            "name",
        ),
        door(
            doctor,
            "POST",
            format!("/consult/{consult}/vas"),
            json!({"description": "", "price_fen": 1}),
            "name",
        ),
    ];
    let (given, kept) = TIDIED;
    for door in &doors {
        for bad in BAD_NAMES {
            let reply = door.send(&service, bad).await;
            reply.refused(400, "request.invalid").field(door.field);
        }
        let reply = door.send(&service, given).await;
        if door.path.starts_with("/clinic") && reply.status == 409 {
            // The clinic made by the door before has this name.
            reply.refused(409, "clinic.name_taken");
            continue;
        }
        let whole = reply.result();
        assert_eq!(whole[door.field], kept, "{}: {}", door.path, reply.text);
    }
    for bad in BAD_NAMES {
        let body = json!({
            "phone": new_phone(), "code": "123456", "name": bad, "role": "member", "device_id": "d", "platform": "ios",
        });
        let reply = service.post("/account/register").json(body).send().await;
        reply.refused(400, "request.invalid").field("name");
    }
    let made = api_server::operator::add(&service.database, "\u{200b}").await;
    assert!(made.is_err());
}

#[tokio::test]
async fn text_of_several_lines_is_cleaned() {
    let service = Service::start().await;
    let doctor = service.doctor("Dr. A").await;
    let mut team = new_team("儿科");
    team["introduction"] = "一\r\n二\u{2028}三\r四\t五".into();
    team["agreement"] = "\u{feff}协\u{7}议\u{202e}书e\u{301}".into();
    let team = doctor.post(&service, "/team", team).send().await.result();
    assert_eq!(team["introduction"], "一\n二\n三\n四\t五");
    assert_eq!(team["agreement"], "协议书é");
    let member = service.member("Pat").await;
    let symptom = |text: &str| {
        let body = json!({
            "creator_member_id": member.id, "target_member_id": member.id, "team_id": team["team_id"],
            "symptom_type": "text/plain", "symptom_content": text,
        });
        member.post(&service, "/consult", body).send()
    };
    let consult = symptom("发热\r\n\u{2067}38.5 度\u{2069}\u{1b}").await.result();
    assert_eq!(consult["symptom_content"], "发热\n38.5 度");
    for nothing in ["", "\n", "\u{200b}", "\u{202e}\u{202c}", "\u{3164}", "a\0"] {
        let reply = symptom(nothing).await;
        reply.refused(400, "request.invalid").field("symptom_content");
    }
}

#[tokio::test]
async fn two_clinics_do_not_look_alike() {
    let service = Service::start().await;
    let doctor = service.doctor("Dr. A").await;
    let other = service.doctor("Dr. B").await;
    let first = clinic(&service, &doctor, "ABC 仁心诊所").await.result();
    for alike in [
        "ABC 仁心诊所",
        "abc仁心诊所",
        "ＡＢＣ\u{3000}仁心诊所",
        "ABC 仁心 诊所",
        "ABC 仁心诊\u{e0100}所",
        "  ABC   仁心诊所  ",
    ] {
        let reply = clinic(&service, &other, alike).await;
        reply.refused(409, "clinic.name_taken").field("name");
        let found = clinic_of_name(&service, &other, alike).await.result();
        assert_eq!(found["clinic_id"], first["clinic_id"], "{alike}");
    }
    // A search by forbidden characters finds the look-alike.
    let found = clinic_of_name(&service, &other, "ABC 仁\u{200b}心诊所\u{202e}")
        .await
        .result();
    assert_eq!(found["name"], "ABC 仁心诊所");
    for nothing in ["", " ", "\u{200b}", "\u{3164}"] {
        let reply = clinic_of_name(&service, &other, nothing).await;
        reply.refused(400, "request.invalid").field("name");
    }
    let composed = clinic(&service, &other, "Clinique Élite").await.result();
    let reply = clinic(&service, &other, "Clinique E\u{301}lite").await;
    reply.refused(409, "clinic.name_taken");
    let found = clinic_of_name(&service, &other, "CLINIQUE E\u{301}LITE")
        .await
        .result();
    assert_eq!(found["clinic_id"], composed["clinic_id"]);

    // A clinic may change the spelling of its name, but not to another clinic's.
    let path = format!("/clinic/{}", first["clinic_id"]);
    for own in ["abc 仁心诊所", "ABC仁心诊所"] {
        let changed = doctor.put(&service, &path, json!({"name": own})).send().await;
        assert_eq!(changed.result()["name"], own);
    }
    let reply = doctor
        .put(&service, &path, json!({"name": "clinique élite"}))
        .send()
        .await;
    reply.refused(409, "clinic.name_taken").field("name");
}

/// Rows of a release before 2026-12: two clinics that look alike, teams in lower case.
#[tokio::test]
async fn names_of_an_earlier_release_are_kept_and_folded() {
    let service = Service::start().await;
    let doctor = service.doctor("Dr. A").await;
    let other = service.doctor("Dr. B").await;
    let mut ids = Vec::new();
    for (person, name) in [(&doctor, "仁心一"), (&other, "仁心二"), (&other, "仁心三")] {
        let made = clinic(&service, person, name).await.result();
        ids.push(made["clinic_id"].as_i64().unwrap());
    }
    let team = service.team_of(&doctor, "旧名").await;
    let (first, second, third, team_id) = (ids[0], ids[1], ids[2], team.id);
    service
        .database
        .transaction(move |tx| {
            Box::pin(async move {
                for (id, name) in [
                    (first, "仁心诊所"),
                    (second, "仁心诊所\u{200b}"),
                    (third, "仁心 诊所"),
                ] {
                    let sql =
                        "UPDATE clinic SET name = $1, folded_name = NULL, folded_from = NULL WHERE id = $2";
                    tx.execute(sql, params![name, id]).await?;
                }
                let sql = "UPDATE team SET name = $1, search_name = $2, folded_from = NULL WHERE id = $3";
                tx.execute(sql, params!["ＡＢ\u{200b}儿科", "ａｂ\u{200b}儿科", team_id])
                    .await?;
                tx.execute(
                    "UPDATE team_gram SET gram = $1 WHERE team_id = $2 AND gram = $3",
                    params!["ａ", team_id, "旧"],
                )
                .await
            })
        })
        .await
        .unwrap();

    // The next start folds them.
    let service = service.beside().await;
    let _again = service.beside().await;
    let find = |name: &'static str| clinic_of_name(&service, &doctor, name);
    assert_eq!(find("仁心诊所").await.result()["clinic_id"], first);
    assert_eq!(find("仁心诊所\u{200b}").await.result()["clinic_id"], second);
    assert_eq!(find("仁心 诊所").await.result()["clinic_id"], third);
    assert_eq!(find("仁 心诊所").await.result()["clinic_id"], first);
    clinic(&service, &doctor, "仁心诊所 ")
        .await
        .refused(409, "clinic.name_taken");
    for (person, id) in [(&doctor, first), (&other, second), (&other, third)] {
        let path = format!("/clinic/{id}");
        let changed = person
            .put(&service, &path, json!({"introduction": "新"}))
            .send()
            .await;
        assert_eq!(changed.result()["introduction"], "新");
    }
    let renamed = json!({"name": "仁爱诊所"});
    other
        .put(&service, &format!("/clinic/{second}"), renamed)
        .send()
        .await
        .result();
    assert_eq!(find("仁爱诊所").await.result()["clinic_id"], second);

    let found = doctor.get(&service, "/team?name=b儿").send().await.result();
    assert_eq!(found[0]["team_id"], team.id, "{found}");
    let gone = doctor.get(&service, "/team?name=旧").send().await.result();
    assert_eq!(gone, json!([]));
}

/// While a fleet is upgraded, servers of the earlier release found and rename clinics without folding.
#[tokio::test]
async fn what_an_earlier_release_renames_meanwhile_is_folded_too() {
    let service = Service::start().await;
    let doctor = service.doctor("Dr. A").await;
    let id = clinic(&service, &doctor, "旧名诊所").await.result()["clinic_id"]
        .as_i64()
        .unwrap();
    service
        .database
        .transaction(move |tx| {
            Box::pin(async move {
                tx.execute(
                    "UPDATE clinic SET name = $1 WHERE id = $2",
                    params!["ＡＢＣ诊所", id],
                )
                .await
            })
        })
        .await
        .unwrap();
    let service = service.beside().await;
    let found = clinic_of_name(&service, &doctor, "abc诊所").await.result();
    assert_eq!(found["clinic_id"], id);
    clinic_of_name(&service, &doctor, "旧名诊所")
        .await
        .refused(404, "clinic.not_found");
    clinic(&service, &doctor, "旧名诊所").await.result();
}

#[tokio::test]
async fn teams_are_found_however_they_are_spelt() {
    let service = Service::start().await;
    let doctor = service.doctor("Dr. A").await;
    service.team_of(&doctor, "ＡＢ 儿 科 Élite").await;
    for part in [
        "ab",
        "AB儿",
        "ｂ儿科",
        "科 é",
        "E\u{301}LI",
        "儿\u{200b}科",
        "儿　科",
    ] {
        let query: String = url::form_urlencoded::byte_serialize(part.as_bytes()).collect();
        let found = doctor
            .get(&service, &format!("/team?name={query}"))
            .send()
            .await
            .result();
        assert_eq!(found.as_array().unwrap().len(), 1, "{part}");
    }
}

#[tokio::test]
async fn ids_and_tokens_of_programs_are_plain() {
    let service = Service::start().await;
    let member = service.register("Pat", "member", Some("correct horse")).await;
    let log_in = |device_id: &str, push: Value| {
        let mut body = json!({
            "phone": member.phone, "password": "correct horse", "device_id": device_id, "platform": "ios",
        });
        if !push.is_null() {
            body["push_token"] = push;
        }
        service.post("/account/login").json(body).send()
    };
    for bad in [
        "",
        " a",
        "a\n",
        "a\0",
        "a\u{200b}",
        "a\u{1b}[2J",
        &"机".repeat(22),
        &"x".repeat(65),
    ] {
        let reply = log_in(bad, Value::Null).await;
        reply.refused(400, "request.invalid").field("device_id");
        let ask = json!({"phone": new_phone(), "device_id": bad});
        let reply = service.post("/account/code").json(ask).send().await;
        reply.refused(400, "request.invalid").field("device_id");
    }
    for good in ["手机 1", &"机".repeat(21), &"x".repeat(64)] {
        log_in(good, Value::Null).await.result();
    }
    for bad in ["", "a\n", "a\0", "\u{7f}", "令牌", "a\u{200b}", &"x".repeat(513)] {
        let reply = log_in("phone-2", json!({"provider": "apns", "token": bad})).await;
        reply.refused(400, "request.invalid").field("push_token.token");
        let body = json!({"provider": "apns", "token": bad});
        let reply = member.put(&service, "/account/push_token", body).send().await;
        reply.refused(400, "request.invalid").field("token");
    }
    for bad in ["", "a\u{1b}", "华为", &"x".repeat(33)] {
        let body = json!({"provider": bad, "token": "t"});
        let reply = member.put(&service, "/account/push_token", body).send().await;
        reply.refused(400, "request.invalid").field("provider");
    }
    let body = json!({"provider": "web", "token": "{\"endpoint\": \"https://push.example/1\"}"});
    member
        .put(&service, "/account/push_token", body)
        .send()
        .await
        .result();
}
