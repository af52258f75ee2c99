//! The REST service as its callers see it: the real `serve` on a free port, a real database of either kind, SMS codes through a
//! webhook.

#![allow(clippy::unwrap_used, reason = "a test that fails says where")]
#![allow(clippy::duplicate_mod, reason = "each test runs on both engines")]

use testkit::citus::{self, StandIn};

mod captured;
mod circles;
mod contract;
mod distributed;
mod parts;
#[path = "../../../fleet/media/src/tests/s3.rs"]
mod s3;
mod schema;
mod script;
#[path = "../../../fleet/payment/tests/it/keys.rs"]
mod vendor_keys;
mod walked;

// All tests, once on each kind of database: the two lists are the same.

#[path = "."]
mod on_sqlite {
    const STORE: testkit::store::Store = testkit::store::Store::Sqlite;

    mod accounts;
    mod advice;
    mod apart;
    mod audits;
    mod background;
    mod beginnings;
    mod bills;
    mod budgets;
    mod changed_phones;
    mod charging;
    mod chats;
    mod claims;
    mod clinics;
    mod clocks;
    mod closings;
    mod codes;
    mod consult_acts;
    mod consult_clock;
    mod consult_lists;
    mod consults;
    mod credits;
    mod deadline_kills;
    mod deadlines;
    mod desk;
    mod devices;
    mod dissolved;
    mod doctors;
    mod document;
    mod endpoints;
    mod examples;
    mod exporting;
    mod families;
    mod fees;
    mod handing;
    mod handover;
    mod held;
    mod hiding;
    mod hostile;
    mod http;
    mod idempotency;
    mod im;
    mod income_history;
    mod incomes;
    mod invitations;
    mod joining;
    mod kills;
    mod large;
    mod limits;
    mod links;
    mod lists;
    mod lives;
    mod media_jobs;
    mod media_outages;
    mod media_rights;
    mod members;
    mod messages;
    mod money;
    mod money_lists;
    mod name_search;
    mod notices;
    mod notified;
    mod operators;
    mod own_account;
    mod pay_backs;
    mod payouts;
    mod people;
    mod places;
    mod posters;
    mod proofs;
    mod proxies;
    mod pushes;
    mod races;
    mod ratings;
    mod refunds;
    mod reversals;
    mod revoking;
    mod rights;
    mod rights_of_media;
    mod rights_table;
    mod scene;
    mod searching;
    mod secrets;
    mod service;
    mod settling;
    mod statements;
    mod team_consults;
    mod teams;
    mod texts;
    mod tls;
    mod top_ups;
    mod uploading;
    mod uploads;
    mod uploads_refused;
    mod uris;
    mod vas;
    mod vas_steps;
    mod vendors;
    mod verification;
    mod wallets;
    mod withdrawals;
}

#[path = "."]
mod on_postgres {
    const STORE: testkit::store::Store = testkit::store::Store::Postgres;

    mod accounts;
    mod advice;
    mod apart;
    mod audits;
    mod background;
    mod beginnings;
    mod bills;
    mod budgets;
    mod changed_phones;
    mod charging;
    mod chats;
    mod claims;
    mod clinics;
    mod clocks;
    mod closings;
    mod codes;
    mod consult_acts;
    mod consult_clock;
    mod consult_lists;
    mod consults;
    mod credits;
    mod deadline_kills;
    mod deadlines;
    mod desk;
    mod devices;
    mod dissolved;
    mod doctors;
    mod document;
    mod endpoints;
    mod examples;
    mod exporting;
    mod families;
    mod fees;
    mod handing;
    mod handover;
    mod held;
    mod hiding;
    mod hostile;
    mod http;
    mod idempotency;
    mod im;
    mod income_history;
    mod incomes;
    mod invitations;
    mod joining;
    mod kills;
    mod large;
    mod limits;
    mod links;
    mod lists;
    mod lives;
    mod media_jobs;
    mod media_outages;
    mod media_rights;
    mod members;
    mod messages;
    mod money;
    mod money_lists;
    mod name_search;
    mod notices;
    mod notified;
    mod operators;
    mod own_account;
    mod pay_backs;
    mod payouts;
    mod people;
    mod places;
    mod posters;
    mod proofs;
    mod proxies;
    mod pushes;
    mod races;
    mod ratings;
    mod refunds;
    mod reversals;
    mod revoking;
    mod rights;
    mod rights_of_media;
    mod rights_table;
    mod scene;
    mod searching;
    mod secrets;
    mod service;
    mod settling;
    mod statements;
    mod team_consults;
    mod teams;
    mod texts;
    mod tls;
    mod top_ups;
    mod uploading;
    mod uploads;
    mod uploads_refused;
    mod uris;
    mod vas;
    mod vas_steps;
    mod vendors;
    mod verification;
    mod wallets;
    mod withdrawals;
}

/// Makes the database that those of the tests are copies of.
async fn migrated(url: String) -> anyhow::Result<()> {
    database::Database::open(&url).await?.close().await;
    if url.starts_with("postgres") && StandIn::asked_for().is_some() {
        let url = citus::distributed(&url);
        database::postgres::Postgres::distribute(&url, journal::citus::FUNCTIONS).await?;
    }
    Ok(())
}
