//! Doctors are who they say: asking, deciding, and all that an unverified doctor may not do.

use api_server::{DoctorVerification, Settings};
use serde_json::{Value, json};

use super::{
    lists::{coarsen, walk},
    operators::{acts, operator},
    people::{Person, new_phone, new_team},
    scene::Scene,
    service::{Reply, Service, roomy},
};

const REASON: &str = "证书编号与姓名不符";

pub fn proof() -> Value {
    json!({
        "name": "王芳", "licence_number": "110110000012345", "hospital": "北京市朝阳区妇幼保健院",
        "title": "主治医师", "practice_years": 12, "pictures": ["media/1", "media/2"],
    })
}

pub async fn ask(service: &Service, doctor: &Person) -> Reply {
    doctor.post(service, "/doctor/verification", proof()).send().await
}

pub async fn decide(service: &Service, operator: &Person, doctor: &Person, decision: &str) -> Reply {
    let path = format!("/operator/doctor/{}/{decision}", doctor.id);
    let body = if decision == "approve" {
        json!({})
    } else {
        json!({"reason": REASON})
    };
    operator.post(service, &path, body).send().await
}

/// A service on which operators verify doctors, and an operator.
pub async fn strict() -> (Service, Person) {
    let settings = Settings {
        doctor_verification: DoctorVerification::Operator,
        ..roomy()
    };
    let service = Service::start_with(settings).await;
    let (operator, _) = operator(&service, "张伟").await;
    (service, operator)
}

/// A doctor who was approved.
pub async fn verified(service: &Service, operator: &Person, name: &str) -> Person {
    let doctor = service.doctor(name).await;
    ask(service, &doctor).await.result();
    decide(service, operator, &doctor, "approve").await.result();
    doctor
}

/// A team, its doctor and a patient, all of whom may do everything.
pub async fn strict_scene() -> (Scene, Person) {
    let (service, operator) = strict().await;
    let owner = verified(&service, &operator, "Dr. Owner").await;
    let team = service.team_of(&owner, "儿科").await;
    let doctor = verified(&service, &operator, "Dr. B").await;
    let path = format!("/team/{}/doctor", team.id);
    owner
        .post(&service, &path, json!({"doctor_id": doctor.id}))
        .send()
        .await
        .result();
    service.accept(&doctor).await.result();
    let patient = service.member("王芳").await;
    let scene = Scene {
        service,
        team,
        doctor,
        patient,
    };
    (scene, operator)
}

async fn own(service: &Service, doctor: &Person) -> Value {
    doctor.get(service, "/doctor/verification").send().await.result()
}

#[tokio::test]
async fn a_doctor_asks_and_an_operator_decides() {
    let (service, operator) = strict().await;
    let doctor = service.doctor("Dr. A").await;
    let none = own(&service, &doctor).await;
    assert_eq!((&none["state"], &none["pictures"]), (&json!("none"), &json!([])));
    assert!(none.get("asked_ms").is_none());
    decide(&service, &operator, &doctor, "approve")
        .await
        .refused(404, "doctor.verification_not_found");
    let asked = ask(&service, &doctor).await.result();
    assert_eq!(asked["state"], "asked");
    assert_eq!(own(&service, &doctor).await, asked);
    // A new proof replaces the one before until an operator decides.
    let mut better = proof();
    better["hospital"] = json!("北京协和医院");
    doctor
        .post(&service, "/doctor/verification", better.clone())
        .send()
        .await
        .result();
    let path = format!("/operator/doctor/{}", doctor.id);
    let seen = operator.get(&service, &path).send().await.result();
    for key in [
        "name",
        "licence_number",
        "hospital",
        "title",
        "practice_years",
        "pictures",
    ] {
        assert_eq!(seen[key], better[key], "{key}");
    }
    let list = async |state: &str| {
        let path = format!("/operator/doctor_list{state}");
        operator
            .get(&service, &path)
            .send()
            .await
            .result()
            .as_array()
            .unwrap()
            .len()
    };
    assert_eq!(
        (
            list("").await,
            list("?state=asked").await,
            list("?state=approved").await
        ),
        (1, 1, 0)
    );
    for not_yet in ["suspend", "reinstate"] {
        decide(&service, &operator, &doctor, not_yet)
            .await
            .refused(409, "doctor.verification_state");
    }
    let declined = decide(&service, &operator, &doctor, "decline").await.result();
    assert_eq!(
        (&declined["state"], &declined["reason"]),
        (&json!("declined"), &json!(REASON))
    );
    assert_eq!(own(&service, &doctor).await["reason"], REASON);
    decide(&service, &operator, &doctor, "approve")
        .await
        .refused(409, "doctor.verification_state");
    let again = ask(&service, &doctor).await.result();
    assert_eq!((&again["state"], &again["reason"]), (&json!("asked"), &json!("")));
    let page = format!("/doctor/{}", doctor.id);
    assert!(
        doctor
            .get(&service, &page)
            .send()
            .await
            .result()
            .get("verified_since")
            .is_none()
    );
    let approved = decide(&service, &operator, &doctor, "approve").await.result();
    assert_eq!(approved["state"], "approved");
    // A repetition gets the same, and is not logged.
    assert_eq!(
        decide(&service, &operator, &doctor, "approve").await.result(),
        approved
    );
    let shown = doctor.get(&service, &page).send().await.result();
    assert_eq!(shown["verified_since"], approved["verified_ms"]);
    ask(&service, &doctor)
        .await
        .refused(409, "doctor.verification_settled");
    let acts = acts(&service, &operator).await;
    let of_doctor = acts.iter().filter(|act| act["account_id"] == doctor.id);
    let of_doctor: Vec<_> = of_doctor
        .map(|act| (act["act"].as_str().unwrap(), act["reason"].as_str().unwrap()))
        .collect();
    assert_eq!(of_doctor, [("doctor_approved", ""), ("doctor_declined", REASON)]);
}

#[tokio::test]
async fn a_proof_is_complete_or_refused() {
    let (service, operator) = strict().await;
    let doctor = service.doctor("Dr. A").await;
    for (field, value) in [
        ("name", json!("")),
        ("licence_number", json!("1")),
        ("licence_number", Value::Null),
        ("hospital", json!("x".repeat(101))),
        ("practice_years", json!(-1)),
        ("practice_years", json!(81)),
        ("pictures", json!([])),
        ("pictures", json!(vec!["media/1"; 10])),
        ("pictures", json!(["https://evil.example/1.png"])),
        ("pictures", json!(["javascript:alert(1)"])),
    ] {
        let mut body = proof();
        body[field] = value;
        let reply = doctor.post(&service, "/doctor/verification", body).send().await;
        reply.refused(400, "request.invalid");
    }
    assert_eq!(own(&service, &doctor).await["state"], "none");
    let member = service.member("王芳").await;
    ask(&service, &member).await.refused(403, "doctor.doctors_only");
    for path in ["/operator/doctor_list?state=best", "/operator/doctor_list?state="] {
        operator
            .get(&service, path)
            .send()
            .await
            .refused(400, "request.invalid")
            .field("state");
    }
    ask(&service, &doctor).await.result();
    let path = format!("/operator/doctor/{}/decline", doctor.id);
    for body in [json!({}), json!({"reason": "x"})] {
        operator
            .post(&service, &path, body)
            .send()
            .await
            .refused(400, "request.invalid");
    }
    assert_eq!(own(&service, &doctor).await["state"], "asked");
}

#[tokio::test]
async fn an_applicant_treats_no_patients() {
    let (scene, _) = strict_scene().await;
    let service = &scene.service;
    let applicant = service.doctor("Dr. New").await;
    ask(service, &applicant).await.result();
    let no = async |path: &str, body: Value| {
        let reply = applicant.post(service, path, body).send().await;
        reply.refused(403, "doctor.not_verified");
    };
    no("/team", new_team("外科")).await;
    no(
        "/clinic",
        json!({"name": format!("诊所 {}", new_phone()), "introduction": ""}),
    )
    .await;
    let invite = json!({"doctor_id": applicant.id});
    let path = format!("/team/{}/doctor", scene.team.id);
    scene.post(&scene.team.owner, path, invite.clone()).await.result();
    service
        .accept(&applicant)
        .await
        .refused(403, "doctor.not_verified");
    let path = format!("/team/{}/invitation", scene.team.id);
    let made = scene
        .post(&scene.team.owner, path, json!({"max_uses": 5}))
        .await
        .result();
    no("/team/join", json!({"invitation": made["link"]})).await;
    let clinic = super::places::new_clinic(service, &scene.team.owner).await;
    let path = format!("/clinic/{clinic}/invitation");
    let made = scene
        .post(&scene.team.owner, path, json!({"max_uses": 5}))
        .await
        .result();
    no("/clinic/join", json!({"invitation": made["link"]})).await;
    let list = scene
        .get(
            &scene.patient,
            format!("/team/{}/doctor_list?count=true", scene.team.id),
        )
        .await;
    assert_eq!(list.json["total"], 2);
}

#[tokio::test]
async fn a_suspension_takes_effect_at_once_everywhere() {
    let (scene, operator) = strict_scene().await;
    let (service, doctor) = (&scene.service, &scene.doctor);
    let consult = scene.in_process().await;
    let other = scene.in_process().await;
    let waiting = scene.consult().await;
    let beside = service.beside().await;
    let suspended = decide(service, &operator, doctor, "suspend").await.result();
    assert_eq!(
        (&suspended["state"], &suspended["reason"]),
        (&json!("suspended"), &json!(REASON))
    );
    // Their devices are logged out, on each server.
    for service in [service, &beside] {
        doctor
            .get(service, "/doctor/verification")
            .send()
            .await
            .refused(401, "auth.required");
    }
    // They left each consult, with an entry, before the answer.
    for consult in [consult, other] {
        let shown = scene
            .get(&scene.patient, format!("/consult/{consult}"))
            .await
            .result();
        assert_eq!(
            (&shown["doctor_ids"], &shown["status"]),
            (&json!([]), &json!("in_process"))
        );
        let story = super::scene::story(&scene, consult).await;
        assert_eq!(story.last().unwrap(), &format!("-{}", doctor.id));
    }
    let page = scene
        .get(&scene.patient, format!("/doctor/{}", doctor.id))
        .await
        .result();
    assert!(page.get("verified_since").is_none());
    // They may log in, and may read why.
    let again = log_in(service, doctor).await;
    assert_eq!(own(service, &again).await["reason"], REASON);
    again
        .post(service, "/team", new_team("外科"))
        .send()
        .await
        .refused(403, "doctor.not_verified");
    ask(service, &again)
        .await
        .refused(409, "doctor.verification_settled");
    let im = again.get(service, "/im/password").send().await;
    im.refused(403, "doctor.not_verified");
    let path = format!("/consult/{waiting}/doctor");
    let body = json!({"doctor_id": doctor.id});
    let brought = scene
        .post(&scene.team.assistant, path.clone(), body.clone())
        .await;
    brought
        .refused(404, "consult.doctor_not_found")
        .field("doctor_id");
    // Neither side opens a chat.
    let chat = again
        .post(service, "/chat", json!({"user_id": scene.patient.id}))
        .send()
        .await;
    chat.refused(403, "doctor.not_verified");
    let with_doctor = json!({"user_id": doctor.id});
    let chat = scene
        .post(&scene.patient, "/chat".into(), with_doctor.clone())
        .await;
    chat.refused(404, "chat.person_not_found");
    decide(service, &operator, doctor, "reinstate").await.result();
    scene
        .post(&scene.team.assistant, path, body.clone())
        .await
        .result();
    scene
        .post(&scene.patient, "/chat".into(), with_doctor)
        .await
        .result();
    let page = scene
        .get(&scene.patient, format!("/doctor/{}", doctor.id))
        .await
        .result();
    assert_eq!(page["verified_since"], suspended["verified_ms"]);
}

async fn log_in(service: &Service, doctor: &Person) -> Person {
    service.pass_the_minute(&doctor.phone).await;
    let code = service.code(&doctor.phone).await;
    let body = json!({"phone": doctor.phone, "code": code, "device_id": "phone-2", "platform": "ios"});
    let login = service.post("/account/login").json(body).send().await.result();
    Person {
        token: login["access_token"].as_str().unwrap().to_owned(),
        ..doctor.clone()
    }
}

#[tokio::test]
async fn a_suspended_owner_loses_the_desk() {
    let (scene, operator) = strict_scene().await;
    let (service, owner) = (&scene.service, &scene.team.owner);
    decide(service, &operator, owner, "suspend").await.result();
    scene
        .get(&scene.team.assistant, "/im/password".into())
        .await
        .refused(401, "auth.required");
    let again = log_in(service, owner).await;
    let path = format!("/team/{}/assistant/login", scene.team.id);
    let body = json!({"device_id": "desk", "platform": "web"});
    again
        .post(service, &path, body.clone())
        .send()
        .await
        .refused(403, "doctor.not_verified");
    decide(service, &operator, owner, "reinstate").await.result();
    again.post(service, &path, body).send().await.result();
}

/// The job completes a suspension whose process died.
#[tokio::test]
async fn a_seat_that_was_left_behind_is_vacated() {
    let (scene, _) = strict_scene().await;
    let (service, doctor) = (&scene.service, scene.doctor.id);
    let consult = scene.in_process().await;
    let suspended = service.database.transaction(move |tx| {
        Box::pin(async move {
            tx.execute(
                "UPDATE doctor_verification SET state = 'suspended' WHERE doctor_id = $1",
                database::params![doctor],
            )
            .await?;
            tx.execute("UPDATE job SET due_ms = 0 WHERE name = 'closings'", vec![])
                .await
        })
    });
    suspended.await.unwrap();
    super::scene::eventually("the doctor has left", async || {
        let shown = scene
            .get(&scene.patient, format!("/consult/{consult}"))
            .await
            .result();
        shown["doctor_ids"] == json!([])
    })
    .await;
}

#[tokio::test]
async fn a_walk_through_verifications_meets_each_once() {
    let (service, operator) = strict().await;
    let come = async || {
        let doctor = service.doctor("Dr. New").await;
        ask(&service, &doctor).await.result();
    };
    for _ in 0..5 {
        come().await;
    }
    coarsen(
        &service,
        "UPDATE doctor_verification SET asked_ms = asked_ms / 1000 * 1000",
    )
    .await;
    let before = walk(&service, &operator, "/operator/doctor_list", 200, async || {}).await;
    assert_eq!(before.len(), 5);
    assert_eq!(
        walk(&service, &operator, "/operator/doctor_list", 2, come).await,
        before
    );
}
