//! The limits of the OpenAPI document are the service's: for each of them a request at the limit, which is not refused for
//! it, and one just beyond, which is. Ids in paths are of nothing that is there, so that what is accepted does nothing.

use proto::ids::MAX_ID;
use reqwest::Method;
use serde_json::{Value, json};

use super::{
    people::Person,
    service::{Reply, Service},
};
use crate::{contract::document, schema::resolve};

/// A value for a field: whether the document allows it.
struct Try {
    field: String,
    value: Value,
    is_allowed: bool,
}

/// A caller of each role, and their requests.
struct Asker {
    service: Service,
    doctor: Person,
    member: Person,
    operator: Person,
    asked: usize,
}

impl Asker {
    async fn start() -> Self {
        let service = Service::start().await;
        // Takes the lowest id: no caller asks about themselves.
        let member = service.member("张三").await;
        let doctor = service.team("儿科").await.owner;
        let (operator, _) = super::operators::operator(&service, "张伟").await;
        Self {
            service,
            doctor,
            member,
            operator,
            asked: 0,
        }
    }

    /// Sends a request of an operation. True when `field` was refused.
    async fn is_refused(
        &mut self,
        operation: &Operation,
        path: &str,
        key: Option<&str>,
        body: &Value,
        field: &str,
    ) -> bool {
        self.asked += 1;
        let reply = match operation.tag() {
            "operator" => self.ask(&self.operator, operation, path, key, body).await,
            _ => {
                let reply = self.ask(&self.doctor, operation, path, key, body).await;
                // A role is refused before its request is read.
                if reply.status == 403 {
                    self.ask(&self.member, operation, path, key, body).await
                } else {
                    reply
                }
            }
        };
        let is_refused = reply.status == 400 && reply.json["field"] == field;
        let name = format!("{} {path} {body}: {}", operation.method, reply.text);
        // Another field may hang on this one.
        assert!(
            reply.status != 400 || reply.json["error"] == "request.invalid",
            "{name}"
        );
        is_refused
    }

    async fn ask(
        &self,
        asker: &Person,
        operation: &Operation,
        path: &str,
        key: Option<&str>,
        body: &Value,
    ) -> Reply {
        let method: Method = operation.method.to_uppercase().parse().unwrap();
        let mut call = self.service.call(method, path).token(&asker.token);
        // A request that moves money demands a key.
        let fresh = self.asked.to_string();
        call = call.key(key.unwrap_or(&fresh));
        if !body.is_null() {
            call = call.json(body.clone());
        }
        call.send().await
    }
}

struct Operation {
    method: &'static str,
    path: &'static str,
    value: &'static Value,
}

impl Operation {
    fn all() -> impl Iterator<Item = Self> {
        let paths = document()["paths"].as_object().unwrap();
        paths.iter().flat_map(|(path, item)| {
            let operations = item.as_object().unwrap();
            operations
                .iter()
                .map(move |(method, value)| Self { method, path, value })
        })
    }

    fn tag(&self) -> &str {
        self.value["tags"][0].as_str().unwrap()
    }

    fn parameters(&self, place: &str) -> Vec<&'static Value> {
        let parameters = self.value["parameters"].as_array().into_iter().flatten();
        let parameters = parameters.map(|parameter| match parameter["$ref"].as_str() {
            Some(reference) => resolve(document(), reference),
            None => parameter,
        });
        parameters.filter(|parameter| parameter["in"] == place).collect()
    }

    /// The path with ids of nothing that is there, or with `value` for the parameter `name`.
    fn path_with(&self, name: &str, value: &str) -> String {
        let parts = self.path.split('/').map(|part| match part.strip_prefix('{') {
            Some(parameter) if parameter.trim_end_matches('}') == name => value.to_owned(),
            Some("month}") => "2026-12".to_owned(),
            Some(_) => MAX_ID.to_string(),
            None => part.to_owned(),
        });
        parts.collect::<Vec<_>>().join("/")
    }

    /// The query that an operation needs.
    fn query(&self) -> String {
        let parameters = self.parameters("query");
        let required = parameters.iter().find(|parameter| parameter["required"] == true);
        required.map_or(String::new(), |parameter| {
            format!("?{}={}", parameter["name"].as_str().unwrap(), "%E5%84%BF")
        })
    }

    fn body(&self) -> Value {
        self.value["requestBody"]["content"]["application/json"]["example"].clone()
    }

    fn schema(&self) -> &'static Value {
        &self.value["requestBody"]["content"]["application/json"]["schema"]
    }
}

#[tokio::test]
async fn ids_in_paths_end_where_the_document_says() {
    let mut asker = Asker::start().await;
    for operation in Operation::all() {
        for parameter in operation.parameters("path") {
            let (name, schema) = (parameter["name"].as_str().unwrap(), &parameter["schema"]);
            if schema["type"] != "integer" {
                continue;
            }
            let (low, high) = (
                schema["minimum"].as_i64().unwrap(),
                schema["maximum"].as_i64().unwrap(),
            );
            for (id, is_allowed) in [(low - 1, false), (high, true), (high + 1, false)] {
                let path = operation.path_with(name, &id.to_string());
                let is_refused = asker
                    .is_refused(&operation, &path, None, &operation.body(), name)
                    .await;
                assert_eq!(is_refused, !is_allowed, "{} {path}", operation.method);
            }
        }
    }
    assert!(asker.asked > 100, "{}", asker.asked);
}

#[tokio::test]
async fn queries_end_where_the_document_says() {
    let mut asker = Asker::start().await;
    for operation in Operation::all() {
        for parameter in operation.parameters("query") {
            let name = parameter["name"].as_str().unwrap();
            // Its name alone asks for it.
            if name == "verbose" {
                continue;
            }
            for Try {
                value, is_allowed, ..
            } in tries(name, &parameter["schema"])
            {
                let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                let encoded: String = url::form_urlencoded::byte_serialize(text.as_bytes()).collect();
                let needed = if parameter["required"] == true {
                    "?".to_owned()
                } else {
                    format!(
                        "{}&",
                        if operation.query().is_empty() {
                            "?".to_owned()
                        } else {
                            operation.query()
                        }
                    )
                };
                let path = format!("{}{needed}{name}={encoded}", operation.path_with("", ""));
                let is_refused = asker
                    .is_refused(&operation, &path, None, &operation.body(), name)
                    .await;
                assert_eq!(is_refused, !is_allowed, "{} {path}", operation.method);
            }
        }
    }
    assert!(asker.asked > 200, "{}", asker.asked);
}

#[tokio::test]
async fn idempotency_keys_end_where_the_document_says() {
    let mut asker = Asker::start().await;
    for operation in Operation::all() {
        for parameter in operation.parameters("header") {
            let name = parameter["name"].as_str().unwrap();
            for Try {
                value, is_allowed, ..
            } in tries(name, &parameter["schema"])
            {
                let Some(key) = value.as_str() else { continue };
                // A header cannot consist of white space.
                if key.trim().is_empty() && !key.is_empty() {
                    continue;
                }
                let path = operation.path_with("", "");
                let refused = asker
                    .is_refused(&operation, &path, Some(key), &operation.body(), name)
                    .await;
                assert_eq!(refused, !is_allowed, "{} {path} {key:?}", operation.method);
            }
        }
    }
    assert!(asker.asked > 100, "{}", asker.asked);
}

#[tokio::test]
async fn fields_end_where_the_document_says() {
    let mut asker = Asker::start().await;
    for operation in Operation::all().filter(|operation| operation.schema().is_object()) {
        let example = operation.body();
        let path = operation.path_with("", "");
        for tried in tries("", operation.schema()) {
            let mut body = example.clone();
            put(&mut body, &tried.field, tried.value.clone());
            // There are never more births than pregnancies.
            if tried.field == "births" && tried.is_allowed && !tried.value.is_null() {
                body["pregnancies"] = tried.value.clone();
            }
            let is_refused = asker
                .is_refused(&operation, &path, None, &body, &tried.field)
                .await;
            let is_right = if tried.value.is_null() {
                // As if it were left out, which another field may forbid.
                body.as_object_mut().unwrap().remove(&tried.field);
                let is_refused_without = asker
                    .is_refused(&operation, &path, None, &body, &tried.field)
                    .await;
                is_refused == is_refused_without
            } else {
                is_refused != tried.is_allowed
            };
            assert!(is_right, "{} {path} {} {body}", operation.method, tried.field);
        }
        let schema = resolve(document(), operation.schema()["$ref"].as_str().unwrap());
        for required in schema["required"].as_array().into_iter().flatten() {
            let name = required.as_str().unwrap();
            let mut body = example.clone();
            body.as_object_mut().unwrap().remove(name);
            let refused = asker.is_refused(&operation, &path, None, &body, name).await;
            assert!(refused, "{} {path} without {name}", operation.method);
        }
    }
    assert!(asker.asked > 500, "{}", asker.asked);
}

/// Sets the field `a.b`; required neighbours of a nested field come from the document.
fn put(body: &mut Value, field: &str, value: Value) {
    match field.split_once('.') {
        None => body[field] = value,
        Some((outer, inner)) => {
            if !body[outer].is_object() {
                body[outer] = match outer {
                    "advice" => json!({"text": "多喝水"}),
                    _ => json!({"provider": "apns", "token": "abc"}),
                };
            }
            put(&mut body[outer], inner, value);
        }
    }
}

/// Values at the limits of a schema and just beyond them.
fn tries(field: &str, schema: &Value) -> Vec<Try> {
    let mut tries = Vec::new();
    collect(field, schema, &mut tries);
    tries
}

fn collect(field: &str, schema: &Value, tries: &mut Vec<Try>) {
    if let Some(reference) = schema["$ref"].as_str() {
        return collect(field, resolve(document(), reference), tries);
    }
    let mut add = |value: Value, is_allowed: bool| {
        tries.push(Try {
            field: field.to_owned(),
            value,
            is_allowed,
        });
    };
    if let Some(choices) = schema["oneOf"].as_array() {
        for choice in choices {
            match choice["type"] == "null" {
                true => tries.push(Try {
                    field: field.to_owned(),
                    value: Value::Null,
                    is_allowed: true,
                }),
                false => collect(field, choice, tries),
            }
        }
        return;
    }
    if let Some(part) = schema["allOf"].get(0) {
        return collect(field, part, tries);
    }
    if let Some(words) = schema["enum"].as_array() {
        for word in words {
            add(word.clone(), true);
        }
        add(json!("none of them"), false);
        return;
    }
    let mut types = schema["type"].as_array().into_iter().flatten();
    let one = types.find_map(|one| one.as_str().filter(|word| *word != "null"));
    match one.or(schema["type"].as_str()).unwrap() {
        "integer" => {
            let (low, high) = (
                schema["minimum"].as_i64().unwrap(),
                schema["maximum"].as_i64().unwrap(),
            );
            for (number, is_allowed) in [(low - 1, false), (low, true), (high, true), (high + 1, false)] {
                add(json!(number), is_allowed);
            }
        }
        "boolean" => {
            add(json!(true), true);
            add(json!("yes"), false);
        }
        "string" => texts(schema, &mut add),
        "array" => {
            let most = usize::try_from(schema["maxItems"].as_u64().unwrap()).unwrap();
            add(json!([]), schema["minItems"].as_u64().unwrap_or(0) == 0);
            add(vec!["media/1"; most].into(), true);
            add(vec!["media/1"; most + 1].into(), false);
            let mut items = Vec::new();
            collect(field, &schema["items"], &mut items);
            for item in items {
                add(json!([item.value]), item.is_allowed);
            }
        }
        "object" => {
            for (name, property) in schema["properties"].as_object().unwrap() {
                let inner = if field.is_empty() {
                    name.clone()
                } else {
                    format!("{field}.{name}")
                };
                collect(&inner, property, tries);
            }
        }
        other => panic!("{field} is of type {other}"),
    }
}

fn texts(schema: &Value, add: &mut impl FnMut(Value, bool)) {
    let pattern = schema["pattern"].as_str().unwrap_or("");
    let length = |name: &str| {
        schema[name]
            .as_u64()
            .map(|length| usize::try_from(length).unwrap())
    };
    let is_media = pattern.contains("media");
    let text = |length: usize| {
        if is_media {
            let begin = "media/";
            return json!(format!("{begin}{}", "a".repeat(length - begin.len())));
        }
        // A header is ASCII, and some texts are measured in bytes.
        let is_of_bytes = schema["description"]
            .as_str()
            .is_some_and(|text| text.contains("bytes"));
        let one = if is_of_bytes || ["^[ -~]+$", "^\\S+$"].contains(&pattern) {
            "a"
        } else {
            "诊"
        };
        json!(one.repeat(length))
    };
    if let Some(most) = length("maxLength") {
        add(text(most), true);
        add(text(most + 1), false);
    }
    match length("minLength") {
        Some(_) if is_media => {}
        Some(least) => {
            add(text(least), true);
            add(text(least - 1), false);
        }
        None if pattern.is_empty() => add(json!(""), true),
        None => {}
    }
    match pattern {
        "" => {}
        "\\S" => add(json!(" ".repeat(length("minLength").unwrap())), false),
        "^[ -~]+$" => add(json!("诊"), false),
        "^\\S+$" => add(json!("a b"), false),
        _ => {
            // Its own examples, and each of them with something more.
            let known = [
                "13800138000",
                "+8613800138000",
                "8613800138000",
                "+442079460018",
                "+85212345678",
                "123456",
                "1990-05-17",
                "1900-01-01",
                "2026-12",
                "media/a1",
                "photo-7",
                "AAAAAAAAAAAAAAAAAAAAAA",
                "gAAAAAAAAAAAAAAAAAAAAQ",
            ];
            let regex = regex::Regex::new(pattern).unwrap();
            let right: Vec<&str> = known.into_iter().filter(|text| regex.is_match(text)).collect();
            assert!(!right.is_empty(), "no text is known for {pattern}");
            for text in right {
                add(json!(text), true);
                add(json!(format!("{text}0")), regex.is_match(&format!("{text}0")));
            }
            let wrong = [
                "",
                "x",
                "1380013800",
                "+8612345",
                "+0123456789",
                "+1234567890123456",
                "12345",
                "1899-12-31",
                "9999-01-01x",
                "AAAAAAAAAAAAAAAAAAAAAB",
                "AAAAAAAAAAAAAAAAAAAAA=",
                "javascript:alert(1)",
                "data:text/plain,x",
            ];
            let wrong = wrong.into_iter().filter(|text| !regex.is_match(text));
            let before = wrong.clone().count();
            assert!(before > 0, "{pattern} takes everything");
            wrong.for_each(|text| add(json!(text), false));
        }
    }
}
