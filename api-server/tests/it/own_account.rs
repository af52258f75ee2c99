//! The own account: shown, moved to another phone, closed.

use serde_json::json;

use super::{
    accounts::{PASSWORD, another, register},
    money::wallet,
    operators::operator,
    people::new_phone,
    scene::eventually,
    service::Service,
    settling::Fleet,
};

#[tokio::test]
async fn a_registration_whose_answer_was_lost_is_repeated_on_its_device() {
    let service = Service::start().await;
    for password in [None, Some(PASSWORD)] {
        let phone = new_phone();
        let code = service.code(&phone).await;
        let mut body = register(&phone, &code);
        if let Some(password) = password {
            body["password"] = password.into();
        }
        let first = service
            .post("/account/register")
            .json(body.clone())
            .send()
            .await
            .result();
        let again = service
            .post("/account/register")
            .json(body.clone())
            .send()
            .await
            .result();
        assert_eq!(again["user_id"], first["user_id"], "{password:?}");
        let token = |result: &serde_json::Value| result["access_token"].as_str().unwrap().to_owned();
        service
            .get("/account")
            .token(&token(&again))
            .send()
            .await
            .result();
        let ended = service.get("/account").token(&token(&first)).send().await;
        ended.refused(401, "auth.required");
        // Another device or code is another registration.
        for (field, value) in [("device_id", "phone-9"), ("code", &*another(&code))] {
            let mut other = body.clone();
            other[field] = value.into();
            let refused = service.post("/account/register").json(other).send().await;
            refused.refused(403, "account.code_refused");
        }
    }
}

#[tokio::test]
async fn an_account_is_shown_to_its_user_with_a_masked_phone() {
    let service = Service::start().await;
    let phone = new_phone();
    let code = service.code(&phone).await;
    let body = register(&phone, &code);
    let login = service.post("/account/register").json(body).send().await.result();
    let token = login["access_token"].as_str().unwrap();
    let mut shown = service.get("/account").token(token).send().await.result();
    assert!(shown["created_ms"].take().is_i64());
    let masked = format!("{}****{}", &phone[..phone.len() - 8], &phone[phone.len() - 4..]);
    let expected = json!({
        "user_id": login["user_id"], "name": "王芳", "role": "member", "phone": masked, "has_password": false,
        "created_ms": null, "roles": ["member"], "devices": shown["devices"], "unread_notices": 0,
    });
    assert_eq!(shown, expected);
    assert_eq!(shown["devices"][0]["this_device"], true);
    let doctor = service.doctor("Dr.").await;
    let shown = service.get("/account").token(&doctor.token).send().await.result();
    assert_eq!(shown["verification"], "none");
}

#[tokio::test]
async fn a_token_that_is_used_lives_on() {
    let service = Service::start().await;
    let member = service.member("Pat").await;
    let expiry = || async {
        let sql = "SELECT token_expires_ms, last_used_ms FROM device WHERE user_id = $1";
        let rows = service
            .database
            .query(sql, database::params![member.id])
            .await
            .unwrap();
        (rows[0].get::<i64>(0).unwrap(), rows[0].get::<i64>(1).unwrap())
    };
    // As if it had been made 80 days ago.
    let past = 80 * 24 * 3600 * 1000_i64;
    let sql = "UPDATE device SET token_expires_ms = token_expires_ms - $1, last_used_ms = last_used_ms - $1";
    let aged = service
        .database
        .transaction(move |tx| Box::pin(async move { tx.execute(sql, database::params![past]).await }));
    aged.await.unwrap();
    let (before, _) = expiry().await;
    service.get("/account").token(&member.token).send().await.result();
    eventually("the token lives on", async || expiry().await.0 > before).await;
    let (after, used) = expiry().await;
    assert_eq!(after - used, 90 * 24 * 3600 * 1000);
}

#[tokio::test]
async fn a_phone_is_changed_by_a_proof_of_both() {
    let service = Service::start().await;
    let (old, new) = (new_phone(), new_phone());
    let code = service.code(&old).await;
    let mut body = register(&old, &code);
    body["password"] = PASSWORD.into();
    let login = service.post("/account/register").json(body).send().await.result();
    let token = login["access_token"].as_str().unwrap().to_owned();
    let change = async |body: serde_json::Value| {
        service
            .put("/account/phone")
            .token(&token)
            .json(body)
            .send()
            .await
    };
    let new_code = service.code(&new).await;
    let wrong = json!({"password": PASSWORD, "new_phone": new, "new_code": another(&new_code)});
    change(wrong).await.refused(403, "account.code_refused");
    let wrong = json!({"password": "not the password", "new_phone": new, "new_code": new_code});
    change(wrong).await.refused(403, "account.password_refused");
    change(json!({"password": PASSWORD, "new_phone": new, "new_code": new_code}))
        .await
        .result();
    let by_password = |phone: &str| json!({"phone": phone, "password": PASSWORD, "device_id": "phone-2", "platform": "ios"});
    let refused = service
        .post("/account/login")
        .json(by_password(&old))
        .send()
        .await;
    refused.refused(401, "account.login_refused");
    let again = service
        .post("/account/login")
        .json(by_password(&new))
        .send()
        .await
        .result();
    assert_eq!(again["user_id"], login["user_id"]);
}

#[tokio::test]
async fn an_account_is_closed_after_time_to_think() {
    let service = Service::start().await;
    let member = service.register("Pat", "member", Some(PASSWORD)).await;
    let ask = async |body: serde_json::Value| {
        service
            .post("/account/closing")
            .token(&member.token)
            .json(body)
            .send()
            .await
    };
    ask(json!({"password": "not the password"}))
        .await
        .refused(403, "account.password_refused");
    let asked = ask(json!({"password": PASSWORD})).await.result();
    let again = ask(json!({"password": PASSWORD})).await.result();
    assert_eq!(asked, again, "the first time holds");
    let shown = service.get("/account").token(&member.token).send().await.result();
    assert_eq!(shown["closing_ms"], asked["closing_ms"]);
    service
        .delete("/account/closing")
        .token(&member.token)
        .send()
        .await
        .result();
    let shown = service.get("/account").token(&member.token).send().await.result();
    assert_eq!(shown.get("closing_ms"), None);

    ask(json!({"password": PASSWORD})).await.result();
    let due = service.database.transaction(|tx| {
        Box::pin(async move {
            let sql = "UPDATE account SET closing_ms = 1 WHERE closing_ms IS NOT NULL";
            tx.execute(sql, vec![]).await?;
            tx.execute("UPDATE job SET due_ms = 0 WHERE name = 'close_accounts'", vec![])
                .await
        })
    });
    due.await.unwrap();
    eventually("the account is closed", async || {
        service.get("/account").token(&member.token).send().await.status == 401
    })
    .await;
    let login = json!({"phone": member.phone, "password": PASSWORD, "device_id": "d", "platform": "ios"});
    let refused = service.post("/account/login").json(login).send().await;
    refused.refused(401, "account.login_refused");
    let sql = "SELECT name, phone FROM account WHERE id = $1";
    let rows = service
        .database
        .query(sql, database::params![member.id])
        .await
        .unwrap();
    assert_eq!(rows[0].get::<String>(0).unwrap(), "已注销用户");
    assert_eq!(rows[0].get::<Option<String>>(1).unwrap(), None);
    // The phone is free.
    service.pass_the_minute(&member.phone).await;
    let code = service.code(&member.phone).await;
    let body = register(&member.phone, &code);
    let anew = service.post("/account/register").json(body).send().await.result();
    assert_ne!(anew["user_id"], member.id);
}

#[tokio::test]
async fn an_account_with_open_work_is_not_closed() {
    let scene = super::scene::Scene::new().await;
    scene.consult().await;
    for who in [&scene.patient, &scene.team.owner] {
        scene.service.pass_the_minute(&who.phone).await;
        let code = scene.service.code(&who.phone).await;
        let refused = scene
            .post(who, "/account/closing".into(), json!({"code": code}))
            .await;
        refused.refused(409, "account.open_work");
    }
}

/// A payment that comes after the closing would fill a wallet without a user.
#[tokio::test]
async fn an_account_with_money_on_its_way_is_not_closed() {
    let fleet = Fleet::start().await;
    let service = &fleet.service;
    let (operator, _) = operator(service, "张伟").await;
    let member = service.register("王芳", "member", Some(PASSWORD)).await;
    let asked = async || {
        let body = json!({"password": PASSWORD});
        member.post(service, "/account/closing", body).send().await
    };
    let order = service.order(&member, 1000, "a").await;
    asked().await.refused(409, "account.open_work");
    service.press(&order, "pay").await;
    asked().await.refused(409, "account.open_work");
    let pause = "/operator/job/pay_backs_mockpay/pause";
    operator.post(service, pause, json!({})).send().await.result();
    service.pay_back(&member, 1000, "b").await.result();
    assert_eq!(service.balance(wallet(&member)).await, 0);
    asked().await.refused(409, "account.open_work");
    // One that was planned before stays open, too, and its user asks again.
    let plan = "UPDATE account SET closing_ms = 1 WHERE id = $1";
    service.rewrite(plan, member.id).await;
    fleet.run("close_accounts").await;
    fleet
        .counted("SELECT count(*) FROM account WHERE closing_ms IS NOT NULL", 0)
        .await;
    assert_eq!(
        service
            .number("SELECT count(*) FROM account WHERE closed_ms > 0")
            .await,
        0
    );
    let resume = "/operator/job/pay_backs_mockpay/resume";
    operator.post(service, resume, json!({})).send().await.result();
    fleet
        .counted("SELECT count(*) FROM payment_refund WHERE state = 'done'", 1)
        .await;
    asked().await.result();
    service.rewrite(plan, member.id).await;
    fleet.run("close_accounts").await;
    fleet
        .counted("SELECT count(*) FROM account WHERE closed_ms > 0", 1)
        .await;
}
