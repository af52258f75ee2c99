//! The identity of a fleet: made once with its database, and never guessed.

use std::collections::HashSet;

use database::{Database, Error, FORGET_FLEET, params};
use testkit::{on_both, postgres::Postgres, store::Store};

use crate::Scratch;

on_both!(
    an_identity_is_made_once_and_stays,
    programs_that_start_together_agree,
    what_forgets_its_fleet_gets_another,
    a_damaged_key_is_told,
);

async fn an_identity_is_made_once_and_stays(store: Store) {
    let scratch = Scratch::open(store).await;
    assert_eq!(
        scratch.database.find_fleet().await.unwrap(),
        None,
        "a look makes none"
    );
    let made = scratch.database.fleet().await.unwrap();
    assert_ne!(made.key, [0; 32]);
    assert_eq!(scratch.database.fleet().await.unwrap(), made);
    assert_eq!(scratch.database.find_fleet().await.unwrap(), Some(made.clone()));
    let scratch = scratch.reopen().await;
    assert_eq!(scratch.database.fleet().await.unwrap(), made);
    assert_eq!(scratch.number("SELECT count(*) FROM fleet").await, 1);
    let other = Scratch::open(store).await.database.fleet().await.unwrap();
    assert!(other.id != made.id && other.key != made.key);
    let shown = format!("{made:?}");
    assert_eq!(
        shown,
        format!("FleetIdentity({:016x})", made.id),
        "the key is not shown"
    );
}

async fn programs_that_start_together_agree(store: Store) {
    let scratch = Scratch::open(store).await;
    let mut starting = tokio::task::JoinSet::new();
    for _ in 0..8 {
        // On a server each with connections of its own.
        let database = match store {
            Store::Sqlite => scratch.database.clone(),
            Store::Postgres => Database::open(scratch.place.url()).await.unwrap(),
        };
        starting.spawn(async move { database.fleet().await.unwrap() });
    }
    let made = starting.join_all().await;
    let ids: HashSet<u64> = made.iter().map(|fleet| fleet.id).collect();
    assert_eq!(ids.len(), 1);
    assert!(made.iter().all(|fleet| *fleet == made[0]));
}

async fn what_forgets_its_fleet_gets_another(store: Store) {
    let scratch = Scratch::open(store).await;
    let before = scratch.database.fleet().await.unwrap();
    scratch.run(&[FORGET_FLEET]).await;
    assert_eq!(scratch.database.find_fleet().await.unwrap(), None);
    let after = scratch.database.fleet().await.unwrap();
    assert!(after.id != before.id && after.key != before.key);
}

async fn a_damaged_key_is_told(store: Store) {
    let scratch = Scratch::open(store).await;
    scratch.database.fleet().await.unwrap();
    scratch
        .database
        .transaction(|tx| {
            Box::pin(async move {
                tx.execute("UPDATE fleet SET secret_key = $1", params![vec![1_u8; 31]])
                    .await
            })
        })
        .await
        .unwrap();
    let error = scratch.database.fleet().await.unwrap_err();
    assert!(matches!(error, Error::Damaged(_)), "{error}");
}

/// Programs that look at a database which an earlier release made, and those that bring it up to date.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_without_the_table_has_no_identity_until_it_is_brought_up_to_date() {
    let scratch = Scratch::open(Store::Postgres).await;
    let name = scratch.place.database();
    let before = "DROP TABLE fleet;
        CREATE TABLE later AS SELECT * FROM refinery_schema_history WHERE version >= 10;
        DELETE FROM refinery_schema_history WHERE version >= 10";
    Postgres::shared().psql(name, before).unwrap();
    let looks = Database::open_as_it_is(scratch.place.url()).await.unwrap();
    assert_eq!(looks.find_fleet().await.unwrap(), None);
    let (_, step) = database::MIGRATIONS
        .iter()
        .find(|(name, _)| name.ends_with("__fleet"))
        .unwrap();
    let after = "INSERT INTO refinery_schema_history SELECT * FROM later; DROP TABLE later";
    Postgres::shared()
        .psql(name, &format!("{}; {after}", step.replace("{without_rowid}", "")))
        .unwrap();
    let opened = Database::open(scratch.place.url()).await.unwrap();
    let made = opened.fleet().await.unwrap();
    assert_eq!(looks.find_fleet().await.unwrap(), Some(made));
}
