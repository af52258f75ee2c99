//! Running one statement: `$1` becomes SQLite's `?1`, values go in, rows come out.

use std::{cell::RefCell, collections::HashMap, rc::Rc};

use rusqlite::{
    CachedStatement, Connection, ToSql,
    types::{ToSqlOutput, ValueRef},
};

use crate::{Error, Row, Value};

thread_local! {
    /// Texts in SQLite's form. Bounded by the number of distinct statements of the program; texts that are made at
    /// run time come in a handful of lengths.
    static TEXTS: RefCell<HashMap<String, Rc<str>>> = RefCell::default();
}

fn prepare<'c>(connection: &'c Connection, sql: &str) -> Result<CachedStatement<'c>, Error> {
    let text = TEXTS.with_borrow_mut(|texts| match texts.get(sql) {
        Some(text) => text.clone(),
        None => {
            let text: Rc<str> = sql.replace('$', "?").into();
            texts.insert(sql.to_owned(), text.clone());
            text
        }
    });
    Ok(connection.prepare_cached(&text)?)
}

/// SQLite silently takes an unbound parameter as NULL; PostgreSQL refuses.
fn bind(statement: &mut CachedStatement<'_>, params: &[Value]) -> Result<(), Error> {
    let wanted = statement.parameter_count();
    if params.len() != wanted {
        return Err(Error::Engine(format!(
            "the statement takes {wanted} parameters and got {}",
            params.len()
        )));
    }
    for (at, value) in params.iter().enumerate() {
        statement.raw_bind_parameter(at + 1, value)?;
    }
    Ok(())
}

/// Rows of one statement.
pub(crate) fn query(connection: &mut Connection, sql: &str, params: &[Value]) -> Result<Vec<Row>, Error> {
    let mut statement = prepare(connection, sql)?;
    bind(&mut statement, params)?;
    let columns = statement.column_count();
    let mut rows = statement.raw_query();
    let mut answer = Vec::new();
    while let Some(row) = rows.next()? {
        let values = (0..columns)
            .map(|at| value(at, row.get_ref(at)?))
            .collect::<Result<_, Error>>()?;
        answer.push(Row(values));
    }
    Ok(answer)
}

/// Runs one statement; returns the number of rows that it changed.
pub(crate) fn execute(connection: &mut Connection, sql: &str, params: &[Value]) -> Result<u64, Error> {
    let mut statement = prepare(connection, sql)?;
    bind(&mut statement, params)?;
    Ok(statement.raw_execute()? as u64)
}

fn value(at: usize, column: ValueRef<'_>) -> Result<Value, Error> {
    Ok(match column {
        ValueRef::Null => Value::Null,
        ValueRef::Integer(integer) => Value::Integer(integer),
        // No column of ours holds one, and money must not pass through one.
        ValueRef::Real(_) => {
            return Err(Error::Column {
                column: at,
                expected: "value but a floating-point number",
            });
        }
        ValueRef::Text(text) => Value::Text(String::from_utf8_lossy(text).into_owned()),
        ValueRef::Blob(blob) => Value::Bytes(bytes::Bytes::copy_from_slice(blob)),
    })
}

impl ToSql for Value {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Self::Null => ValueRef::Null,
            Self::Integer(integer) => ValueRef::Integer(*integer),
            Self::Boolean(boolean) => ValueRef::Integer(i64::from(*boolean)),
            Self::Text(text) => ValueRef::Text(text.as_bytes()),
            Self::Bytes(bytes) => ValueRef::Blob(bytes),
        }))
    }
}
