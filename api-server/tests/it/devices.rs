//! Devices: listing, logging out, replacing, and the effects on sessions.

use std::sync::Arc;

use backplane::{Channel, hash_password};
use journal::UserNotice;
use parking_lot::Mutex;
use proto::UserId;
use serde_json::json;

use super::{people::Person, service::Service};

const PASSWORD: &str = "correct horse battery";

/// The notices for a user's nodes.
pub async fn notices(service: &Service, person: &Person) -> Arc<Mutex<Vec<UserNotice>>> {
    let seen: Arc<Mutex<Vec<UserNotice>>> = Arc::default();
    let into = seen.clone();
    let subscriber = service.backplane.join(Arc::new(move |_, payload| {
        into.lock().extend(UserNotice::decode(&payload));
    }));
    let channel = Channel::User(UserId::from_database(person.id));
    service.backplane.subscribe(subscriber, channel).await.unwrap();
    seen
}

pub fn logged_out(device_id: &str) -> UserNotice {
    UserNotice::LoggedOut {
        device_id: device_id.to_owned(),
        // The user has no session on a node.
        generation: 1,
    }
}

pub async fn im_password(service: &Service, person: &Person) -> String {
    let result = person.get(service, "/im/password").send().await.result();
    result["password"].as_str().unwrap().to_owned()
}

pub async fn is_good(service: &Service, person: &Person, password: &str) -> bool {
    let user = UserId::from_database(person.id);
    let found = service
        .backplane
        .check_im_password(user, &person.device_id, &hash_password(password))
        .await;
    found.unwrap().is_some()
}

async fn device_ids(service: &Service, person: &Person) -> Vec<String> {
    let devices = person.get(service, "/account/devices").send().await.result();
    let ids = devices.as_array().unwrap().iter();
    ids.map(|device| device["device_id"].as_str().unwrap().to_owned())
        .collect()
}

/// Seed: 退出登录接口.
#[tokio::test]
async fn logout_ends_everything_of_the_device_at_once() {
    let service = Service::start().await;
    let here = service.register("Pat", "member", Some(PASSWORD)).await;
    let there = service.log_in(&here, PASSWORD, "tablet").await;
    let push = json!({"provider": "apns", "token": "push-here"});
    here.put(&service, "/account/push_token", push)
        .send()
        .await
        .result();
    let passwords = [
        im_password(&service, &here).await,
        im_password(&service, &here).await,
    ];
    let other = im_password(&service, &there).await;
    for password in &passwords {
        assert!(is_good(&service, &here, password).await);
        assert!(!is_good(&service, &there, password).await, "bound to its device");
    }
    let seen = notices(&service, &here).await;

    let out = here.post(&service, "/account/logout", json!({})).send().await;
    assert_eq!(out.json, json!({"success": true, "code": 200, "result": {}}));
    here.get(&service, "/account/devices")
        .send()
        .await
        .refused(401, "auth.required");
    here.post(&service, "/account/logout", json!({}))
        .send()
        .await
        .refused(401, "auth.required");
    for password in &passwords {
        assert!(!is_good(&service, &here, password).await);
    }
    assert_eq!(*seen.lock(), [logged_out("phone-1")]);
    assert!(is_good(&service, &there, &other).await, "other devices go on");
    assert_eq!(device_ids(&service, &there).await, ["tablet"]);
    let rows = service
        .database
        .query("SELECT 1 FROM device WHERE push_token = 'push-here'", vec![])
        .await
        .unwrap();
    assert!(rows.is_empty(), "the push token goes with the device");
}

#[tokio::test]
async fn logout_waits_for_the_backplane_and_keeps_the_token_until_then() {
    let service = Service::start().await;
    let member = service.member("Pat").await;
    let backplane::Backplane::Memory(memory) = &service.backplane else {
        panic!("not in memory")
    };
    memory.set_away(true);
    let reply = member.post(&service, "/account/logout", json!({})).send().await;
    reply.refused(503, "server.unavailable").header("retry-after");
    memory.set_away(false);
    member
        .post(&service, "/account/logout", json!({}))
        .send()
        .await
        .result();
}

#[tokio::test]
async fn devices_are_listed_and_logged_out_by_name() {
    let service = Service::start().await;
    let here = service.register("Pat", "member", Some(PASSWORD)).await;
    let there = service.log_in(&here, PASSWORD, "tab let/1").await;
    let stranger = service.member("Sam").await;
    let devices = here.get(&service, "/account/devices").send().await;
    assert_eq!(devices.json["has_more"], false);
    let devices = devices.result();
    let keys: Vec<&String> = devices[0].as_object().unwrap().keys().collect();
    assert_eq!(
        keys,
        [
            "created_ms",
            "device_id",
            "has_push_token",
            "last_used_ms",
            "platform",
            "this_device"
        ]
    );
    for device in devices.as_array().unwrap() {
        assert_eq!(device["this_device"], device["device_id"] == "phone-1");
    }
    let seen = notices(&service, &here).await;
    let path = "/account/devices/tab%20let%2F1";
    service.delete(path).send().await.refused(401, "auth.required");
    stranger
        .delete(&service, path)
        .send()
        .await
        .refused(404, "account.device_not_found");
    there.get(&service, "/account/devices").send().await.result();
    here.delete(&service, path).send().await.result();
    there
        .get(&service, "/account/devices")
        .send()
        .await
        .refused(401, "auth.required");
    assert_eq!(*seen.lock(), [logged_out("tab let/1")]);
    here.delete(&service, path)
        .send()
        .await
        .refused(404, "account.device_not_found");
}

#[tokio::test]
async fn the_same_device_again_has_a_new_token_only() {
    let service = Service::start().await;
    let first = service.register("Pat", "member", Some(PASSWORD)).await;
    let password = im_password(&service, &first).await;
    let seen = notices(&service, &first).await;
    let second = service.log_in(&first, PASSWORD, "phone-1").await;
    assert_eq!(*seen.lock(), [logged_out("phone-1")], "its IM session ends");
    assert!(
        !is_good(&service, &first, &password).await,
        "so do its IM passwords"
    );
    let password = im_password(&service, &second).await;
    assert!(is_good(&service, &second, &password).await);
    first
        .get(&service, "/account/devices")
        .send()
        .await
        .refused(401, "auth.required");
    assert_eq!(device_ids(&service, &second).await, ["phone-1"]);
}

// protocol: "devices of a user with a session | 10"
#[tokio::test]
async fn the_eleventh_login_logs_out_the_device_used_least_recently() {
    let service = Service::start().await;
    let first = service.register("Pat", "member", Some(PASSWORD)).await;
    let second = service.log_in(&first, PASSWORD, "device-2").await;
    let password = im_password(&service, &second).await;
    let mut others = vec![second];
    for at in 3..=10 {
        others.push(service.log_in(&first, PASSWORD, &format!("device-{at}")).await);
    }
    // Everybody but device-2 is used once more, in the memory of the service only.
    for person in others.iter().skip(1).chain([&first]) {
        person.get(&service, "/account/devices").send().await.result();
    }
    let seen = notices(&service, &first).await;
    let eleventh = service.log_in(&first, PASSWORD, "device-11").await;
    assert_eq!(device_ids(&service, &eleventh).await.len(), 10);
    others[0]
        .get(&service, "/account/devices")
        .send()
        .await
        .refused(401, "auth.required");
    assert!(!is_good(&service, &others[0], &password).await);
    assert_eq!(*seen.lock(), [logged_out("device-2")]);
    first.get(&service, "/account/devices").send().await.result();
}

#[tokio::test]
async fn logins_that_race_leave_at_most_ten_devices() {
    let service = Service::start().await;
    let team = service.team("儿科").await;
    let path = format!("/team/{}/assistant/login", team.id);
    let calls = (0..20).map(|at| {
        let body = json!({"device_id": format!("desk-{at}"), "platform": "web"});
        team.owner.post(&service, &path, body).send()
    });
    for reply in futures_util::future::join_all(calls).await {
        reply.result();
    }
    let sql = format!(
        "SELECT count(*) FROM device WHERE user_id = {}",
        team.assistant.id
    );
    let rows = service.database.query(sql, vec![]).await.unwrap();
    assert_eq!(rows[0].get::<i64>(0).unwrap(), 10);
}

/// Seed: 登陆上传 token 接口.
#[tokio::test]
async fn a_push_token_is_on_one_device_only() {
    let service = Service::start().await;
    let pat = service.member("Pat").await;
    let sam = service.member("Sam").await;
    let push = json!({"provider": "apns", "token": "the same phone"});
    service
        .put("/account/push_token")
        .json(push.clone())
        .send()
        .await
        .refused(401, "auth.required");
    pat.put(&service, "/account/push_token", json!({"provider": "apns"}))
        .send()
        .await
        .refused(400, "request.invalid")
        .field("token");
    let has = async |person: &Person| {
        person.get(&service, "/account/devices").send().await.result()[0]["has_push_token"] == true
    };
    let put = pat
        .put(&service, "/account/push_token", push.clone())
        .send()
        .await;
    assert_eq!(put.json, json!({"success": true, "code": 200, "result": {}}));
    assert!(has(&pat).await);
    sam.put(&service, "/account/push_token", push)
        .send()
        .await
        .result();
    assert!(has(&sam).await);
    assert!(!has(&pat).await, "the phone is Sam's now");
}

/// Two phones set one push token concurrently, again and again: one of them gets it, and the later one may have to retry.
#[tokio::test]
async fn a_push_token_is_on_one_device_also_when_requests_race() {
    let service = Service::start().await;
    let mut people = Vec::new();
    for _ in 0..4 {
        people.push(service.register("Pat", "member", Some(PASSWORD)).await);
    }
    for round in 0..12 {
        let push = json!({"provider": "apns", "token": format!("phone {round}")});
        let put = people
            .iter()
            .map(|person| person.put(&service, "/account/push_token", push.clone()).send());
        let logins = people.iter().map(|person| {
            let body = json!({
                "phone": person.phone, "password": PASSWORD, "device_id": "second", "platform": "android",
                "push_token": push,
            });
            service.post("/account/login").json(body).send()
        });
        // Password hashing is limited, so that every third round logs in.
        let replies = if round % 3 == 0 {
            futures_util::future::join_all(logins).await
        } else {
            futures_util::future::join_all(put).await
        };
        assert!(replies.iter().any(|reply| reply.status == 200), "{replies:?}");
        for reply in replies.iter().filter(|reply| reply.status != 200) {
            reply.refused(503, "server.unavailable").header("retry-after");
        }
        let sql = format!("SELECT count(*) FROM device WHERE push_token = 'phone {round}'");
        let rows = service.database.query(sql, vec![]).await.unwrap();
        assert_eq!(rows[0].get::<i64>(0).unwrap(), 1);
    }
}
