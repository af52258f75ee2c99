//! Fields of a change: absent, cleared by null, or given.

use serde::{Deserialize, Deserializer};

/// A field of a change. Needs `#[serde(default)]`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Given<T> {
    /// Not in the body: stays as it is.
    #[default]
    Absent,
    /// null: becomes unknown.
    Cleared,
    /// Its new value.
    Value(T),
}

impl<T> Given<T> {
    /// The value after the change.
    pub fn over<U>(self, present: Option<U>, value: impl FnOnce(T) -> U) -> Option<U> {
        match self {
            Self::Absent => present,
            Self::Cleared => None,
            Self::Value(new) => Some(value(new)),
        }
    }

    /// Whether the change leaves it as it is.
    pub fn is_absent(&self) -> bool {
        matches!(self, Self::Absent)
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Given<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Option::deserialize(deserializer)?.map_or(Self::Cleared, Self::Value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Deserialize)]
    struct Change {
        #[serde(default)]
        field: Given<i64>,
    }

    #[test]
    fn left_out_null_and_a_value_are_three_things() {
        for (text, expected) in [
            ("{}", Some(7)),
            (r#"{"field":null}"#, None),
            (r#"{"field":3}"#, Some(3)),
        ] {
            let change: Change = serde_json::from_str(text).unwrap();
            assert_eq!(change.field.is_absent(), text == "{}");
            assert_eq!(change.field.over(Some(7), |value| value), expected, "{text}");
        }
    }
}
