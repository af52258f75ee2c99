//! Running statements: values go in, rows come out.

use std::{
    fmt,
    future::{Future, poll_fn},
    pin::{Pin, pin},
    task::Poll,
};

use bytes::{BufMut, Bytes, BytesMut};
use deadpool_postgres::ClientWrapper;
use futures_util::{
    TryStreamExt,
    future::{BoxFuture, FutureExt, MaybeDone, maybe_done},
};
use tokio_postgres::{
    Statement,
    types::{FromSql, IsNull, ToSql, Type, to_sql_checked},
};

use crate::{Error, Row, Sql, Value};

type AnyError = Box<dyn std::error::Error + Sync + Send>;

/// Rows of one statement. It is prepared once for a connection.
pub(super) async fn query(client: &ClientWrapper, sql: &str, params: &[Value]) -> Result<Vec<Row>, Error> {
    let statement = client.prepare_cached(sql).await?;
    let params = bind(params, statement.params().len())?;
    let rows = client.query(&statement, &params).await?;
    rows.iter().map(row).collect()
}

/// A statement and its parameters.
pub(crate) type Asked = (Sql, Vec<Value>);

/// The result of a statement.
pub(crate) struct Done {
    pub(crate) rows: Vec<Row>,
    /// Rows that it returned or changed.
    pub(crate) changed: u64,
}

/// Statements that were sent in one round trip.
pub(super) struct Sent {
    /// Of the statement that begins their transaction, where they have one.
    pub(super) begun: Result<(), tokio_postgres::Error>,
    /// Of each, in order.
    pub(super) each: Vec<Result<Done, Error>>,
}

/// Sends statements in one round trip, with one before them that begins their transaction. The server runs them in their
/// order; after one that fails it refuses the others. Each is prepared once for a connection.
pub(super) async fn send(
    client: &ClientWrapper,
    begin: Option<&'static str>,
    asked: &[Asked],
) -> Result<Sent, tokio_postgres::Error> {
    let mut prepared = Vec::with_capacity(asked.len());
    for (sql, _) in asked {
        prepared.push(client.prepare_cached(sql).await?);
    }
    let mut sent: Vec<MaybeDone<BoxFuture<'_, Result<Done, Error>>>> = Vec::with_capacity(asked.len());
    for (statement, (_, params)) in prepared.iter().zip(asked) {
        sent.push(maybe_done(one(client, statement, params).boxed()));
    }
    let mut begun = pin!(maybe_done(async {
        match begin {
            Some(begin) => client.batch_execute(begin).await,
            None => Ok(()),
        }
    }));
    // The first poll of each sends it.
    poll_fn(|context| {
        let mut is_pending = begun.as_mut().poll(context).is_pending();
        for one in &mut sent {
            is_pending |= one.poll_unpin(context).is_pending();
        }
        if is_pending {
            Poll::Pending
        } else {
            Poll::Ready(())
        }
    })
    .await;
    let each = sent.iter_mut().filter_map(|one| Pin::new(one).take_output());
    Ok(Sent {
        begun: begun.as_mut().take_output().unwrap_or(Ok(())),
        each: each.collect(),
    })
}

async fn one(client: &ClientWrapper, statement: &Statement, params: &[Value]) -> Result<Done, Error> {
    let params = bind(params, statement.params().len())?;
    let mut stream = pin!(client.query_raw(statement, params).await?);
    let mut rows = Vec::new();
    while let Some(found) = stream.try_next().await? {
        rows.push(row(&found)?);
    }
    let changed = stream.rows_affected().unwrap_or_default();
    Ok(Done { rows, changed })
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
