//! Descriptions and recorded examples of requests and answers. The examples come from a running service.

use serde_json::{Map, Value, json};

use super::operations;
use crate::http::error::{Error, ErrorCode, Language};

/// Answers by operation id, and refusals by error code, recorded from a running service.
/// `UPDATE_OPENAPI=1 cargo test -p api-server --test it examples` writes them.
const RECORDED: &str = include_str!("recorded.json");

/// Shows an example of every request and answer, and describes the answers.
pub(super) fn add(document: &mut Value) {
    // Without the file the examples are missing, which fails a test.
    let recorded: Value = serde_json::from_str(RECORDED).unwrap_or_default();
    let schemas = document["components"]["schemas"].take();
    for operation in operations(document) {
        let id = operation["operationId"].as_str().unwrap_or_default().to_owned();
        if let Some(content) = operation.pointer_mut("/requestBody/content/application~1json") {
            content["example"] = resolve(&schemas, &content["schema"])["example"].clone();
        }
        for (status, response) in operation["responses"].as_object_mut().into_iter().flatten() {
            if status.as_str() >= "400" {
                add_refusals(response, &recorded["refusals"]);
                continue;
            }
            // Another type has the description of its endpoint.
            let Some(content) = response.pointer_mut("/content/application~1json") else {
                continue;
            };
            let description = describe(&schemas, &content["schema"]);
            content["example"] = recorded["answers"][&id].clone();
            response["description"] = description.into();
        }
    }
    document["components"]["schemas"] = without_examples(schemas);
}

/// Writes examples beside the requests.
fn without_examples(mut schemas: Value) -> Value {
    for (_, schema) in schemas.as_object_mut().into_iter().flatten() {
        if let Some(schema) = schema.as_object_mut() {
            schema.remove("example");
        }
    }
    schemas
}

fn resolve<'s>(schemas: &'s Value, schema: &'s Value) -> &'s Value {
    match schema["$ref"].as_str() {
        Some(reference) => &schemas[reference.rsplit('/').next().unwrap_or_default()],
        None => schema,
    }
}

/// The description of the envelope's content.
fn describe(schemas: &Value, envelope: &Value) -> String {
    let envelope = resolve(schemas, envelope);
    // A list with sums beside it is its envelope and they.
    let list = envelope.pointer("/allOf/0").map(|list| resolve(schemas, list));
    let properties = &list.unwrap_or(envelope)["properties"];
    let result = resolve(schemas, &properties["result"]);
    let text = |schema: &Value| {
        let text = schema["description"].as_str().unwrap_or_default();
        text.split_inclusive(". ")
            .next()
            .unwrap_or_default()
            .trim()
            .to_owned()
    };
    if result["items"].is_object() {
        let items = text(resolve(schemas, &result["items"]));
        let how_many = if properties["has_more"].is_object() {
            "A page of a list"
        } else {
            "A list"
        };
        return format!("{how_many}. Each item: {items}");
    }
    let has_content = ["properties", "allOf", "oneOf"]
        .iter()
        .any(|name| !result[*name].is_null());
    if has_content {
        text(result)
    } else {
        "The operation is done.".to_owned()
    }
}

/// One example for each error code of the description.
fn add_refusals(response: &mut Value, recorded: &Value) {
    let description = response["description"].as_str().unwrap_or_default();
    let words = description
        .split(", ")
        .filter_map(|code| code_of(code.trim_matches('`')));
    let examples: Map<String, Value> = words
        .map(|code| {
            let recorded = recorded.get(code.as_str()).cloned();
            let value = recorded.unwrap_or_else(|| refusal(code));
            (code.as_str().to_owned(), json!({"value": value}))
        })
        .collect();
    response["content"]["application/json"]["examples"] = examples.into();
}

fn code_of(text: &str) -> Option<ErrorCode> {
    ErrorCode::ALL.iter().copied().find(|code| code.as_str() == text)
}

/// A refusal that no test can produce.
fn refusal(code: ErrorCode) -> Value {
    json!({
        "success": false,
        "code": code.status().as_u16(),
        "error": code.as_str(),
        "message": Error::new(code).message(Language::Chinese),
        "request_id": "5f0c1a9e2b7d4c6f8a3e1b90",
    })
}
