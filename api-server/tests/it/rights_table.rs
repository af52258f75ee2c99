//! The table of `rights.toml`.

use std::collections::BTreeMap;

use serde::Deserialize;

/// A row; see the head of the table.
#[derive(Deserialize)]
pub(super) struct Row {
    #[serde(default)]
    pub(super) public: bool,
    #[serde(default)]
    pub(super) ok: Vec<String>,
    #[serde(default)]
    pub(super) empty: Vec<String>,
    pub(super) others: Option<String>,
    pub(super) call: Option<String>,
    pub(super) body: Option<String>,
    #[serde(default)]
    pub(super) list: bool,
    #[serde(default)]
    pub(super) fresh: bool,
    #[serde(flatten)]
    pub(super) each: BTreeMap<String, String>,
}

pub(super) const ACTORS: [&str; 10] = [
    "anonymous",
    "patient",
    "member",
    "doctor",
    "colleague",
    "owner",
    "outsider",
    "assistant",
    "foreign_assistant",
    "operator",
];

/// The expected outcome for an actor.
#[derive(Debug, PartialEq)]
pub(super) enum Expected {
    Ok,
    Empty,
    Refused(u16, String),
}

pub(super) fn table() -> BTreeMap<String, Row> {
    toml::from_str(include_str!("../../rights.toml")).unwrap()
}

/// The route of a row: more than one have what they serve in parentheses.
pub(super) fn of(row: &str) -> &str {
    row.split_once(" (").map_or(row, |(route, _)| route)
}

impl Row {
    pub(super) fn expected(&self, route: &str, actor: &str) -> Expected {
        let named = |list: &[String]| list.iter().any(|name| name == actor);
        let refused = |text: &str| {
            let (status, word) = text.split_once(' ').unwrap_or_else(|| panic!("{route}: {text}"));
            Expected::Refused(status.parse().unwrap(), word.to_owned())
        };
        if let Some(text) = self.each.get(actor) {
            return refused(text);
        }
        if named(&self.ok) {
            return Expected::Ok;
        }
        if named(&self.empty) {
            return Expected::Empty;
        }
        if actor == "anonymous" && !self.public {
            return refused("401 auth.required");
        }
        if self.ok.iter().any(|name| name == "everybody") {
            return Expected::Ok;
        }
        let others = self.others.as_deref();
        refused(others.unwrap_or_else(|| panic!("{route} says nothing about {actor}")))
    }
}
