//! A database on several machines: a plain server with the names that Citus has, as a stand-in for what it says and keeps.

use database::{
    Database, Engine, Error,
    postgres::{Postgres, citus::Function},
};
use testkit::{postgres::Postgres as Server, store::Store};

use crate::{Scratch, migrated};

/// The parts of Citus that our statements use. It notes tables that are put in place as Citus would; the coordinator
/// answers, the worker does not.
const STAND_IN: &str = "
    SET allow_system_table_mods = on;
    INSERT INTO pg_extension (oid, extname, extowner, extnamespace, extrelocatable, extversion)
      VALUES (99999, 'citus', 10, 2200, false, '13.2-1');
    CREATE TABLE pg_dist_node (nodeid INT, groupid INT, nodename TEXT, nodeport INT, noderole TEXT);
    INSERT INTO pg_dist_node VALUES (1, 0, 'coordinator', 5432, 'primary'), (2, 1, 'worker', 5432, 'primary');
    CREATE TABLE pg_dist_partition (logicalrelid REGCLASS, partmethod TEXT, partkey TEXT, beside TEXT);
    CREATE TABLE distributed_function (signature TEXT, argument TEXT);
    CREATE FUNCTION column_to_column_name(REGCLASS, TEXT) RETURNS TEXT LANGUAGE sql AS 'SELECT $2';
    CREATE FUNCTION create_distributed_table(REGCLASS, TEXT, colocate_with TEXT) RETURNS VOID LANGUAGE sql
      AS 'INSERT INTO pg_dist_partition VALUES ($1, ''h'', $2, $3)';
    CREATE FUNCTION truncate_local_data_after_distributing_table(REGCLASS) RETURNS VOID LANGUAGE sql AS 'SELECT';
    CREATE FUNCTION citus_add_local_table_to_metadata(REGCLASS) RETURNS VOID LANGUAGE sql
      AS 'INSERT INTO pg_dist_partition VALUES ($1, ''n'', NULL, NULL)';
    CREATE FUNCTION create_distributed_function(TEXT, TEXT, colocate_with TEXT) RETURNS VOID LANGUAGE sql
      AS 'INSERT INTO distributed_function VALUES ($1, $2)';
    CREATE TABLE machine AS SELECT 400 AS max_prepared;
    CREATE FUNCTION run_command_on_all_nodes(TEXT) RETURNS TABLE (nodeid INT, success BOOLEAN, result TEXT) LANGUAGE sql
      AS 'SELECT n.nodeid, n.nodeid = 1, CASE n.nodeid WHEN 1 THEN ''on on '' || m.max_prepared || '' 300 9 150018 13.2-1''
            ELSE ''connection refused'' END FROM pg_dist_node n, machine m';";

const FUNCTION: &[Function] = &[Function {
    text: "CREATE OR REPLACE FUNCTION of_a_conversation(id BIGINT) RETURNS BIGINT LANGUAGE sql AS 'SELECT id'",
    signature: "of_a_conversation(bigint)",
    of_conversation: Some("id"),
}];

fn psql(url: &str, sql: &str) -> String {
    let name = url.split('?').next().unwrap().rsplit('/').next().unwrap();
    Server::shared().psql(name, sql).unwrap()
}

async fn stand_in() -> String {
    let place = Store::Postgres.place(migrated).await;
    psql(place.url(), STAND_IN);
    place.url().to_owned()
}

async fn refusal(url: &str) -> String {
    match Database::open(url).await {
        Ok(_) => panic!("it was opened"),
        Err(error) => error.to_string(),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_start_refuses_tables_that_lie_elsewhere_until_they_are_put_in_place() {
    let url = stand_in().await;
    let refused = refusal(&url).await;
    assert!(
        refused.contains("huizhen migrate --distributed citus"),
        "{refused}"
    );
    assert!(
        refused.contains("entry") && refused.contains("account"),
        "{refused}"
    );
    let placed = Postgres::distribute(&url, FUNCTION).await.unwrap();
    let by = |start: &str| placed.iter().any(|line| line.starts_with(start));
    assert!(
        by("conversation by id: ") && by("entry by conversation_id: ") && by("account on the coordinator: ")
    );
    let beside = "SELECT string_agg(logicalrelid::TEXT || ' ' || beside, ', ' ORDER BY logicalrelid::TEXT) FROM pg_dist_partition
        WHERE logicalrelid IN ('conversation'::regclass, 'sent'::regclass)";
    assert_eq!(psql(&url, beside), "conversation none, sent conversation");
    let functions = "SELECT signature || ' ' || argument FROM distributed_function";
    assert_eq!(psql(&url, functions), "of_a_conversation(bigint) id");
    let again = Postgres::distribute(&url, FUNCTION).await.unwrap();
    assert!(again.is_empty(), "what is done stays: {again:?}");

    let database = Database::open(&url).await.unwrap();
    let Engine::Postgres(server) = database.engine() else {
        panic!("a file");
    };
    assert!(server.is_distributed());
    let machines = server.machines().await.unwrap();
    assert!(machines[0].settings.as_ref().unwrap().syncs);
    assert_eq!(machines[1].address, "worker:5432");
    assert_eq!(machines[1].settings.as_ref().unwrap_err(), "connection refused");
    database.close().await;
    psql(&url, "UPDATE machine SET max_prepared = 0");
    let refused = refusal(&url).await;
    assert!(refused.contains("max_prepared_transactions = 0"), "{refused}");
    psql(&url, "UPDATE machine SET max_prepared = 400");

    psql(
        &url,
        "DELETE FROM pg_dist_partition WHERE logicalrelid = 'vas'::regclass",
    );
    let refused = refusal(&url).await;
    assert!(
        refused.contains("belong: vas;"),
        "a table of a later step: {refused}"
    );
    psql(
        &url,
        "INSERT INTO pg_dist_partition VALUES ('vas'::regclass, 'h', 'team_id', 'none')",
    );
    let refused = Postgres::distribute(&url, FUNCTION)
        .await
        .unwrap_err()
        .to_string();
    assert!(refused.contains("vas was distributed otherwise"), "{refused}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_extension_without_workers_is_one_server() {
    let url = stand_in().await;
    psql(&url, "DELETE FROM pg_dist_node WHERE groupid <> 0");
    let database = Database::open(&url).await.unwrap();
    let Engine::Postgres(server) = database.engine() else {
        panic!("a file");
    };
    assert!(!server.is_distributed());
    database.close().await;
}

#[test]
fn the_test_kit_knows_the_tables_of_conversations() {
    assert_eq!(
        database::postgres::citus::of_conversation(),
        testkit::citus::OF_CONVERSATION
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_server_has_no_machines_and_is_not_distributed() {
    let scratch = Scratch::open(Store::Postgres).await;
    let Engine::Postgres(server) = scratch.database.engine() else {
        panic!("a file");
    };
    assert!(!server.is_distributed());
    assert!(server.machines().await.unwrap().is_empty());
    let refused = Postgres::distribute(scratch.place.url(), FUNCTION).await;
    assert!(
        matches!(&refused, Err(Error::Open(text)) if text.contains("CREATE EXTENSION citus")),
        "{refused:?}"
    );
}
