//! The medical profile of a member or a dependant.

mod table;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

pub(crate) use table::{named, named_in, put, read_in};

use crate::http::error::Error;

/// 性别.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Gender {
    Female,
    Male,
}

impl Gender {
    /// As the database has it.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Female => "female",
            Self::Male => "male",
        }
    }

    /// Reads what the database has.
    pub(crate) fn from_database(text: &str) -> Option<Self> {
        [Self::Female, Self::Male]
            .into_iter()
            .find(|gender| gender.as_str() == text)
    }
}

/// A user's profile; null is unknown.
#[derive(Clone, Debug, Default, Serialize, ToSchema)]
pub(crate) struct Profile {
    /// Of an upload.
    #[schema(required = true)]
    pub(crate) photo_id: Option<String>,
    #[schema(required = true)]
    pub(crate) gender: Option<Gender>,
    /// YYYY-MM-DD.
    #[schema(required = true)]
    pub(crate) birth_date: Option<String>,
    /// 怀孕次数.
    #[schema(required = true)]
    pub(crate) pregnancies: Option<i64>,
    /// 产几.
    #[schema(required = true)]
    pub(crate) births: Option<i64>,
    /// 月经周期, days.
    #[schema(required = true)]
    pub(crate) menstrual_cycle_days: Option<i64>,
    /// 初潮年龄, years.
    #[schema(required = true)]
    pub(crate) menarche_age: Option<i64>,
}

impl Profile {
    /// Checks rules that span several fields.
    pub(crate) fn check(&self) -> Result<(), Error> {
        match (self.pregnancies, self.births) {
            // Twins are one birth.
            (Some(pregnancies), Some(births)) if births > pregnancies => Err(Error::invalid(
                "births",
                format!("产几不能大于怀孕次数（{pregnancies}）"),
                format!("must not exceed pregnancies ({pregnancies})"),
            )),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn births_are_no_more_than_pregnancies() {
        for (pregnancies, births, good) in [
            (Some(2), Some(2), true),
            (Some(2), Some(3), false),
            (Some(0), Some(1), false),
            (None, Some(3), true),
            (Some(2), None, true),
        ] {
            let profile = Profile {
                pregnancies,
                births,
                ..Profile::default()
            };
            assert_eq!(profile.check().is_ok(), good);
        }
    }
}
