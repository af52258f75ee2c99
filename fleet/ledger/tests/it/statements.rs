//! Every statement of the ledger is prepared and explained on both engines: none scans a table that grows, and pages come out
//! of an index in order.

use database::{Engine, Error};
use testkit::{postgres::Postgres, store::Store};

use crate::place::open;

/// Steps that scan no table: the chain of unindexed entries, which is short, and the rows of a statement.
const GIVEN: [&str; 3] = ["SCAN u", "SCAN unindexed", "SCAN 2-ROW VALUES CLAUSE"];

#[tokio::test]
async fn no_statement_scans_a_table_of_sqlite() {
    let (_place, database) = open(Store::Sqlite).await;
    let Engine::Sqlite(sqlite) = database.engine() else {
        panic!("no file");
    };
    let statements = ledger::statements(true);
    assert!(statements.len() > 40, "{}", statements.len());
    let plans: Result<Vec<(String, Vec<String>)>, Error> = sqlite
        .write(move |connection| {
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
    for (statement, plan) in plans.unwrap() {
        for step in &plan {
            let scans = step.starts_with("SCAN") && !GIVEN.contains(&step.as_str());
            // Newest of all: the first step of a walk.
            let walks = step.contains("USING") && statement.ends_with("LIMIT 1");
            assert!(!scans || walks, "{statement}\n{plan:#?}");
            assert!(
                !step.contains("AUTOMATIC"),
                "an index is missing: {statement}\n{plan:#?}"
            );
            let sorts = statement.contains("LIMIT $") && step.contains("TEMP B-TREE FOR ORDER BY");
            assert!(!sorts, "{statement}\n{plan:#?}");
        }
    }
    database.close().await;
}

/// Enough rows that no plan is good only because a table is small.
const MANY: &str = "
    INSERT INTO transfer (id, kind, cause, month, created_ms)
      SELECT id, 'vas', 'vas:' || id, 202611, 0 FROM generate_series(1, 20000) AS id;
    INSERT INTO posting (transfer_id, line, account, amount_fen, balance_after_fen, place, month)
      SELECT id, 0, 'wallet:' || id % 500, -1, 1, id / 500 + 1, 202611 FROM generate_series(1, 20000) AS id;
    INSERT INTO posting (transfer_id, line, account, amount_fen, balance_after_fen, place, month)
      SELECT id, 1, 'income:' || id % 50, 1, 1, id / 50 + 1, 202611 FROM generate_series(1, 20000) AS id;
    INSERT INTO ledger_account (account, kind, owner_id, part_id, balance_fen, postings)
      SELECT 'wallet:' || id, 'wallet', id, 0, 1, 40 FROM generate_series(0, 4999) AS id;
    INSERT INTO ledger_account (account, kind, owner_id, part_id, balance_fen, postings)
      SELECT 'income:' || id, 'income', id, 0, 1, 40 FROM generate_series(0, 4999) AS id;
    INSERT INTO income_month SELECT id, 202600 + month, 1, 1 FROM generate_series(0, 1999) AS id, generate_series(1, 12) AS month;
    INSERT INTO commission SELECT id, 1, 1, 0 FROM generate_series(1, 5000) AS id;
    INSERT INTO payment_order (id, user_id, provider, scene, amount_fen, state, refunded_fen, created_ms, asked)
      SELECT id, 1, 'mockpay', 'app', 1, 'paid', 0, 0, 0 FROM generate_series(1, 5000) AS id;
    INSERT INTO payment_refund (id, user_id, order_id, provider, amount_fen, state, created_ms, asked)
      SELECT id, 1, 1, 'mockpay', 1, 'asked', 0, 0 FROM generate_series(1, 5000) AS id;
    INSERT INTO credit (id, user_id, amount_fen, reason, state, asked_by, asked_ms)
      SELECT id, 1, 1, '', 'asked', 1, 0 FROM generate_series(1, 5000) AS id;
    INSERT INTO withdrawal (id, team_id, month, amount_fen, payee_id, state, asked_by, asked_ms)
      SELECT id, 1, 202611, 1, 1, 'asked', 1, 0 FROM generate_series(1, 5000) AS id;
    INSERT INTO consult (id, status, creator_id, target_id, team_id, assistant_id, staff_conversation_id, symptom_type,
        symptom_content, images, created_ms)
      SELECT id, 'waiting', 1, 1, 1, 1, 0, '', '', '', 0 FROM generate_series(1, 5000) AS id;
    INSERT INTO consult_charge (consult_id, team_id, member_id, price_fen, commission_per_mille, fee_fen, wallet_fen, state,
        commission_fen, refunded_fen, created_ms)
      SELECT id, 1, 1, 1, 1, 0, 1, 'held', 0, 0, 0 FROM generate_series(1, 5000) AS id;
    INSERT INTO vas (id, consult_id, team_id, doctor_id, member_id, name, description, price_fen, state, created_ms)
      SELECT id, id / 2, 1, 1, 1, '', '', 1, 'proposed', 0 FROM generate_series(1, 10000) AS id;
    INSERT INTO refund (id, consult_id, team_id, member_id, amount_fen, commission_fen, reason, by_id, created_ms)
      SELECT id, id / 2, 1, 1, 1, 0, '', 1, 0 FROM generate_series(1, 10000) AS id;
    INSERT INTO membership SELECT id % 100, id, 1 FROM generate_series(1, 5000) AS id;
    INSERT INTO entry (conversation_id, seq, sender_id, kind, created_ms, client_msg_id, mime_type, body, reply_to_seq,
        corrects_seq, recalled)
      SELECT id, seq, 1, 1, 0, '', 'text/plain', '', 0, 0, false
      FROM generate_series(1, 2000) AS id, generate_series(1, 20) AS seq;
    ANALYZE";

/// The entries of the journal lie on other machines than the ledger (docs/decisions/0019-distributed.md).
#[test]
fn no_statement_is_one_that_citus_refuses() {
    for statement in ledger::statements(false) {
        assert_eq!(testkit::citus::refusals(&statement, &[]), [], "{statement}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_statement_scans_a_table_of_postgresql_and_no_page_is_sorted() {
    let (place, database) = open(Store::Postgres).await;
    Postgres::shared().psql(place.database(), MANY).unwrap();
    let Engine::Postgres(postgres) = database.engine() else {
        panic!("no server");
    };
    let client = postgres.connect().await.unwrap();
    client
        .batch_execute("SET plan_cache_mode = force_generic_plan")
        .await
        .unwrap();
    for statement in ledger::statements(false) {
        let parameters = client.prepare(&statement).await.unwrap().params().len();
        let nulls = vec!["NULL"; parameters].join(", ");
        let nulls = if parameters == 0 {
            nulls
        } else {
            format!("({nulls})")
        };
        client
            .batch_execute(&format!("PREPARE explained AS {statement}"))
            .await
            .unwrap();
        let rows = client
            .simple_query(&format!("EXPLAIN EXECUTE explained{nulls}"))
            .await
            .unwrap();
        let plan: Vec<String> = rows
            .into_iter()
            .filter_map(|message| match message {
                tokio_postgres::SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
                _ => None,
            })
            .collect();
        client.batch_execute("DEALLOCATE explained").await.unwrap();
        let plan = plan.join("\n");
        assert!(!plan.contains("Seq Scan"), "{statement}\n{plan}");
        let sorts = statement.contains("LIMIT $") && plan.contains("Sort");
        assert!(!sorts, "{statement}\n{plan}");
        // Either would read a whole table for a page, or all of it from its beginning.
        let joins = plan.contains("Merge") || plan.contains("Hash");
        assert!(!joins, "{statement}\n{plan}");
    }
    database.close().await;
}
