//! From a file to a server: everything or nothing, and nothing is forgotten.

use std::collections::BTreeSet;

use database::{
    Database, Error, MIGRATIONS, Value,
    copy::{CopiedTable, copy},
    params,
};
use testkit::{postgres::Postgres, store::Store};

use crate::{Scratch, migrated};

/// The tables and columns that SQLite alone has, to store entries.
const TABLE_OF_FILES: &str = "entry_index";
const COLUMNS_OF_FILES: [(&str, &str); 3] = [
    ("conversation", "unclaimed_entry_id"),
    ("entry", "id"),
    ("entry", "previous_id"),
];

/// The tables that the migrations make, as their texts say.
fn tables_of_migrations() -> BTreeSet<String> {
    let lines = MIGRATIONS.iter().flat_map(|(_, sql)| sql.lines());
    lines
        .filter_map(|line| line.trim().strip_prefix("CREATE TABLE "))
        .map(|rest| rest.split_whitespace().next().unwrap().to_owned())
        .filter(|table| table != TABLE_OF_FILES)
        .collect()
}

/// A value for a column of a row; every other one is NULL where it may be.
fn value(kind: &str, not_null: bool, at: i64) -> Value {
    if !not_null && at % 2 == 1 {
        return Value::Null;
    }
    match kind {
        // Small, for checks.
        "BIGINT" => at.into(),
        // The id of an entry in a file: taken from the next.
        "INTEGER" => Value::Null,
        "BOOLEAN" => (at % 2 == 0).into(),
        "TEXT" => ["", "Zoë", "zoe", "会诊", "a\u{1}\t\\N\n'", "~"][at as usize].into(),
        "BYTEA" => vec![u8::try_from(at).unwrap(), 0, 255].into(),
        other => panic!("{other}"),
    }
}

/// The columns of a file's table: name, type, whether it must hold something.
async fn columns(file: &Database, table: &str) -> Vec<(String, String, bool)> {
    let sql = format!("SELECT name, type, \"notnull\" FROM pragma_table_info('{table}') ORDER BY cid");
    let columns = file.query(sql, vec![]).await.unwrap();
    columns
        .iter()
        .map(|row| (row.get(0).unwrap(), row.get(1).unwrap(), row.get(2).unwrap()))
        .collect()
}

/// Rows in every table, made from what the catalogue says of its columns.
async fn fill(file: &Scratch) {
    for table in tables_of_migrations() {
        let columns = columns(&file.database, &table).await;
        let names: Vec<String> = columns.iter().map(|(name, ..)| format!("{name:?}")).collect();
        let marks: Vec<String> = (1..=columns.len()).map(|at| format!("${at}")).collect();
        let sql = format!(
            "INSERT INTO {table} ({}) VALUES ({})",
            names.join(", "),
            marks.join(", ")
        );
        for at in 0..6 {
            let values = columns
                .iter()
                .map(|(_, kind, not_null)| value(kind, *not_null, at))
                .collect();
            let sql = sql.clone();
            file.database
                .transaction(move |tx| Box::pin(async move { tx.execute(sql, values).await }))
                .await
                .unwrap();
        }
    }
}

struct Pair {
    /// The folder of the source goes with it.
    _file: Scratch,
    source: Database,
    target: Scratch,
}

impl Pair {
    async fn new(prepare: impl AsyncFnOnce(&Scratch)) -> Self {
        let file = Scratch::open(Store::Sqlite).await;
        prepare(&file).await;
        file.database.close().await;
        Self {
            source: Database::open_as_it_is(file.place.url()).await.unwrap(),
            _file: file,
            target: Scratch::open(Store::Postgres).await,
        }
    }

    async fn copy(&self) -> Result<Vec<CopiedTable>, Error> {
        copy(&self.source, &self.target.database, &[], |_| {}).await
    }

    async fn refusal(&self) -> String {
        let error = self.copy().await.unwrap_err();
        assert!(matches!(error, Error::Copy(_)), "{error}");
        error.to_string()
    }

    async fn rows_in_target(&self) -> i64 {
        let mut rows = 0;
        for table in tables_of_migrations() {
            let counted = self
                .target
                .database
                .query(format!("SELECT count(*) FROM {table}"), vec![]);
            rows += counted.await.unwrap()[0].get::<i64>(0).unwrap();
        }
        rows
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_table_and_every_column_is_copied() {
    let pair = Pair::new(fill).await;
    let mut told = Vec::new();
    let copied = copy(&pair.source, &pair.target.database, &[], |table| {
        told.push(table.clone());
    })
    .await
    .unwrap();
    assert_eq!(told, copied);
    let names: BTreeSet<String> = copied.iter().map(|table| table.name.clone()).collect();
    assert_eq!(names, tables_of_migrations());
    assert!(
        copied
            .iter()
            .all(|table| table.is_same() && table.source.rows == 6)
    );
    // Past the code that copied: the values themselves.
    for table in names {
        let columns: Vec<String> = columns(&pair.source, &table)
            .await
            .into_iter()
            .map(|(name, ..)| name)
            .filter(|name| !COLUMNS_OF_FILES.contains(&(table.as_str(), name.as_str())))
            .collect();
        let sql = format!("SELECT {} FROM {table} ORDER BY 1, 2", columns.join(", "));
        let mut sides = Vec::new();
        for database in [&pair.source, &pair.target.database] {
            let rows = database.query(sql.clone(), vec![]).await.unwrap();
            let mut rows: Vec<String> = rows
                .iter()
                .map(|row| {
                    let columns = (0..).map_while(|at| shown(row, at));
                    columns.collect::<Vec<_>>().join("|")
                })
                .collect();
            rows.sort();
            sides.push(rows);
        }
        assert_eq!(sides[0], sides[1], "{table}");
    }
    let again = pair.refusal().await;
    assert!(
        again.contains("the target is not empty: its table account"),
        "{again}"
    );
}

/// A column as text; booleans are numbers in a file.
fn shown(row: &database::Row, at: usize) -> Option<String> {
    row.get::<Option<i64>>(at)
        .map(|value| format!("{value:?}"))
        .or_else(|_| {
            row.get::<bool>(at)
                .map(|value| format!("Some({})", i64::from(value)))
        })
        .or_else(|_| row.get::<Option<String>>(at).map(|value| format!("{value:?}")))
        .or_else(|_| {
            row.get::<Option<bytes::Bytes>>(at)
                .map(|value| format!("{value:?}"))
        })
        .ok()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn more_rows_than_a_batch_are_copied_in_the_order_of_bytes() {
    let pair = Pair::new(async |file: &Scratch| {
        file.database
            .transaction(|tx| {
                Box::pin(async move {
                    for at in 0..5000_i64 {
                        let name = format!("{}{}", ["a", "B", "é", "会"][(at % 4) as usize], at * 7919 % 5000);
                        tx.execute(
                            "INSERT INTO sequence (name, next_value) VALUES ($1, $2)",
                            params![name, at],
                        )
                        .await?;
                    }
                    let body = vec![7_u8; 700_000];
                    for seq in 1..=5_i64 {
                        tx.execute(
                            "INSERT INTO entry (conversation_id, seq, sender_id, kind, created_ms, client_msg_id, mime_type,
                               body, reply_to_seq, corrects_seq, recalled)
                             VALUES (1, $1, 1, 1, 0, 'x', 'text/plain', $2, 0, 0, false)",
                            params![seq, body.clone()],
                        )
                        .await?;
                    }
                    Ok::<_, Error>(())
                })
            })
            .await
            .unwrap();
    })
    .await;
    let copied = pair.copy().await.unwrap();
    assert!(copied.iter().all(CopiedTable::is_same), "{copied:?}");
    let rows: u64 = copied.iter().map(|table| table.target.rows).sum();
    assert_eq!(rows, 5005);
    assert_eq!(pair.rows_in_target().await, 5005);
}

/// A trigger stands for whatever changes rows on their way.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_target_that_changes_a_row_is_found_out_and_left_empty() {
    let pair = Pair::new(fill).await;
    let name = pair.target.place.database();
    Postgres::shared()
        .psql(
            name,
            "CREATE FUNCTION meddle() RETURNS trigger LANGUAGE plpgsql AS
             $$ BEGIN NEW.title := rtrim(NEW.title, '~'); RETURN NEW; END $$;
             CREATE TRIGGER meddle BEFORE INSERT ON conversation FOR EACH ROW EXECUTE FUNCTION meddle()",
        )
        .unwrap();
    let copied = pair.copy().await.unwrap();
    let different: Vec<&str> = copied
        .iter()
        .filter(|table| !table.is_same())
        .map(|table| table.name.as_str())
        .collect();
    assert_eq!(different, ["conversation"]);
    assert_eq!(pair.rows_in_target().await, 0);
    Postgres::shared()
        .psql(name, "DROP TRIGGER meddle ON conversation")
        .unwrap();
    assert!(pair.copy().await.unwrap().iter().all(CopiedTable::is_same));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_server_does_not_take_is_named_and_leaves_nothing() {
    for (sql, told) in [
        (
            "INSERT INTO sequence (name, next_value) VALUES ('a', 'many')",
            "table sequence",
        ),
        (
            "INSERT INTO sequence (name, next_value) VALUES ('a', 0.5)",
            "table sequence",
        ),
        (
            "INSERT INTO sequence (name, next_value) VALUES (CAST(x'ff' AS TEXT), 1)",
            "table sequence",
        ),
        // PostgreSQL has no text with this in it.
        (
            "INSERT INTO sequence (name, next_value) VALUES ('a' || char(0), 1)",
            "table sequence",
        ),
    ] {
        let pair = Pair::new(async |file: &Scratch| {
            fill(file).await;
            file.run(&[sql]).await;
        })
        .await;
        let refusal = pair.refusal().await;
        assert!(refusal.contains(told), "{sql}: {refusal}");
        assert_eq!(pair.rows_in_target().await, 0, "{sql}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_schema_on_either_side_is_refused() {
    const NEWER: &str = "INSERT INTO refinery_schema_history (version, name, applied_on, checksum)
        VALUES (9999, 'from_the_future', '2030-01-01T00:00:00Z', '1')";
    let older = format!(
        "DELETE FROM refinery_schema_history WHERE version = {}",
        database::LATEST_VERSION
    );
    let pair = Pair::new(async |file: &Scratch| file.run(&[NEWER]).await).await;
    let refusal = pair.refusal().await;
    assert!(
        refusal.contains("source") && refusal.contains("newer program"),
        "{refusal}"
    );

    let sql = older.clone();
    let pair = Pair::new(async move |file: &Scratch| {
        file.database
            .transaction(move |tx| Box::pin(async move { tx.execute(sql, vec![]).await }))
            .await
            .unwrap();
    })
    .await;
    let refusal = pair.refusal().await;
    assert!(
        refusal.contains("source") && refusal.contains("huizhen migrate"),
        "{refusal}"
    );

    let pair = Pair::new(async |_: &Scratch| {}).await;
    let name = pair.target.place.database();
    Postgres::shared()
        .psql(name, "CREATE TABLE thing (id BIGINT PRIMARY KEY)")
        .unwrap();
    let refusal = pair.refusal().await;
    assert!(refusal.contains("of the target: [thing]"), "{refusal}");
    Postgres::shared().psql(name, "DROP TABLE thing").unwrap();
    Postgres::shared().psql(name, NEWER).unwrap();
    let refusal = pair.refusal().await;
    assert!(
        refusal.contains("target") && refusal.contains("newer program"),
        "{refusal}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_goes_from_a_file_to_a_server_only() {
    let (file, server) = (
        Scratch::open(Store::Sqlite).await,
        Scratch::open(Store::Postgres).await,
    );
    let backwards = copy(&server.database, &file.database, &[], |_| {}).await;
    assert!(backwards.unwrap_err().to_string().contains("from a file"));
    let aside = copy(&file.database, &file.database, &[], |_| {}).await;
    assert!(aside.unwrap_err().to_string().contains("to a server"));
    // In use.
    let error = Database::open_as_it_is(file.place.url()).await.err().unwrap();
    assert!(error.to_string().contains("in use by another process"), "{error}");
    // Not there: a look makes nothing.
    let folder = tempfile::tempdir().unwrap();
    let error = Database::open_as_it_is(&crate::url(&folder)).await.err().unwrap();
    assert!(error.to_string().contains("no such file"), "{error}");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    migrated(crate::url(&folder)).await.unwrap();
}
