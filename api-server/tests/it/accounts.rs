//! Registering, logging in, passwords.

use serde_json::json;

use super::{people::new_phone, service::Service};

pub(super) const PASSWORD: &str = "correct horse battery";

pub(super) fn register(phone: &str, code: &str) -> serde_json::Value {
    json!({
        "phone": phone, "code": code, "name": "王芳", "role": "member", "device_id": "phone-1", "platform": "ios",
        "push_token": {"provider": "apns", "token": "push-1"},
    })
}

pub(super) fn log_in(phone: &str) -> serde_json::Value {
    json!({"phone": phone, "device_id": "phone-2", "platform": "mini_program"})
}

/// A code that is not the one the phone got.
pub(super) fn another(code: &str) -> String {
    if code == "000000" { "000001" } else { "000000" }.to_owned()
}

#[tokio::test]
async fn registering_gives_a_token_that_works_whichever_header_carries_it() {
    let service = Service::start().await;
    let phone = new_phone();
    let code = service.code(&phone).await;
    // The same number in other spellings.
    let written = format!("{}-{}", &phone[3..6], &phone[6..]);
    let mut body = register(&written, &code);
    body["is_operator"] = true.into();
    let result = service.post("/account/register").json(body).send().await.result();
    let keys: Vec<&String> = result.as_object().unwrap().keys().collect();
    assert_eq!(keys, ["access_token", "expires_at_ms", "name", "role", "user_id"]);
    assert_eq!(
        (&result["name"], &result["role"]),
        (&json!("王芳"), &json!("member"))
    );
    let token = result["access_token"].as_str().unwrap();
    assert_eq!(token.len(), 43);
    service.get("/account/devices").token(token).send().await.result();
    service
        .get("/account/devices")
        .header("Authorization", &format!("Bearer {token}"))
        .send()
        .await
        .result();
    for wrong in ["", "x", &token[1..], &format!("{token}x")] {
        service
            .get("/account/devices")
            .token(wrong)
            .send()
            .await
            .refused(401, "auth.required");
    }
    let basic = service
        .get("/account/devices")
        .header("Authorization", &format!("Basic {token}"))
        .send()
        .await;
    assert_eq!(
        basic.refused(401, "auth.required").header("www-authenticate"),
        "Bearer"
    );
    // Nothing of the token is in the database but its hash.
    let rows = service
        .database
        .query("SELECT token_hash, password_hash FROM device, account", vec![])
        .await
        .unwrap();
    assert_eq!(rows[0].get::<bytes::Bytes>(0).unwrap().len(), 32);
    assert_eq!(
        rows[0].get::<Option<String>>(1).unwrap(),
        None,
        "no password, no hash"
    );
}

#[tokio::test]
async fn an_expired_token_is_none() {
    let service = Service::start().await;
    let member = service.member("Pat").await;
    service
        .database
        .transaction(|tx| {
            Box::pin(async move { tx.execute("UPDATE device SET token_expires_ms = 1", vec![]).await })
        })
        .await
        .unwrap();
    member
        .get(&service, "/account/devices")
        .send()
        .await
        .refused(401, "auth.required");
}

#[tokio::test]
async fn fields_that_are_not_as_they_must_be_are_named() {
    let service = Service::start().await;
    let phone = new_phone();
    for (field, value) in [
        ("phone", json!("12345")),
        ("phone", json!(13_800_138_000_i64)),
        ("code", json!("12345")),
        ("code", json!("12345x")),
        ("name", json!("")),
        ("name", json!("  ")),
        ("name", json!("a\0b")),
        ("name", json!("名".repeat(65))),
        ("role", json!("operator")),
        ("role", json!("assistant")),
        ("password", json!("short")),
        ("password", json!("x".repeat(129))),
        ("device_id", json!("")),
        ("device_id", json!("d".repeat(65))),
        ("platform", json!("symbian")),
        ("push_token.provider", json!("")),
        ("push_token.token", json!("t".repeat(513))),
    ] {
        let mut body = register(&phone, "123456");
        match field.split_once('.') {
            Some((outer, inner)) => body[outer][inner] = value,
            None => body[field] = value,
        }
        let reply = service.post("/account/register").json(body).send().await;
        reply.refused(400, "request.invalid").field(field);
        assert!(reply.json["message"].as_str().unwrap().contains(field));
    }
    for field in ["phone", "code", "name", "role", "device_id", "platform"] {
        let mut body = register(&phone, "123456");
        body.as_object_mut().unwrap().remove(field);
        service
            .post("/account/register")
            .json(body)
            .send()
            .await
            .refused(400, "request.invalid")
            .field(field);
    }
    for body in ["", "{", "[1", "{\"phone\":\"13800138000\"} x", "\u{0}"] {
        service
            .post("/account/code")
            .header("Content-Type", "application/json")
            .body(body.to_owned())
            .send()
            .await
            .refused(400, "request.bad_json");
    }
    service
        .post("/account/code")
        .header("Content-Type", "application/json")
        .body("[\"13800138000\"]")
        .send()
        .await
        .refused(400, "request.invalid")
        .field("body");
    service
        .post("/account/code")
        .json(json!({"phone": null}))
        .send()
        .await
        .refused(400, "request.invalid")
        .field("phone");
    // The message does not repeat the input.
    let reply = service
        .post("/account/code")
        .json(json!({"phone": "secret-marker"}))
        .send()
        .await;
    assert!(!reply.text.contains("secret-marker"));
    let mut body = register(&phone, "123456");
    body["role"] = "secret-marker".into();
    let reply = service.post("/account/register").json(body).send().await;
    assert!(!reply.text.contains("secret-marker"), "{}", reply.text);
}

#[tokio::test]
async fn a_phone_has_one_account() {
    let service = Service::start().await;
    let member = service.member("Pat").await;
    service.pass_the_minute(&member.phone).await;
    let code = service.code(&member.phone).await;
    // Only the owner of the phone learns that it has an account.
    let wrong = register(&member.phone, &another(&code));
    service
        .post("/account/register")
        .json(wrong)
        .send()
        .await
        .refused(403, "account.code_refused");
    let body = register(&member.phone, &code);
    service
        .post("/account/register")
        .json(body.clone())
        .send()
        .await
        .refused(409, "account.exists")
        .field("phone");
}

#[tokio::test]
async fn racing_registrations_make_one_account() {
    let service = Service::start().await;
    let phone = new_phone();
    let code = service.code(&phone).await;
    let calls = (0..10).map(|_| {
        service
            .post("/account/register")
            .json(register(&phone, &code))
            .send()
    });
    // On one device they are one registration, repeated; its last login is the one that holds.
    let replies = futures_util::future::join_all(calls).await;
    let mut users = Vec::new();
    let mut good = 0;
    for reply in replies {
        let login = reply.result();
        users.push(login["user_id"].as_i64().unwrap());
        let token = login["access_token"].as_str().unwrap();
        let shown = service.get("/account").token(token).send().await;
        good += u32::from(shown.status == 200);
    }
    users.dedup();
    assert_eq!((users.len(), good), (1, 1));

    // On several devices one of them makes the account.
    let phone = new_phone();
    let code = service.code(&phone).await;
    let calls = (0..10).map(|device| {
        let mut body = register(&phone, &code);
        body["device_id"] = format!("phone-{device}").into();
        service.post("/account/register").json(body).send()
    });
    let replies = futures_util::future::join_all(calls).await;
    assert_eq!(replies.iter().filter(|reply| reply.status == 200).count(), 1);
    assert!(replies.iter().all(|reply| [200, 403].contains(&reply.status)));
}

#[tokio::test]
async fn logging_in_by_password_or_by_code() {
    let service = Service::start().await;
    let member = service.register("Pat", "member", Some(PASSWORD)).await;
    let elsewhere = service.log_in(&member, PASSWORD, "tablet").await;
    assert_eq!(elsewhere.id, member.id);
    assert_ne!(elsewhere.token, member.token);
    service.pass_the_minute(&member.phone).await;
    let mut body = log_in(&member.phone);
    service
        .post("/account/login")
        .json(body.clone())
        .send()
        .await
        .refused(400, "request.invalid")
        .field("password");
    body["code"] = service.code(&member.phone).await.into();
    let result = service.post("/account/login").json(body).send().await.result();
    assert_eq!(result["user_id"], member.id);
}

#[tokio::test]
async fn an_unknown_phone_and_a_wrong_password_look_alike() {
    let service = Service::start().await;
    let mut texts = Vec::new();
    let mut shortest = [std::time::Duration::MAX; 3];
    // A busy machine may delay all answers of one pair: then another pair is measured.
    for _ in 0..8 {
        let with = service.register("Pat", "member", Some(PASSWORD)).await;
        let without = service.member("Pam").await;
        for (at, phone) in [with.phone, without.phone, new_phone()].iter().enumerate() {
            let mut body = log_in(phone);
            body["password"] = "wrong password".into();
            for _ in 0..4 {
                let started = std::time::Instant::now();
                let call = service
                    .post("/account/login")
                    .header("X-Request-Id", "same")
                    .json(body.clone());
                let reply = call.send().await;
                shortest[at] = shortest[at].min(started.elapsed());
                reply.refused(401, "account.login_refused");
                texts.push(reply.text);
            }
        }
        // Each of them hashed: an answer without hashing always comes many times faster.
        if *shortest.iter().min().unwrap() * 5 > *shortest.iter().max().unwrap() {
            assert!(texts.iter().all(|text| *text == texts[0]));
            return;
        }
    }
    panic!("one is answered sooner than the others: {shortest:?}");
}

#[tokio::test]
async fn guessing_a_password_is_slow_and_the_code_still_works() {
    let service = Service::start().await;
    let member = service.register("Pat", "member", Some(PASSWORD)).await;
    for phone in [member.phone.clone(), new_phone()] {
        let mut wrong = log_in(&phone);
        wrong["password"] = "wrong password".into();
        let mut replies = Vec::new();
        // A few at a time: passwords wait for their turn at the hashing, and not for ever.
        for _ in 0..7 {
            let calls = (0..2).map(|_| service.post("/account/login").json(wrong.clone()).send());
            replies.extend(futures_util::future::join_all(calls).await);
        }
        assert_eq!(replies.iter().filter(|reply| reply.status == 401).count(), 10);
        let late = replies.iter().find(|reply| reply.status == 429).unwrap();
        late.refused(429, "account.too_many_attempts");
        assert!(late.header("retry-after").parse::<u64>().unwrap() > 800);
    }
    let mut right = log_in(&member.phone);
    right["password"] = PASSWORD.into();
    service
        .post("/account/login")
        .json(right)
        .send()
        .await
        .refused(429, "account.too_many_attempts");
    service.pass_the_minute(&member.phone).await;
    let mut body = log_in(&member.phone);
    body["code"] = service.code(&member.phone).await.into();
    service.post("/account/login").json(body).send().await.result();
}

#[tokio::test]
async fn a_password_change_needs_a_proof_and_ends_all_other_devices() {
    let service = Service::start().await;
    let here = service.register("Pat", "member", Some(PASSWORD)).await;
    let there = service.log_in(&here, PASSWORD, "tablet").await;
    let path = "/account/password";
    let new = "another password";
    service
        .put(path)
        .json(json!({"new_password": new}))
        .send()
        .await
        .refused(401, "auth.required");
    here.put(&service, path, json!({"new_password": new}))
        .send()
        .await
        .refused(400, "request.invalid")
        .field("current_password");
    here.put(
        &service,
        path,
        json!({"current_password": PASSWORD, "new_password": "short"}),
    )
    .send()
    .await
    .refused(400, "request.invalid")
    .field("new_password");
    here.put(
        &service,
        path,
        json!({"current_password": "wrong password", "new_password": new}),
    )
    .send()
    .await
    .refused(403, "account.password_refused")
    .field("current_password");
    here.put(&service, path, json!({"code": "000000", "new_password": new}))
        .send()
        .await
        .refused(403, "account.code_refused");
    there.get(&service, "/account/devices").send().await.result();

    here.put(
        &service,
        path,
        json!({"current_password": PASSWORD, "new_password": new}),
    )
    .send()
    .await
    .result();
    there
        .get(&service, "/account/devices")
        .send()
        .await
        .refused(401, "auth.required");
    assert_eq!(
        here.get(&service, "/account/devices")
            .send()
            .await
            .result()
            .as_array()
            .unwrap()
            .len(),
        1
    );
    let mut body = log_in(&here.phone);
    body["password"] = PASSWORD.into();
    service
        .post("/account/login")
        .json(body)
        .send()
        .await
        .refused(401, "account.login_refused");
    let there = service.log_in(&here, new, "tablet").await;

    // By code, after forgetting the password.
    service.pass_the_minute(&here.phone).await;
    let code = service.code(&here.phone).await;
    there
        .put(&service, path, json!({"code": code, "new_password": PASSWORD}))
        .send()
        .await
        .result();
    here.get(&service, "/account/devices")
        .send()
        .await
        .refused(401, "auth.required");
    service.log_in(&here, PASSWORD, "phone-1").await;
}
