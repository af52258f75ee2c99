//! Query plans: no statement may scan a table that grows.

use database::{Database, Value};
use testkit::{
    postgres::Postgres,
    store::{Place, Store},
};
use tokio::sync::OnceCell;

/// Checks that a statement walks an index: it scans no table, and a list sorts nothing.
pub(crate) async fn walks_an_index(sql: &str, params: Vec<Value>) {
    on_postgres(sql, params.len()).await;
    on_sqlite(sql, params).await;
}

/// The same for a statement that each engine has in a text of its own.
pub(crate) async fn walk_an_index([sqlite, postgres]: [&str; 2], params: Vec<Value>) {
    on_postgres(postgres, params.len()).await;
    on_sqlite(sqlite, params).await;
}

/// Checks by which index a statement goes: that of the rows it counts, and not of more than these.
pub(crate) async fn walks(index: &str, sql: &str, params: Vec<Value>) {
    let on_postgres = on_postgres(sql, params.len()).await;
    assert!(on_postgres.contains(index), "{sql}:\n{on_postgres}");
    let on_sqlite = on_sqlite(sql, params).await;
    assert!(on_sqlite.contains(index), "{sql}:\n{on_sqlite}");
}

async fn on_sqlite(sql: &str, params: Vec<Value>) -> String {
    let place = Store::Sqlite.place(migrated).await;
    let database = Database::open(place.url()).await.unwrap();
    let rows = database
        .query(format!("EXPLAIN QUERY PLAN {sql}"), params)
        .await
        .unwrap();
    assert!(!rows.is_empty());
    let mut plan = Vec::new();
    for row in rows {
        let parent: i64 = row.get(1).unwrap();
        let step: String = row.get(3).unwrap();
        // Its own row, and rows that a subquery counts.
        let is_own = ["SCAN CONSTANT ROW", "SCAN counted"].contains(&step.as_str());
        assert!(is_own || !step.starts_with("SCAN"), "{sql}: {step}");
        // A subquery over one row's ids may sort: they are few.
        assert!(parent != 0 || !step.contains("TEMP B-TREE"), "{sql}: {step}");
        plan.push(step);
    }
    database.close().await;
    plan.join("\n")
}

/// The database whose plans are looked at; nothing is written to it.
static PLANNED: OnceCell<Place> = OnceCell::const_new();

/// With scans and sorts disabled, the planner keeps only those for which no index exists.
async fn on_postgres(sql: &str, params: usize) -> String {
    let place = PLANNED.get_or_init(|| Store::Postgres.place(migrated)).await;
    let explain = format!(
        "SET enable_seqscan = off; SET enable_bitmapscan = off; SET enable_hashjoin = off; SET enable_mergejoin = off;
         SET plan_cache_mode = force_generic_plan; PREPARE explained AS {sql}; EXPLAIN EXECUTE explained({})",
        vec!["NULL"; params].join(", ")
    );
    // EXECUTE takes no parentheses without parameters.
    let explain = explain.replace("explained()", "explained");
    let plan = Postgres::shared().psql(place.database(), &explain).unwrap();
    assert!(!plan.contains("Seq Scan"), "{sql}:\n{plan}");
    // As above, a subquery may sort.
    let outer = plan.split("SubPlan").next().unwrap_or_default();
    assert!(!outer.contains("Sort"), "{sql}:\n{plan}");
    plan
}

pub(crate) async fn migrated(url: String) -> anyhow::Result<()> {
    Database::open(&url).await?.close().await;
    Ok(())
}
