//! Operators: logging in, disabling people, finding, reading with a reason, and the log of it all.

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

async fn log_in(service: &Service, name: &str, password: &str, device: &str) -> Reply {
    let body = json!({"name": name, "password": password, "device_id": device, "platform": "web"});
    service.post("/operator/login").json(body).send().await
}

/// The acts in the log, newest first: operator, act, account, consult, reason.
async fn acts(service: &Service, operator: &Person) -> Vec<Value> {
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

#[tokio::test]
async fn people_and_consults_are_found_and_the_search_is_logged() {
    let scene = Scene::new().await;
    let service = &scene.service;
    let (operator, _) = operator(service, "张伟").await;
    let first = scene.in_process().await;
    let second = scene.consult().await;
    let search = async |what: &str, query: &str, body: Value| {
        operator
            .post(service, &format!("/operator/{what}/search{query}"), body)
            .send()
            .await
    };
    for body in [
        json!({"user_id": scene.patient.id}),
        json!({"phone": scene.patient.phone}),
    ] {
        let found = search("people", "", body).await.result();
        assert_eq!(
            (found.as_array().unwrap().len(), &found[0]["name"]),
            (1, &json!("王芳"))
        );
    }
    for nobody in [
        json!({"user_id": 999_999}),
        json!({"phone": "13900000000"}),
        json!({"user_id": operator.id}),
    ] {
        assert_eq!(search("people", "", nobody).await.result(), json!([]));
    }
    for bad in [json!({}), json!({"user_id": 1, "phone": "13900000000"})] {
        search("people", "", bad.clone())
            .await
            .refused(400, "request.invalid")
            .field("body");
        search("consults", "", bad)
            .await
            .refused(400, "request.invalid")
            .field("body");
    }
    search("people", "", json!({"phone": "abc"}))
        .await
        .refused(400, "request.invalid")
        .field("phone");
    for body in [
        json!({"user_id": scene.patient.id}),
        json!({"phone": scene.patient.phone}),
    ] {
        let page = search("consults", "?limit=1&count=true", body.clone()).await;
        assert_eq!(
            (&page.json["total"], &page.json["result"][0]["consultation_id"]),
            (&json!(2), &json!(second))
        );
        let cursor = page.json["next_cursor"].as_str().unwrap();
        let next = search("consults", &format!("?limit=1&cursor={cursor}"), body).await;
        let found = &next.json["result"][0];
        assert_eq!(
            next.json,
            json!({
                "success": true, "code": 200, "has_more": false,
                "result": [{
                    "consultation_id": first, "status": "in_process", "creator_member_id": scene.patient.id,
                    "creator_member_name": "王芳", "target_member_id": scene.patient.id,
                    "target_member_name": "王芳", "team_id": scene.team.id, "team_name": "儿科",
                    "doctor_ids": [scene.doctor.id], "created": found["created"],
                }],
            }),
            "and nothing of what was said"
        );
    }
    let one = search("consults", "", json!({"consultation_id": first}))
        .await
        .result();
    assert_eq!(one[0]["consultation_id"], first);
    assert_eq!(
        search("consults", "", json!({"consultation_id": 999_999}))
            .await
            .result(),
        json!([])
    );
    let log = acts(service, &operator).await;
    assert_eq!(log[0]["act"], "consults_searched");
    assert_eq!(
        (&log[1]["act"], &log[1]["consultation_id"]),
        (&json!("consults_searched"), &json!(first))
    );
    let text = serde_json::to_string(&log).unwrap();
    assert!(!text.contains(&scene.patient.phone), "the log tells ids");
    assert_eq!(
        log.iter()
            .filter(|item| item["account_id"] == scene.patient.id)
            .count(),
        6
    );
}

/// I8: the original stays sealed for the record, and is read with a reason alone.
#[tokio::test]
async fn what_was_said_is_read_with_a_reason_that_is_logged() {
    let scene = Scene::new().await;
    let service = &scene.service;
    let (operator, _) = operator(service, "张伟").await;
    let consult = scene.in_process().await;
    let room = scene
        .get(&scene.doctor, format!("/consult/{consult}"))
        .await
        .result()["staff_conversation_id"]
        .as_i64()
        .unwrap();
    let pen = super::messages::Pen::new(service);
    pen.write(consult, &scene.patient, "text/plain", "头痛三天").await;
    let taken_back = pen
        .write(consult, &scene.patient, "text/plain", "写错了的话")
        .await;
    pen.write(room, &scene.doctor, "text/plain", "内部讨论").await;
    super::messages::recall(service, consult, &scene.patient, taken_back).await;

    // By no other way.
    for path in ["", "/messages", "/vas"] {
        let reply = scene.get(&operator, format!("/consult/{consult}{path}")).await;
        reply.refused(404, "consult.not_found");
    }
    let path = format!("/operator/consult/{consult}/read");
    for (field, bad) in [
        ("reason", json!({})),
        ("reason", json!({"reason": " "})),
        ("reason", json!({"reason": "x".repeat(501)})),
        ("room", json!({"reason": "投诉 2026-118", "room": "other"})),
    ] {
        scene
            .post(&operator, path.clone(), bad)
            .await
            .refused(400, "request.invalid")
            .field(field);
    }
    let before = acts(service, &operator).await.len();
    let body = json!({"reason": "投诉 2026-118"});
    let page = scene
        .post(&operator, format!("{path}?limit=3&count=true"), body.clone())
        .await;
    let items = page.result();
    assert_eq!(items[0]["kind"], "recalled");
    assert_eq!(
        items[1],
        json!({
            "conversation_id": consult, "seq": taken_back, "sender_id": scene.patient.id, "kind": "message",
            "created_ms": items[1]["created_ms"], "client_msg_id": items[1]["client_msg_id"],
            "mime_type": "text/plain", "text": "写错了的话", "recalled": true,
        })
    );
    assert_eq!(
        (&items[2]["text"], items[2].get("recalled")),
        (&json!("头痛三天"), None)
    );
    assert_eq!(
        (&page.json["has_more"], &page.json["total"]),
        (&json!(true), &json!(7))
    );
    // The patient is shown nothing of it.
    let shown = scene
        .get(&scene.patient, format!("/consult/{consult}/messages"))
        .await;
    assert!(shown.text.contains("头痛三天") && !shown.text.contains("写错了的话"));
    // To the first entry.
    let mut seqs: Vec<i64> = items
        .as_array()
        .unwrap()
        .iter()
        .map(|item| item["seq"].as_i64().unwrap())
        .collect();
    let mut cursor = page.json["next_cursor"].as_str().map(str::to_owned);
    while let Some(at) = cursor {
        let page = scene
            .post(&operator, format!("{path}?limit=3&cursor={at}"), body.clone())
            .await;
        seqs.extend(
            page.result()
                .as_array()
                .unwrap()
                .iter()
                .map(|item| item["seq"].as_i64().unwrap()),
        );
        cursor = page.json["next_cursor"].as_str().map(str::to_owned);
    }
    assert_eq!(seqs, [7, 6, 5, 4, 3, 2, 1]);
    let staff = json!({"reason": "投诉 2026-118", "room": "staff"});
    let staff = scene.post(&operator, path.clone(), staff).await;
    assert_eq!(staff.result()[0]["text"], "内部讨论");
    let log = acts(service, &operator).await;
    assert_eq!(log.len(), before + 4, "each page, and no refusal");
    assert_eq!(
        log[0],
        json!({
            "audit_id": log[0]["audit_id"], "operator_id": operator.id, "operator_name": "张伟",
            "act": "staff_room_read", "consultation_id": consult, "reason": "投诉 2026-118",
            "created_ms": log[0]["created_ms"],
        })
    );
    assert_eq!(log[1]["act"], "consult_read");
    scene
        .post(&operator, "/operator/consult/999999/read".into(), body)
        .await
        .refused(404, "consult.not_found");
    assert_eq!(acts(service, &operator).await.len(), before + 4);
}

/// No other role does any of it, and none learns whether what it asks about is there.
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

#[tokio::test]
async fn a_walk_through_the_log_meets_each_act_once() {
    let service = Service::start().await;
    let (operator, _) = operator(&service, "张伟").await;
    for _ in 0..11 {
        operator
            .post(&service, "/operator/people/search", json!({"user_id": 1}))
            .send()
            .await
            .result();
    }
    let mut walked: Vec<i64> = Vec::new();
    let mut query = "?limit=4&count=true".to_owned();
    loop {
        let page = operator
            .get(&service, &format!("/operator/audit{query}"))
            .send()
            .await;
        walked.extend(
            page.result()
                .as_array()
                .unwrap()
                .iter()
                .map(|item| item["audit_id"].as_i64().unwrap()),
        );
        // More is written meanwhile.
        operator
            .post(&service, "/operator/people/search", json!({"user_id": 1}))
            .send()
            .await
            .result();
        match page.json["next_cursor"].as_str() {
            Some(cursor) => query = format!("?limit=4&cursor={cursor}"),
            None => break,
        }
    }
    let expected: Vec<i64> = (1..=13).rev().collect();
    assert_eq!(walked, expected);
    let counted = operator
        .get(&service, "/operator/audit?count=true&limit=1")
        .send()
        .await;
    assert_eq!(counted.json["total"], 13 + 4);
}
