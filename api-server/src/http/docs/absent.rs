//! Optional fields of answers are never null: an answer leaves them out. A required field may be null. A request may do
//! either.

use std::collections::BTreeSet;

use serde_json::Value;

use super::operations;

/// Removes null from the optional fields of answers.
pub(super) fn absent_is_not_null(document: &mut Value) {
    let mut requests = Vec::new();
    for operation in operations(document) {
        references(&operation["requestBody"], &mut requests);
    }
    let schemas = &document["components"]["schemas"];
    let mut of_requests = BTreeSet::new();
    while let Some(name) = requests.pop() {
        if of_requests.insert(name.clone()) {
            references(&schemas[&name], &mut requests);
        }
    }
    let schemas = document["components"]["schemas"].as_object_mut();
    for (name, schema) in schemas.into_iter().flatten() {
        if !of_requests.contains(name) {
            visit(schema);
        }
    }
}

/// The schemas that a value refers to.
fn references(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(object) => {
            let named = object.get("$ref").and_then(Value::as_str);
            found.extend(
                named
                    .and_then(|named| named.strip_prefix("#/components/schemas/"))
                    .map(str::to_owned),
            );
            object.values().for_each(|value| references(value, found));
        }
        Value::Array(array) => array.iter().for_each(|value| references(value, found)),
        _ => {}
    }
}

fn visit(schema: &mut Value) {
    let required = schema["required"].take();
    let is_required = |name: &str| {
        let mut names = required.as_array().into_iter().flatten();
        names.any(|required| required == name)
    };
    for (name, property) in schema["properties"].as_object_mut().into_iter().flatten() {
        if !is_required(name) {
            without_null(property);
        }
        visit(property);
    }
    let Some(object) = schema.as_object_mut() else {
        return;
    };
    if required.is_null() {
        object.remove("required");
    } else {
        object.insert("required".to_owned(), required);
    }
    for name in ["properties", "items"] {
        if object.get(name).is_some_and(Value::is_null) {
            object.remove(name);
        }
    }
    if let Some(items) = object.get_mut("items") {
        visit(items);
    }
    for part in object
        .get_mut("allOf")
        .and_then(Value::as_array_mut)
        .into_iter()
        .flatten()
    {
        visit(part);
    }
}

fn without_null(schema: &mut Value) {
    if let Some(kinds) = schema["type"].as_array() {
        let others: Vec<Value> = kinds.iter().filter(|kind| *kind != "null").cloned().collect();
        if let [one] = &others[..] {
            schema["type"] = one.clone();
        }
    }
    if let Some(choices) = schema["oneOf"].as_array() {
        let others: Vec<Value> = choices
            .iter()
            .filter(|choice| choice["type"] != "null")
            .cloned()
            .collect();
        if let ([one], true) = (&others[..], others.len() < choices.len()) {
            *schema = one.clone();
        }
    }
}
