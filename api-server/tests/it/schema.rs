//! Whether a value is what a schema of the document asks for. Knows the keywords that the document uses, and no other: one
//! that it does not know fails the test, so that nothing is left unchecked.

use std::{collections::HashMap, sync::OnceLock};

use parking_lot::Mutex;
use regex::Regex;
use serde_json::Value;

/// Keywords that say nothing about a value.
const SILENT: [&str; 6] = ["$ref", "default", "description", "example", "examples", "title"];

/// Adds a line for each violation.
pub fn fits(document: &Value, at: &str, schema: &Value, value: &Value, wrong: &mut Vec<String>) {
    if let Some(reference) = schema["$ref"].as_str() {
        fits(document, at, resolve(document, reference), value, wrong);
    }
    for (keyword, asked) in schema.as_object().unwrap() {
        let right = match keyword.as_str() {
            silent if SILENT.contains(&silent) => true,
            "type" => is_of_type(asked, value),
            "enum" => asked.as_array().unwrap().contains(value),
            "oneOf" => asked.as_array().unwrap().iter().any(|choice| {
                let mut none = Vec::new();
                fits(document, at, choice, value, &mut none);
                none.is_empty()
            }),
            "allOf" => {
                for part in asked.as_array().unwrap() {
                    fits(document, at, part, value, wrong);
                }
                true
            }
            "required" => {
                let names = asked.as_array().unwrap().iter().filter_map(Value::as_str);
                let missing: Vec<&str> = names.filter(|name| value.get(name).is_none()).collect();
                missing.is_empty() || !value.is_object()
            }
            "properties" => {
                for (name, property) in asked.as_object().unwrap() {
                    if let Some(inner) = value.get(name) {
                        fits(document, &format!("{at}.{name}"), property, inner, wrong);
                    }
                }
                true
            }
            "items" => {
                for item in value.as_array().into_iter().flatten() {
                    fits(document, &format!("{at}[]"), asked, item, wrong);
                }
                true
            }
            "propertyNames" => {
                for name in value.as_object().into_iter().flat_map(|fields| fields.keys()) {
                    fits(document, at, asked, &Value::from(name.as_str()), wrong);
                }
                true
            }
            "additionalProperties" if asked.is_object() => {
                let known = |name: &String| schema["properties"].get(name).is_some();
                for (name, inner) in value.as_object().into_iter().flatten() {
                    if !known(name) {
                        fits(document, &format!("{at}.{name}"), asked, inner, wrong);
                    }
                }
                true
            }
            _ => is_within(keyword, asked, value),
        };
        if !right {
            wrong.push(format!("{at}: {value} is not as {keyword} says: {asked}"));
        }
    }
}

/// Resolves a reference.
pub fn resolve<'d>(document: &'d Value, reference: &str) -> &'d Value {
    let pointer = reference.strip_prefix('#').unwrap();
    document.pointer(pointer).unwrap_or_else(|| panic!("{reference}"))
}

fn is_of_type(asked: &Value, value: &Value) -> bool {
    let is = |name: &str| match name {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "boolean" => value.is_boolean(),
        "null" => value.is_null(),
        other => panic!("{other} is no type"),
    };
    match asked {
        Value::String(one) => is(one),
        several => several
            .as_array()
            .unwrap()
            .iter()
            .any(|one| is(one.as_str().unwrap())),
    }
}

/// The keywords that bound a number, a text or a list.
fn is_within(keyword: &str, asked: &Value, value: &Value) -> bool {
    let bound = asked.as_i64();
    let length = value.as_str().map(|text| text.chars().count());
    let items = value.as_array().map(Vec::len);
    let is_at_most =
        |size: Option<usize>| size.is_none_or(|size| i64::try_from(size).unwrap() <= bound.unwrap());
    let is_at_least =
        |size: Option<usize>| size.is_none_or(|size| i64::try_from(size).unwrap() >= bound.unwrap());
    match keyword {
        "minimum" => value.as_i64().is_none_or(|number| number >= bound.unwrap()),
        "maximum" => value.as_i64().is_none_or(|number| number <= bound.unwrap()),
        "minLength" => is_at_least(length),
        "maxLength" => is_at_most(length),
        "minItems" => is_at_least(items),
        "maxItems" => is_at_most(items),
        "pattern" => {
            let text = value.as_str();
            text.is_none_or(|text| matches(asked.as_str().unwrap(), text))
        }
        // Numbers of JSON; a date has its pattern.
        "format" => ["date", "double", "int32", "int64"].contains(&asked.as_str().unwrap()),
        other => panic!("this test does not know the keyword {other}"),
    }
}

fn matches(pattern: &str, text: &str) -> bool {
    static KNOWN: OnceLock<Mutex<HashMap<String, Regex>>> = OnceLock::new();
    let mut known = KNOWN.get_or_init(Mutex::default).lock();
    let regex = known
        .entry(pattern.to_owned())
        .or_insert_with(|| Regex::new(pattern).unwrap());
    regex.is_match(text)
}

/// The shape of a value: the types of its fields, and the shapes of a list's items.
pub fn form(value: &Value) -> Value {
    match value {
        Value::Object(fields) => fields
            .iter()
            .map(|(name, value)| (name.clone(), form(value)))
            .collect::<serde_json::Map<_, _>>()
            .into(),
        Value::Array(items) => {
            let mut forms: Vec<Value> = items.iter().map(form).collect();
            forms.sort_by_key(Value::to_string);
            forms.dedup();
            forms.into()
        }
        Value::Null => "null".into(),
        Value::Bool(_) => "boolean".into(),
        Value::Number(_) => "number".into(),
        Value::String(_) => "string".into(),
    }
}
