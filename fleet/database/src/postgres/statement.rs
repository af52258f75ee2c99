//! Running one statement: values go in, rows come out.

use std::fmt;

use bytes::{BufMut, Bytes, BytesMut};
use deadpool_postgres::ClientWrapper;
use tokio_postgres::types::{FromSql, IsNull, ToSql, Type, to_sql_checked};

use crate::{Error, Row, Value};

type AnyError = Box<dyn std::error::Error + Sync + Send>;

/// Rows of one statement. It is prepared once for a connection.
pub(super) async fn query(client: &ClientWrapper, sql: &str, params: &[Value]) -> Result<Vec<Row>, Error> {
    let statement = client.prepare_cached(sql).await?;
    let params = bind(params, statement.params().len())?;
    let rows = client.query(&statement, &params).await?;
    rows.iter().map(row).collect()
}

/// Runs one statement; returns the number of rows that it changed.
pub(super) async fn execute(client: &ClientWrapper, sql: &str, params: &[Value]) -> Result<u64, Error> {
    let statement = client.prepare_cached(sql).await?;
    let params = bind(params, statement.params().len())?;
    Ok(client.execute(&statement, &params).await?)
}

fn bind(params: &[Value], wanted: usize) -> Result<Vec<&(dyn ToSql + Sync)>, Error> {
    if params.len() != wanted {
        return Err(Error::Engine(format!(
            "the statement takes {wanted} parameters and got {}",
            params.len()
        )));
    }
    Ok(params.iter().map(|value| value as &(dyn ToSql + Sync)).collect())
}

/// A row of an answer.
pub(crate) fn row(row: &tokio_postgres::Row) -> Result<Row, Error> {
    let values = row.columns().iter().enumerate().map(|(at, column)| {
        let found = row.try_get::<_, Value>(at);
        found.map_err(|_| match *column.type_() {
            // No column of ours holds one, and money must not pass through one.
            Type::FLOAT4 | Type::FLOAT8 | Type::NUMERIC => Error::Column {
                column: at,
                expected: "value but a floating-point number",
            },
            _ => Error::Column {
                column: at,
                expected: "value of a type that is known here",
            },
        })
    });
    Ok(Row(values.collect::<Result<_, Error>>()?))
}

impl<'a> FromSql<'a> for Value {
    fn from_sql(kind: &Type, raw: &'a [u8]) -> Result<Self, AnyError> {
        Ok(match *kind {
            Type::INT8 => Self::Integer(i64::from_sql(kind, raw)?),
            Type::INT4 => Self::Integer(i32::from_sql(kind, raw)?.into()),
            Type::INT2 => Self::Integer(i16::from_sql(kind, raw)?.into()),
            Type::BOOL => Self::Boolean(bool::from_sql(kind, raw)?),
            Type::BYTEA => Self::Bytes(Bytes::copy_from_slice(raw)),
            _ => Self::Text(String::from_sql(kind, raw)?),
        })
    }

    fn from_sql_null(_: &Type) -> Result<Self, AnyError> {
        Ok(Self::Null)
    }

    fn accepts(kind: &Type) -> bool {
        is_known(kind)
    }
}

fn is_known(kind: &Type) -> bool {
    matches!(
        *kind,
        Type::INT8
            | Type::INT4
            | Type::INT2
            | Type::BOOL
            | Type::BYTEA
            | Type::TEXT
            | Type::VARCHAR
            | Type::BPCHAR
            | Type::NAME
            | Type::UNKNOWN
    )
}

impl ToSql for Value {
    fn to_sql(&self, kind: &Type, out: &mut BytesMut) -> Result<IsNull, AnyError> {
        match (self, kind) {
            (Self::Null, _) => return Ok(IsNull::Yes),
            (Self::Integer(value), &Type::INT8) => out.put_i64(*value),
            // PostgreSQL takes a parameter beside a small number for a small one.
            (Self::Integer(value), &Type::INT4) => out.put_i32(i32::try_from(*value)?),
            (Self::Integer(value), &Type::INT2) => out.put_i16(i16::try_from(*value)?),
            (Self::Boolean(value), &Type::BOOL) => out.put_u8(u8::from(*value)),
            (
                Self::Text(value),
                &Type::TEXT | &Type::VARCHAR | &Type::BPCHAR | &Type::NAME | &Type::UNKNOWN,
            ) => {
                out.put_slice(value.as_bytes());
            }
            (Self::Bytes(value), &Type::BYTEA) => out.put_slice(value),
            (_, kind) => return Err(format!("the parameter is of another type than {kind}").into()),
        }
        Ok(IsNull::No)
    }

    fn accepts(kind: &Type) -> bool {
        is_known(kind)
    }

    to_sql_checked!();
}

/// A parameter that no log shows: tokio-postgres logs the parameters of each statement.
pub struct Sealed<T>(pub T);

impl<T> fmt::Debug for Sealed<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("…")
    }
}

impl<T: ToSql> ToSql for Sealed<T> {
    fn to_sql(&self, kind: &Type, out: &mut BytesMut) -> Result<IsNull, AnyError> {
        self.0.to_sql(kind, out)
    }

    fn accepts(kind: &Type) -> bool {
        T::accepts(kind)
    }

    to_sql_checked!();
}
