//! A hash of a JSON value that does not depend on key order, white space, escapes or the form of a number.

use serde_json::Value;
use sha2::{Digest, Sha256};

/// Integers up to this one are exact as floating-point numbers.
const MAX_EXACT: f64 = 9_007_199_254_740_992.0;

/// Adds a body's meaning to a hash. Bytes that are not JSON are hashed as they are.
pub(crate) fn hash_json(hash: &mut Sha256, body: &[u8]) {
    // A write without fields may have no body.
    let body = if body.is_empty() { b"{}" } else { body };
    match serde_json::from_slice(body) {
        Ok(value) => put(hash, &value),
        Err(_) => put_bytes(hash, b'x', body),
    }
}

/// Each value begins with a letter for its kind and, where it has one, its length, so that no two values collide.
fn put(hash: &mut Sha256, value: &Value) {
    match value {
        Value::Null => hash.update(b"n"),
        Value::Bool(true) => hash.update(b"t"),
        Value::Bool(false) => hash.update(b"f"),
        Value::Number(number) => put_bytes(hash, b'd', plain(number).as_bytes()),
        Value::String(text) => put_bytes(hash, b's', text.as_bytes()),
        Value::Array(items) => {
            hash.update(b"a");
            hash.update(items.len().to_be_bytes());
            for item in items {
                put(hash, item);
            }
        }
        Value::Object(fields) => {
            let mut fields: Vec<_> = fields.iter().collect();
            fields.sort_by_key(|(key, _)| key.as_str());
            hash.update(b"o");
            hash.update(fields.len().to_be_bytes());
            for (key, value) in fields {
                put_bytes(hash, b'k', key.as_bytes());
                put(hash, value);
            }
        }
    }
}

fn put_bytes(hash: &mut Sha256, kind: u8, bytes: &[u8]) {
    hash.update([kind]);
    hash.update(bytes.len().to_be_bytes());
    hash.update(bytes);
}

/// One form for each number: `1`, `1.0` and `10e-1` are the same.
#[expect(clippy::cast_possible_truncation, reason = "whole, and at most MAX_EXACT")]
fn plain(number: &serde_json::Number) -> String {
    match number.as_f64() {
        Some(float)
            if !number.is_i64() && !number.is_u64() && float.fract() == 0.0 && float.abs() <= MAX_EXACT =>
        {
            (float as i64).to_string()
        }
        _ => number.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash(body: &str) -> [u8; 32] {
        let mut hash = Sha256::new();
        hash_json(&mut hash, body.as_bytes());
        hash.finalize().into()
    }

    #[test]
    fn the_same_meaning_has_the_same_hash() {
        for (one, other) in [
            (r#"{"a":1,"b":[2,3]}"#, "{ \"b\" : [2, 3],\r\n\t\"a\": 1 }"),
            (r#"{"a":"儿科"}"#, r#"{"\u0061":"\u513f\u79d1"}"#),
            (r#"{"a":"/😀"}"#, r#"{"a":"\/\ud83d\ude00"}"#),
            (r#"{"a":1}"#, r#"{"a":1.0}"#),
            (r#"{"a":100}"#, r#"{"a":1e2}"#),
            (r#"{"a":0}"#, r#"{"a":-0.0}"#),
            (r#"{"a":0.5}"#, r#"{"a":5e-1}"#),
            ("", " {} "),
        ] {
            assert_eq!(hash(one), hash(other), "{one} {other}");
        }
    }

    #[test]
    fn another_meaning_has_another_hash() {
        let bodies = [
            "{}",
            r#"{"a":1}"#,
            r#"{"a":"1"}"#,
            r#"{"a":[1]}"#,
            r#"{"a":null}"#,
            r#"{"a":true}"#,
            r#"{"a":false}"#,
            r#"{"b":1}"#,
            r#"{"a":1,"b":2}"#,
            r#"{"a":2,"b":1}"#,
            r#"{"a":[1,2]}"#,
            r#"{"a":[2,1]}"#,
            r#"{"a":[[1],2]}"#,
            r#"{"a":{"b":1}}"#,
            r#"{"a":"é"}"#,
            "{\"a\":\"e\u{301}\"}",
            r#"{"a":1.5}"#,
            r#"{"a":-1}"#,
            r#"{"a":""}"#,
            r#"{"a":9007199254740993}"#,
            r#"{"a":9007199254740992}"#,
            "{",
            "{]",
            r#"{"a":"\ud800"}"#,
        ];
        let hashes: std::collections::HashSet<_> = bodies.iter().map(|body| hash(body)).collect();
        assert_eq!(hashes.len(), bodies.len());
    }
}
