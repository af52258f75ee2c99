//! Examples in the OpenAPI document, made from its own schemas: they cannot grow stale, and new endpoints have theirs.

use serde_json::{Map, Value, json};
use utoipa::openapi::{OpenApi, RefOr, content::Content, example::ExampleBuilder, path::Operation};

use crate::error::{Language, Word};

/// How deep schemas are followed; ours are not half as deep.
const MAX_DEPTH: usize = 16;

/// Adds an example to every body: of requests and successes one, of refusals one for each word.
pub(super) fn add(document: &mut OpenApi) {
    // A document that cannot be written has no examples; it cannot be served either.
    let schemas = serde_json::to_value(&document.components).unwrap_or_default();
    let schemas = Schemas(schemas["schemas"].clone());
    for item in document.paths.paths.values_mut() {
        let operations = [&mut item.get, &mut item.post, &mut item.put, &mut item.delete];
        for operation in operations.into_iter().flatten() {
            add_to(operation, &schemas);
        }
    }
}

fn add_to(operation: &mut Operation, schemas: &Schemas) {
    if let Some(RefOr::T(body)) = &mut operation.request_body {
        for content in body.content.values_mut() {
            one(content, schemas, Which::Required);
        }
    }
    for (status, response) in &mut operation.responses.responses {
        let RefOr::T(response) = response else { continue };
        if status.as_str() < "400" {
            for content in response.content.values_mut() {
                one(content, schemas, Which::All);
            }
            continue;
        }
        let words: Vec<Word> = response
            .description
            .split(", ")
            .filter_map(|word| word_of(word.trim_matches('`')))
            .collect();
        for content in response.content.values_mut() {
            let RefOr::T(content) = content else { continue };
            for word in &words {
                let example = ExampleBuilder::new().value(Some(refusal(*word))).build();
                content.examples.insert(word.as_str().to_owned(), example.into());
            }
        }
    }
}

fn one(content: &mut RefOr<Content>, schemas: &Schemas, which: Which) {
    let RefOr::T(content) = content else { return };
    if content.example.is_none() && content.examples.is_empty() {
        let schema = serde_json::to_value(&content.schema).unwrap_or_default();
        content.example = Some(schemas.example("", &schema, which, 0));
    }
}

fn word_of(text: &str) -> Option<Word> {
    Word::ALL.iter().copied().find(|word| word.as_str() == text)
}

fn refusal(word: Word) -> Value {
    let error = crate::error::Error::new(word);
    json!({
        "success": false,
        "code": word.status().as_u16(),
        "error": word.as_str(),
        "message": error.message(Language::Chinese),
        "request_id": "5f0c1a9e2b7d4c6f8a3e1b90",
    })
}

/// Which fields of an object an example has.
#[derive(Clone, Copy, PartialEq)]
enum Which {
    /// What must be there: of requests, where some fields exclude each other.
    Required,
    /// Everything: of answers.
    All,
}

struct Schemas(Value);

impl Schemas {
    fn example(&self, name: &str, schema: &Value, which: Which, depth: usize) -> Value {
        if let Some(example) = schema.get("example") {
            return example.clone();
        }
        if depth > MAX_DEPTH {
            return Value::Null;
        }
        if let Some(reference) = schema["$ref"].as_str() {
            let named = reference.rsplit('/').next().unwrap_or_default();
            return self.example(name, &self.0[named], which, depth + 1);
        }
        for of in ["oneOf", "anyOf", "allOf"] {
            let choices = schema[of].as_array().into_iter().flatten();
            if let Some(choice) = choices.into_iter().find(|choice| choice["type"] != "null") {
                return self.example(name, choice, which, depth + 1);
            }
        }
        if let Some(first) = schema["enum"].get(0) {
            return first.clone();
        }
        match kind(schema) {
            "object" => self.object(schema, which, depth),
            "array" => json!([self.example(name, &schema["items"], which, depth + 1)]),
            "integer" => integer(name, schema),
            "number" => json!(1),
            "boolean" => json!(!matches!(name, "has_more" | "recalled")),
            "string" => json!(text(name, schema)),
            _ => json!({}),
        }
    }

    fn object(&self, schema: &Value, which: Which, depth: usize) -> Value {
        let required = |name: &str| {
            let listed = schema["required"].as_array().into_iter().flatten();
            listed.into_iter().any(|listed| listed == name)
        };
        let mut object = Map::new();
        for (name, property) in schema["properties"].as_object().into_iter().flatten() {
            if which == Which::All || required(name) {
                object.insert(name.clone(), self.example(name, property, which, depth + 1));
            }
        }
        object.into()
    }
}

/// The type of a schema; of several the first that is not null.
fn kind(schema: &Value) -> &str {
    match &schema["type"] {
        Value::String(kind) => kind,
        Value::Array(kinds) => kinds
            .iter()
            .filter_map(Value::as_str)
            .find(|kind| *kind != "null")
            .unwrap_or_default(),
        _ => "",
    }
}

/// A number that fits the field's name and bounds.
fn integer(name: &str, schema: &Value) -> Value {
    let fits = match name {
        "code" => 200,
        name if name == "created" || name.ends_with("_ms") => 1_790_000_000_000,
        name if name.ends_with("_fen") => 9_900,
        name if name.ends_with("_s") || name == "expire" => 3_600,
        "port" => 9_501,
        name if name.ends_with("_port") => 9_503,
        name if name.ends_with("_id") || name.ends_with("_ids") => 1_234,
        _ => 1,
    };
    let low = schema["minimum"].as_i64().unwrap_or(i64::MIN);
    let high = schema["maximum"].as_i64().unwrap_or(i64::MAX);
    json!(fits.clamp(low, high))
}

/// A text that fits the field's name.
fn text(name: &str, schema: &Value) -> String {
    let fits = match name {
        "phone" => "+8613800138000",
        "code" => "123456",
        "password" | "current_password" | "new_password" => "correct horse",
        "device_id" => "phone-1",
        "symptom_type" | "mime_type" => "text/plain",
        "symptom_content" | "text" => "头痛三天",
        "images" => "media/8f14e45f",
        "provider" => "apns",
        "token" | "access_token" => "q3Zf0mYw5pT8kX2vB7nR4sJ1hL6dC9gA",
        "ip" => "192.168.3.1",
        "reason" => "投诉 2026-118，需核对记录",
        "team_name" => "儿科团队",
        "description" => "一次 15 分钟的视频复诊",
        "introduction" => "二十年临床经验",
        "agreement" => "会员加入协议",
        "client_msg_id" => "0192f0c1-7d4e-7b1a-9c3f-5e8a2b6d4c10",
        "next_cursor" => "AAABknpkYAAAAAAAAAAE0g",
        "version" => "0.1.0",
        name if name.ends_with("_name") || name == "name" => "王芳",
        name if name.ends_with("photo_id") => "media/8f14e45f",
        _ => "示例",
    };
    let fits = match schema["format"].as_str() {
        Some("date") => "2016-05-01",
        Some("uri") => "https://example.com/",
        _ => fits,
    };
    let most = schema["maxLength"].as_u64().unwrap_or(u64::MAX);
    fits.chars()
        .take(usize::try_from(most).unwrap_or(usize::MAX))
        .collect()
}
