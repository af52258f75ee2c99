//! Databases of the tests.

use database::{Database, Row, Value};
use testkit::store::{Place, Store};

pub async fn open(store: Store) -> (Place, Database) {
    let place = store
        .place(|url| async move {
            Database::open(&url).await?.close().await;
            Ok(())
        })
        .await;
    let database = Database::open(place.url()).await.unwrap();
    (place, database)
}

/// Runs a statement of a test.
pub async fn execute(database: &Database, sql: &'static str, params: Vec<Value>) -> u64 {
    let executed: Result<u64, database::Error> = database
        .transaction(move |tx| Box::pin(async move { tx.execute(sql, params).await }))
        .await;
    executed.unwrap_or_else(|error| panic!("{sql}: {error}"))
}

pub async fn first(database: &Database, sql: &'static str, params: Vec<Value>) -> Row {
    database.query_first(sql, params).await.unwrap().unwrap()
}
