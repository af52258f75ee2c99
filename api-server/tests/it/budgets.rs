//! Budgets for SMS and guesses: all servers share them, and strangers cannot lock an owner out.

use std::num::NonZeroU32;

use api_server::Settings;
use database::params;
use serde_json::json;

use super::{
    operators,
    people::{Person, new_phone},
    service::{Call, Reply, Service, roomy},
};

const PASSWORD: &str = "correct horse battery";
const MINUTE_MS: i64 = 60_000;
const HOUR_MS: i64 = 60 * MINUTE_MS;

/// Where every request says where it comes from.
async fn behind_a_proxy(sms_per_hour: u32, wrong_logins: u32) -> Service {
    let settings = Settings {
        sms_per_hour_address: NonZeroU32::new(sms_per_hour).unwrap(),
        wrong_logins_address: NonZeroU32::new(wrong_logins).unwrap(),
        trusted_proxies: vec!["127.0.0.0/8".parse().unwrap()],
        ..roomy()
    };
    Service::start_with(settings).await
}

/// Ends the spans that end within a time from now, as if it had passed.
async fn pass(service: &Service, ms: i64) {
    let since = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap();
    let until_ms = i64::try_from(since.as_millis()).unwrap() + ms;
    service
        .database
        .transaction(move |tx| {
            Box::pin(async move {
                let sql = "UPDATE budget SET ends_ms = 1 WHERE ends_ms <= $1";
                tx.execute(sql, params![until_ms]).await?;
                tx.execute("UPDATE sms_code SET created_ms = created_ms - 60000", vec![])
                    .await
            })
        })
        .await
        .unwrap();
}

fn ask<'s>(service: &'s Service, phone: &str, device_id: Option<&str>) -> Call<'s> {
    let mut body = json!({"phone": phone});
    if let Some(device_id) = device_id {
        body["device_id"] = device_id.into();
    }
    service.post("/account/code").json(body)
}

fn log_in<'s>(service: &'s Service, phone: &str, key: &str, value: &str, device_id: &str) -> Call<'s> {
    let body = json!({"phone": phone, key: value, "device_id": device_id, "platform": "ios"});
    service.post("/account/login").json(body)
}

fn operator_log_in<'s>(service: &'s Service, password: &str, device_id: &str) -> Call<'s> {
    let body = json!({"name": "张伟", "password": password, "device_id": device_id, "platform": "web"});
    service.post("/operator/login").json(body)
}

#[track_caller]
fn waits(reply: &Reply, word: &str, at_most_s: u64) {
    let wait: u64 = reply.refused(429, word).header("retry-after").parse().unwrap();
    assert!((1..=at_most_s).contains(&wait), "{wait}");
}

/// A code that is not the one the phone got.
fn another(code: &str) -> &'static str {
    if code == "000000" { "000001" } else { "000000" }
}

#[tokio::test]
async fn a_phone_gets_five_codes_an_hour_and_ten_a_day_of_all_servers() {
    let service = Service::start().await;
    let other = service.beside().await;
    let phone = new_phone();
    let mut sent = 0;
    for round in 0..2 {
        for at in 0..5 {
            let server = if at % 2 == 0 { &service } else { &other };
            ask(server, &phone, None).send().await.result();
            sent += 1;
            waits(
                &ask(server, &phone, None).send().await,
                "account.code_too_soon",
                60,
            );
            pass(&service, MINUTE_MS).await;
        }
        let refused = ask(&other, &phone, None).send().await;
        let most_s = if round == 0 { 3600 } else { 86_400 };
        waits(&refused, "account.code_too_soon", most_s);
        refused.field("phone");
        pass(&service, HOUR_MS).await;
    }
    assert_eq!(sent, 10);
    waits(
        &ask(&service, &phone, None).send().await,
        "account.code_too_soon",
        86_400,
    );
    pass(&service, 24 * HOUR_MS).await;
    ask(&service, &phone, None).send().await.result();
}

/// Strangers use up the codes of a phone; its owner still gets one on a device that has logged in before.
#[tokio::test]
async fn a_known_device_gets_codes_when_strangers_have_used_up_those_of_the_phone() {
    let service = Service::start().await;
    let pat = service.member("Pat").await;
    pat.post(&service, "/account/logout", json!({}))
        .send()
        .await
        .result();
    for _ in 0..4 {
        pass(&service, MINUTE_MS).await;
        ask(&service, &pat.phone, Some("a stranger's"))
            .send()
            .await
            .result();
    }
    pass(&service, MINUTE_MS).await;
    for device in [None, Some("a stranger's")] {
        waits(
            &ask(&service, &pat.phone, device).send().await,
            "account.code_too_soon",
            3600,
        );
    }
    for _ in 0..3 {
        ask(&service, &pat.phone, Some(&pat.device_id))
            .send()
            .await
            .result();
        pass(&service, MINUTE_MS).await;
    }
    let fourth = ask(&service, &pat.phone, Some(&pat.device_id)).send().await;
    waits(&fourth, "account.code_too_soon", 3600);
    let code = service.sms.code(&pat.phone).unwrap();
    log_in(&service, &pat.phone, "code", &code, &pat.device_id)
        .send()
        .await
        .result();
}

#[tokio::test]
async fn an_address_gets_so_many_codes_for_all_phones_and_servers() {
    let service = behind_a_proxy(60, 100).await;
    let other = service.beside().await;
    let from = |at: usize, address: &str| {
        let server = if at.is_multiple_of(2) { &service } else { &other };
        ask(server, &new_phone(), None)
            .header("X-Forwarded-For", address)
            .send()
    };
    // A subscriber's IPv6 network is one address.
    for network in ["10.1.2.3", "2001:db8:0:7::"] {
        let address = |at: usize| {
            if network.ends_with("::") {
                format!("{network}{at:x}")
            } else {
                network.to_owned()
            }
        };
        let addresses: Vec<String> = (0..40).map(address).collect();
        let calls = addresses
            .iter()
            .enumerate()
            .map(|(at, address)| from(at, address));
        let replies = futures_util::future::join_all(calls).await;
        assert_eq!(
            replies.iter().filter(|reply| reply.status == 200).count(),
            10,
            "{network}"
        );
        for reply in replies.iter().filter(|reply| reply.status != 200) {
            waits(reply, "request.rate_limited", 60);
        }
    }
    for elsewhere in ["10.1.2.4", "2001:db8:0:8::1"] {
        from(0, elsewhere).await.result();
    }
    // An hour has 60, and a day 300.
    for _ in 0..5 {
        pass(&service, MINUTE_MS).await;
        for at in 0..10 {
            from(at, "10.1.2.3").await.result();
        }
    }
    pass(&service, MINUTE_MS).await;
    waits(&from(0, "10.1.2.3").await, "request.rate_limited", 3600);
    // A refused request has not spent the phone's budget.
    let phone = new_phone();
    for _ in 0..3 {
        let refused = ask(&service, &phone, None)
            .header("X-Forwarded-For", "10.1.2.3")
            .send()
            .await;
        refused.refused(429, "request.rate_limited");
    }
    ask(&service, &phone, None)
        .header("X-Forwarded-For", "10.1.2.5")
        .send()
        .await
        .result();
}

#[tokio::test]
async fn an_sms_that_is_not_sent_costs_no_budget() {
    let service = behind_a_proxy(6, 100).await;
    let phone = new_phone();
    service.sms.set_broken(true);
    for _ in 0..12 {
        ask(&service, &phone, None)
            .send()
            .await
            .refused(503, "account.sms_unavailable");
    }
    service.sms.set_broken(false);
    ask(&service, &phone, None).send().await.result();
}

#[tokio::test]
async fn codes_go_to_phones_of_the_named_countries_only() {
    let service = Service::start().await;
    for phone in [
        "+44 20 7946 0018",
        "+1 242 555 0100",
        "+8520000000",
        "+870000000000",
    ] {
        ask(&service, phone, None)
            .send()
            .await
            .refused(403, "account.country_not_served")
            .field("phone");
    }
    assert_eq!(service.sms.code("+442079460018"), None);
    let settings = Settings {
        sms_countries: vec!["+86".parse().unwrap(), "+44".parse().unwrap()],
        ..roomy()
    };
    let service = Service::start_with(settings).await;
    ask(&service, "+44 20 7946 0018", None).send().await.result();
    assert!(service.sms.code("+442079460018").is_some());
    ask(&service, &new_phone(), None).send().await.result();
    ask(&service, "+1 242 555 0100", None)
        .send()
        .await
        .refused(403, "account.country_not_served");
}

/// 10 wrong codes an hour and 20 a day, on all servers together; a known device is not affected.
#[tokio::test]
async fn guessing_a_code_is_slow_and_a_known_device_goes_on() {
    let service = Service::start().await;
    let other = service.beside().await;
    let pat = service.member("Pat").await;
    let mut code = String::new();
    let mut refused = 0;
    for round in 0..4 {
        pass(&service, MINUTE_MS).await;
        if round == 2 {
            pass(&service, HOUR_MS).await;
        }
        ask(&service, &pat.phone, None).send().await.result();
        code = service.sms.code(&pat.phone).unwrap();
        let calls = (0..5).map(|at| {
            let server = if at % 2 == 0 { &service } else { &other };
            log_in(server, &pat.phone, "code", another(&code), "evil").send()
        });
        for reply in futures_util::future::join_all(calls).await {
            reply.refused(403, "account.code_refused");
            refused += 1;
        }
        if round == 1 {
            pass(&service, MINUTE_MS).await;
            ask(&service, &pat.phone, None).send().await.result();
            code = service.sms.code(&pat.phone).unwrap();
            let reply = log_in(&other, &pat.phone, "code", &code, "evil").send().await;
            waits(&reply, "account.too_many_attempts", 3600);
        }
    }
    assert_eq!(refused, 20);
    pass(&service, HOUR_MS).await;
    ask(&service, &pat.phone, None).send().await.result();
    let newest = service.sms.code(&pat.phone).unwrap();
    let reply = log_in(&service, &pat.phone, "code", &newest, "evil").send().await;
    waits(&reply, "account.too_many_attempts", 86_400);
    drop(code);
    log_in(&service, &pat.phone, "code", &newest, &pat.device_id)
        .send()
        .await
        .result();
}

#[tokio::test]
async fn ten_wrong_passwords_are_ten_on_all_servers_and_the_owner_goes_on() {
    let service = Service::start().await;
    let other = service.beside().await;
    let pat = service.register("Pat", "member", Some(PASSWORD)).await;
    pat.post(&service, "/account/logout", json!({}))
        .send()
        .await
        .result();
    let mut replies = Vec::new();
    // A few at a time: passwords wait for their turn at the hashing, and not for ever.
    for round in 0..7 {
        let calls = [&service, &other, &service, &other].map(|server| {
            let device = format!("evil-{}", round % 3);
            log_in(server, &pat.phone, "password", "wrong password", &device).send()
        });
        replies.extend(futures_util::future::join_all(calls).await);
    }
    assert_eq!(replies.iter().filter(|reply| reply.status == 401).count(), 10);
    for reply in replies.iter().filter(|reply| reply.status != 401) {
        waits(reply, "account.too_many_attempts", 900);
    }
    // Also the right password, on an unknown device.
    let reply = log_in(&other, &pat.phone, "password", PASSWORD, "evil-1")
        .send()
        .await;
    waits(&reply, "account.too_many_attempts", 900);
    log_in(&other, &pat.phone, "password", PASSWORD, &pat.device_id)
        .send()
        .await
        .result();
    pass(&service, MINUTE_MS).await;
    let code = service.code(&pat.phone).await;
    log_in(&service, &pat.phone, "code", &code, "a new one")
        .send()
        .await
        .result();
    // A known device has ten of its own.
    for _ in 0..10 {
        log_in(&service, &pat.phone, "password", "wrong password", &pat.device_id)
            .send()
            .await
            .refused(401, "account.login_refused");
    }
    let reply = log_in(&other, &pat.phone, "password", PASSWORD, &pat.device_id)
        .send()
        .await;
    waits(&reply, "account.too_many_attempts", 900);
    log_in(&other, &pat.phone, "password", PASSWORD, "a new one")
        .send()
        .await
        .result();
}

#[tokio::test]
async fn a_device_that_was_logged_out_from_elsewhere_is_a_strangers_again() {
    let service = Service::start().await;
    let pat = service.register("Pat", "member", Some(PASSWORD)).await;
    service.log_in(&pat, PASSWORD, "lost").await;
    let kept = service.log_in(&pat, PASSWORD, "kept").await;
    pat.delete(&service, "/account/devices/lost")
        .send()
        .await
        .result();
    let wrong =
        |device: &'static str| log_in(&service, &pat.phone, "password", "wrong password", device).send();
    for _ in 0..10 {
        wrong("evil").await.refused(401, "account.login_refused");
    }
    waits(&wrong("lost").await, "account.too_many_attempts", 900);
    wrong("kept").await.refused(401, "account.login_refused");
    // So is every other one after a change of the password.
    let body = json!({"current_password": PASSWORD, "new_password": "another password"});
    pat.put(&service, "/account/password", body).send().await.result();
    waits(&wrong("kept").await, "account.too_many_attempts", 900);
    wrong("phone-1").await.refused(401, "account.login_refused");
    drop(kept);
}

#[tokio::test]
async fn an_address_has_so_many_wrong_logins_and_right_ones_cost_nothing() {
    let service = behind_a_proxy(1_000, 8).await;
    let other = service.beside().await;
    let mut people: Vec<Person> = Vec::new();
    for _ in 0..12 {
        people.push(service.register("Pat", "member", Some(PASSWORD)).await);
    }
    let evil = |at: usize, person: &Person| {
        let server = if at.is_multiple_of(2) { &service } else { &other };
        log_in(server, &person.phone, "password", "wrong password", "evil")
            .header("X-Forwarded-For", "10.1.2.3")
            .send()
    };
    for (at, person) in people.iter().enumerate() {
        // Neither registering by a right code nor this login counts as a guess.
        log_in(&other, &person.phone, "password", PASSWORD, "second")
            .send()
            .await
            .result();
        let reply = evil(at, person).await;
        if at < 8 {
            reply.refused(401, "account.login_refused");
        } else {
            waits(&reply, "account.too_many_attempts", 900);
        }
    }
    let code = json!({"phone": new_phone(), "code": "000000", "name": "x", "role": "member", "device_id": "d", "platform": "ios"});
    let reply = service
        .post("/account/register")
        .json(code)
        .header("X-Forwarded-For", "10.1.2.3")
        .send()
        .await;
    waits(&reply, "account.too_many_attempts", 900);
    // Known devices go on there, such as those of the same hospital.
    log_in(&service, &people[9].phone, "password", PASSWORD, "second")
        .header("X-Forwarded-For", "10.1.2.3")
        .send()
        .await
        .result();
}

#[tokio::test]
async fn an_operator_is_not_locked_out_by_strangers() {
    let service = Service::start().await;
    let other = service.beside().await;
    let (_, password) = operators::operator(&service, "张伟").await;
    for at in 0..10 {
        let server = if at % 2 == 0 { &service } else { &other };
        operator_log_in(server, "wrong password", "evil")
            .send()
            .await
            .refused(401, "operator.login_refused");
    }
    waits(
        &operator_log_in(&other, &password, "evil").send().await,
        "account.too_many_attempts",
        900,
    );
    operator_log_in(&other, &password, "desk").send().await.result();
}
