//! Every statement of the journal is prepared and explained: none may look at a whole table.

use database::{Engine, Error};

use crate::world::World;

/// How SQLite goes about each statement of ours.
async fn plans(world: &World) -> Vec<(String, Vec<String>)> {
    let Engine::Sqlite(sqlite) = world.journal.database().engine();
    let outcome: Result<_, Error> = sqlite
        .write(|connection| {
            let mut plans = Vec::new();
            for statement in journal::statements() {
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
    outcome.unwrap()
}

#[tokio::test]
async fn no_statement_scans_a_table() {
    let world = World::new().await;
    let plans = plans(&world).await;
    assert!(plans.len() > 20, "{}", plans.len());
    for (statement, plan) in plans {
        for step in &plan {
            // What is scanned may only be what a subquery of the statement gave.
            let scans = step.starts_with("SCAN") && !["SCAN v", "SCAN new_messages"].contains(&step.as_str());
            assert!(!scans, "{statement}\n{plan:#?}");
            assert!(
                !step.contains("AUTOMATIC"),
                "an index is missing: {statement}\n{plan:#?}"
            );
        }
    }
}

/// What is read page by page must come out of an index in order.
#[tokio::test]
async fn no_page_is_sorted() {
    let world = World::new().await;
    for (statement, plan) in plans(&world).await {
        if statement.contains("LIMIT") {
            let sorts = plan.iter().any(|step| step.contains("TEMP B-TREE"));
            assert!(!sorts, "{statement}\n{plan:#?}");
        }
    }
}
