//! Statements, parameters and columns.

use std::{borrow::Cow, fmt};

use bytes::Bytes;

use crate::Error;

/// The text of a statement.
pub type Sql = Cow<'static, str>;

/// A parameter or a column.
#[derive(Clone, PartialEq, Eq)]
pub enum Value {
    /// NULL.
    Null,
    /// BIGINT.
    Integer(i64),
    /// BOOLEAN; SQLite returns it as an integer.
    Boolean(bool),
    /// TEXT.
    Text(String),
    /// BYTEA.
    Bytes(Bytes),
}

/// Without texts of users: tokio-postgres logs the parameters of each statement.
impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("Null"),
            Self::Integer(integer) => write!(f, "Integer({integer})"),
            Self::Boolean(boolean) => write!(f, "Boolean({boolean})"),
            Self::Text(text) => write!(f, "Text({} bytes)", text.len()),
            Self::Bytes(bytes) => write!(f, "Bytes({} bytes)", bytes.len()),
        }
    }
}

macro_rules! from {
    ($($from:ty => |$value:ident| $to:expr;)*) => {$(
        impl From<$from> for Value {
            fn from($value: $from) -> Self {
                $to
            }
        }
    )*};
}

from! {
    i64 => |value| Value::Integer(value);
    bool => |value| Value::Boolean(value);
    &str => |value| Value::Text(value.to_owned());
    &String => |value| Value::Text(value.clone());
    String => |value| Value::Text(value);
    Bytes => |value| Value::Bytes(value);
    Vec<u8> => |value| Value::Bytes(value.into());
    &[u8] => |value| Value::Bytes(Bytes::copy_from_slice(value));
}

impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

/// A row of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row(pub(crate) Vec<Value>);

impl Row {
    /// The column at a position, from 0.
    ///
    /// # Errors
    /// [`Error::Column`] when there is none or it holds another type.
    pub fn get<T: FromValue>(&self, column: usize) -> Result<T, Error> {
        self.0.get(column).and_then(T::from_value).ok_or(Error::Column {
            column,
            expected: std::any::type_name::<T>(),
        })
    }
}

/// A type that columns can be read as.
pub trait FromValue: Sized {
    /// The value, unless it is of another type.
    fn from_value(value: &Value) -> Option<Self>;
}

impl FromValue for i64 {
    fn from_value(value: &Value) -> Option<Self> {
        if let Value::Integer(integer) = value {
            Some(*integer)
        } else {
            None
        }
    }
}

impl FromValue for bool {
    fn from_value(value: &Value) -> Option<Self> {
        match value {
            Value::Boolean(boolean) => Some(*boolean),
            Value::Integer(integer) => Some(*integer != 0),
            _ => None,
        }
    }
}

impl FromValue for String {
    fn from_value(value: &Value) -> Option<Self> {
        if let Value::Text(text) = value {
            Some(text.clone())
        } else {
            None
        }
    }
}

impl FromValue for Bytes {
    fn from_value(value: &Value) -> Option<Self> {
        if let Value::Bytes(bytes) = value {
            Some(bytes.clone())
        } else {
            None
        }
    }
}

impl<T: FromValue> FromValue for Option<T> {
    fn from_value(value: &Value) -> Option<Self> {
        if *value == Value::Null {
            Some(None)
        } else {
            T::from_value(value).map(Some)
        }
    }
}
