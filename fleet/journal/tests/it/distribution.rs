//! Every statement of a database whose conversations lie on several machines names its conversations by equality, in its text
//! and in its plan on a plain server (docs/decisions/0019-distributed.md).

use std::collections::BTreeSet;

use database::{Engine, Error};
use testkit::{
    citus::{ASK_ALL, Rule, may_ask_all, plan, refusals},
    postgres::Postgres,
};

use crate::{statements::MANY, world::Spread};

fn statements(world: &Spread) -> Vec<String> {
    journal::statements(world.journal.database().engine())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_statement_names_its_conversations_but_for_those_that_ask_all() {
    let world = Spread::new().await;
    let mut asking = BTreeSet::new();
    let statements = statements(&world);
    assert!(statements.len() > 40 && statements.iter().any(|sql| sql.contains("journal_append")));
    for sql in statements {
        for refusal in refusals(&sql, &[]) {
            let at = ASK_ALL.iter().position(|asking| asking.is(&sql));
            match at.filter(|_| refusal.rule == Rule::AsksAll) {
                Some(at) => asking.insert(at),
                None => panic!("{refusal}\n{sql}"),
            };
        }
    }
    let is_gone = asking.len() < ASK_ALL.len();
    assert!(!is_gone, "a statement that asks all is gone: {asking:?}");
}

/// The SQL statements within the body of a function, without the words of PL/pgSQL before them.
fn statements_of_body(text: &str) -> Vec<String> {
    let body = text.split("$$").nth(1).unwrap();
    let code: Vec<&str> = body
        .lines()
        .map(|line| line.split("--").next().unwrap())
        .collect();
    let code = code.join("\n");
    let begins = |word: &str| ["SELECT", "INSERT", "UPDATE", "DELETE", "WITH"].contains(&word);
    let statement = |part: &str| {
        let words: Vec<&str> = part.split_whitespace().collect();
        let first = words.iter().position(|word| begins(word))?;
        Some(words[first..].join(" "))
    };
    code.split(';').filter_map(statement).collect()
}

#[test]
fn the_function_that_appends_names_its_conversation_in_each_statement() {
    let [append, ..] = journal::citus::FUNCTIONS else {
        panic!("no function");
    };
    let parameter = append.of_conversation.unwrap();
    let statements = statements_of_body(append.text);
    assert_eq!(statements.len(), 5, "{statements:#?}");
    for sql in &statements {
        assert!(sql.contains(parameter), "{sql}");
        assert_eq!(refusals(sql, &[parameter]), [], "{sql}");
        assert!(!refusals(sql, &[]).is_empty(), "no other name is a value: {sql}");
    }
}

/// 30 users with hundreds of conversations each, so that no plan walks all of one; and the directory, which one server does not
/// keep.
const OF_USERS: &str = "UPDATE participant SET user_id = user_id % 30;
    INSERT INTO user_conversation (user_id, conversation_id)
    SELECT DISTINCT user_id, conversation_id FROM participant;
    INSERT INTO media_conversation (media_id, conversation_id)
    SELECT DISTINCT media_id, conversation_id FROM media_entry; ANALYZE";

/// A join by hash or merge says the equality apart from its scans.
const BY_NESTED_LOOPS: &str =
    "SET plan_cache_mode = force_generic_plan; SET enable_hashjoin = off; SET enable_mergejoin = off";

/// The plan that the server makes once for all values.
async fn generic_plan(client: &tokio_postgres::Client, sql: &str) -> String {
    let parameters = client.prepare(sql).await.unwrap().params().len();
    let nulls = match parameters {
        0 => String::new(),
        _ => format!("({})", vec!["NULL"; parameters].join(", ")),
    };
    client
        .batch_execute(&format!("PREPARE explained AS {sql}"))
        .await
        .unwrap();
    let explain = format!("EXPLAIN (FORMAT JSON) EXECUTE explained{nulls}");
    let rows = client.simple_query(&explain).await.unwrap();
    client.batch_execute("DEALLOCATE explained").await.unwrap();
    let row = rows.iter().find_map(|message| match message {
        tokio_postgres::SimpleQueryMessage::Row(row) => row.get(0),
        _ => None,
    });
    row.unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_plan_walks_an_index_by_its_conversation() {
    let world = Spread::new().await;
    let database = world.place.database().to_owned();
    Postgres::shared().psql(&database, MANY).unwrap();
    Postgres::shared().psql(&database, OF_USERS).unwrap();
    let (client, connection) =
        tokio_postgres::connect(&Postgres::shared().url(&database), tokio_postgres::NoTls)
            .await
            .unwrap();
    let connection = tokio::spawn(connection);
    client.batch_execute(BY_NESTED_LOOPS).await.unwrap();
    let (mut named, mut wrong) = (0, Vec::new());
    for sql in statements(&world) {
        let text = generic_plan(&client, &sql).await;
        let mut faults = plan::faults(&text).unwrap();
        if may_ask_all(&sql) {
            assert!(!faults.is_empty(), "it names its conversation now: {sql}");
            continue;
        }
        if text.contains("Seq Scan") {
            faults.push("reads a table from its beginning to its end".to_owned());
        }
        if sql.contains("LIMIT") && text.contains("Sort\"") {
            faults.push("sorts a page".to_owned());
        }
        named += usize::from(text.contains("conversation_id = $") || text.contains("id = $"));
        if !faults.is_empty() {
            wrong.push(format!("{faults:?}\n{sql}\n{text}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(named > 20, "{named}");
    drop(client);
    connection.await.unwrap().unwrap();
}

/// Statements of ours that no Citus takes, through the database that our programs use.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_statement_that_citus_refuses_is_refused_by_the_stand_in() {
    let world = Spread::new().await;
    let database = world.journal.database();
    for (sql, word) in [
        ("SELECT last_seq FROM conversation WHERE kind = $1", "AsksAll"),
        (
            "SELECT a.id FROM conversation c JOIN account a ON a.id = c.id WHERE c.id = $1",
            "BothPlaces",
        ),
    ] {
        let outcome = database.query(sql, database::params![1]).await;
        let error = outcome.unwrap_err().to_string();
        assert!(error.contains(word), "{error}");
    }
    // A transaction is over with it, as on Citus.
    let outcome: Result<(), Error> = database
        .transaction(|tx| {
            Box::pin(async move {
                let insert = "INSERT INTO mark (conversation_id, user_id, received_seq, read_seq)
                    VALUES ($1, (SELECT 1), 0, 0)";
                let refused = tx.execute(insert, database::params![1]).await;
                assert!(refused.unwrap_err().to_string().contains("ReadsWithinInsert"));
                tx.execute(
                    "UPDATE conversation SET open = false WHERE id = $1",
                    database::params![1],
                )
                .await?;
                Ok(())
            })
        })
        .await;
    outcome.unwrap_err();
    assert_eq!(world.stand_in.take_refused().len(), 3);
}

/// `INSERT … SELECT` goes by COPY: a resend would be an error without a name.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broken_key_of_copied_rows_is_no_violation() {
    let world = Spread::new().await;
    let write = async |sql: &'static str| {
        let database = world.journal.database();
        let outcome: Result<u64, Error> = database
            .transaction(move |tx| Box::pin(async move { tx.execute(sql, database::params![1]).await }))
            .await;
        outcome
    };
    let by_values =
        "INSERT INTO sent (conversation_id, sender_id, client_msg_id, seq) VALUES ($1, 1, 'a', 1)";
    let by_copy = "INSERT INTO sent (conversation_id, sender_id, client_msg_id, seq)
        SELECT id, 1, 'a', 1 FROM UNNEST(ARRAY[CAST($1 AS BIGINT)]) AS new (id)";
    write(by_values).await.unwrap();
    let error = write(by_values).await.unwrap_err();
    assert!(matches!(error, Error::Violation(_)), "{error:?}");
    let error = write(by_copy).await.unwrap_err();
    assert!(matches!(error, Error::Engine(_)), "{error:?}");
    assert_eq!(world.stand_in.take_copied().len(), 1);
}

/// A session's settings do not reach the machines, and no plan is made without values.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_sets_nothing_on_a_machine() {
    let world = Spread::new().await;
    let Engine::Postgres(server) = world.journal.database().engine() else {
        panic!("a file");
    };
    let client = server.connect().await.unwrap();
    client.batch_execute("SET lock_timeout = '1s'").await.unwrap();
    let row = client.query_one("SHOW lock_timeout", &[]).await.unwrap();
    assert_eq!(row.get::<_, String>(0), "4s", "as the role has it");
    let refused = client
        .batch_execute("SET plan_cache_mode = force_generic_plan")
        .await;
    let error = refused.unwrap_err();
    assert_eq!(error.code().unwrap().code(), "0A000");
    assert_eq!(world.stand_in.take_refused().len(), 1);
}
