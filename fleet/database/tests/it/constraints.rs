//! Broken constraints have the names that PostgreSQL gives them.

use database::{Error, Value, params};

use crate::Scratch;

async fn broken(scratch: &Scratch, sql: &'static str, parameters: Vec<Value>) -> Option<String> {
    let outcome = scratch
        .database
        .transaction(move |tx| Box::pin(async move { tx.execute(sql, parameters).await }))
        .await;
    outcome.unwrap_err().constraint().map(str::to_owned)
}

#[tokio::test]
async fn each_kind_of_constraint_has_its_name() {
    let scratch = Scratch::open().await;
    scratch
        .run(&[
            "CREATE TABLE person (id BIGINT NOT NULL PRIMARY KEY, phone TEXT NOT NULL,
               fen BIGINT NOT NULL CONSTRAINT person_fen_positive CHECK (fen >= 0))",
            "CREATE UNIQUE INDEX person_phone_key ON person (phone)",
            "CREATE TABLE gadget (person_id BIGINT NOT NULL REFERENCES person (id), name TEXT NOT NULL,
               PRIMARY KEY (person_id, name)) WITHOUT ROWID",
            "CREATE TABLE counter (id INTEGER PRIMARY KEY)",
            "INSERT INTO counter VALUES (1)",
            "INSERT INTO person VALUES (1, 'a', 0)",
            "INSERT INTO gadget VALUES (1, 'pad')",
        ])
        .await;
    for (sql, name) in [
        ("INSERT INTO person VALUES (1, 'b', 0)", "person_pkey"),
        ("INSERT INTO counter VALUES (1)", "counter_pkey"),
        ("INSERT INTO person VALUES (2, 'a', 0)", "person_phone_key"),
        ("INSERT INTO person VALUES (2, 'b', -1)", "person_fen_positive"),
        ("INSERT INTO person VALUES (2, NULL, 0)", "person_phone_not_null"),
        ("INSERT INTO gadget VALUES (1, 'pad')", "gadget_pkey"),
        ("INSERT INTO gadget VALUES (9, 'pad')", "foreign_key"),
    ] {
        assert_eq!(
            broken(&scratch, sql, vec![]).await.as_deref(),
            Some(name),
            "{sql}"
        );
    }
}

#[tokio::test]
async fn the_journals_own_constraints_have_the_names_that_it_asks_for() {
    let scratch = Scratch::open().await;
    let join = "INSERT INTO participant (conversation_id, user_id, from_seq, to_seq, role, changed_ms)
                VALUES ($1, $2, $3, NULL, 1, 0)";
    let joined = scratch
        .database
        .transaction(move |tx| Box::pin(async move { tx.execute(join, params![1, 2, 3]).await }))
        .await;
    assert_eq!(joined.unwrap(), 1);
    assert_eq!(
        broken(&scratch, join, params![1, 2, 4]).await.as_deref(),
        Some("participant_conversation_id_user_id_key")
    );
}

#[tokio::test]
async fn a_statement_that_is_wrong_breaks_no_constraint() {
    let scratch = Scratch::open().await;
    for (sql, parameters) in [
        ("SELECT nonsense FROM nowhere", vec![]),
        ("SELECT $1", vec![]),
        ("SELECT $1", params![1, 2]),
        ("DELETE FROM conversation", vec![]),
    ] {
        let error = scratch.database.query(sql, parameters).await.unwrap_err();
        assert!(matches!(error, Error::Engine(_)), "{sql}: {error}");
        assert_eq!(error.constraint(), None);
    }
}
