//! A checksum over the values of a row, the same on every engine.
//!
//! SQLite has no checksum of its own, and PostgreSQL's are of pages and may be off. A row that carries one is verified by
//! each reader (docs/decisions/0007-damage.md).

use std::cell::RefCell;

use rusqlite::{
    Connection,
    functions::FunctionFlags,
    types::{Value as SqlValue, ValueRef},
};
use xxhash_rust::xxh3::xxh3_64;

use crate::{Row, Value};

/// One value of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part<'v> {
    /// NULL.
    Null,
    /// BIGINT; BOOLEAN as 0 and 1.
    Integer(i64),
    /// TEXT, its bytes.
    Text(&'v [u8]),
    /// BYTEA.
    Bytes(&'v [u8]),
}

impl<'v> From<&'v Value> for Part<'v> {
    fn from(value: &'v Value) -> Self {
        match value {
            Value::Null => Self::Null,
            Value::Integer(integer) => Self::Integer(*integer),
            Value::Boolean(boolean) => Self::Integer(i64::from(*boolean)),
            Value::Text(text) => Self::Text(text.as_bytes()),
            Value::Bytes(bytes) => Self::Bytes(bytes),
        }
    }
}

impl<'v> From<ValueRef<'v>> for Part<'v> {
    fn from(value: ValueRef<'v>) -> Self {
        match value {
            ValueRef::Null => Self::Null,
            ValueRef::Integer(integer) => Self::Integer(integer),
            // No column of ours holds one: any part that no row of ours has is right.
            ValueRef::Real(_) => Self::Bytes(b"a floating-point number"),
            ValueRef::Text(text) => Self::Text(text),
            ValueRef::Blob(bytes) => Self::Bytes(bytes),
        }
    }
}

impl<'v> From<Option<&'v [u8]>> for Part<'v> {
    fn from(bytes: Option<&'v [u8]>) -> Self {
        bytes.map_or(Self::Null, Self::Bytes)
    }
}

thread_local! {
    static ENCODED: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// Longer buffers are freed after use, bytes: a body has 64 KiB at most.
const KEPT_BYTES: usize = 128 * 1024;

/// XXH3-64 over the values in order, each with its type and its length, so that no two rows read the same. The number is
/// stored: it is the same in every version.
pub fn checksum<'v>(parts: impl IntoIterator<Item = Part<'v>>) -> i64 {
    ENCODED.with_borrow_mut(|encoded| {
        encoded.clear();
        for part in parts {
            match part {
                Part::Null => encoded.push(0),
                Part::Integer(integer) => {
                    encoded.push(1);
                    encoded.extend_from_slice(&integer.to_le_bytes());
                }
                Part::Text(text) => long(encoded, 2, text),
                Part::Bytes(bytes) => long(encoded, 3, bytes),
            }
        }
        let sum = xxh3_64(encoded);
        encoded.shrink_to(KEPT_BYTES);
        sum.cast_signed()
    })
}

fn long(encoded: &mut Vec<u8>, tag: u8, bytes: &[u8]) {
    encoded.push(tag);
    encoded.extend_from_slice(&(bytes.len() as u64).to_le_bytes());
    encoded.extend_from_slice(bytes);
}

impl Row {
    /// The values of the first `columns` columns, for [`checksum`].
    pub fn parts(&self, columns: usize) -> impl Iterator<Item = Part<'_>> {
        self.0.iter().take(columns).map(Part::from)
    }
}

/// Adds the function `row_checksum(…)` to a connection, for migrations.
pub(crate) fn register(connection: &Connection) -> Result<(), rusqlite::Error> {
    let flags = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC;
    connection.create_scalar_function("row_checksum", -1, flags, |context| {
        let parts = (0..context.len()).map(|at| Part::from(context.get_raw(at)));
        Ok(SqlValue::Integer(checksum(parts)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stored_number_stays_what_it_is() {
        let row = [
            Part::Integer(1),
            Part::Text("会诊".as_bytes()),
            Part::Bytes(b"\x00"),
            Part::Null,
        ];
        assert_eq!(checksum(row), -445_536_828_227_704_975);
        assert_eq!(checksum([]), 3_244_421_341_483_603_138);
    }

    #[test]
    fn values_do_not_run_into_each_other() {
        let of = |parts: &[Part<'_>]| checksum(parts.iter().copied());
        let rows: [&[Part<'_>]; 8] = [
            &[Part::Text(b"ab"), Part::Text(b"c")],
            &[Part::Text(b"a"), Part::Text(b"bc")],
            &[Part::Text(b"abc")],
            &[Part::Bytes(b"abc")],
            &[Part::Null],
            &[Part::Null, Part::Null],
            &[Part::Integer(0)],
            &[Part::Bytes(b"")],
        ];
        for (at, one) in rows.iter().enumerate() {
            for other in &rows[at + 1..] {
                assert_ne!(of(one), of(other), "{one:?} {other:?}");
            }
        }
    }

    #[test]
    fn sqlite_computes_the_same() {
        let connection = Connection::open_in_memory().unwrap();
        register(&connection).unwrap();
        let sql = "SELECT row_checksum(1, '会诊', x'00', NULL)";
        let sum: i64 = connection.query_row(sql, [], |row| row.get(0)).unwrap();
        let row = [
            Part::Integer(1),
            Part::Text("会诊".as_bytes()),
            Part::Bytes(b"\x00"),
            Part::Null,
        ];
        assert_eq!(sum, checksum(row));
    }
}
