//! The OpenAPI document: what is served is what is documented.

use std::path::Path;

use serde_json::Value;

use super::service::Service;

const METHODS: [&str; 5] = ["get", "post", "put", "delete", "patch"];

fn document() -> Value {
    api_server::document()
}

/// Method, path, operation; in the operation stands what it names of the components, all but schemas.
fn operations(document: &Value) -> Vec<(String, String, Value)> {
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

/// Generators of clients and people alike read what is short.
#[test]
fn nothing_is_said_twice() {
    let document = document();
    let mut seen = std::collections::HashSet::new();
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
    assert!(length < 250_000, "{length}");
}

/// Rewritten by `UPDATE_OPENAPI=1 cargo test -p api-server`.
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
        "docs/openapi.json is not what is served; look at what changed, then run UPDATE_OPENAPI=1 cargo test -p api-server"
    );
}

/// Paths are additive for ever: the ones that the design names are there.
#[test]
fn every_endpoint_is_there() {
    let listed: Vec<String> = operations(&document())
        .into_iter()
        .map(|(method, path, _)| format!("{} {path}", method.to_uppercase()))
        .collect();
    let expected = [
        "DELETE /account/devices/{device_id}",
        "DELETE /clinic/{id}/doctor/{doctor_id}",
        "DELETE /clinic/{id}/invitation/{invitation_id}",
        "DELETE /consult/history_list",
        "DELETE /consult/history_list/{id}",
        "DELETE /consult/{id}/doctor/{doctor_id}",
        "DELETE /family/invitation/{id}",
        "DELETE /family/{relation_user_id}",
        "DELETE /team/{id}/doctor/{doctor_id}",
        "DELETE /team/{id}/invitation/{invitation_id}",
        "DELETE /team/{id}/member/{member_id}",
        "DELETE /vas",
        "DELETE /vas/{id}",
        "GET /account/devices",
        "GET /chat_list",
        "GET /clinic",
        "GET /clinic/my_list",
        "GET /clinic/{id}",
        "GET /clinic/{id}/doctor_list",
        "GET /clinic/{id}/invitation_list",
        "GET /consult/history_list",
        "GET /consult/in_process_list",
        "GET /consult/{id}",
        "GET /consult/{id}/messages",
        "GET /consult/{id}/vas",
        "GET /doctor/{id}",
        "GET /family",
        "GET /family/invitation_list",
        "GET /family/sent_invitation_list",
        "GET /family/{relation_user_id}",
        "GET /im/password",
        "GET /im/servers",
        "GET /invitation_list",
        "GET /livez",
        "GET /member/detail",
        "GET /operator/audit",
        "GET /readyz",
        "GET /team",
        "GET /team/my_list",
        "GET /team/{id}",
        "GET /team/{id}/agreement/{version}",
        "GET /team/{id}/consult_history",
        "GET /team/{id}/consult_list",
        "GET /team/{id}/doctor_list",
        "GET /team/{id}/invitation_list",
        "GET /team/{id}/member_list",
        "GET /team/{id}/my_consult_list",
        "GET /team/{id}/my_vas_list",
        "GET /vas",
        "GET /vas/{id}",
        "GET /version",
        "POST /account/code",
        "POST /account/login",
        "POST /account/logout",
        "POST /account/register",
        "POST /chat",
        "POST /clinic",
        "POST /clinic/join",
        "POST /clinic/{id}/doctor",
        "POST /clinic/{id}/invitation",
        "POST /clinic/{id}/leave",
        "POST /clinic/{id}/phone_invitation",
        "POST /consult",
        "POST /consult/{id}/cancel",
        "POST /consult/{id}/doctor",
        "POST /consult/{id}/finish",
        "POST /consult/{id}/handover",
        "POST /consult/{id}/vas",
        "POST /doctor/detail",
        "POST /family",
        "POST /family/invitation/{id}/accept",
        "POST /family/invitation/{id}/decline",
        "POST /invitation/{id}/accept",
        "POST /invitation/{id}/decline",
        "POST /operator/account/{id}/disable",
        "POST /operator/account/{id}/enable",
        "POST /operator/consult/{id}/read",
        "POST /operator/consults/search",
        "POST /operator/login",
        "POST /operator/people/search",
        "POST /team",
        "POST /team/join",
        "POST /team/{id}/assistant/login",
        "POST /team/{id}/doctor",
        "POST /team/{id}/invitation",
        "POST /team/{id}/leave",
        "POST /team/{id}/phone_invitation",
        "POST /vas/{id}/confirm",
        "POST /vas/{id}/decline",
        "POST /vas/{id}/withdraw",
        "PUT /account/password",
        "PUT /account/push_token",
        "PUT /clinic/{id}",
        "PUT /clinic/{id}/supervisor",
        "PUT /family/{relation_user_id}",
        "PUT /member/detail",
        "PUT /team/{id}",
    ];
    let mut listed = listed;
    listed.sort();
    assert_eq!(listed, expected);
}

#[tokio::test]
async fn routes_served_are_routes_documented() {
    let service = Service::start().await;
    let document = document();
    for (path, item) in document["paths"].as_object().unwrap() {
        let concrete = concrete(path);
        for method in METHODS {
            let call = service.call(method.to_uppercase().parse().unwrap(), &concrete);
            let reply = call.send().await;
            if item.get(method).is_some() {
                assert!(
                    ![404, 405].contains(&reply.status),
                    "{method} {path}: {}",
                    reply.text
                );
            } else {
                reply.refused(405, "request.method_not_allowed").header("allow");
            }
        }
    }
}

#[tokio::test]
async fn what_is_secured_asks_for_a_token_and_lists_its_refusals() {
    let service = Service::start().await;
    let document = document();
    assert!(document["components"]["schemas"]["Failure"].is_object());
    for (method, path, operation) in operations(&document) {
        let name = format!("{method} {path}");
        assert!(
            !operation["summary"].as_str().unwrap_or_default().is_empty(),
            "{name}"
        );
        assert!(operation["tags"].is_array(), "{name}");
        let responses = operation["responses"].as_object().unwrap();
        let schema = &responses["200"]["content"]["application/json"]["schema"];
        assert!(schema.is_object(), "{name} shows no answer");
        for (status, response) in responses.iter().filter(|(status, _)| status.as_str() >= "400") {
            let schema = &response["content"]["application/json"]["schema"]["$ref"];
            assert_eq!(schema, "#/components/schemas/Failure", "{name} {status}");
            // Every word that it names is one of ours, of this status.
            let words = response["description"].as_str().unwrap().split(", ");
            for word in words.map(|word| word.trim_matches('`')) {
                let known = api_server::error::Word::ALL
                    .iter()
                    .find(|known| known.as_str() == word);
                let known = known.unwrap_or_else(|| panic!("{name} names {word}"));
                assert_eq!(known.status().as_str(), status, "{name} {word}");
            }
        }
        for status in ["429", "500", "503"] {
            assert!(responses.contains_key(status), "{name} {status}");
        }
        let concrete = concrete(&path);
        let reply = service
            .call(method.to_uppercase().parse().unwrap(), &concrete)
            .send()
            .await;
        if operation.get("security").is_some() {
            assert!(responses.contains_key("401"), "{name}");
            reply.refused(401, "auth.required");
        } else {
            assert_ne!(reply.status, 401, "{name}");
        }
        if operation.get("requestBody").is_some() {
            assert!(
                responses.contains_key("400") && responses.contains_key("413"),
                "{name}"
            );
        }
    }
}

/// Every JSON body that an app sends shows an example, and so does every answer with a form of its own.
#[test]
fn bodies_and_answers_show_examples() {
    fn resolved<'d>(document: &'d Value, schema: &'d Value) -> &'d Value {
        match schema["$ref"].as_str() {
            Some(reference) => document.pointer(reference.trim_start_matches('#')).unwrap(),
            None => schema,
        }
    }
    /// Of its own, in its fields, in each of its kinds, or it has no fields to show.
    fn has_example(document: &Value, schema: &Value) -> bool {
        let schema = resolved(document, schema);
        if schema.get("example").is_some() {
            return true;
        }
        if let Some(kinds) = schema["oneOf"].as_array() {
            return kinds.iter().all(|kind| has_example(document, kind));
        }
        if schema["items"].is_object() {
            return has_example(document, &schema["items"]);
        }
        schema["properties"].as_object().is_none_or(|fields| {
            fields.is_empty() || fields.values().any(|field| field.get("example").is_some())
        })
    }
    let document = document();
    let mut missing = Vec::new();
    for (method, path, operation) in operations(&document) {
        if operation["tags"][0] == "service" {
            continue;
        }
        let body = &operation["requestBody"]["content"]["application/json"]["schema"];
        if body.is_object() && !has_example(&document, body) {
            missing.push(format!("{method} {path}: the body"));
        }
        let answer = &operation["responses"]["200"]["content"]["application/json"]["schema"];
        let result = &resolved(&document, answer)["properties"]["result"];
        if result.is_object() && !has_example(&document, result) {
            missing.push(format!("{method} {path}: the answer"));
        }
    }
    assert!(missing.is_empty(), "{}", missing.join("\n"));
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

/// Whether a value has what a schema asks for: fields, types, bounds.
fn fits(document: &Value, at: &str, schema: &Value, value: &Value, wrong: &mut Vec<String>) {
    if let Some(reference) = schema["$ref"].as_str() {
        let schema = document.pointer(reference.strip_prefix('#').unwrap()).unwrap();
        return fits(document, at, schema, value, wrong);
    }
    for choices in ["oneOf", "anyOf"] {
        if let Some(choices) = schema[choices].as_array() {
            let mut none = Vec::new();
            let some = choices.iter().any(|choice| {
                let before = none.len();
                fits(document, at, choice, value, &mut none);
                none.len() == before
            });
            if !some {
                wrong.extend(none);
            }
            return;
        }
    }
    let types: Vec<&str> = match &schema["type"] {
        Value::String(one) => vec![one],
        Value::Array(several) => several.iter().filter_map(Value::as_str).collect(),
        _ => return,
    };
    let right = types.iter().any(|name| match *name {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "integer" => value.is_i64(),
        "number" => value.is_number(),
        "boolean" => value.is_boolean(),
        "null" => value.is_null(),
        _ => false,
    });
    if !right {
        wrong.push(format!("{at}: {value} is no {types:?}"));
    }
    for required in schema["required"].as_array().into_iter().flatten() {
        if value.get(required.as_str().unwrap()).is_none() {
            wrong.push(format!("{at}: {required} is missing"));
        }
    }
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        if let Some(inner) = value.get(name) {
            fits(document, &format!("{at}.{name}"), property, inner, wrong);
        }
    }
    for item in value.as_array().into_iter().flatten() {
        fits(document, &format!("{at}[]"), &schema["items"], item, wrong);
    }
    if let (Some(number), Some(low)) = (value.as_i64(), schema["minimum"].as_i64())
        && number < low
    {
        wrong.push(format!("{at}: {number} is below {low}"));
    }
}

/// What an app copies from the document is not refused for its form.
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
            let reply = call.token(&person.token).json(example.clone()).send().await;
            assert_ne!(reply.status, 400, "{method} {path} {example}: {}", reply.text);
        }
    }
}

/// A path with something in its braces.
fn concrete(path: &str) -> String {
    path.split('/')
        .map(|part| match part {
            "{device_id}" => "x",
            part if part.starts_with('{') => "1",
            part => part,
        })
        .collect::<Vec<_>>()
        .join("/")
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
