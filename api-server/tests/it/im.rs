//! 1.1 and 1.2 of the seed document.

use backplane::{NodeAddress, NodeRecord, hash_password};
use proto::UserId;
use serde_json::json;

use super::service::Service;

pub fn node(id: &str, ip: &str, port: u16, sessions: u64) -> NodeRecord {
    NodeRecord {
        node_id: id.into(),
        address: NodeAddress {
            ip: ip.into(),
            port,
            ..NodeAddress::default()
        },
        sessions,
        version: "1".into(),
        process: None,
    }
}

/// Seed 1.1: `"result":[{"ip": "192.168.3.1" "port": 9501}, …]`.
/// Seed: IM 获取 ip 地址 接口.
/// Seed: 1.1 获取 im server ip 地址.
// protocol: "lists the live nodes, the least loaded first"
#[tokio::test]
async fn servers_are_the_live_nodes_the_least_loaded_first() {
    let service = Service::start().await;
    let member = service.member("Pat").await;
    let path = "/im/servers";
    let none = member.get(&service, path).send().await;
    assert_eq!(none.json, json!({"success": true, "code": 200, "result": []}));
    let mut full = node("b", "192.168.3.2", 9501, 7);
    full.address.tls_port = Some(9503);
    full.address.ws_port = Some(9502);
    full.address.domain = Some("im2.example.com".into());
    full.address.wss = Some("wss://im2.example.com:8443/im".into());
    for node in [full, node("a", "192.168.3.1", 9501, 3)] {
        service.backplane.announce_node(node, i64::MAX).await.unwrap();
    }
    service
        .backplane
        .announce_node(node("dead", "192.168.3.9", 9501, 0), 0)
        .await
        .unwrap();
    let reply = member.get(&service, path).send().await;
    assert_eq!(
        reply.json,
        json!({
            "success": true,
            "code": 200,
            "result": [
                {"ip": "192.168.3.1", "port": 9501},
                {
                    "ip": "192.168.3.2",
                    "port": 9501,
                    "tls_port": 9503,
                    "ws_port": 9502,
                    "domain": "im2.example.com",
                    "wss": "wss://im2.example.com:8443/im",
                },
            ],
        })
    );
    service.backplane.remove_node("a").await;
    assert_eq!(
        member
            .get(&service, path)
            .send()
            .await
            .result()
            .as_array()
            .unwrap()
            .len(),
        1
    );
    service.get(path).send().await.refused(401, "auth.required");
}

/// Seed 1.2: `{"success":true, "result": {"expire":3600, "password":"3dd734329f5abcdf7dde9ba87301bb1f"}}`.
/// Seed: IM 获取 Token 接口.
/// Seed: 1.2 获取 im password.
// protocol: "GET /im/password with the access token returns"
// protocol: "It is bound to this user and this device"
#[tokio::test]
async fn a_password_is_good_for_its_user_and_device() {
    let service = Service::start().await;
    let member = service.member("Pat").await;
    let first = member.get(&service, "/im/password").send().await;
    let password = first.json["result"]["password"].as_str().unwrap().to_owned();
    assert_eq!(
        first.json,
        json!({"success": true, "code": 200, "result": {"expire": 3600, "password": password}})
    );
    assert!(
        password.len() == 32
            && password
                .bytes()
                .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
    );
    let second = member.get(&service, "/im/password").send().await.result();
    assert_ne!(second["password"], password.as_str());
    let left_ms = async |user: i64, device: &str, password: &str| {
        let user = UserId::from_database(user);
        service
            .backplane
            .check_im_password(user, device, &hash_password(password))
            .await
            .unwrap()
    };
    let left = left_ms(member.id, "phone-1", &password).await.unwrap();
    assert!((3_000_000..=3_600_000).contains(&left), "{left}");
    assert!(
        left_ms(member.id, "phone-1", second["password"].as_str().unwrap())
            .await
            .is_some()
    );
    assert!(left_ms(member.id, "phone-2", &password).await.is_none());
    assert!(left_ms(member.id + 1, "phone-1", &password).await.is_none());
    service
        .get("/im/password")
        .send()
        .await
        .refused(401, "auth.required");
}

#[tokio::test]
async fn without_the_backplane_there_is_a_time_to_come_back() {
    let service = Service::start().await;
    let member = service.member("Pat").await;
    let backplane::Backplane::Memory(memory) = &service.backplane else {
        panic!("not in memory")
    };
    memory.set_away(true);
    for path in ["/im/servers", "/im/password"] {
        let reply = member.get(&service, path).send().await;
        reply.refused(503, "server.unavailable").header("retry-after");
    }
    member.get(&service, "/account/devices").send().await.result();
    let ready = service.get("/readyz?verbose").send().await.result();
    assert_eq!(ready["status"], "degraded");
    assert_eq!(ready["checks"]["backplane"], false);
    memory.set_away(false);
    assert_eq!(
        service.get("/readyz").send().await.result(),
        json!({"status": "ok"})
    );
}

// protocol: "An app that asks too often"
#[tokio::test]
async fn im_passwords_have_a_rate_of_their_own() {
    let service = Service::start().await;
    let member = service.register("Pat", "member", Some("correct horse")).await;
    let mut given = 0;
    let refused = loop {
        let reply = member.get(&service, "/im/password").send().await;
        if reply.status != 200 {
            break reply;
        }
        given += 1;
        assert!(given < 1000, "there is no end");
    };
    assert!(given >= 30, "{given}");
    refused.refused(429, "request.rate_limited");
    let wait: u64 = refused.header("retry-after").parse().unwrap();
    assert!((1..=3).contains(&wait), "{wait}");
    // Other requests, devices and users are not affected.
    member.get(&service, "/im/servers").send().await.result();
    let tablet = service.log_in(&member, "correct horse", "tablet").await;
    tablet.get(&service, "/im/password").send().await.result();
    let other = service.member("Sam").await;
    other.get(&service, "/im/password").send().await.result();
}
