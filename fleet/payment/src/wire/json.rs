//! Members of a JSON object with their bytes as they came: a signature covers exactly those.

use serde::de::{Deserialize, IgnoredAny};

/// The most members of an answer.
pub(crate) const MEMBERS_MAX: usize = 16;

/// The names and raw values of an object. `None` where the text is no object, has another name twice, or too many.
pub(crate) fn members(text: &str) -> Option<Vec<(String, &str)>> {
    let mut rest = text.trim_ascii_start().strip_prefix('{')?.trim_ascii_start();
    let mut found: Vec<(String, &str)> = Vec::new();
    if let Some(after) = rest.strip_prefix('}') {
        return after.trim_ascii().is_empty().then_some(found);
    }
    loop {
        let (name, _, after) = value::<String>(rest)?;
        let after = after.trim_ascii_start().strip_prefix(':')?.trim_ascii_start();
        let (_, raw, after) = value::<IgnoredAny>(after)?;
        if found.len() == MEMBERS_MAX || found.iter().any(|(known, _)| *known == name) {
            return None;
        }
        found.push((name, raw));
        rest = after.trim_ascii_start();
        if let Some(after) = rest.strip_prefix('}') {
            return after.trim_ascii().is_empty().then_some(found);
        }
        rest = rest.strip_prefix(',')?.trim_ascii_start();
    }
}

/// The value that a text begins with, its bytes, and what follows them.
fn value<'t, T: Deserialize<'t>>(text: &'t str) -> Option<(T, &'t str, &'t str)> {
    let mut stream = serde_json::Deserializer::from_str(text).into_iter::<T>();
    let value = stream.next()?.ok()?;
    let (raw, rest) = text.split_at_checked(stream.byte_offset())?;
    Some((value, raw, rest))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn values_keep_their_bytes() {
        let text = r#" {"a" : {"x":"}\"," , "y":[1, {}]},"b":"c" , "d":1.0} "#;
        let found = members(text).unwrap();
        let shown: Vec<_> = found.iter().map(|(name, raw)| (name.as_str(), *raw)).collect();
        assert_eq!(
            shown,
            [
                ("a", r#"{"x":"}\"," , "y":[1, {}]}"#),
                ("b", r#""c""#),
                ("d", "1.0")
            ]
        );
        assert_eq!(members("{}"), Some(vec![]));
    }

    #[test]
    fn broken_and_ambiguous_objects_are_refused() {
        for text in [
            "",
            "[]",
            "{",
            r#"{"a":1"#,
            r#"{"a":1,}"#,
            r#"{"a":1}x"#,
            r#"{"a":1,"a":2}"#,
            r#"{"a":1,"\u0061":2}"#,
            r#"{a:1}"#,
            r#"{"a" 1}"#,
            r#"{"a":}"#,
        ] {
            assert_eq!(members(text), None, "{text}");
        }
        let many: Vec<String> = (0..=MEMBERS_MAX).map(|n| format!("\"{n}\":0")).collect();
        assert_eq!(members(&format!("{{{}}}", many.join(","))), None);
    }

    proptest! {
        #[test]
        fn members_are_those_of_a_whole_parser(text in r#"\{("[ab]":([01]|"[}\\"]{0,2}"|\{"c":\[\]\}),?){0,3}\}?"#) {
            let whole = serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(&text);
            if let Some(found) = members(&text) {
                let whole = whole.unwrap();
                prop_assert_eq!(found.len(), whole.len());
                for (name, raw) in found {
                    prop_assert_eq!(&whole[&name], &serde_json::from_str::<serde_json::Value>(raw).unwrap());
                }
            }
        }
    }
}
