//! A database of an earlier release is migrated with nothing lost. A fixture is a dump of such a file and is
//! never changed.

use std::path::Path;

use database::{Database, LATEST_VERSION};
use rusqlite::{Connection, types::Value};

const DUMP: &str = include_str!("../fixtures/v5.sql");
/// The version that the dump says it has.
const VERSION: i64 = 5;

/// A table with its columns and rows.
type Table = (String, Vec<String>, Vec<Vec<Value>>);

fn rows(connection: &Connection, table: &str, columns: &[String]) -> Vec<Vec<Value>> {
    let columns_text = columns.join(", ");
    let order: Vec<String> = (1..=columns.len()).map(|at| at.to_string()).collect();
    let sql = format!("SELECT {columns_text} FROM {table} ORDER BY {}", order.join(", "));
    let mut statement = connection.prepare(&sql).unwrap();
    let found = statement
        .query_map([], |row| (0..columns.len()).map(|at| row.get(at)).collect())
        .unwrap();
    found.map(Result::unwrap).collect()
}

fn strings(connection: &Connection, sql: &str) -> Vec<String> {
    let mut statement = connection.prepare(sql).unwrap();
    let found = statement.query_map([], |row| row.get(0)).unwrap();
    found.map(Result::unwrap).collect()
}

/// Writes the file of the earlier release; gives all that is in it but the history of its schema.
pub(crate) fn release(path: &Path) -> Vec<Table> {
    let connection = Connection::open(path).unwrap();
    connection.execute_batch(DUMP).unwrap();
    let tables = strings(
        &connection,
        "SELECT name FROM sqlite_master WHERE type = 'table' AND name <> 'refinery_schema_history' ORDER BY name",
    );
    tables
        .into_iter()
        .map(|table| {
            let columns = strings(
                &connection,
                &format!("SELECT name FROM pragma_table_info('{table}')"),
            );
            let rows = rows(&connection, &table, &columns);
            assert!(!rows.is_empty(), "the fixture has nothing in {table}");
            (table, columns, rows)
        })
        .collect()
}

#[tokio::test]
async fn a_file_of_an_earlier_release_is_brought_up_to_date_with_nothing_lost() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("test.db");
    let before = release(&path);
    assert!(before.len() >= 15, "{}", before.len());

    let database = Database::open(&crate::url(&folder)).await.unwrap();
    assert_eq!(database.schema_version().await.unwrap(), LATEST_VERSION);
    let fleet = database.fleet().await.unwrap();
    assert_eq!(database.find_fleet().await.unwrap(), Some(fleet));
    const { assert!(LATEST_VERSION > VERSION) };
    database.close().await;

    let connection = Connection::open(&path).unwrap();
    for (table, mut columns, expected) in before {
        // All entries are claimed: see the next test.
        let claimed = columns.iter().position(|column| column == "claimed_seq");
        if let Some(claimed) = claimed {
            columns.remove(claimed);
        }
        let mut found = rows(&connection, &table, &columns);
        let mut expected = expected;
        if let Some(claimed) = claimed {
            expected.iter_mut().for_each(|row| drop(row.remove(claimed)));
        }
        if table == "sent" {
            found.retain(|row| expected.contains(row));
        }
        assert_eq!(found, expected, "{table}");
    }
    let damage = strings(&connection, "PRAGMA integrity_check");
    assert_eq!(damage, ["ok"]);
}

#[tokio::test]
async fn what_a_later_version_derives_is_derived_for_what_was_there() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("test.db");
    release(&path);
    Database::open(&crate::url(&folder)).await.unwrap().close().await;

    let connection = Connection::open(&path).unwrap();
    let number = |sql: &str| -> i64 { connection.query_row(sql, [], |row| row.get(0)).unwrap() };
    // Each entry can be found by its seq, each message by its client_msg_id.
    assert_eq!(
        number(
            "SELECT count(*) FROM conversation WHERE claimed_seq <> last_seq OR unclaimed_entry_id IS NOT NULL"
        ),
        0
    );
    let entries = number("SELECT count(*) FROM entry");
    assert_eq!(
        number(
            "SELECT count(*) FROM entry_index i JOIN entry e ON e.id = i.entry_id
             WHERE e.conversation_id = i.conversation_id AND e.seq = i.seq"
        ),
        entries
    );
    assert_eq!(number("SELECT count(*) FROM entry_index"), entries);
    let messages = number("SELECT count(*) FROM entry WHERE kind = 1");
    assert_eq!(
        number(
            "SELECT count(*) FROM sent s JOIN entry e ON e.conversation_id = s.conversation_id AND e.seq = s.seq
             WHERE e.kind = 1 AND e.sender_id = s.sender_id AND e.client_msg_id = s.client_msg_id"
        ),
        messages
    );
    assert_eq!(number("SELECT count(*) FROM sent"), messages);
    assert_eq!(
        number("SELECT count(*) FROM consult_person WHERE team_id <> 2001"),
        0
    );
    assert_eq!(
        number("SELECT count(*) FROM team WHERE search_name = '心内科 team' AND agreement_version = 1"),
        1
    );
    // Every part of the name, also those of more than four characters.
    assert_eq!(
        number("SELECT count(*) FROM team_gram WHERE gram = '内科 tea'"),
        1
    );
    assert_eq!(
        number("SELECT count(*) FROM team_gram"),
        "心内科 team".chars().count() as i64 * 9 / 2
    );
    assert_eq!(
        number("SELECT count(*) FROM team_agreement WHERE version = 1 AND agreement = 'They agree.'"),
        1
    );
}

/// Until version 13 the owner of a team alone could log its assistant in, and every device was known.
#[tokio::test]
async fn the_devices_of_assistants_get_the_owners_who_opened_them() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("test.db");
    release(&path);
    let connection = Connection::open(&path).unwrap();
    connection
        .execute_batch(
            "INSERT INTO device VALUES(1004, 'desk', 'web', X'03', 1792592000000, NULL, NULL, 1790000000000, 1790000000009)",
        )
        .unwrap();
    drop(connection);
    Database::open(&crate::url(&folder)).await.unwrap().close().await;

    let connection = Connection::open(&path).unwrap();
    let found = strings(
        &connection,
        "SELECT user_id || ' ' || coalesce(opened_by, 'nobody') FROM device ORDER BY user_id",
    );
    assert_eq!(found, ["1001 nobody", "1002 nobody", "1004 1002"]);
    let found = strings(
        &connection,
        "SELECT user_id || ' ' || device_id || ' ' || last_login_ms FROM known_device ORDER BY user_id LIMIT 2",
    );
    assert_eq!(found, ["1001 phone 1790000000009", "1002 web 1790000000009"]);
}
