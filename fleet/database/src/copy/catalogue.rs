//! The tables, as the engines themselves list them: a table that a later migration adds is copied without a change
//! here.

use crate::{
    Database, Error,
    migrations::{SQLITE_COLUMNS, SQLITE_TABLES},
};

/// The history of migrations: each side has its own.
const HISTORY: &str = "refinery_schema_history";

/// The type of a column.
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
}

#[derive(Clone, Debug)]
pub(super) struct Table {
    pub(super) name: String,
    pub(super) columns: Vec<Column>,
    /// The columns of the primary key by their places in `columns`, each after its place in the key.
    key: Vec<(i64, usize)>,
}

impl Table {
    /// Whether both hold the same rows, however each engine stores them.
    pub(super) fn has_columns_of(&self, other: &Self) -> bool {
        self.name == other.name && self.columns == other.columns
    }

    /// All rows in the order of the primary key, texts by their bytes: `collation` names that order.
    pub(super) fn select(&self, collation: &str) -> String {
        let mut key = self.key.clone();
        key.sort_unstable();
        let order: Vec<String> = key
            .iter()
            .map(|(_, at)| &self.columns[*at])
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
const ON_SQLITE: &str = "SELECT m.name, c.name, lower(c.type), c.pk
    FROM sqlite_master m, pragma_table_info(m.name) c
    WHERE m.type = 'table' AND substr(m.name, 1, 7) <> 'sqlite_' ORDER BY m.name, c.cid";

const ON_POSTGRES: &str = "SELECT CAST(c.relname AS TEXT), CAST(a.attname AS TEXT),
      CAST(format_type(a.atttypid, NULL) AS TEXT),
      CAST(coalesce(array_position(string_to_array(CAST(i.indkey AS TEXT), ' '), CAST(a.attnum AS TEXT)), 0) AS BIGINT)
    FROM pg_catalog.pg_class c
    JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
    LEFT JOIN pg_catalog.pg_index i ON i.indrelid = c.oid AND i.indisprimary
    WHERE c.relkind IN ('r', 'p') AND c.relnamespace = CAST(current_schema() AS regnamespace)
    ORDER BY CAST(c.relname AS TEXT) COLLATE \"C\", a.attnum";

/// The tables on SQLite, without those that SQLite alone has. Do not rely on the keys: they may be SQLite's own.
pub(super) async fn of_sqlite(database: &Database) -> Result<Vec<Table>, Error> {
    read(database, ON_SQLITE, SQLITE_TABLES, SQLITE_COLUMNS).await
}

/// The tables on PostgreSQL, each with its primary key.
pub(super) async fn of_postgres(database: &Database) -> Result<Vec<Table>, Error> {
    let tables = read(database, ON_POSTGRES, &[], &[]).await?;
    match tables.iter().find(|table| table.key.is_empty()) {
        Some(table) => Err(Error::Copy(format!(
            "the table {} has no primary key",
            table.name
        ))),
        None => Ok(tables),
    }
}

async fn read(
    database: &Database,
    sql: &'static str,
    without_tables: &[&str],
    without_columns: &[(&str, &str)],
) -> Result<Vec<Table>, Error> {
    let mut tables: Vec<Table> = Vec::new();
    for row in database.query(sql, vec![]).await? {
        let (table, column): (String, String) = (row.get(0)?, row.get(1)?);
        if table == HISTORY
            || without_tables.contains(&table.as_str())
            || without_columns.contains(&(table.as_str(), column.as_str()))
        {
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
        let column = Column { name: column, kind };
        let of_key: i64 = row.get(3)?;
        if tables.last().is_none_or(|last| last.name != table) {
            tables.push(Table {
                name: table,
                columns: Vec::new(),
                key: Vec::new(),
            });
        }
        if let Some(last) = tables.last_mut() {
            if of_key > 0 {
                last.key.push((of_key, last.columns.len()));
            }
            last.columns.push(column);
        }
    }
    Ok(tables)
}
