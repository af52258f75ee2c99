//! Clinics.

use serde_json::{Value, json};

use super::{
    people::Person,
    service::{Reply, Service},
};

async fn found(service: &Service, founder: &Person, name: &str) -> i64 {
    let body = json!({"name": name, "introduction": "妇产科与儿科"});
    let clinic = founder.post(service, "/clinic", body).send().await.result();
    clinic["clinic_id"].as_i64().unwrap()
}

/// Invites a doctor, who accepts; the answer to the invitation.
async fn add(service: &Service, by: &Person, clinic: i64, doctor: &Person) -> Reply {
    let path = format!("/clinic/{clinic}/doctor");
    let invited = by
        .post(service, &path, json!({"doctor_id": doctor.id}))
        .send()
        .await;
    if invited.status == 200 {
        service.accept(doctor).await.result();
    }
    invited
}

/// Seed: 会员通过诊所名称查找诊所 - 名称全匹配, 显示诊所介绍.
#[tokio::test]
async fn a_member_finds_a_clinic_by_its_exact_name_with_its_introduction() {
    let service = Service::start().await;
    let founder = service.doctor("王医生").await;
    let member = service.member("Pat").await;
    let body = json!({"name": " 仁心诊所 ", "introduction": "妇产科与儿科"});
    let made = founder.post(&service, "/clinic", body).send().await;
    let result = made.result();
    assert_eq!(
        made.json,
        json!({
            "success": true, "code": 200,
            "result": {
                "clinic_id": result["clinic_id"], "name": "仁心诊所", "introduction": "妇产科与儿科",
                "founder_id": founder.id, "created_ms": result["created_ms"],
            },
        })
    );
    let found = member.get(&service, "/clinic?name=仁心诊所").send().await;
    assert_eq!(found.json, made.json);
    let path = format!("/clinic/{}", result["clinic_id"]);
    assert_eq!(member.get(&service, &path).send().await.json, made.json);
    for other in ["仁心", "心诊所", "仁心诊所 2", "%", "仁心诊_", "没有"] {
        let path = format!("/clinic?name={}", other.replace('%', "%25"));
        member
            .get(&service, &path)
            .send()
            .await
            .refused(404, "clinic.not_found")
            .field("name");
    }
    let long = format!("/clinic?name={}", "x".repeat(65));
    for bad in [
        "/clinic",
        "/clinic?name=",
        "/clinic?name=%20",
        "/clinic?name=%00",
        "/clinic?name=%E2%80%8B",
        &long,
    ] {
        member
            .get(&service, bad)
            .send()
            .await
            .refused(400, "request.invalid")
            .field("name");
    }
    service
        .get("/clinic?name=x")
        .send()
        .await
        .refused(401, "auth.required");
    member
        .get(&service, "/clinic/999999")
        .send()
        .await
        .refused(404, "clinic.not_found");
}

/// Seed: 设置诊所下某个医生为主管，没有邀请人的主管医生默认为诊所创始人.
#[tokio::test]
async fn a_supervisor_without_an_inviter_has_the_founder_as_theirs() {
    let service = Service::start().await;
    let founder = service.doctor("王医生").await;
    let [first, second] = [service.doctor("赵医生").await, service.doctor("钱医生").await];
    let clinic = found(&service, &founder, "仁心诊所").await;
    for doctor in [&first, &second] {
        add(&service, &founder, clinic, doctor).await.result();
    }
    let path = format!("/clinic/{clinic}/supervisor");
    let appointed = founder
        .put(&service, &path, json!({"doctor_id": first.id}))
        .send()
        .await;
    let joined = appointed.json["result"]["joined_ms"].clone();
    assert_eq!(
        appointed.json,
        json!({
            "success": true, "code": 200,
            "result": {
                "doctor_id": first.id, "name": "赵医生", "photo_id": null, "title": "", "department": "",
                "inviter_id": founder.id, "is_supervisor": true, "supervisor_inviter_id": founder.id,
                "joined_ms": joined,
            },
        })
    );
    // Also when a supervisor makes another one; a named inviter is recorded.
    let body = json!({"doctor_id": second.id});
    let by_first = first.put(&service, &path, body).send().await.result();
    assert_eq!(by_first["supervisor_inviter_id"], founder.id);
    let body = json!({"doctor_id": second.id, "inviter_id": first.id});
    let named = first.put(&service, &path, body).send().await.result();
    assert_eq!(named["supervisor_inviter_id"], first.id);

    let outside = service.doctor("Dr. Out").await;
    for (body, field) in [
        (json!({"doctor_id": outside.id}), "doctor_id"),
        (json!({"doctor_id": 999_999}), "doctor_id"),
        (
            json!({"doctor_id": first.id, "inviter_id": outside.id}),
            "inviter_id",
        ),
    ] {
        founder
            .put(&service, &path, body)
            .send()
            .await
            .refused(404, "clinic.doctor_not_found")
            .field(field);
    }
    outside
        .put(&service, &path, json!({"doctor_id": first.id}))
        .send()
        .await
        .refused(403, "clinic.forbidden");
    founder
        .put(
            &service,
            "/clinic/999999/supervisor",
            json!({"doctor_id": first.id}),
        )
        .send()
        .await
        .refused(404, "clinic.not_found");
}

#[tokio::test]
async fn doctors_come_into_a_clinic_and_go() {
    let service = Service::start().await;
    let founder = service.doctor("王医生").await;
    let doctor = service.doctor("赵医生").await;
    let supervisor = service.doctor("钱医生").await;
    let other_supervisor = service.doctor("孙医生").await;
    let member = service.member("Pat").await;
    let clinic = found(&service, &founder, "仁心诊所").await;
    for person in [&doctor, &member] {
        add(&service, person, clinic, &doctor)
            .await
            .refused(403, "clinic.forbidden");
    }
    add(&service, &founder, clinic, &member)
        .await
        .refused(404, "clinic.doctor_not_found");
    add(&service, &founder, 999_999, &doctor)
        .await
        .refused(404, "clinic.not_found");
    for who in [&supervisor, &other_supervisor] {
        add(&service, &founder, clinic, who).await.result();
        let path = format!("/clinic/{clinic}/supervisor");
        founder
            .put(&service, &path, json!({"doctor_id": who.id}))
            .send()
            .await
            .result();
    }
    // Who invited is recorded.
    let added = add(&service, &supervisor, clinic, &doctor).await.result();
    assert_eq!(added["inviter_id"], supervisor.id);
    add(&service, &founder, clinic, &doctor)
        .await
        .refused(409, "clinic.already_in")
        .field("doctor_id");

    let path = |id: i64| format!("/clinic/{clinic}/doctor/{id}");
    doctor
        .delete(&service, &path(supervisor.id))
        .send()
        .await
        .refused(403, "clinic.forbidden");
    supervisor
        .delete(&service, &path(other_supervisor.id))
        .send()
        .await
        .refused(403, "clinic.forbidden");
    for by in [&founder, &supervisor] {
        by.delete(&service, &path(founder.id))
            .send()
            .await
            .refused(409, "clinic.founder_stays");
    }
    supervisor
        .delete(&service, &path(doctor.id))
        .send()
        .await
        .result();
    founder
        .delete(&service, &path(doctor.id))
        .send()
        .await
        .refused(404, "clinic.doctor_not_found");
    other_supervisor
        .delete(&service, &path(other_supervisor.id))
        .send()
        .await
        .result();
    // Who was taken out leads nothing any more.
    add(&service, &other_supervisor, clinic, &doctor)
        .await
        .refused(403, "clinic.forbidden");
    let list = format!("/clinic/{clinic}/doctor_list?count=true");
    let listed = member.get(&service, &list).send().await;
    assert_eq!(listed.json["total"], 2);
    let ids: Vec<&Value> = listed.json["result"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| &item["doctor_id"])
        .collect();
    assert_eq!(ids, [supervisor.id, founder.id]);
}

#[tokio::test]
async fn a_clinics_page_is_changed_by_those_who_lead_it() {
    let service = Service::start().await;
    let founder = service.doctor("王医生").await;
    let doctor = service.doctor("赵医生").await;
    let member = service.member("Pat").await;
    let clinic = found(&service, &founder, "仁心诊所").await;
    found(&service, &founder, "别家").await;
    add(&service, &founder, clinic, &doctor).await.result();
    let path = format!("/clinic/{clinic}");
    let body = json!({"introduction": "新"});
    for person in [&doctor, &member] {
        person
            .put(&service, &path, body.clone())
            .send()
            .await
            .refused(403, "clinic.forbidden");
    }
    founder
        .put(
            &service,
            &format!("{path}/supervisor"),
            json!({"doctor_id": doctor.id}),
        )
        .send()
        .await
        .result();
    let changed = doctor.put(&service, &path, body).send().await.result();
    assert_eq!(
        (&changed["name"], &changed["introduction"]),
        (&json!("仁心诊所"), &json!("新"))
    );
    let renamed = founder
        .put(&service, &path, json!({"name": "仁爱诊所", "founder_id": 1}))
        .send()
        .await
        .result();
    assert_eq!(renamed["founder_id"], founder.id);
    member
        .get(&service, "/clinic?name=仁心诊所")
        .send()
        .await
        .refused(404, "clinic.not_found");
    assert_eq!(
        member
            .get(&service, "/clinic?name=仁爱诊所")
            .send()
            .await
            .result(),
        renamed
    );
    founder
        .put(&service, &path, json!({"name": "别家"}))
        .send()
        .await
        .refused(409, "clinic.name_taken")
        .field("name");
    for (field, value) in [
        ("name", json!("")),
        ("name", json!("x".repeat(65))),
        ("introduction", json!("x".repeat(4001))),
    ] {
        let mut body = json!({});
        body[field] = value;
        founder
            .put(&service, &path, body)
            .send()
            .await
            .refused(400, "request.invalid")
            .field(field);
    }
}

#[tokio::test]
async fn a_name_is_taken_once_and_a_doctor_founds_five_whatever_races() {
    let service = Service::start().await;
    let member = service.member("Pat").await;
    let body = |name: &str| json!({"name": name, "introduction": ""});
    member
        .post(&service, "/clinic", body("x"))
        .send()
        .await
        .refused(403, "clinic.doctors_only");
    let mut doctors = Vec::new();
    for at in 0..10 {
        doctors.push(service.doctor(&format!("Dr. {at}")).await);
    }
    let calls = doctors
        .iter()
        .map(|doctor| doctor.post(&service, "/clinic", body("同名")).send());
    let replies = futures_util::future::join_all(calls).await;
    assert_eq!(replies.iter().filter(|reply| reply.status == 200).count(), 1);
    for reply in replies.iter().filter(|reply| reply.status != 200) {
        reply.refused(409, "clinic.name_taken").field("name");
    }
    let founder = service.doctor("王医生").await;
    let calls = (0..50).map(|at| {
        founder
            .post(&service, "/clinic", body(&format!("clinic {at}")))
            .send()
    });
    let replies = futures_util::future::join_all(calls).await;
    assert_eq!(replies.iter().filter(|reply| reply.status == 200).count(), 5);
    for reply in replies.iter().filter(|reply| reply.status != 200) {
        reply.refused(409, "clinic.limit_reached");
    }
}

#[tokio::test]
async fn doctors_of_a_clinic_chat() {
    let service = Service::start().await;
    let founder = service.doctor("王医生").await;
    let doctor = service.doctor("赵医生").await;
    let clinic = found(&service, &founder, "仁心诊所").await;
    let body = json!({"user_id": founder.id});
    doctor
        .post(&service, "/chat", body.clone())
        .send()
        .await
        .refused(404, "chat.person_not_found");
    add(&service, &founder, clinic, &doctor).await.result();
    doctor.post(&service, "/chat", body).send().await.result();
}
