//! Relations of relatives to a member.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The relation of a relative to the member.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Relation {
    Spouse,
    Child,
    Parent,
    Sibling,
    Grandparent,
    Grandchild,
    Other,
}

impl Relation {
    const ALL: [Self; 7] = [
        Self::Spouse,
        Self::Child,
        Self::Parent,
        Self::Sibling,
        Self::Grandparent,
        Self::Grandchild,
        Self::Other,
    ];

    /// As the wire and the database name it.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Spouse => "spouse",
            Self::Child => "child",
            Self::Parent => "parent",
            Self::Sibling => "sibling",
            Self::Grandparent => "grandparent",
            Self::Grandchild => "grandchild",
            Self::Other => "other",
        }
    }

    /// Reads what the database has.
    pub(crate) fn from_database(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|relation| relation.as_str() == text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_database_names_them_as_the_wire_does() {
        for relation in Relation::ALL {
            assert_eq!(serde_json::to_value(relation).unwrap(), relation.as_str());
            assert_eq!(Relation::from_database(relation.as_str()), Some(relation));
        }
        assert_eq!(Relation::from_database("cousin"), None);
    }
}
