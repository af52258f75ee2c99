//! Every statement of the journal is prepared and explained: none may look at a whole table.

use database::{Engine, Error};
use testkit::{postgres::Postgres, store::Store};

use crate::world::World;

/// How SQLite goes about each statement of ours.
async fn sqlite_plans(world: &World) -> Vec<(String, Vec<String>)> {
    let Engine::Sqlite(sqlite) = world.journal.database().engine() else {
        panic!("no file");
    };
    let statements = journal::statements(world.journal.database().engine());
    let outcome: Result<_, Error> = sqlite
        .write(|connection| {
            let mut plans = Vec::new();
            for statement in statements {
                let explain = format!("EXPLAIN QUERY PLAN {}", statement.replace('$', "?"));
                let mut prepared = connection.prepare(&explain)?;
                let mut rows = prepared.raw_query();
                let mut plan = Vec::new();
                while let Some(row) = rows.next()? {
                    plan.push(row.get::<_, String>(3)?);
                }
                plans.push((statement, plan));
            }
            Ok(plans)
        })
        .await;
    outcome.unwrap()
}

#[tokio::test]
async fn no_statement_scans_a_table_of_sqlite() {
    let world = World::new(Store::Sqlite).await;
    let plans = sqlite_plans(&world).await;
    assert!(plans.len() > 20, "{}", plans.len());
    for (statement, plan) in plans {
        for step in &plan {
            // Only the result of a subquery may be scanned; `u` is the chain of unindexed entries.
            let given = ["SCAN v", "SCAN new_messages", "SCAN u", "SCAN unindexed"];
            let is_own = step.ends_with("CONSTANT ROWS") || step.ends_with("VALUES CLAUSE");
            let scans = step.starts_with("SCAN") && !given.contains(&step.as_str()) && !is_own;
            assert!(!scans, "{statement}\n{plan:#?}");
            assert!(
                !step.contains("AUTOMATIC"),
                "an index is missing: {statement}\n{plan:#?}"
            );
        }
    }
}

/// Pages must come out of an index in order. The few unindexed entries are in none: they
/// are sorted and merged with what comes out of the index.
#[tokio::test]
async fn no_page_of_sqlite_is_sorted() {
    let world = World::new(Store::Sqlite).await;
    for (statement, plan) in sqlite_plans(&world).await {
        if statement.contains("LIMIT") {
            let is_merged = plan.first().is_some_and(|step| step == "MERGE (UNION ALL)");
            let mut pages = plan.iter().take_while(|step| !(is_merged && *step == "RIGHT"));
            let sorts = pages.any(|step| step.contains("TEMP B-TREE"));
            assert!(!sorts, "{statement}\n{plan:#?}");
        }
    }
}

/// So many rows that no plan is good only because a table is small.
pub(crate) const MANY: &str = "
    INSERT INTO conversation (id, kind, epoch, open, title, last_seq, created_ms, updated_ms)
      SELECT id, 1, 1, true, 'a consult', 50, 0, 0 FROM generate_series(1, 4000) AS id;
    INSERT INTO participant (conversation_id, user_id, from_seq, role, changed_ms)
      SELECT id, id * 7 % 3000 + person, person, 1, id * 1000 + person
      FROM generate_series(1, 4000) AS id, generate_series(1, 5) AS person;
    INSERT INTO entry (conversation_id, seq, sender_id, kind, created_ms, client_msg_id, mime_type, body, reply_to_seq,
        corrects_seq, recalled)
      SELECT id, seq, 1, 1, 0, '', 'text/plain', '', 0, 0, false
      FROM generate_series(1, 4000) AS id, generate_series(1, 20) AS seq;
    INSERT INTO sent SELECT id, 1, 'message ' || seq, seq
      FROM generate_series(1, 4000) AS id, generate_series(1, 20) AS seq;
    INSERT INTO sequence SELECT 'sequence ' || number, 1 FROM generate_series(1, 4000) AS number;
    INSERT INTO media (id, owner_id, purpose, mime_type, bytes, sha256, file_name, store_key, state, created_ms)
      SELECT id, id, 'message', 'image/png', 1, '', '', 'key ' || id, 'finished', 0 FROM generate_series(1, 4000) AS id;
    INSERT INTO media_entry (media_id, conversation_id, seq) SELECT id, id, 1 FROM generate_series(1, 4000) AS id;
    INSERT INTO correction SELECT id, seq, seq + 20 FROM generate_series(1, 4000) AS id, generate_series(1, 5) AS seq;
    INSERT INTO mark SELECT id, person, 1, 1 FROM generate_series(1, 4000) AS id, generate_series(1, 5) AS person;
    INSERT INTO hidden_conversation SELECT id, person, 1, id * 8 + person
      FROM generate_series(1, 4000) AS id, generate_series(1, 5) AS person;
    ANALYZE";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_statement_scans_a_table_of_postgresql_and_no_page_is_sorted() {
    let world = World::new(Store::Postgres).await;
    let database = world.place.database().to_owned();
    Postgres::shared().psql(&database, MANY).unwrap();
    let Engine::Postgres(postgres) = world.journal.database().engine() else {
        panic!("no server");
    };
    let client = postgres.connect().await.unwrap();
    client
        .batch_execute("SET plan_cache_mode = force_generic_plan")
        .await
        .unwrap();
    let statements = journal::statements(world.journal.database().engine());
    assert!(statements.len() > 20);
    for statement in statements {
        let parameters = client.prepare(&statement).await.unwrap().params().len();
        let nulls = match parameters {
            0 => String::new(),
            _ => format!("({})", vec!["NULL"; parameters].join(", ")),
        };
        client
            .batch_execute(&format!("PREPARE explained AS {statement}"))
            .await
            .unwrap();
        let explain = format!("EXPLAIN EXECUTE explained{nulls}");
        let plan: Vec<String> = client
            .simple_query(&explain)
            .await
            .unwrap()
            .into_iter()
            .filter_map(|message| match message {
                tokio_postgres::SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
                _ => None,
            })
            .collect();
        client.batch_execute("DEALLOCATE explained").await.unwrap();
        let described = || format!("{statement}\n{}", plan.join("\n"));
        assert!(
            !plan.iter().any(|step| step.contains("Seq Scan")),
            "{}",
            described()
        );
        let sorts = statement.contains("LIMIT") && plan.iter().any(|step| step.contains("Sort"));
        assert!(!sorts, "{}", described());
    }
}
