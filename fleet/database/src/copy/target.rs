//! The one transaction that fills the PostgreSQL database.

use std::pin::{Pin, pin};

use bytes::Bytes;
use futures_util::{StreamExt, pin_mut};
use tokio_postgres::{
    Client, CopyInSink,
    binary_copy::BinaryCopyInWriter,
    types::{ToSql, Type},
};

use super::{
    catalogue::{Kind, Table},
    sum::{Sum, Summing},
};
use crate::{
    Error, Value,
    postgres::{self, Postgres, citus},
};

/// A slow disk on the other side holds up no client here; a lock that another transaction holds is reported soon.
const SESSION: &str = "SET idle_in_transaction_session_timeout = 0; SET lock_timeout = '10s'";

pub(super) struct Target {
    client: Client,
    /// Whether its conversations lie on several machines.
    is_distributed: bool,
}

impl Target {
    /// Begins the transaction. From then on no other transaction writes to the tables.
    pub(super) async fn begin(postgres: &Postgres, tables: &[Table]) -> Result<Self, Error> {
        let client = postgres.connect().await?;
        client.batch_execute(SESSION).await?;
        client.batch_execute("BEGIN READ WRITE").await?;
        let names: Vec<String> = tables.iter().map(|table| format!("{:?}", table.name)).collect();
        if !names.is_empty() {
            let lock = format!("LOCK TABLE {} IN SHARE ROW EXCLUSIVE MODE", names.join(", "));
            client.batch_execute(&lock).await?;
        }
        Ok(Self {
            client,
            is_distributed: postgres.is_distributed(),
        })
    }

    /// A table with rows in it, if there is one.
    pub(super) async fn first_filled(&self, tables: &[Table]) -> Result<Option<String>, Error> {
        for table in tables {
            let sql = format!("SELECT EXISTS (SELECT 1 FROM {:?})", table.name);
            if self.client.query_one(&sql, &[]).await?.get(0) {
                return Ok(Some(table.name.clone()));
            }
        }
        Ok(None)
    }

    /// Begins to fill a table.
    pub(super) async fn writing(&mut self, table: &Table) -> Result<Writing, Error> {
        let sql = format!(
            "COPY {:?} ({}) FROM STDIN (FORMAT BINARY)",
            table.name,
            table.column_list()
        );
        let sink: CopyInSink<Bytes> = self.client.copy_in(&sql).await?;
        let types: Vec<Type> = table
            .columns
            .iter()
            .map(|column| match column.kind {
                Kind::Integer => Type::INT8,
                Kind::Boolean => Type::BOOL,
                Kind::Text => Type::TEXT,
                Kind::Bytes => Type::BYTEA,
            })
            .collect();
        Ok(Writing(Box::pin(BinaryCopyInWriter::new(sink, &types))))
    }

    /// The sum of a table, read back.
    pub(super) async fn sum(&self, table: &Table) -> Result<Sum, Error> {
        let none: [&(dyn ToSql + Sync); 0] = [];
        let rows = self.client.query_raw(&table.select("\"C\""), none).await?;
        pin_mut!(rows);
        let mut sum = Summing::default();
        while let Some(row) = rows.next().await {
            sum.add(&postgres::row(&row?)?.0);
        }
        Ok(sum.finish())
    }

    /// Runs the last statements and commits. Then the tables are analyzed, so that the first queries are
    /// planned for these rows.
    pub(super) async fn commit(self, finish: &[&str]) -> Result<(), Error> {
        for sql in finish {
            self.client.batch_execute(sql).await?;
        }
        if self.is_distributed {
            // A source on one machine has none of them.
            citus::fill(&self.client).await?;
        }
        self.client.batch_execute("COMMIT").await?;
        if let Err(error) = self.client.batch_execute("ANALYZE").await {
            let error = Error::from(error);
            tracing::warn!(%error, "the tables were not analyzed; run ANALYZE");
        }
        Ok(())
    }

    pub(super) async fn roll_back(self) -> Result<(), Error> {
        Ok(self.client.batch_execute("ROLLBACK").await?)
    }
}

/// A table that is being filled.
pub(super) struct Writing(Pin<Box<BinaryCopyInWriter>>);

impl Writing {
    pub(super) async fn write(&mut self, row: &[Value]) -> Result<(), Error> {
        let values: Vec<&(dyn ToSql + Sync)> = row.iter().map(|value| value as &(dyn ToSql + Sync)).collect();
        Ok(self.0.as_mut().write(&values).await?)
    }

    pub(super) async fn finish(mut self) -> Result<(), Error> {
        let finishing = pin!(self.0.as_mut().finish());
        finishing.await?;
        Ok(())
    }
}
