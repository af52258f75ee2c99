//! The REST service as its callers see it: the real `serve` on a free port, a real database of either kind, SMS codes through a
//! webhook.

#![allow(clippy::unwrap_used, reason = "a test that fails says where")]
#![allow(clippy::duplicate_mod, reason = "each test runs on both engines")]

mod captured;
mod circles;
mod contract;
mod schema;
mod script;

// All tests, once on each kind of database: the two lists are the same.

#[path = "."]
mod on_sqlite {
    const STORE: testkit::store::Store = testkit::store::Store::Sqlite;

    mod accounts;
    mod audits;
    mod budgets;
    mod chats;
    mod clinics;
    mod codes;
    mod consult_acts;
    mod consult_lists;
    mod consults;
    mod devices;
    mod doctors;
    mod document;
    mod endpoints;
    mod examples;
    mod families;
    mod handover;
    mod hostile;
    mod http;
    mod idempotency;
    mod im;
    mod invitations;
    mod joining;
    mod limits;
    mod links;
    mod lists;
    mod lives;
    mod members;
    mod messages;
    mod operators;
    mod people;
    mod proxies;
    mod pushes;
    mod revoking;
    mod rights;
    mod scene;
    mod searching;
    mod secrets;
    mod service;
    mod statements;
    mod team_consults;
    mod teams;
    mod texts;
    mod tls;
    mod uris;
    mod vas;
    mod vas_steps;
}

#[path = "."]
mod on_postgres {
    const STORE: testkit::store::Store = testkit::store::Store::Postgres;

    mod accounts;
    mod audits;
    mod budgets;
    mod chats;
    mod clinics;
    mod codes;
    mod consult_acts;
    mod consult_lists;
    mod consults;
    mod devices;
    mod doctors;
    mod document;
    mod endpoints;
    mod examples;
    mod families;
    mod handover;
    mod hostile;
    mod http;
    mod idempotency;
    mod im;
    mod invitations;
    mod joining;
    mod limits;
    mod links;
    mod lists;
    mod lives;
    mod members;
    mod messages;
    mod operators;
    mod people;
    mod proxies;
    mod pushes;
    mod revoking;
    mod rights;
    mod scene;
    mod searching;
    mod secrets;
    mod service;
    mod statements;
    mod team_consults;
    mod teams;
    mod texts;
    mod tls;
    mod uris;
    mod vas;
    mod vas_steps;
}

/// Makes the database that those of the tests are copies of.
async fn migrated(url: String) -> anyhow::Result<()> {
    database::Database::open(&url).await?.close().await;
    Ok(())
}
