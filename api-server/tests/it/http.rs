//! Rules of all requests: envelopes, limits, slow and oversized input, the end of the service.

use std::{
    num::NonZeroU32,
    time::{Duration, Instant},
};

use api_server::{Caller, Settings};
use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use super::{
    endpoints::concrete,
    operators::operator,
    people::{new_consult, new_team},
    scene::PATIENCE,
    service::{Service, roomy},
};

#[tokio::test]
async fn refusals_are_told_in_the_language_that_is_preferred() {
    let service = Service::start().await;
    let chinese = service.get("/im/servers").send().await;
    assert!(chinese.json["message"].as_str().unwrap().contains("请先登录"));
    let english = service
        .get("/im/servers")
        .header("Accept-Language", "en-GB,zh;q=0.5")
        .send()
        .await;
    assert!(
        english.json["message"]
            .as_str()
            .unwrap()
            .starts_with("Log in first")
    );
    let invalid = service
        .post("/account/code")
        .header("Accept-Language", "en")
        .json(json!({"phone": "1"}))
        .send()
        .await;
    assert!(invalid.json["message"].as_str().unwrap().contains("11 digits"));
    for reply in [&english, &service.get("/livez").send().await] {
        assert_eq!(reply.header("content-type"), "application/json");
        assert_eq!(reply.header("cache-control"), "no-store");
        assert_eq!(reply.header("x-content-type-options"), "nosniff");
    }
    let keys: Vec<&String> = invalid.json.as_object().unwrap().keys().collect();
    assert_eq!(
        keys,
        ["code", "error", "field", "message", "request_id", "success"]
    );
}

#[tokio::test]
async fn request_ids_are_echoed_when_they_are_plain() {
    let service = Service::start().await;
    let given = service
        .get("/livez")
        .header("X-Request-Id", "abc-1.2_3:4")
        .send()
        .await;
    assert_eq!(given.header("x-request-id"), "abc-1.2_3:4");
    let long = "x".repeat(129);
    for odd in ["", "a b", "\"quoted\"", "<tag>", long.as_str()] {
        let reply = service.get("/livez").header("X-Request-Id", odd).send().await;
        assert_eq!(reply.header("x-request-id").len(), 24, "{odd}");
    }
}

#[tokio::test]
async fn unknown_paths_and_methods_have_the_envelope() {
    let service = Service::start().await;
    for path in ["/nothing", "/consults", "/consult/1/2/3", "/im"] {
        service.get(path).send().await.refused(404, "request.not_found");
    }
    let reply = service.post("/im/servers").send().await;
    assert!(
        reply
            .refused(405, "request.method_not_allowed")
            .header("allow")
            .contains("GET")
    );
}

/// The HTTP client follows the redirect to the page.
#[tokio::test]
async fn the_root_leads_to_the_documentation() {
    let service = Service::start().await;
    let reply = service.get("/").send().await;
    assert_eq!(reply.status, 200, "{}", reply.text);
    assert!(reply.text.contains("swagger-ui"), "{}", reply.text);
}

#[tokio::test]
async fn bodies_over_64_kib_are_refused() {
    let service = Service::start().await;
    let doctor = service.doctor("Dr. A").await;
    let mut fits = new_team("x");
    fits["padding"] = "p".repeat(64 * 1024 - fits.to_string().len() - 13).into();
    assert_eq!(fits.to_string().len(), 64 * 1024);
    doctor.post(&service, "/team", fits).send().await.result();
    // Where fields may hold more, so may the body: every character of them escaped.
    let (big, bigger) = ("x".repeat(64 * 1024 + 1), "x".repeat(12 * 23_000));
    service
        .post("/account/code")
        .body(big.clone())
        .send()
        .await
        .refused(413, "request.body_too_large");
    let call = service.post("/team").token(&doctor.token).body(bigger);
    call.send().await.refused(413, "request.body_too_large");
    let call = doctor.post(&service, "/clinic/1/leave", serde_json::json!({"x": big}));
    call.send().await.refused(413, "request.body_too_large");
    // Without a length that tells: cut off where the limit is.
    let mut stream = TcpStream::connect(service.address).await.unwrap();
    let head =
        "POST /account/code HTTP/1.1\r\nhost: x\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    let chunk = format!("4000\r\n{}\r\n", "x".repeat(0x4000));
    for _ in 0..5 {
        // It may be closed already.
        let _ = stream.write_all(chunk.as_bytes()).await;
    }
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 413");
}

#[tokio::test]
async fn heads_over_16_kib_are_refused() {
    let service = Service::start().await;
    let reply = service
        .get("/livez")
        .header("x-padding", &"p".repeat(12 * 1024))
        .send()
        .await;
    assert_eq!(reply.status, 200);
    let reply = service
        .get("/livez")
        .header("x-padding", &"p".repeat(17 * 1024))
        .try_send()
        .await;
    if let Ok(reply) = reply {
        assert_eq!(reply.status, 431);
    }
}

/// Slow connections end after 10 s, also while bytes trickle in, and do not affect others.
#[tokio::test]
async fn slow_heads_and_bodies_are_cut_off() {
    let service = Service::start().await;
    let dribble = async |head: &str, byte: &[u8]| {
        let started = Instant::now();
        let stream = TcpStream::connect(service.address).await.unwrap();
        let (mut read, mut write) = stream.into_split();
        write.write_all(head.as_bytes()).await.unwrap();
        let writing = async {
            if byte.is_empty() {
                std::future::pending::<()>().await;
            }
            loop {
                tokio::time::sleep(Duration::from_millis(200)).await;
                if write.write_all(byte).await.is_err() {
                    std::future::pending::<()>().await;
                }
            }
        };
        let mut answer = Vec::new();
        let reading = async {
            let mut buffer = [0; 4096];
            while let Ok(length @ 1..) = read.read(&mut buffer).await {
                answer.extend_from_slice(&buffer[..length]);
            }
        };
        let ended = async {
            tokio::select! {
                () = writing => {}
                () = reading => {}
            }
        };
        timeout(PATIENCE, ended).await.expect("the connection is closed");
        let took = started.elapsed();
        assert!(took >= Duration::from_secs(9), "{took:?} {head:?}");
        String::from_utf8_lossy(&answer).into_owned()
    };
    let head = "POST /account/code HTTP/1.1\r\nhost: x\r\ncontent-length: 60000\r\n\r\n{";
    let kept = "GET /livez HTTP/1.1\r\nhost: x\r\n\r\n";
    let others = async {
        for _ in 0..20 {
            service.get("/livez").send().await.result();
            tokio::time::sleep(Duration::from_millis(300)).await;
        }
    };
    let (silent, slow_head, slow_body, silent_body, idle, ()) = tokio::join!(
        dribble("", b""),
        dribble("GET /livez HTTP/1.1\r\nx-slow: ", b"x"),
        dribble(head, b" "),
        dribble(head, b""),
        dribble(kept, b""),
        others,
    );
    assert_eq!(silent, "");
    assert!(!slow_head.contains("200 OK"), "{slow_head}");
    for body in [slow_body, silent_body] {
        assert!(
            body.starts_with("HTTP/1.1 408") && body.contains("request.body_timeout"),
            "{body}"
        );
    }
    // An idle connection is answered first and closed later.
    assert!(idle.starts_with("HTTP/1.1 200"), "{idle}");
}

fn tight(user: u32, address: u32) -> Settings {
    Settings {
        requests_per_s_user: NonZeroU32::new(user).unwrap(),
        requests_per_s_address: NonZeroU32::new(address).unwrap(),
        ..Settings::default()
    }
}

#[tokio::test]
async fn each_user_has_a_budget_and_sees_it() {
    let service = Service::start_with(tight(1, 1000)).await;
    let one = service.member("Pat").await;
    let two = service.member("Sam").await;
    for left in (0..5).rev() {
        let reply = one.get(&service, "/account/devices").send().await;
        assert_eq!(reply.status, 200);
        assert_eq!(reply.header("x-ratelimit-limit"), "5");
        // A slow machine may have given one back.
        assert!(reply.header("x-ratelimit-remaining").parse::<i32>().unwrap() >= left);
        assert!((1..=5).contains(&reply.header("x-ratelimit-reset").parse::<u32>().unwrap()));
    }
    let refused = loop {
        let reply = one.get(&service, "/account/devices").send().await;
        if reply.status != 200 {
            break reply;
        }
    };
    refused.refused(429, "request.rate_limited");
    assert!((1..=2).contains(&refused.header("retry-after").parse::<u64>().unwrap()));
    assert_eq!(refused.header("x-ratelimit-remaining"), "0");
    two.get(&service, "/account/devices").send().await.result();
    assert_eq!(
        service.get("/nothing").send().await.header("x-ratelimit-limit"),
        "5000"
    );
}

#[tokio::test]
async fn each_address_has_a_budget_also_without_a_user() {
    let service = Service::start_with(tight(1000, 2)).await;
    let mut refused = None;
    for _ in 0..40 {
        let reply = service.get("/im/servers").token("guess").send().await;
        if reply.status == 429 {
            refused = Some(reply);
            break;
        }
        reply
            .refused(401, "auth.required")
            .header("x-ratelimit-remaining");
    }
    refused
        .expect("a limit")
        .refused(429, "request.rate_limited")
        .header("retry-after");
    // The forwarded address does not hide the peer's. Requests that a slow machine refilled meanwhile are soon spent.
    let mut refused = None;
    for at in 0..40 {
        let from = format!("9.9.9.{at}");
        let reply = service
            .get("/livez")
            .header("X-Forwarded-For", &from)
            .send()
            .await;
        if reply.status == 429 {
            refused = Some(reply);
            break;
        }
    }
    refused.expect("a limit").refused(429, "request.rate_limited");
}

#[tokio::test]
async fn a_trusted_proxy_says_who_asks() {
    let settings = Settings {
        trusted_proxies: vec!["127.0.0.1".parse().unwrap()],
        ..tight(1000, 2)
    };
    let service = Service::start_with(settings).await;
    let ask = |from: &str| service.get("/livez").header("X-Forwarded-For", from).send();
    let mut refused = false;
    for _ in 0..40 {
        refused |= ask("9.9.9.9").await.status == 429;
    }
    assert!(refused);
    ask("8.8.8.8").await.result();
}

#[tokio::test]
async fn the_service_drains_and_ends() {
    let mut service = Service::start().await;
    let ended = service.ended.take().unwrap();
    // An idle connection that the client keeps holds nothing up.
    let patient = service.member("Pat").await;
    // A request that has begun: the service asks for its body.
    let body = new_consult(&patient, 999_999).to_string();
    let head = format!(
        "POST /consult HTTP/1.1\r\nhost: x\r\nx-auth-token: {}\r\nexpect: 100-continue\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n",
        patient.token,
        body.len()
    );
    let mut stream = TcpStream::connect(service.address).await.unwrap();
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut go_on = [0; 25];
    stream.read_exact(&mut go_on).await.unwrap();
    assert!(go_on.starts_with(b"HTTP/1.1 100 "));
    service.shutdown.cancel();
    let refused = async {
        while TcpStream::connect(service.address).await.is_ok() {
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, refused).await.expect("no new connections");
    assert!(!ended.is_finished(), "it waits for the request");
    stream.write_all(body.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.contains("team.not_found"), "{answer}");
    timeout(PATIENCE, ended).await.unwrap().unwrap().unwrap();
}

#[tokio::test]
async fn a_closed_database_is_unavailable_and_says_nothing_of_itself() {
    let service = Service::start_with(roomy()).await;
    let member = service.member("Pat").await;
    member.get(&service, "/account/devices").send().await.result();
    service.database.close().await;
    let reply = member.get(&service, "/consult/1").send().await;
    reply.refused(503, "server.unavailable").header("retry-after");
    assert!(!reply.text.contains("database"));
    service
        .get("/readyz")
        .send()
        .await
        .refused(503, "server.unavailable");
    service.get("/livez").send().await.result();
}

#[tokio::test]
async fn browser_apps_of_named_origins_may_call_and_no_others() {
    const APP: &str = "https://app.example.com";
    let settings = Settings {
        cors_origin: vec!["http://localhost:3000".parse().unwrap(), APP.parse().unwrap()],
        ..roomy()
    };
    let service = Service::start_with(settings).await;
    let ask = async |service: &Service, origin: &str| {
        service
            .call(reqwest::Method::OPTIONS, "/member/detail")
            .header("Origin", origin)
            .header("Access-Control-Request-Method", "PUT")
            .header("Access-Control-Request-Headers", "x-auth-token,content-type")
            .send()
            .await
    };
    let allowed = ask(&service, APP).await;
    assert_eq!((allowed.status, allowed.text.as_str()), (204, ""));
    assert_eq!(allowed.header("access-control-allow-origin"), APP);
    assert_eq!(allowed.header("vary"), "origin");
    assert!(allowed.header("access-control-allow-methods").contains("PUT"));
    let names = |list: &str| list.split(", ").map(str::to_owned).collect::<Vec<_>>();
    let allowed_headers = names(allowed.header("access-control-allow-headers"));
    let wanted =
        "x-auth-token content-type idempotency-key authorization content-range if-none-match if-range range";
    for header in wanted.split(' ') {
        assert!(
            allowed_headers.iter().any(|allowed| allowed == header),
            "{header}"
        );
    }
    assert!(!allowed.headers.contains_key("access-control-allow-credentials"));
    // Answers and refusals are read by the app.
    let member = service.member("Pat").await;
    let good = member
        .get(&service, "/member/detail")
        .header("Origin", APP)
        .send()
        .await;
    let refused = service.get("/member/detail").header("Origin", APP).send().await;
    good.result();
    refused.refused(401, "auth.required");
    for reply in [&good, &refused] {
        assert_eq!(reply.header("access-control-allow-origin"), APP);
        let exposed = names(reply.header("access-control-expose-headers"));
        let wanted = "x-request-id retry-after x-ratelimit-remaining content-range etag upload-offset";
        for header in wanted.split(' ') {
            assert!(exposed.iter().any(|exposed| exposed == header), "{header}");
        }
    }
    for other in [
        "https://evil.example.com",
        "https://app.example.com.evil.com",
        "null",
        "http://app.example.com",
    ] {
        let denied = ask(&service, other).await;
        denied.refused(405, "request.method_not_allowed");
        let read = service.get("/livez").header("Origin", other).send().await;
        for reply in [&denied, &read] {
            assert!(
                !reply.headers.contains_key("access-control-allow-origin"),
                "{other}"
            );
            assert_eq!(reply.header("vary"), "origin");
        }
    }
    // Without the setting no origin may call.
    let service = Service::start().await;
    ask(&service, APP)
        .await
        .refused(405, "request.method_not_allowed");
    let read = service.get("/livez").header("Origin", APP).send().await;
    assert!(!read.headers.contains_key("access-control-allow-origin"));
}

/// Every endpoint refuses bodies that are not declared as JSON, so that web pages of other origins cannot send them.
#[tokio::test]
async fn a_body_says_that_it_is_json() {
    let service = Service::start().await;
    let (operator, _) = operator(&service, "张伟").await;
    let doctor = service.doctor("Dr. A").await;
    let member = service.member("Pat").await;
    let document = api_server::document();
    let mut bodies = 0;
    for route in api_server::ROUTES {
        // Without a body of its own none is read, or an empty object is taken.
        let takes_none = ["/account/logout", "/account/devices/{device_id}"].contains(&route.path);
        if route.method == "GET" || takes_none {
            continue;
        }
        let method = route.method.to_lowercase();
        let body = &document["paths"][route.path][&method]["requestBody"]["content"];
        if body.is_object() && body.get("application/json").is_none() {
            // The bytes of an upload.
            continue;
        }
        bodies += usize::from(
            document["paths"][route.path][&method]
                .get("requestBody")
                .is_some(),
        );
        let token = match route.caller {
            Caller::Doctor => &doctor.token,
            Caller::Member => &member.token,
            Caller::Anyone | Caller::User | Caller::Operator => &operator.token,
        };
        let path = concrete(route.path);
        let call = || service.call(route.method.parse().unwrap(), &path).token(token);
        let send = async |types: &[&str]| {
            let mut call = call().body("{}");
            for kind in types {
                call = call.header("Content-Type", kind);
            }
            call.send().await
        };
        for types in [
            &[][..],
            &["text/plain"],
            &["text/plain;charset=UTF-8"],
            &["application/x-www-form-urlencoded"],
            &["application/jsonp"],
            &["text/plain; application/json"],
            &["application/json", "text/plain"],
        ] {
            send(types).await.refused(415, "request.not_json");
        }
        for types in ["application/json; charset=utf-8", "Application/JSON"] {
            let reply = send(&[types]).await;
            assert_ne!(reply.status, 415, "{} {path}: {}", route.method, reply.text);
        }
    }
    assert!(bodies > 25, "{bodies}");
    // A body that is left out needs no type.
    doctor.delete(&service, "/vas").send().await.result();
}
