//! Operators: logging in, disabling accounts.

use serde_json::{Value, json};

use super::{
    people::Person,
    pushes::{Device, start_node},
    scene::Scene,
    service::{Reply, Service},
};

/// An operator, made as the command line makes them, with their password.
pub async fn operator(service: &Service, name: &str) -> (Person, String) {
    let made = api_server::operator::add(&service.database, name).await.unwrap();
    let result = log_in(service, name, &made.password, "desk").await.result();
    assert_eq!(result["user_id"], made.user_id);
    let person = Person {
        id: made.user_id,
        token: result["access_token"].as_str().unwrap().to_owned(),
        phone: String::new(),
        name: name.to_owned(),
        device_id: "desk".into(),
    };
    (person, made.password)
}

pub(super) async fn log_in(service: &Service, name: &str, password: &str, device: &str) -> Reply {
    let body = json!({"name": name, "password": password, "device_id": device, "platform": "web"});
    service.post("/operator/login").json(body).send().await
}

/// The acts in the log, newest first: operator, act, account, consult, reason.
pub(super) async fn acts(service: &Service, operator: &Person) -> Vec<Value> {
    let reply = operator.get(service, "/operator/audit?limit=200").send().await;
    reply.result().as_array().unwrap().clone()
}

#[tokio::test]
async fn an_operator_logs_in_by_name_and_password() {
    let service = Service::start().await;
    let (operator, password) = operator(&service, "张伟").await;
    let wrong = log_in(&service, "张伟", "wrong password", "desk").await;
    wrong.refused(401, "operator.login_refused");
    let unknown = log_in(&service, "nobody", &password, "desk").await;
    unknown.refused(401, "operator.login_refused");
    assert_eq!(wrong.json["message"], unknown.json["message"]);
    for (field, body) in [
        (
            "name",
            json!({"name": "", "password": password, "device_id": "d", "platform": "web"}),
        ),
        (
            "password",
            json!({"name": "张伟", "password": "short", "device_id": "d", "platform": "web"}),
        ),
        (
            "platform",
            json!({"name": "张伟", "password": password, "device_id": "d", "platform": "x"}),
        ),
    ] {
        service
            .post("/operator/login")
            .json(body)
            .send()
            .await
            .refused(400, "request.invalid")
            .field(field);
    }
    // Guesses are slow.
    for _ in 0..9 {
        log_in(&service, "张伟", "wrong password", "desk")
            .await
            .refused(401, "operator.login_refused");
    }
    let waits = log_in(&service, "张伟", &password, "desk").await;
    waits
        .refused(429, "account.too_many_attempts")
        .header("retry-after");
    let log = acts(&service, &operator).await;
    let told: Vec<&str> = log.iter().map(|item| item["act"].as_str().unwrap()).collect();
    assert_eq!(told, ["operator_logged_in", "operator_added"]);
    assert_eq!(
        log[1],
        json!({
            "audit_id": 1, "act": "operator_added", "account_id": operator.id, "reason": "",
            "created_ms": log[1]["created_ms"],
        })
    );
    assert_eq!(
        log[0],
        json!({
            "audit_id": 2, "operator_id": operator.id, "operator_name": "张伟", "act": "operator_logged_in",
            "reason": "", "created_ms": log[0]["created_ms"],
        })
    );
}

#[tokio::test]
async fn an_operator_who_is_disabled_or_reset_is_out() {
    let service = Service::start().await;
    let (first, password) = operator(&service, "first").await;
    let (second, _) = operator(&service, "second").await;
    api_server::operator::disable(&service.database, "first")
        .await
        .unwrap();
    assert!(
        api_server::operator::disable(&service.database, "nobody")
            .await
            .is_err()
    );
    log_in(&service, "first", &password, "desk-2")
        .await
        .refused(403, "account.disabled");
    let listed = api_server::operator::list(&service.database).await.unwrap();
    let states: Vec<(&str, bool)> = listed
        .iter()
        .map(|one| (one.name.as_str(), one.disabled))
        .collect();
    assert_eq!(states, [("first", true), ("second", false)]);
    // The token is in this process's memory for three seconds at most; its row is gone.
    super::scene::eventually("the token is refused", async || {
        first.get(&service, "/operator/audit").send().await.status == 401
    })
    .await;
    let made = api_server::operator::reset(&service.database, "first")
        .await
        .unwrap();
    log_in(&service, "first", &password, "desk")
        .await
        .refused(401, "operator.login_refused");
    log_in(&service, "first", &made.password, "desk").await.result();
    let log = acts(&service, &second).await;
    let told: Vec<&str> = log.iter().map(|item| item["act"].as_str().unwrap()).collect();
    assert_eq!(
        told[..3],
        ["operator_logged_in", "operator_reset", "operator_disabled"]
    );
}

#[tokio::test]
async fn disabling_ends_everything_of_an_account_at_once() {
    let service = Service::start().await;
    let node = start_node(&service).await;
    let (operator, _) = operator(&service, "张伟").await;
    let victim = service.register("Sam", "member", Some("correct horse")).await;
    let tablet = service.log_in(&victim, "correct horse", "tablet").await;
    let mut devices = [
        Device::online(&service, &victim).await,
        Device::online(&service, &tablet).await,
    ];
    let path = format!("/operator/account/{}/disable", victim.id);
    let reason = json!({"reason": "冒用他人手机号"});
    operator
        .post(&service, &path, json!({}))
        .send()
        .await
        .refused(400, "request.invalid")
        .field("reason");
    operator
        .post(&service, &path, json!({"reason": "x"}))
        .send()
        .await
        .refused(400, "request.invalid")
        .field("reason");
    let disabled = operator.post(&service, &path, reason.clone()).send().await;
    let shown = disabled.result();
    assert_eq!(
        shown,
        json!({
            "user_id": victim.id, "name": "Sam", "role": "member", "phone": victim.phone,
            "disabled_ms": shown["disabled_ms"], "created_ms": shown["created_ms"],
            "last_login_ms": shown["last_login_ms"],
        })
    );
    assert!(shown["disabled_ms"].is_i64());
    for device in &mut devices {
        device.is_sent_away(proto::wire::ByeReason::Disabled).await;
    }
    for person in [&victim, &tablet] {
        person
            .get(&service, "/consult/in_process_list")
            .send()
            .await
            .refused(401, "auth.required");
        person
            .get(&service, "/im/password")
            .send()
            .await
            .refused(401, "auth.required");
    }
    let by_password = json!({
        "phone": victim.phone, "password": "correct horse", "device_id": "new", "platform": "ios",
    });
    service
        .post("/account/login")
        .json(by_password.clone())
        .send()
        .await
        .refused(403, "account.disabled");
    service.pass_the_minute(&victim.phone).await;
    let code = service.code(&victim.phone).await;
    let by_code = json!({"phone": victim.phone, "code": code, "device_id": "new", "platform": "ios"});
    service
        .post("/account/login")
        .json(by_code)
        .send()
        .await
        .refused(403, "account.disabled");
    let wrong = json!({
        "phone": victim.phone, "password": "wrong horse", "device_id": "new", "platform": "ios",
    });
    service
        .post("/account/login")
        .json(wrong)
        .send()
        .await
        .refused(401, "account.login_refused");
    // Again is the same answer and no second act.
    assert_eq!(
        operator
            .post(&service, &path, reason.clone())
            .send()
            .await
            .result(),
        shown
    );
    let path = format!("/operator/account/{}/enable", victim.id);
    for _ in 0..2 {
        let enabled = operator
            .post(&service, &path, reason.clone())
            .send()
            .await
            .result();
        assert!(enabled.get("disabled_ms").is_none());
    }
    service
        .post("/account/login")
        .json(by_password)
        .send()
        .await
        .result();
    let log = acts(&service, &operator).await;
    let told: Vec<(&str, &Value, &str)> = log[..2]
        .iter()
        .map(|item| {
            (
                item["act"].as_str().unwrap(),
                &item["account_id"],
                item["reason"].as_str().unwrap(),
            )
        })
        .collect();
    let id = json!(victim.id);
    assert_eq!(
        told,
        [
            ("account_enabled", &id, "冒用他人手机号"),
            ("account_disabled", &id, "冒用他人手机号")
        ]
    );
    assert_eq!(log.len(), 4);
    for nobody in [operator.id, 999_999] {
        for step in ["disable", "enable"] {
            let path = format!("/operator/account/{nobody}/{step}");
            operator
                .post(&service, &path, reason.clone())
                .send()
                .await
                .refused(404, "operator.person_not_found");
        }
    }
    node.drain(std::time::Duration::from_secs(1)).await;
}

#[tokio::test]
async fn a_login_beside_a_disabling_is_ended_or_refused() {
    let service = Service::start().await;
    let (operator, _) = operator(&service, "张伟").await;
    for at in 0..5 {
        let victim = service.register("Sam", "member", Some("correct horse")).await;
        let path = format!("/operator/account/{}/disable", victim.id);
        let body = json!({
            "phone": victim.phone, "password": "correct horse", "device_id": "new", "platform": "ios",
        });
        let (disabled, logged_in) = tokio::join!(
            operator.post(&service, &path, json!({"reason": "a race"})).send(),
            service.post("/account/login").json(body).send(),
        );
        disabled.result();
        if logged_in.status == 200 {
            let token = logged_in.json["result"]["access_token"].as_str().unwrap();
            service
                .get("/account/devices")
                .token(token)
                .send()
                .await
                .refused(401, "auth.required");
        } else {
            logged_in.refused(403, "account.disabled");
        }
        assert!(at < 5);
    }
}

/// Other roles are refused, and do not learn whether the record exists.
#[tokio::test]
async fn operators_alone_do_this() {
    let scene = Scene::new().await;
    let consult = scene.in_process().await;
    let reason = json!({"reason": "curiosity"});
    let requests = |consult: i64, person: i64| {
        [
            ("GET", "/operator/audit".to_owned(), json!({})),
            (
                "POST",
                "/operator/people/search".into(),
                json!({"user_id": person}),
            ),
            (
                "POST",
                "/operator/consults/search".into(),
                json!({"consultation_id": consult}),
            ),
            (
                "POST",
                format!("/operator/consult/{consult}/read"),
                reason.clone(),
            ),
            (
                "POST",
                format!("/operator/account/{person}/disable"),
                reason.clone(),
            ),
            (
                "POST",
                format!("/operator/account/{person}/enable"),
                reason.clone(),
            ),
        ]
    };
    for person in [
        &scene.patient,
        &scene.doctor,
        &scene.team.owner,
        &scene.team.assistant,
    ] {
        let there = requests(consult, scene.patient.id).into_iter();
        for (method, path, body) in there.chain(requests(999_999, 999_999)) {
            let call = scene.service.call(method.parse().unwrap(), &path);
            call.token(&person.token)
                .json(body)
                .send()
                .await
                .refused(403, "operator.only");
        }
    }
    for (method, path, body) in requests(consult, scene.patient.id) {
        let call = scene.service.call(method.parse().unwrap(), &path);
        call.json(body).send().await.refused(401, "auth.required");
    }
    scene
        .get(&scene.patient, format!("/consult/{consult}"))
        .await
        .result();
    let register = json!({
        "phone": "13900000001", "code": "000000", "name": "x", "role": "operator", "device_id": "d", "platform": "ios",
    });
    let reply = scene
        .service
        .post("/account/register")
        .json(register)
        .send()
        .await;
    reply.refused(400, "request.invalid").field("role");
}

/// The code that an authenticator app shows for an address, `steps` half minutes from now.
fn code_of(address: &str, steps: i64) -> String {
    let secret = address
        .split("secret=")
        .nth(1)
        .unwrap()
        .split('&')
        .next()
        .unwrap();
    let secret = data_encoding::BASE32_NOPAD.decode(secret.as_bytes()).unwrap();
    let now_s = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap()
        .as_secs();
    let step = i64::try_from(now_s).unwrap() / 30 + steps;
    let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, &secret);
    let tag = ring::hmac::sign(&key, &step.to_be_bytes());
    let tag = tag.as_ref();
    let at = usize::from(tag[19] & 0xf);
    let number = u32::from_be_bytes(tag[at..at + 4].try_into().unwrap()) & 0x7fff_ffff;
    format!("{:06}", number % 1_000_000)
}

#[tokio::test]
async fn a_second_factor_is_asked_for_once_there_is_one() {
    let service = Service::start().await;
    let (operator, password) = operator(&service, "张伟").await;
    let address = api_server::operator::enrol(&service.database, "张伟")
        .await
        .unwrap();
    super::scene::eventually("the tokens before have ended", async || {
        operator.get(&service, "/operator/audit").send().await.status == 401
    })
    .await;
    let log_in = async |code: Option<String>, password: &str| {
        let mut body = json!({"name": "张伟", "password": password, "device_id": "desk", "platform": "web"});
        if let Some(code) = code {
            body["code"] = code.into();
        }
        service.post("/operator/login").json(body).send().await
    };
    for wrong in [
        None,
        Some("000000".to_owned()),
        Some("x".to_owned()),
        Some(code_of(&address, 9)),
    ] {
        let refused = log_in(wrong, &password).await;
        refused.refused(401, "operator.code_refused").field("code");
    }
    let code = code_of(&address, 0);
    let wrong = log_in(Some(code.clone()), "not the password").await;
    wrong.refused(401, "operator.login_refused");
    log_in(Some(code.clone()), &password).await.result();
    log_in(Some(code), &password)
        .await
        .refused(401, "operator.code_refused");
    let listed = api_server::operator::list(&service.database).await.unwrap();
    assert!(listed[0].has_second_factor);
}

#[tokio::test]
async fn an_operator_ends_sessions_and_reads_a_chat_for_a_reason() {
    let scene = Scene::new().await;
    let service = &scene.service;
    let (operator, _) = operator(service, "张伟").await;
    scene.in_process().await;
    let opened = scene
        .post(
            &scene.patient,
            "/chat".into(),
            json!({"user_id": scene.doctor.id}),
        )
        .await;
    let chat = opened.result()["conversation_id"].as_i64().unwrap();
    let path = format!("/operator/chat/{chat}/read");
    let because = json!({"reason": "骚扰投诉 2026-131"});
    let entries = scene.post(&operator, path, because.clone()).await.result();
    assert_eq!(entries.as_array().unwrap().len(), 2);
    for not_a_chat in [chat + 999, scene.consult().await] {
        let path = format!("/operator/chat/{not_a_chat}/read");
        let refused = scene.post(&operator, path, because.clone()).await;
        refused.refused(404, "chat.person_not_found");
    }
    let path = format!("/operator/account/{}/end_sessions", scene.patient.id);
    scene.post(&operator, path, because).await.result();
    let ended = scene.get(&scene.patient, "/account".into()).await;
    ended.refused(401, "auth.required");
    let acts: Vec<Value> = acts(service, &operator).await;
    let of = |act: &str| acts.iter().find(|row| row["act"] == act).unwrap();
    assert_eq!(of("chat_read")["subject"], format!("chat:{chat}"));
    assert_eq!(of("sessions_ended")["account_id"], scene.patient.id);
}
