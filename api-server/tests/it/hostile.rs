//! Requests that no honest app sends, on every route: refused with a word of ours, never a fault.

use reqwest::Method;
use serde_json::{Value, json};

use super::{
    operators,
    people::{Person, new_team},
    service::{Reply, Service},
};

/// Parts of a path or query that are not percent-encoded text.
const BAD_TEXT: [&str; 7] = ["%00", "a%00b", "%", "%zz", "%FF", "%ED%A0%80", "%C0%80"];

/// Every documented operation: method, path, whether it has a body, an example of the body.
fn operations() -> Vec<(Method, String, Option<Value>)> {
    let document = api_server::document();
    let mut found = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let method = method.to_uppercase().parse().unwrap();
            let body = &operation["requestBody"]["content"]["application/json"];
            found.push((method, path.clone(), body.get("example").cloned()));
        }
    }
    assert!(found.len() > 80, "{}", found.len());
    found
}

fn with_parameters(path: &str, text: &str) -> String {
    let parts = path.split('/');
    let parts: Vec<&str> = parts
        .map(|part| if part.starts_with('{') { text } else { part })
        .collect();
    parts.join("/")
}

#[track_caller]
fn refused(reply: &Reply, what: &str) {
    let word = reply.json["error"].as_str().unwrap_or_default();
    assert!(
        (400..500).contains(&reply.status) && !word.is_empty(),
        "{what}: {} {}",
        reply.status,
        reply.text
    );
}

async fn callers(service: &Service) -> [Person; 3] {
    let (operator, _) = operators::operator(service, "张伟").await;
    [
        service.member("Pat").await,
        service.doctor("Dr. A").await,
        operator,
    ]
}

#[tokio::test]
async fn paths_and_queries_are_percent_encoded_text() {
    let service = Service::start().await;
    let [member, ..] = callers(&service).await;
    for (method, path, _) in operations() {
        for bad in BAD_TEXT {
            if path.contains('{') {
                let path = with_parameters(&path, bad);
                let reply = service
                    .call(method.clone(), &path)
                    .token(&member.token)
                    .send()
                    .await;
                reply.refused(400, "request.invalid").field("path");
            }
            let path = format!("{}?{bad}=1", with_parameters(&path, "1"));
            let reply = service
                .call(method.clone(), &path)
                .token(&member.token)
                .send()
                .await;
            reply.refused(400, "request.invalid").field("query");
        }
    }
    service
        .get("/nowhere/%00")
        .send()
        .await
        .refused(400, "request.invalid")
        .field("path");
    let search = service.get("/clinic?limit=1&name=%E5%BC").token(&member.token);
    search.send().await.refused(400, "request.invalid").field("name");
    // Valid text is looked up: no such device.
    for odd in ["%0A", "%E2%80%8B", "%F0%9F%98%80", "%25", "a%20b"] {
        let path = format!("/account/devices/{odd}");
        let reply = member.delete(&service, &path).send().await;
        reply.refused(404, "account.device_not_found");
    }
}

/// Replaces each string of a body by the text, one after the other.
fn with_strings(body: &Value, text: &str) -> Vec<Value> {
    fn pointers(value: &Value, at: &str, found: &mut Vec<String>) {
        match value {
            Value::String(_) => found.push(at.to_owned()),
            Value::Object(fields) => {
                for (name, value) in fields {
                    pointers(value, &format!("{at}/{name}"), found);
                }
            }
            Value::Array(items) => {
                for (index, value) in items.iter().enumerate() {
                    pointers(value, &format!("{at}/{index}"), found);
                }
            }
            _ => {}
        }
    }
    let mut found = Vec::new();
    pointers(body, "", &mut found);
    found
        .iter()
        .map(|pointer| {
            let mut body = body.clone();
            *body.pointer_mut(pointer).unwrap() = text.into();
            body
        })
        .collect()
}

#[tokio::test]
async fn strings_of_bodies_are_text_without_nul() {
    /// Stands where the bytes come that serde would not write.
    const HERE: &str = "HERE";
    let service = Service::start().await;
    let callers = callers(&service).await;
    let mut tried = 0;
    for (method, path, example) in operations() {
        let Some(example) = example else {
            continue;
        };
        for body in with_strings(&example, HERE) {
            let text = serde_json::to_string(&body).unwrap();
            let path = with_parameters(&path, "1");
            for bad in [
                &br"a\u0000b"[..],
                br"\ud800",
                br"\udc00\ud800",
                b"\xff",
                b"\xed\xa0\x80",
                b"a\x00b",
                b"a\nb",
            ] {
                let (before, after) = text.split_once(HERE).unwrap();
                let body = [before.as_bytes(), bad, after.as_bytes()].concat();
                for caller in &callers {
                    let call = service.call(method.clone(), &path).token(&caller.token);
                    let call = call.header("content-type", "application/json").key("k");
                    let reply = call.body(body.clone()).send().await;
                    refused(&reply, &format!("{method} {path} {text} {bad:?}"));
                    tried += 1;
                }
            }
        }
    }
    assert!(tried > 500, "{tried}");
}

#[tokio::test]
async fn a_request_has_one_token() {
    let service = Service::start().await;
    let pat = service.member("Pat").await;
    let sam = service.member("Sam").await;
    let me = || service.get("/account/devices");
    let bearer = |person: &Person| format!("Bearer {}", person.token);
    for calls in [
        me().token(&pat.token).token(&sam.token),
        me().token(&pat.token).token(&pat.token),
        me().token(&pat.token).token(""),
        me().token("").token(&pat.token),
        me().token(&pat.token).header("authorization", &bearer(&sam)),
        me().token("").header("authorization", &bearer(&pat)),
        me().token("unknown").header("authorization", &bearer(&pat)),
        me().header("authorization", &bearer(&pat))
            .header("authorization", &bearer(&sam)),
        me().header("authorization", &bearer(&pat))
            .header("authorization", "Basic eDp5"),
        me().token(&format!("{}, {}", pat.token, sam.token)),
    ] {
        let reply = calls.send().await;
        reply.refused(401, "auth.required");
        assert_eq!(reply.header("www-authenticate"), "Bearer");
    }
    for calls in [
        me().token(&pat.token),
        me().header("authorization", &bearer(&pat)),
        me().token(&pat.token).header("authorization", &bearer(&pat)),
        me().token(&pat.token).header("authorization", "Basic eDp5"),
    ] {
        calls.send().await.result();
    }
}

/// As long as documented, every character escaped.
#[tokio::test]
async fn bodies_hold_what_their_fields_may_hold() {
    /// Text of that many characters beyond the basic plane.
    fn long(characters: usize) -> String {
        "😀".repeat(characters)
    }
    /// JSON with every character beyond ASCII escaped.
    fn escaped(value: &Value) -> String {
        let mut text = String::new();
        for c in value.to_string().chars() {
            if c.is_ascii() {
                text.push(c);
            } else {
                let mut units = [0; 2];
                for unit in c.encode_utf16(&mut units) {
                    text.push_str(&format!("\\u{unit:04x}"));
                }
            }
        }
        text
    }
    let service = Service::start().await;
    let doctor = service.doctor("Dr. A").await;
    let member = service.member("Pat").await;
    let mut team = new_team(&long(64));
    team["introduction"] = long(2000).into();
    team["agreement"] = long(20_000).into();
    let send = |person: &Person, method: Method, path: &str, body: &Value| {
        let call = service.call(method, path).token(&person.token);
        call.header("content-type", "application/json")
            .body(escaped(body))
            .send()
    };
    let made = send(&doctor, Method::POST, "/team", &team).await.result();
    assert_eq!(made["agreement"], team["agreement"]);
    let path = format!("/team/{}", made["team_id"]);
    send(&doctor, Method::PUT, &path, &team).await.result();
    let clinic = json!({"name": long(64), "introduction": long(4000)});
    send(&doctor, Method::POST, "/clinic", &clinic).await.result();
    let page = json!({
        "name": long(64), "title": long(64), "department": long(64), "expertise": long(2000), "honours": long(2000),
        "introduction": long(4000),
    });
    send(&doctor, Method::POST, "/doctor/detail", &page)
        .await
        .result();
    let uri = format!("media/{}", "x".repeat(2042));
    let consult = json!({
        "creator_member_id": member.id, "target_member_id": member.id, "team_id": made["team_id"],
        "symptom_type": "text/plain", "symptom_content": long(4000), "images": vec![uri; 9],
    });
    send(&member, Method::POST, "/consult", &consult).await.result();
    team["agreement"] = long(20_001).into();
    let reply = send(&doctor, Method::POST, "/team", &team).await;
    reply.refused(400, "request.invalid").field("agreement");
    team["agreement"] = long(30_000).into();
    let reply = send(&doctor, Method::POST, "/team", &team).await;
    reply.refused(413, "request.body_too_large");
}
