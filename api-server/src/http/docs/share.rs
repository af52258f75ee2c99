//! Repeated parts of the OpenAPI document move to its components, and are referenced elsewhere.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::operations;

/// Moves repeated schemas, parameters, refusals and their examples to the components.
pub(super) fn share(document: &mut Value) {
    schemas(document);
    let mut parameters = Shared::new("parameters");
    let mut refusals = Shared::new("responses");
    let mut examples = Shared::new("examples");
    let times = refusal_times(document);
    for operation in operations(document) {
        for parameter in array(operation.get_mut("parameters")) {
            let name = parameter["name"].as_str().unwrap_or_default().to_owned();
            parameters.replace(parameter, &name);
        }
        for (status, response) in object(operation.get_mut("responses")) {
            if status.as_str() < "400" {
                continue;
            }
            let is_shared = times.get(&key(status, response)).is_some_and(|times| *times > 1);
            for content in object(response.get_mut("content")).map(|(_, content)| content) {
                for (word, example) in object(content.get_mut("examples")) {
                    examples.replace(example, word);
                }
            }
            if is_shared {
                let words = response["description"].as_str().unwrap_or_default();
                let name = words.replace(", ", "-").replace('`', "");
                refusals.replace(response, &name);
            }
        }
    }
    for shared in [parameters, refusals, examples] {
        document["components"][shared.kind] = shared.values.into();
    }
}

/// How often each refusal occurs.
fn refusal_times(document: &mut Value) -> BTreeMap<String, usize> {
    let mut times = BTreeMap::new();
    for operation in operations(document) {
        for (status, response) in object(operation.get_mut("responses")) {
            *times.entry(key(status, response)).or_default() += 1;
        }
    }
    times
}

fn key(status: &str, response: &Value) -> String {
    format!("{status} {}", response["description"])
}

/// Replaces nested schemas that have a name by references.
fn schemas(document: &mut Value) {
    fn visit(value: &mut Value, named: &BTreeMap<String, String>) {
        if let Some(name) = named.get(&value.to_string()) {
            *value = json!({"$ref": format!("#/components/schemas/{name}")});
            return;
        }
        match value {
            Value::Object(object) => object.values_mut().for_each(|value| visit(value, named)),
            Value::Array(array) => array.iter_mut().for_each(|value| visit(value, named)),
            _ => {}
        }
    }
    let schemas = object(document.pointer_mut("/components/schemas"));
    let named: BTreeMap<String, String> = schemas
        .filter(|(_, schema)| {
            schema["type"] == "object" || schema["oneOf"].is_array() || schema["allOf"].is_array()
        })
        .map(|(name, schema)| (schema.to_string(), name.clone()))
        .collect();
    for (_, schema) in object(document.pointer_mut("/components/schemas")) {
        for (_, within) in schema.as_object_mut().into_iter().flatten() {
            visit(within, &named);
        }
    }
}

/// Components of one kind.
struct Shared {
    kind: &'static str,
    values: Map<String, Value>,
}

impl Shared {
    fn new(kind: &'static str) -> Self {
        Self {
            kind,
            values: Map::new(),
        }
    }

    /// Replaces a value by a reference; another value of the same name gets a number appended.
    fn replace(&mut self, value: &mut Value, name: &str) {
        let mut free = name.to_owned();
        let mut number = 1;
        while self.values.get(&free).is_some_and(|there| there != value) {
            number += 1;
            free = format!("{name}-{number}");
        }
        let reference = json!({"$ref": format!("#/components/{}/{free}", self.kind)});
        self.values.insert(free, std::mem::replace(value, reference));
    }
}

fn object(value: Option<&mut Value>) -> impl Iterator<Item = (&String, &mut Value)> {
    value.and_then(Value::as_object_mut).into_iter().flatten()
}

fn array(value: Option<&mut Value>) -> impl Iterator<Item = &mut Value> {
    value.and_then(Value::as_array_mut).into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_the_same_is_said_once() {
        let refusal = || {
            json!({"description": "`auth.required`", "content": {"application/json": {
                "examples": {"auth.required": {"value": {"code": 401}}}}}})
        };
        let id = |most: i64| json!({"name": "id", "in": "path", "schema": {"maximum": most}});
        let team = || json!({"type": "object", "properties": {"team_id": {"type": "integer"}}});
        let mut document = json!({
            "paths": {
                "/a": {"get": {"parameters": [id(1)], "responses": {"200": {"description": ""}, "401": refusal()}}},
                "/b": {"get": {"parameters": [id(1)], "responses": {"401": refusal()}},
                       "put": {"parameters": [id(2)], "responses": {"404": refusal()}}},
            },
            "components": {"schemas": {
                "Team": team(),
                "Envelope_Team": {"type": "object", "properties": {"result": team()}},
            }},
        });
        share(&mut document);
        let named = |kind: &str, name: &str| json!({"$ref": format!("#/components/{kind}/{name}")});
        let (a, b) = (&document["paths"]["/a"]["get"], &document["paths"]["/b"]);
        assert_eq!(a["parameters"][0], named("parameters", "id"));
        assert_eq!(b["get"]["parameters"][0], named("parameters", "id"));
        assert_eq!(b["put"]["parameters"][0], named("parameters", "id-2"));
        assert_eq!(a["responses"]["401"], named("responses", "auth.required"));
        assert_eq!(a["responses"]["200"], json!({"description": ""}));
        // A single use stays in place; its example is shared all the same.
        let example = &b["put"]["responses"]["404"]["content"]["application/json"]["examples"];
        assert_eq!(example["auth.required"], named("examples", "auth.required"));
        let components = &document["components"];
        assert_eq!(components["parameters"]["id-2"], id(2));
        assert_eq!(components["examples"]["auth.required"]["value"]["code"], 401);
        let shared = &components["responses"]["auth.required"];
        assert_eq!(shared["description"], "`auth.required`");
        let schemas = &components["schemas"];
        assert_eq!(schemas["Team"], team());
        assert_eq!(
            schemas["Envelope_Team"]["properties"]["result"],
            named("schemas", "Team")
        );
    }
}
