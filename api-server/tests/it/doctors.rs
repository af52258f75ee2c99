//! Doctors' pages.

use serde_json::{Value, json};

use super::service::Service;

/// Seed: 医生个人信息内无钱包信息 (接口去掉这个字段); 修改 - 医生详情添加个人擅长、个人荣誉字段;
/// 2.1 医生添加个人详情接口，增加"个人擅长、个人荣誉"字段.
#[tokio::test]
async fn a_doctor_fills_in_their_page_and_everybody_sees_it_without_a_wallet() {
    let service = Service::start().await;
    let doctor = service.doctor("王医生").await;
    let member = service.member("Pat").await;
    let path = format!("/doctor/{}", doctor.id);
    let empty = json!({
        "doctor_id": doctor.id, "name": "王医生", "photo_id": null, "title": "", "department": "", "expertise": "",
        "honours": "", "introduction": "", "clinics": [], "teams": [],
    });
    assert_eq!(member.get(&service, &path).send().await.result(), empty);

    let body = json!({
        "photo_id": "photo-7", "title": "主任医师", "department": "妇产科", "expertise": "高危妊娠",
        "honours": "省优秀医师", "introduction": "从医二十年",
    });
    let filled = doctor.post(&service, "/doctor/detail", body).send().await;
    let whole = json!({
        "success": true, "code": 200,
        "result": {
            "doctor_id": doctor.id, "name": "王医生", "photo_id": "photo-7", "title": "主任医师",
            "department": "妇产科", "expertise": "高危妊娠", "honours": "省优秀医师", "introduction": "从医二十年",
            "clinics": [], "teams": [],
        },
    });
    assert_eq!(filled.json, whole);
    for person in [&doctor, &member] {
        assert_eq!(person.get(&service, &path).send().await.json, whole);
    }

    // An absent field stays; an empty text and null clear; the name is the account's.
    let changed = doctor
        .post(
            &service,
            "/doctor/detail",
            json!({"honours": "", "photo_id": null, "name": "王主任", "title": null, "wallet": 7}),
        )
        .send()
        .await
        .result();
    assert_eq!(
        changed,
        json!({
            "doctor_id": doctor.id, "name": "王主任", "photo_id": null, "title": "主任医师", "department": "妇产科",
            "expertise": "高危妊娠", "honours": "", "introduction": "从医二十年",
            "clinics": [], "teams": [],
        })
    );
    assert_eq!(member.get(&service, &path).send().await.result(), changed);
}

#[tokio::test]
async fn pages_are_of_doctors_alone_and_fields_are_checked() {
    let service = Service::start().await;
    let doctor = service.doctor("Dr. A").await;
    let member = service.member("Pat").await;
    let team = service.team("儿科").await;
    for person in [&member, &team.assistant] {
        person
            .post(&service, "/doctor/detail", json!({"title": "x"}))
            .send()
            .await
            .refused(403, "doctor.doctors_only");
    }
    service
        .post("/doctor/detail")
        .json(json!({}))
        .send()
        .await
        .refused(401, "auth.required");
    let mut answers = Vec::new();
    for nobody in [member.id, team.assistant.id, 999_999] {
        let reply = member.get(&service, &format!("/doctor/{nobody}")).send().await;
        reply.refused(404, "doctor.not_found");
        answers.push(reply.json["message"].clone());
    }
    assert!(answers.windows(2).all(|two| two[0] == two[1]));
    service
        .get(&format!("/doctor/{}", doctor.id))
        .send()
        .await
        .refused(401, "auth.required");
    for (field, value) in [
        ("name", json!("")),
        ("name", json!("x".repeat(65))),
        ("photo_id", json!("")),
        ("photo_id", json!("x".repeat(129))),
        ("title", json!("x".repeat(65))),
        ("department", json!(7)),
        ("expertise", json!("x".repeat(2001))),
        ("honours", json!("x".repeat(2001))),
        ("honours", json!("a\u{0}b")),
        ("introduction", json!("x".repeat(4001))),
    ] {
        let mut body = json!({});
        body[field] = value;
        doctor
            .post(&service, "/doctor/detail", body)
            .send()
            .await
            .refused(400, "request.invalid")
            .field(field);
    }
    assert_eq!(
        member
            .get(&service, &format!("/doctor/{}", doctor.id))
            .send()
            .await
            .result()["name"],
        Value::from("Dr. A")
    );
}

#[tokio::test]
async fn a_page_that_is_filled_in_again_with_the_same_key_is_filled_in_once() {
    let service = Service::start().await;
    let doctor = service.doctor("Dr. A").await;
    let first = doctor
        .post(&service, "/doctor/detail", json!({"title": "一"}))
        .key("k")
        .send()
        .await;
    doctor
        .post(&service, "/doctor/detail", json!({"title": "二"}))
        .send()
        .await
        .result();
    let again = doctor
        .post(&service, "/doctor/detail", json!({"title": "一"}))
        .key("k")
        .send()
        .await;
    assert_eq!(
        (again.header("idempotent-replayed"), &again.text),
        ("true", &first.text)
    );
    assert_eq!(
        doctor
            .get(&service, &format!("/doctor/{}", doctor.id))
            .send()
            .await
            .result()["title"],
        "二"
    );
}
