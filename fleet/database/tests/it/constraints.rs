//! Broken constraints have PostgreSQL's names.

use database::{Error, Value, params};

use testkit::store::Store;

use crate::Scratch;

async fn broken(scratch: &Scratch, sql: &'static str, parameters: Vec<Value>) -> Option<String> {
    let outcome = scratch
        .database
        .transaction(move |tx| Box::pin(async move { tx.execute(sql, parameters).await }))
        .await;
    outcome.unwrap_err().constraint().map(str::to_owned)
}

async fn each_kind_of_constraint_has_its_name(store: Store) {
    let scratch = Scratch::open(store).await;
    scratch
        .run(&[
            "CREATE TABLE somebody (id BIGINT NOT NULL PRIMARY KEY, phone TEXT NOT NULL,
               fen BIGINT NOT NULL CONSTRAINT somebody_fen_positive CHECK (fen >= 0))",
            "CREATE UNIQUE INDEX somebody_phone_key ON somebody (phone)",
            "CREATE TABLE gadget (owner_id BIGINT NOT NULL REFERENCES somebody (id), name TEXT NOT NULL,
               PRIMARY KEY (owner_id, name)) {without_rowid}",
            "CREATE TABLE tally (id INTEGER PRIMARY KEY)",
            "INSERT INTO tally VALUES (1)",
            "INSERT INTO somebody VALUES (1, 'a', 0)",
            "INSERT INTO gadget VALUES (1, 'pad')",
        ])
        .await;
    for (sql, name) in [
        ("INSERT INTO somebody VALUES (1, 'b', 0)", "somebody_pkey"),
        ("INSERT INTO tally VALUES (1)", "tally_pkey"),
        ("INSERT INTO somebody VALUES (2, 'a', 0)", "somebody_phone_key"),
        (
            "INSERT INTO somebody VALUES (2, 'b', -1)",
            "somebody_fen_positive",
        ),
        (
            "INSERT INTO somebody VALUES (2, NULL, 0)",
            "somebody_phone_not_null",
        ),
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

async fn the_journals_own_constraints_have_the_names_that_it_asks_for(store: Store) {
    let scratch = Scratch::open(store).await;
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

async fn a_statement_that_is_wrong_breaks_no_constraint(store: Store) {
    let scratch = Scratch::open(store).await;
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

testkit::on_both!(
    each_kind_of_constraint_has_its_name,
    the_journals_own_constraints_have_the_names_that_it_asks_for,
    a_statement_that_is_wrong_breaks_no_constraint,
);
