//! Ids and amounts.

use proto::ids::MAX_ID;
use serde::{Deserialize, Deserializer};
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{KnownFormat, ObjectBuilder, RefOr, Schema, SchemaFormat, schema::Type},
};

use super::super::broken;

/// The highest price, in fen: ten million yuan.
const MAX_FEN: i64 = 1_000_000_000;

/// An id: 1 to 2^53 - 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Id(i64);

impl Id {
    /// The plain number.
    pub const fn get(self) -> i64 {
        self.0
    }

    /// Checks the range.
    pub fn new(id: i64) -> Option<Self> {
        (1..=MAX_ID).contains(&id).then_some(Self(id))
    }
}

impl<'de> Deserialize<'de> for Id {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::new(i64::deserialize(deserializer)?).ok_or_else(|| {
            broken(
                format_args!("应为 1 到 {MAX_ID} 的整数"),
                format_args!("must be an integer from 1 to {MAX_ID}"),
            )
        })
    }
}

impl PartialSchema for Id {
    fn schema() -> RefOr<Schema> {
        integer(1, MAX_ID).into()
    }
}

impl ToSchema for Id {}

/// An amount of money, 分.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fen(i64);

impl Fen {
    /// The plain number.
    pub const fn get(self) -> i64 {
        self.0
    }
}

impl<'de> Deserialize<'de> for Fen {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let fen = i64::deserialize(deserializer)?;
        if (0..=MAX_FEN).contains(&fen) {
            return Ok(Self(fen));
        }
        Err(broken(
            format_args!("应为 0 到 {MAX_FEN} 的整数，单位为分"),
            format_args!("must be an integer from 0 to {MAX_FEN}, in fen"),
        ))
    }
}

impl PartialSchema for Fen {
    fn schema() -> RefOr<Schema> {
        integer(0, MAX_FEN).into()
    }
}

impl ToSchema for Fen {}

fn integer(low: i64, high: i64) -> Schema {
    ObjectBuilder::new()
        .schema_type(Type::Integer)
        .format(Some(SchemaFormat::KnownFormat(KnownFormat::Int64)))
        .minimum(Some(low))
        .maximum(Some(high))
        .build()
        .into()
}
