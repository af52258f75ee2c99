//! How SQLite carries out a statement: a list must not read a whole table that grows.

use database::{Database, Value};

/// Checks that a statement scans no table and, when it is a list, sorts nothing: it walks an index and stops.
pub(crate) async fn walks_an_index(sql: &str, params: Vec<Value>) {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}", folder.path().join("plan.db").display());
    let database = Database::open(&url).await.unwrap();
    let rows = database
        .query(format!("EXPLAIN QUERY PLAN {sql}"), params)
        .await
        .unwrap();
    assert!(!rows.is_empty());
    for row in rows {
        let parent: i64 = row.get(1).unwrap();
        let step: String = row.get(3).unwrap();
        assert!(!step.starts_with("SCAN"), "{sql}: {step}");
        // Within a subquery of one row's ids sorting is right: they are few.
        assert!(parent != 0 || !step.contains("TEMP B-TREE"), "{sql}: {step}");
    }
    database.close().await;
}
