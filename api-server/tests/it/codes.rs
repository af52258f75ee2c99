//! SMS codes.

use serde_json::json;

use super::{
    accounts::{PASSWORD, another, log_in, register},
    people::new_phone,
    service::Service,
};

#[tokio::test]
async fn a_phone_gets_one_code_a_minute() {
    let service = Service::start().await;
    let phone = new_phone();
    let first = service.code(&phone).await;
    assert!(first.len() == 6 && first.bytes().all(|b| b.is_ascii_digit()));
    let again = service
        .post("/account/code")
        .json(json!({"phone": &phone}))
        .send()
        .await;
    again.refused(429, "account.code_too_soon").field("phone");
    let wait: u64 = again.header("retry-after").parse().unwrap();
    assert!((1..=60).contains(&wait), "{wait}");
    service.pass_the_minute(&phone).await;
    let second = service.code(&phone).await;
    // Only the newest one is good.
    if first != second {
        let body = register(&phone, &first);
        service
            .post("/account/register")
            .json(body)
            .send()
            .await
            .refused(403, "account.code_refused")
            .field("code");
    }
    service
        .post("/account/register")
        .json(register(&phone, &second))
        .send()
        .await
        .result();
}

#[tokio::test]
async fn racing_requests_send_one_code() {
    let service = Service::start().await;
    let phone = new_phone();
    let calls = (0..20).map(|_| {
        service
            .post("/account/code")
            .json(json!({"phone": &phone}))
            .send()
    });
    let replies = futures_util::future::join_all(calls).await;
    assert_eq!(replies.iter().filter(|reply| reply.status == 200).count(), 1);
    assert!(replies.iter().all(|reply| [200, 429].contains(&reply.status)));
}

#[tokio::test]
async fn a_code_stands_five_wrong_tries() {
    let service = Service::start().await;
    let phone = new_phone();
    let code = service.code(&phone).await;
    let wrong = register(&phone, &another(&code));
    let calls = (0..5).map(|_| service.post("/account/register").json(wrong.clone()).send());
    for reply in futures_util::future::join_all(calls).await {
        reply.refused(403, "account.code_refused");
    }
    service
        .post("/account/register")
        .json(register(&phone, &code))
        .send()
        .await
        .refused(403, "account.code_refused");
}

#[tokio::test]
async fn four_wrong_tries_leave_a_code_good_also_with_a_password() {
    let service = Service::start().await;
    let phone = new_phone();
    let code = service.code(&phone).await;
    for _ in 0..4 {
        let wrong = register(&phone, &another(&code));
        service
            .post("/account/register")
            .json(wrong)
            .send()
            .await
            .refused(403, "account.code_refused");
    }
    let mut body = register(&phone, &code);
    body["password"] = PASSWORD.into();
    service.post("/account/register").json(body).send().await.result();
}

#[tokio::test]
async fn a_code_is_good_for_five_minutes_and_one_use() {
    let service = Service::start().await;
    let phone = new_phone();
    let code = service.code(&phone).await;
    service
        .post("/account/register")
        .json(register(&phone, &code))
        .send()
        .await
        .result();
    let mut body = log_in(&phone);
    body["code"] = code.into();
    service
        .post("/account/login")
        .json(body.clone())
        .send()
        .await
        .refused(403, "account.code_refused");
    service.pass_the_minute(&phone).await;
    body["code"] = service.code(&phone).await.into();
    for _ in 0..5 {
        service.pass_the_minute(&phone).await;
    }
    service
        .post("/account/login")
        .json(body)
        .send()
        .await
        .refused(403, "account.code_refused");
}

#[tokio::test]
async fn a_right_code_without_an_account_can_still_register() {
    let service = Service::start().await;
    let phone = new_phone();
    let code = service.code(&phone).await;
    let mut body = log_in(&phone);
    body["code"] = code.clone().into();
    service
        .post("/account/login")
        .json(body)
        .send()
        .await
        .refused(404, "account.not_registered")
        .field("phone");
    service
        .post("/account/register")
        .json(register(&phone, &code))
        .send()
        .await
        .result();
}

#[tokio::test]
async fn an_sms_that_is_not_sent_costs_no_minute() {
    let service = Service::start().await;
    let phone = new_phone();
    service.sms.set_broken(true);
    let ask = || {
        service
            .post("/account/code")
            .json(json!({"phone": &phone}))
            .send()
    };
    let reply = ask().await;
    reply.refused(503, "account.sms_unavailable");
    assert!(
        !reply.text.contains("127.0.0.1"),
        "the inner text stays in the log"
    );
    service.sms.set_broken(false);
    ask().await.result();
}

/// As a clock wrote it that was ahead.
#[tokio::test]
async fn a_code_of_the_future_holds_up_no_other() {
    let service = Service::start().await;
    let phone = new_phone();
    service.code(&phone).await;
    let ahead = "UPDATE sms_code SET created_ms = created_ms + $1";
    service.rewrite(ahead, 24 * 3_600_000).await;
    let code = service.code(&phone).await;
    let body = register(&phone, &code);
    service.post("/account/register").json(body).send().await.result();
}
