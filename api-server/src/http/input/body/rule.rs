//! Broken rules in two languages, carried through serde's single error text.

use std::fmt::Display;

use crate::http::error::{Error, ErrorCode};

/// Separates the two texts; no sentence contains it.
const MARK: char = '\u{1f}';

/// A deserialization error with the rule in Chinese and in English.
pub(crate) fn broken<E: serde::de::Error>(zh: impl Display, en: impl Display) -> E {
    E::custom(format!("{MARK}{zh}{MARK}{en}{MARK}"))
}

/// Converts an error of serde. The caller's input is left out: messages end up in logs of apps.
pub(super) fn error(path: &str, error: &serde_json::Error) -> Error {
    if error.is_syntax() || error.is_eof() {
        return ErrorCode::BadJson.into();
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
        return Error::invalid(field, "必须提供", "must be given");
    }
    let (zh, en) = words(expected(&text));
    let field = if path.is_empty() {
        "body".to_owned()
    } else {
        path.to_owned()
    };
    Error::invalid(field, format!("应为{zh}"), format!("must be {en}"))
}

/// The part of serde's message that names the expected type or values.
fn expected(text: &str) -> &str {
    text.rsplit_once("expected ")
        .map_or("", |(_, rest)| rest.split(" at line ").next().unwrap_or(rest))
}

/// The expected type or values in terms of JSON: callers do not know Rust's types.
fn words(expected: &str) -> (String, String) {
    let plain = |zh: &str, en: &str| (zh.to_owned(), en.to_owned());
    match expected {
        "i8" | "i16" | "i32" | "i64" | "isize" | "u8" | "u16" | "u32" | "u64" | "usize" => {
            plain("整数", "an integer")
        }
        "f32" | "f64" => plain("数字", "a number"),
        "a boolean" => plain(" true 或 false", "true or false"),
        "a string" | "string" | "str" | "a character" | "string or map" => plain("字符串", "a string"),
        "a map" | "map" => plain(" JSON 对象", "a JSON object"),
        "a sequence" => plain(" JSON 数组", "a JSON array"),
        _ if expected.starts_with("struct ") => plain(" JSON 对象", "a JSON object"),
        _ if expected.starts_with('`') || expected.starts_with("one of `") => {
            let values: Vec<&str> = expected.split('`').skip(1).step_by(2).collect();
            (
                format!("以下之一：{}", values.join("、")),
                format!("one of {}", values.join(", ")),
            )
        }
        _ => plain("其他取值", "another value"),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that fails says where")]

    use serde::{Deserialize, de::DeserializeOwned};

    use super::{expected, words};

    #[derive(Debug, Deserialize)]
    struct Point {
        x: i64,
    }

    #[derive(Debug, Deserialize)]
    #[serde(rename_all = "lowercase")]
    enum Platform {
        Ios,
        Android,
        Web,
    }

    fn told<T: DeserializeOwned + std::fmt::Debug>(json: &str) -> (String, String) {
        let text = serde_json::from_str::<T>(json).unwrap_err().to_string();
        words(expected(&text))
    }

    #[test]
    fn types_are_those_of_json() {
        let own = |zh: &str, en: &str| (zh.to_owned(), en.to_owned());
        assert_eq!(told::<i64>("\"1\""), own("整数", "an integer"));
        assert_eq!(told::<u16>("1.5"), own("整数", "an integer"));
        assert_eq!(told::<String>("1"), own("字符串", "a string"));
        assert_eq!(told::<bool>("1"), own(" true 或 false", "true or false"));
        assert_eq!(told::<Vec<i64>>("{}"), own(" JSON 数组", "a JSON array"));
        assert_eq!(serde_json::from_str::<Point>("{\"x\":1}").unwrap().x, 1);
        assert_eq!(told::<Point>("1"), own(" JSON 对象", "a JSON object"));
        let platforms = own("以下之一：ios、android、web", "one of ios, android, web");
        assert_eq!(told::<Platform>("\"beos\""), platforms);
    }
}
