//! Which tables there are, as the engines themselves say: a table that a later migration adds is copied without a word
//! here.

use crate::{Database, Error};

/// The history of migrations: each side has its own.
const HISTORY: &str = "refinery_schema_history";

/// What a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Integer,
    Boolean,
    Text,
    Bytes,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Column {
    pub(super) name: String,
    pub(super) kind: Kind,
    /// Its place in the primary key, from 1; 0 when it is not in it.
    key: i64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Table {
    pub(super) name: String,
    pub(super) columns: Vec<Column>,
}

impl Table {
    /// All rows in the order of the primary key, texts by their bytes: `collation` names that order.
    pub(super) fn select(&self, collation: &str) -> String {
        let mut key: Vec<&Column> = self.columns.iter().filter(|column| column.key > 0).collect();
        key.sort_by_key(|column| column.key);
        let order: Vec<String> = key
            .iter()
            .map(|column| match column.kind {
                Kind::Text => format!("{:?} COLLATE {collation}", column.name),
                _ => format!("{:?}", column.name),
            })
            .collect();
        format!(
            "SELECT {} FROM {:?} ORDER BY {}",
            self.column_list(),
            self.name,
            order.join(", ")
        )
    }

    pub(super) fn column_list(&self) -> String {
        let names: Vec<String> = self
            .columns
            .iter()
            .map(|column| format!("{:?}", column.name))
            .collect();
        names.join(", ")
    }
}

/// Name, column, type, place in the primary key.
const OF_FILE: &str = "SELECT m.name, c.name, lower(c.type), c.pk
    FROM sqlite_master m, pragma_table_info(m.name) c
    WHERE m.type = 'table' AND substr(m.name, 1, 7) <> 'sqlite_' ORDER BY m.name, c.cid";

const OF_SERVER: &str = "SELECT CAST(c.relname AS TEXT), CAST(a.attname AS TEXT),
      CAST(format_type(a.atttypid, NULL) AS TEXT),
      CAST(coalesce(array_position(string_to_array(CAST(i.indkey AS TEXT), ' '), CAST(a.attnum AS TEXT)), 0) AS BIGINT)
    FROM pg_catalog.pg_class c
    JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
    LEFT JOIN pg_catalog.pg_index i ON i.indrelid = c.oid AND i.indisprimary
    WHERE c.relkind IN ('r', 'p') AND c.relnamespace = CAST(current_schema() AS regnamespace)
    ORDER BY CAST(c.relname AS TEXT) COLLATE \"C\", a.attnum";

pub(super) async fn of_file(database: &Database) -> Result<Vec<Table>, Error> {
    read(database, OF_FILE).await
}

pub(super) async fn of_server(database: &Database) -> Result<Vec<Table>, Error> {
    read(database, OF_SERVER).await
}

async fn read(database: &Database, sql: &'static str) -> Result<Vec<Table>, Error> {
    let mut tables: Vec<Table> = Vec::new();
    for row in database.query(sql, vec![]).await? {
        let (table, column): (String, String) = (row.get(0)?, row.get(1)?);
        if table == HISTORY {
            continue;
        }
        let kind = match row.get::<String>(2)?.as_str() {
            "bigint" => Kind::Integer,
            "boolean" => Kind::Boolean,
            "text" => Kind::Text,
            "bytea" => Kind::Bytes,
            other => {
                return Err(Error::Copy(format!(
                    "the column {column} of table {table} is of the type {other}, which is none of Huizhen's"
                )));
            }
        };
        let column = Column {
            name: column,
            kind,
            key: row.get(3)?,
        };
        match tables.last_mut().filter(|last| last.name == table) {
            Some(last) => last.columns.push(column),
            None => tables.push(Table {
                name: table,
                columns: vec![column],
            }),
        }
    }
    if let Some(table) = tables
        .iter()
        .find(|table| table.columns.iter().all(|column| column.key == 0))
    {
        return Err(Error::Copy(format!(
            "the table {} has no primary key",
            table.name
        )));
    }
    Ok(tables)
}
