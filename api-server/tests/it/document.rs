//! The OpenAPI document.

use std::{collections::BTreeSet, path::Path};

use serde_json::{Value, json};

use super::{endpoints::concrete, service::Service};
use crate::schema::{fits, resolve};

pub(super) const METHODS: [&str; 5] = ["get", "post", "put", "delete", "patch"];

pub(super) fn document() -> Value {
    api_server::document()
}

/// Method, path, operation, with references to components resolved but for schemas.
pub(super) fn operations(document: &Value) -> Vec<(String, String, Value)> {
    let mut found = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            found.push((method.clone(), path.clone(), spelled_out(document, operation)));
        }
    }
    found
}

fn spelled_out(document: &Value, value: &Value) -> Value {
    match value {
        Value::Object(object) => match object.get("$ref").and_then(Value::as_str) {
            Some(named) if !named.starts_with("#/components/schemas/") => {
                let pointer = named.strip_prefix('#').unwrap();
                spelled_out(
                    document,
                    document.pointer(pointer).unwrap_or_else(|| panic!("{named}")),
                )
            }
            _ => object
                .iter()
                .map(|(name, value)| (name.clone(), spelled_out(document, value)))
                .collect::<serde_json::Map<_, _>>()
                .into(),
        },
        Value::Array(array) => array.iter().map(|value| spelled_out(document, value)).collect(),
        other => other.clone(),
    }
}

/// A short document serves generators and readers alike.
#[test]
fn nothing_is_said_twice() {
    let document = document();
    let mut seen = BTreeSet::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let refusals = operation["responses"].as_object().unwrap().iter();
            let parameters = operation["parameters"].as_array().into_iter().flatten();
            let whole = refusals
                .filter(|(status, _)| status.as_str() >= "400")
                .map(|(_, refusal)| refusal)
                .chain(parameters)
                .filter(|value| value.get("$ref").is_none());
            for value in whole {
                assert!(seen.insert(value.to_string()), "{method} {path}: {value}");
            }
        }
    }
    let length = document.to_string().len();
    assert!(length < 650_000, "{length}");
}

/// Rewritten by `UPDATE_OPENAPI=1 cargo test -p api-server --test it document`, and the answers that it shows by
/// `UPDATE_OPENAPI=1 cargo test -p api-server --test it examples` before it.
#[test]
fn the_document_in_docs_is_the_one_that_is_served() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/openapi.json");
    let mut text = serde_json::to_string_pretty(&document()).unwrap();
    text.push('\n');
    if std::env::var_os("UPDATE_OPENAPI").is_some() {
        std::fs::write(&path, &text).unwrap();
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        kept == text,
        "docs/openapi.json is not what is served; look at what changed, then run UPDATE_OPENAPI=1 cargo test -p api-server --test it document"
    );
}

/// Generators name methods by them.
#[test]
fn every_operation_has_a_name_of_its_own() {
    let mut seen = BTreeSet::new();
    for (method, path, operation) in operations(&document()) {
        let id = operation["operationId"].as_str().unwrap();
        let is_camel = id.starts_with(|c: char| c.is_ascii_lowercase())
            && id.contains(|c: char| c.is_ascii_uppercase())
            && id.bytes().all(|b| b.is_ascii_alphanumeric());
        assert!(is_camel, "{method} {path}: {id} is not a verb and a noun");
        assert!(
            seen.insert(id.to_owned()),
            "{method} {path}: {id} is another operation's"
        );
        // The verb of an operation's name fits its method.
        let verbs: &[&str] = match method.as_str() {
            "get" => &["get", "list", "find", "search", "create"],
            "delete" => &["hide", "remove", "revoke", "logOut"],
            "put" => &["update", "set", "change", "appoint"],
            _ => continue,
        };
        assert!(
            verbs.iter().any(|verb| id.starts_with(verb)),
            "{method} {path}: {id}"
        );
    }
}

#[test]
fn every_part_says_what_it_is() {
    let document = document();
    assert_eq!(document["openapi"], "3.1.0");
    assert_eq!(document["servers"][0]["url"], "/");
    let tags = document["tags"].as_array().unwrap();
    let described: BTreeSet<&str> = tags
        .iter()
        .filter(|tag| tag["description"].is_string())
        .map(|tag| tag["name"].as_str().unwrap())
        .collect();
    let schemes = document["components"]["securitySchemes"].as_object().unwrap();
    for (method, path, operation) in operations(&document) {
        let name = format!("{method} {path}");
        assert!(
            described.contains(operation["tags"][0].as_str().unwrap()),
            "{name}"
        );
        for scheme in operation["security"]
            .as_array()
            .unwrap_or_else(|| panic!("{name}"))
        {
            assert!(
                schemes.contains_key(scheme.as_object().unwrap().keys().next().unwrap()),
                "{name}"
            );
        }
        for (status, response) in operation["responses"].as_object().unwrap() {
            assert!(
                !response["description"].as_str().unwrap_or("").is_empty(),
                "{name} {status}"
            );
        }
    }
}

/// Input is bounded: each text by a length, a pattern or an enumeration, each number on both sides, each list by a length.
#[test]
fn what_can_be_sent_has_limits() {
    fn limited(document: &Value, at: &str, schema: &Value, missing: &mut Vec<String>) {
        if let Some(reference) = schema["$ref"].as_str() {
            return limited(document, at, resolve(document, reference), missing);
        }
        for choice in schema["oneOf"].as_array().into_iter().flatten() {
            limited(document, at, choice, missing);
        }
        let has = |names: &[&str]| names.iter().all(|name| !schema[*name].is_null());
        let is_limited = match schema["type"].as_str() {
            Some("string") => has(&["maxLength"]) || has(&["pattern"]) || has(&["enum"]),
            Some("integer") => has(&["minimum", "maximum"]),
            Some("array") => has(&["maxItems"]),
            _ => true,
        };
        if !is_limited {
            missing.push(at.to_owned());
        }
        if schema["items"].is_object() {
            limited(document, at, &schema["items"], missing);
        }
        for (name, property) in schema["properties"].as_object().into_iter().flatten() {
            limited(document, &format!("{at}.{name}"), property, missing);
        }
    }
    let document = document();
    let mut missing = Vec::new();
    for (method, path, operation) in operations(&document) {
        let name = format!("{method} {path}");
        for parameter in operation["parameters"].as_array().into_iter().flatten() {
            // A device of another name is answered as one that is not there.
            if parameter["name"] != "device_id" {
                limited(
                    &document,
                    &format!("{name} {}", parameter["name"]),
                    &parameter["schema"],
                    &mut missing,
                );
            }
        }
        let body = &operation["requestBody"]["content"]["application/json"]["schema"];
        if body.is_object() {
            limited(&document, &name, body, &mut missing);
        }
    }
    assert!(missing.is_empty(), "{}", missing.join("\n"));
}

/// An answer says null where a field is required, and leaves others out.
#[test]
fn what_may_be_absent_is_not_null() {
    let document = document();
    let mut requests = BTreeSet::new();
    for (_, _, operation) in operations(&document) {
        collect_references(&document, &operation["requestBody"], &mut requests);
    }
    for (name, schema) in document["components"]["schemas"].as_object().unwrap() {
        if requests.contains(&format!("#/components/schemas/{name}")) {
            continue;
        }
        let required: Vec<&Value> = schema["required"].as_array().into_iter().flatten().collect();
        for (field, property) in schema["properties"].as_object().into_iter().flatten() {
            let is_nullable = property.to_string().contains("\"null\"");
            assert!(
                !is_nullable || required.contains(&&json!(field)),
                "{name}.{field}: {property}"
            );
        }
    }
}

fn collect_references(document: &Value, value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(object) => {
            if let Some(reference) = object.get("$ref").and_then(Value::as_str)
                && found.insert(reference.to_owned())
            {
                collect_references(document, resolve(document, reference), found);
            }
            object
                .values()
                .for_each(|value| collect_references(document, value, found));
        }
        Value::Array(array) => array
            .iter()
            .for_each(|value| collect_references(document, value, found)),
        _ => {}
    }
}

/// Every body has an example that fits its own schema, and every refusal one for each of its words.
#[test]
fn every_body_has_an_example_that_fits() {
    let document = document();
    let mut wrong = Vec::new();
    for (method, path, operation) in operations(&document) {
        let name = format!("{method} {path}");
        if let Some(body) = operation.get("requestBody") {
            let content = &body["content"]["application/json"];
            if content.is_null() {
                // The bytes of an upload.
                continue;
            }
            fits(
                &document,
                &name,
                &content["schema"],
                &content["example"],
                &mut wrong,
            );
        }
        for (status, response) in operation["responses"].as_object().unwrap() {
            let content = &response["content"]["application/json"];
            if status.as_str() < "400" {
                // A table for spreadsheets has none.
                if content.is_null() {
                    continue;
                }
                fits(
                    &document,
                    &name,
                    &content["schema"],
                    &content["example"],
                    &mut wrong,
                );
                continue;
            }
            for word in response["description"].as_str().unwrap().split(", ") {
                let example = &content["examples"][word.trim_matches('`')]["value"];
                fits(
                    &document,
                    &format!("{name} {word}"),
                    &content["schema"],
                    example,
                    &mut wrong,
                );
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The examples of requests are valid requests.
#[tokio::test]
async fn examples_of_requests_are_accepted() {
    let service = Service::start().await;
    let team = service.team("儿科").await;
    let (operator, _) = super::operators::operator(&service, "张伟").await;
    let document = document();
    for (method, path, operation) in operations(&document) {
        let Some(body) = operation.get("requestBody") else {
            continue;
        };
        let example = &body["content"]["application/json"]["example"];
        let concrete = concrete(&path);
        for person in [&team.owner, &operator] {
            let call = service.call(method.to_uppercase().parse().unwrap(), &concrete);
            let call = call.token(&person.token).json(example.clone());
            let reply = call.key(&concrete).send().await;
            assert_ne!(reply.status, 400, "{method} {path} {example}: {}", reply.text);
        }
    }
}

/// References point to what is there.
#[test]
fn the_document_is_whole() {
    fn references(value: &Value, found: &mut Vec<String>) {
        match value {
            Value::Object(object) => {
                for (key, value) in object {
                    if key == "$ref" {
                        found.push(value.as_str().unwrap().to_owned());
                    }
                    references(value, found);
                }
            }
            Value::Array(array) => array.iter().for_each(|value| references(value, found)),
            _ => {}
        }
    }
    let document = document();
    let mut found = Vec::new();
    references(&document, &mut found);
    assert!(found.len() > 30);
    for reference in found {
        let pointer = reference.strip_prefix('#').unwrap();
        assert!(document.pointer(pointer).is_some(), "{reference}");
    }
}

#[tokio::test]
async fn the_document_and_its_page_are_served() {
    let service = Service::start().await;
    let served = service.get("/openapi.json").send().await;
    assert_eq!(served.header("content-type"), "application/json");
    assert_eq!(served.json, document());
    let page = service.get("/docs/").send().await;
    assert_eq!(page.status, 200);
    assert!(page.text.contains("swagger"));
    assert!(
        !page.text.contains("https://"),
        "nothing is loaded from elsewhere"
    );
    let script = service.get("/docs/swagger-ui-bundle.js").send().await;
    assert_eq!(script.status, 200);
    assert!(
        service
            .get("/docs/swagger-initializer.js")
            .send()
            .await
            .text
            .contains("/openapi.json")
    );
    let version = service.get("/version").send().await.result();
    assert_eq!(version["feature_level"], api_server::FEATURE_LEVEL);
    assert!(version["version"].is_string() && version["commit"].is_string());
}
