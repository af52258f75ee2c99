//! Rules that a field breaks, in two languages, through serde's one text.

use std::fmt::Display;

use crate::error::{Error, Word};

/// Stands around the two texts, where no text of ours has it.
const MARK: char = '\u{1f}';

/// An error of deserialization that tells the rule in Chinese and in English.
pub(crate) fn broken<E: serde::de::Error>(zh: impl Display, en: impl Display) -> E {
    E::custom(format!("{MARK}{zh}{MARK}{en}{MARK}"))
}

/// Our error for one of serde's. What the caller sent is left out: messages end up in logs of apps.
pub(super) fn error(path: &str, error: &serde_json::Error) -> Error {
    if error.is_syntax() || error.is_eof() {
        return Word::BadJson.into();
    }
    let text = error.to_string();
    let path = if path == "." { "" } else { path };
    let mut parts = text.split(MARK);
    if let (Some(_), Some(zh), Some(en)) = (parts.next(), parts.next(), parts.next()) {
        return Error::invalid(path.to_owned(), zh.to_owned(), en.to_owned());
    }
    if let Some(name) = text
        .strip_prefix("missing field `")
        .and_then(|rest| rest.split('`').next())
    {
        let field = if path.is_empty() {
            name.to_owned()
        } else {
            format!("{path}.{name}")
        };
        return Error::invalid(field, "缺少该字段", "it is missing");
    }
    let expected = text
        .split_once("expected ")
        .map_or("another value", |(_, expected)| {
            expected.split(" at line ").next().unwrap_or(expected)
        })
        .to_owned();
    let field = if path.is_empty() {
        "body".to_owned()
    } else {
        path.to_owned()
    };
    Error::invalid(
        field,
        format!("类型或取值不对，应为 {expected}"),
        format!("it must be {expected}"),
    )
}
