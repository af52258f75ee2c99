//! `docs/http/*.http`: a file for each area, for editors; this test runs them against a service.
//!
//! A file is requests with `###` and a title between them. A request is a line with method and path, headers, an empty line,
//! a body. In all of it `{{name}}` stands for a variable: `host`, or one that an earlier request left. Lines that begin with
//! `# @` are for this test:
//!
//! - `# @status 409`: the status that must come; 200 without it.
//! - `# @error team.limit_reached`: the error word that must come.
//! - `# @capture name result.user_id`: stores that part of the answer in a variable.
//! - `# @operator name 张伟`: makes an operator and leaves their password as a variable, before the request is sent.
//! - `# @clock 2026-12-03T12:00:00+08:00`: sets REST's clock, before the request is sent. An editor runs such requests against
//!   `huizhen demo --now`.
//! - `# @mockpay {{path}}`: presses a button of mockpay's page, before the request is sent.
//! - `# @sms name 13800138001`: leaves the code that the phone got last as a variable, before the request is sent.

use std::{
    collections::{BTreeSet, HashMap},
    fs,
    path::PathBuf,
};

use serde_json::Value;

use super::{apart, im::node, service::Service};
use crate::contract;

#[derive(Debug, Default)]
struct Example {
    title: String,
    method: String,
    path: String,
    headers: Vec<(String, String)>,
    body: String,
    status: u16,
    error: Option<String>,
    captures: Vec<(String, String)>,
    sms: Option<(String, String)>,
    operator: Option<(String, String)>,
    clock: Option<String>,
    mockpay: Option<String>,
}

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../docs/http")
}

fn parse(text: &str) -> Vec<Example> {
    let mut examples: Vec<Example> = Vec::new();
    for part in text.split("###").skip(1) {
        let mut lines = part.lines();
        let mut example = Example {
            title: lines.next().unwrap_or_default().trim().to_owned(),
            status: 200,
            ..Example::default()
        };
        let mut in_body = false;
        for line in lines {
            if let Some(directive) = line.strip_prefix("# @") {
                let words: Vec<&str> = directive.split_whitespace().collect();
                match words[..] {
                    ["status", status] => example.status = status.parse().unwrap(),
                    ["error", word] => example.error = Some(word.to_owned()),
                    ["capture", name, pointer] => {
                        example
                            .captures
                            .push((name.to_owned(), pointer.replace('.', "/")));
                    }
                    ["operator", name, operator] => {
                        example.operator = Some((name.to_owned(), operator.to_owned()));
                    }
                    ["clock", time] => example.clock = Some(time.to_owned()),
                    ["mockpay", path] => example.mockpay = Some(path.to_owned()),
                    ["sms", name, phone] => example.sms = Some((name.to_owned(), phone.to_owned())),
                    _ => panic!("{}: what is {line:?}?", example.title),
                }
            } else if line.starts_with('#') {
                continue;
            } else if example.method.is_empty() {
                if let Some((method, path)) = line.split_once(" {{host}}") {
                    example.method = method.to_owned();
                    example.path = path.to_owned();
                } else {
                    assert!(line.trim().is_empty(), "{}: {line:?}", example.title);
                }
            } else if !in_body && line.trim().is_empty() {
                in_body = true;
            } else if in_body {
                let is_form = |(_, value): &(String, String)| value.starts_with("multipart/");
                if !example.body.is_empty() && example.headers.iter().any(is_form) {
                    example.body.push_str("\r\n");
                }
                example.body.push_str(line);
            } else {
                let (name, value) = line.split_once(": ").unwrap();
                example.headers.push((name.to_owned(), value.to_owned()));
            }
        }
        assert!(!example.method.is_empty(), "{} has no request", example.title);
        examples.push(example);
    }
    examples
}

fn filled(text: &str, variables: &HashMap<String, String>) -> String {
    let mut text = text.to_owned();
    for (name, value) in variables {
        text = text.replace(&format!("{{{{{name}}}}}"), value);
    }
    assert!(!text.contains("{{"), "no request left what stands in {text}");
    text
}

/// A request and its reply.
#[derive(Default)]
struct Done {
    /// Methods and paths.
    requests: Vec<(String, String)>,
    /// Successes by the operation's id.
    answers: Vec<(String, Value)>,
}

/// Sends the requests of a file.
async fn run(file: &str) -> Done {
    let text = fs::read_to_string(folder().join(file)).unwrap();
    // The others run without a provider, so nothing is charged.
    let service = if ["charge.http", "income.http", "wallet.http"].contains(&file) {
        Service::charging().await
    } else if file == "media.http" {
        Service::with_media().await
    } else {
        Service::start().await
    };
    announce_nodes(&service).await;
    bill(&service).await;
    let mut variables = HashMap::new();
    let mut done = Done::default();
    let examples = parse(&text);
    assert!(examples.len() > 2, "{file}");
    for example in examples {
        let name = format!("{file}: {}", example.title);
        if let Some((variable, phone)) = &example.sms {
            let phone = format!("+86{phone}");
            let code = service
                .sms
                .code(&phone)
                .unwrap_or_else(|| panic!("{name}: no code"));
            variables.insert(variable.clone(), code);
        }
        if let Some(time) = &example.clock {
            apart::set_clock(time);
        }
        if let Some(path) = &example.mockpay {
            let page = service.post(&filled(path, &variables)).send().await;
            assert_eq!(page.status, 200, "{name}: {}", page.text);
        }
        if let Some((variable, operator)) = &example.operator {
            let made = api_server::operator::add(&service.database, operator).await;
            variables.insert(variable.clone(), made.unwrap().password);
        }
        let path = filled(&example.path, &variables);
        done.requests.push((example.method.clone(), path.clone()));
        let mut call = service.call(example.method.parse().unwrap(), &path);
        for (header, value) in &example.headers {
            call = call.header(header, &filled(value, &variables));
        }
        if !example.body.is_empty() {
            call = call.body(filled(&example.body, &variables));
        }
        let reply = call.send().await;
        assert_eq!(reply.status, example.status, "{name}: {}", reply.text);
        if let Some(word) = &example.error {
            assert_eq!(reply.json["error"], word.as_str(), "{name}");
        }
        // A table for the bank is no JSON, and is not recorded.
        if reply.status == 200 && !reply.json.is_null() {
            let path = path.split('?').next().unwrap();
            let operation = contract::operation(&example.method, path).unwrap();
            let id = operation["operationId"].as_str().unwrap();
            done.answers.push((id.to_owned(), reply.json.clone()));
        }
        for (variable, pointer) in &example.captures {
            let value = reply
                .json
                .pointer(&format!("/{pointer}"))
                .unwrap_or_else(|| panic!("{name}: no {pointer} in {}", reply.text));
            let value = match value {
                Value::String(text) => text.clone(),
                other => other.to_string(),
            };
            variables.insert(variable.clone(), value);
        }
    }
    api_server::set_clock(jiff::Timestamp::now().as_millisecond());
    done
}

/// A difference between a bill and our orders, as the daily comparison finds it.
async fn bill(service: &Service) {
    const INSERT: &str = "INSERT INTO bill_item (id, provider, day, kind, number, difference, their_fen, listed_ms, created_ms)
         VALUES (1, 'mockpay', 20261128, 'order', 'T1795000000000X7', 'theirs_alone', 8800, $1, 1795880000000)";
    let inserted = service
        .database
        .transaction(|tx| Box::pin(async move { tx.execute(INSERT, database::params![i64::MAX]).await }));
    inserted.await.unwrap();
}

/// A node with all that an app can connect to, and one with the least.
async fn announce_nodes(service: &Service) {
    let mut full = node("im-1", "192.168.3.1", 9501, 3);
    full.address.tls_port = Some(9503);
    full.address.ws_port = Some(9502);
    full.address.domain = Some("im1.example.com".into());
    full.address.wss = Some("wss://im1.example.com/".into());
    for node in [full, node("im-2", "192.168.3.2", 9501, 7)] {
        service.backplane.announce_node(node, i64::MAX).await.unwrap();
    }
}

#[test]
fn the_requests_of_docs_http_answer_as_they_say() {
    apart::run(module_path!());
}

#[tokio::test]
#[ignore = "runs apart, as it sets the clock"]
async fn all_requests_are_sent() {
    run_all().await;
}

/// Sends all of them.
pub async fn run_all() {
    let mut files: Vec<String> = fs::read_dir(folder())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.ends_with(".http"))
        .collect();
    files.sort();
    // An area is a tag of the OpenAPI document.
    let document = api_server::document();
    let tags: BTreeSet<&str> = document["paths"]
        .as_object()
        .unwrap()
        .values()
        .flat_map(|item| item.as_object().unwrap().values())
        .map(|operation| operation["tags"][0].as_str().unwrap())
        .collect();
    for area in tags {
        assert!(files.contains(&format!("{area}.http")), "{area} has no file");
    }
    let mut requests = Vec::new();
    let mut answers = Vec::new();
    for file in files {
        let done = run(&file).await;
        requests.extend(done.requests);
        answers.extend(done.answers);
    }
    contract::hold_recorded(&answers);
    // Every route is among the requests.
    for (path, item) in document["paths"].as_object().unwrap() {
        for method in item.as_object().unwrap().keys() {
            let is_it = |(by, to): &(String, String)| {
                by.eq_ignore_ascii_case(method) && is_of(to.split('?').next().unwrap(), path)
            };
            assert!(
                requests.iter().any(is_it),
                "{method} {path} is in no file of docs/http"
            );
        }
    }
}

/// Whether a request's path, as it was sent, is of a route. Ids are numbers, devices are called something with a number, and
/// jobs have names.
fn is_of(path: &str, route: &str) -> bool {
    let (path, route): (Vec<&str>, Vec<&str>) = (path.split('/').collect(), route.split('/').collect());
    let fits = |(given, wanted): (&&str, &&str)| {
        given == wanted
            || *wanted == "{name}"
            || (wanted.starts_with('{') && given.ends_with(|c: char| c.is_ascii_digit()))
    };
    path.len() == route.len() && path.iter().zip(&route).all(fits)
}
