//! Logs contain nothing secret or personal.

use serde_json::json;

use crate::captured::log;

use super::{
    people::new_phone,
    service::{Inbox, Service, roomy},
};

#[tokio::test]
async fn planted_markers_are_in_no_log() {
    let log = log();
    let service = Service::start().await;
    let phone = new_phone();
    let code = service.code(&phone).await;
    let password = "marker-password-q81542";
    let register = json!({
        "phone": phone, "code": code, "name": "marker-name-q81542", "role": "member", "password": password,
        "device_id": "phone-1", "platform": "ios",
        "push_token": {"provider": "apns", "token": "marker-push-q81542"},
    });
    let login = service
        .post("/account/register")
        .json(register.clone())
        .send()
        .await
        .result();
    let token = login["access_token"].as_str().unwrap().to_owned();
    let id = login["user_id"].as_i64().unwrap();
    // Refusals and faults as well.
    let mut elsewhere = register;
    elsewhere["device_id"] = "another".into();
    service
        .post("/account/register")
        .json(elsewhere)
        .send()
        .await
        .refused(403, "account.code_refused");
    for wrong in [password, "marker-wrong-q81542"] {
        let body = json!({"phone": phone, "password": wrong, "device_id": "phone-2", "platform": "ios"});
        service.post("/account/login").json(body).send().await;
    }
    let im = service.get("/im/password").token(&token).send().await.result();
    let team = service.team("marker-team-q81542").await;
    let consult = json!({
        "creator_member_id": id, "target_member_id": id, "team_id": team.id,
        "symptom_content": "marker-symptom-q81542", "symptom_type": "text/plain", "images": ["media/marker-image-q81542"],
    });
    let made = service
        .post("/consult")
        .token(&token)
        .key("marker-key")
        .json(consult)
        .send()
        .await
        .result();
    let path = format!("/consult/{}?marker-query-q81542", made["consultation_id"]);
    service.get(&path).token(&token).send().await.result();
    service
        .get("/chat_list?cursor=marker-cursor-q81542")
        .token(&token)
        .send()
        .await
        .refused(400, "request.invalid");
    service
        .get("/im/servers")
        .token("marker-token-q81542")
        .send()
        .await
        .refused(401, "auth.required");
    service
        .post("/account/code")
        .header("Content-Type", "application/json")
        .body("{\"phone\":\"marker-phone-q81542\"}")
        .send()
        .await
        .refused(400, "request.invalid");
    service.sms.set_broken(true);
    service.pass_the_minute(&phone).await;
    service
        .post("/account/code")
        .json(json!({"phone": phone}))
        .send()
        .await
        .refused(503, "account.sms_unavailable");

    let text = String::from_utf8_lossy(&log.0.lock()).into_owned();
    // Lines of this service and its crates only: the test's own client logs freely.
    assert!(text.contains("api_server"), "the log is read");
    assert!(text.contains("account.sms_unavailable"), "a fault is in the log");
    let secrets = [
        "-q81542", // no number has it, whatever the other tests log
        &phone,
        &phone[3..],
        &token,
        im["password"].as_str().unwrap(),
        "marker-key",
    ];
    for secret in secrets {
        let line = text.lines().find(|line| line.contains(secret));
        assert!(line.is_none(), "{secret} is in the log: {line:?}");
    }
    let line = text
        .lines()
        .find(|line| line.contains(&format!("{code} ")) || line.contains(&format!("\"{code}\"")));
    assert!(line.is_none(), "the code is in the log: {line:?}");
}

/// The one place where a code is in a log: for development.
#[tokio::test]
async fn the_log_provider_writes_codes_to_the_log() {
    let log = log();
    let service = Service::start_as(roomy(), Inbox::default()).await;
    let phone = new_phone();
    service
        .post("/account/code")
        .json(json!({"phone": phone}))
        .send()
        .await
        .result();
    let text = String::from_utf8_lossy(&log.0.lock()).into_owned();
    let line = text
        .lines()
        .find(|line| line.contains(&phone))
        .expect("the code is in the log");
    assert!(line.contains("SMS code"));
}
