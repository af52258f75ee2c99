//! How much a desk reads.

use database::Engine;
use regex::Regex;
use rusqlite::{StatementStatus, params_from_iter, types::Value as SqliteValue};
use testkit::store::Store;

use super::*;
use crate::plan::{migrated, walks_an_index};

/// A team with a short history, and one with a long one; each has as many open consults.
const SHORT: (i64, i64) = (1, 300);
const LONG: (i64, i64) = (2, 100_000);
/// Consults that wait, and as many that a doctor is in.
const OPEN: i64 = 100;
/// Rows of one transaction.
const AT_ONCE: usize = 5_000;
const DOCTOR: i64 = 7;

/// All lists of a team's desk: by state, with and without each filter.
fn desks(team: i64) -> Vec<Desk> {
    let mut desks = Vec::new();
    for state in State::ALL {
        for doctor in [None, Some(DOCTOR)] {
            for text in [None, Some("头痛"), Some("头痛三天好不了")] {
                desks.push(Desk {
                    team,
                    caller: UserId::from_database(DOCTOR),
                    state,
                    doctor,
                    from_ms: 0,
                    to_ms: i64::MAX,
                    search: text.and_then(Search::new),
                });
            }
        }
    }
    desks
}

#[tokio::test]
async fn each_list_walks_an_index() {
    for desk in desks(1) {
        let (sql, keys) = desk.items(&PageQuery::default());
        walks_an_index(&sql, keys).await;
        let (sql, keys) = desk.count();
        walks_an_index(&sql, keys).await;
    }
    walks_an_index(&counts_sql(), params![1_i64, 1_i64]).await;
}

/// Consults of a team, each about a headache: the newest ones wait, the ones before have the doctor, all others have ended.
async fn fill(database: &Database, (team, consults): (i64, i64)) {
    let (assigned, ended) = (consults - OPEN, consults - 2 * OPEN);
    let first = team * 1_000_000;
    for (into, select) in [
        (
            "consult (id, status, creator_id, target_id, team_id, assistant_id, staff_conversation_id, symptom_type,
                      symptom_content, images, created_ms, ended_ms, creator_name, target_name, team_name, doctor_count,
                      folded_ms, search_text)",
            format!(
                "SELECT {first} + i, CASE WHEN i <= {ended} THEN 'finished' ELSE 'in_process' END, 1, 1, {team}, 2, 0,
                   'text/plain', '头痛三天好不了', '[]', i, CASE WHEN i <= {ended} THEN i END, '王芳', '王芳', 't',
                   CASE WHEN i > {assigned} THEN 0 ELSE 1 END, 1, '头痛三天好不了' FROM n"
            ),
        ),
        (
            "consult_person (consult_id, user_id, role, shelf, created_ms, joined_ms, team_id)",
            format!(
                "SELECT {first} + i, {DOCTOR}, 'doctor', CASE WHEN i <= {ended} THEN 'history' ELSE 'in_process' END,
                   i, i, {team} FROM n WHERE i <= {assigned}"
            ),
        ),
        (
            "consult_gram (team_id, gram, created_ms, consult_id)",
            format!("SELECT {team}, '头痛', i, {first} + i FROM n"),
        ),
        (
            "consult_gram (team_id, gram, created_ms, consult_id)",
            format!("SELECT {team}, '头痛三天好不', i, {first} + i FROM n"),
        ),
    ] {
        for from in (1..=consults).step_by(AT_ONCE) {
            let to = consults.min(from + AT_ONCE as i64 - 1);
            let sql = format!(
                "WITH RECURSIVE n (i) AS (SELECT CAST({from} AS BIGINT) UNION ALL SELECT i + 1 FROM n WHERE i < {to})
                 INSERT INTO {into} {select}"
            );
            execute(database, sql).await;
        }
    }
}

async fn execute(database: &Database, sql: String) {
    let done =
        database.transaction(|tx| Box::pin(async move { Ok::<_, Error>(tx.execute(sql, vec![]).await?) }));
    done.await.unwrap();
}

/// How much an engine did for a statement: PostgreSQL's rows, SQLite's steps.
async fn read(database: &Database, sql: &str, keys: Vec<Value>) -> f64 {
    match database.engine() {
        Engine::Postgres(_) => {
            let explain = format!("EXPLAIN (ANALYZE, TIMING OFF) {sql}");
            let plan = database.query(explain, keys).await.unwrap();
            let plan: Vec<String> = plan.iter().map(|row| row.get(0).unwrap()).collect();
            rows_of(&plan)
        }
        Engine::Sqlite(sqlite) => {
            let sql = sql.replace('$', "?");
            let steps: Result<i32, database::Error> = sqlite
                .write(move |connection| {
                    let mut statement = connection.prepare(&sql)?;
                    let keys = keys.into_iter().map(|key| match key {
                        Value::Integer(number) => SqliteValue::Integer(number),
                        Value::Text(text) => SqliteValue::Text(text),
                        other => panic!("{other:?}"),
                    });
                    let mut rows = statement.query(params_from_iter(keys))?;
                    while rows.next()?.is_some() {}
                    drop(rows);
                    Ok(statement.get_status(StatementStatus::VmStep))
                })
                .await;
            f64::from(steps.unwrap())
        }
    }
}

/// The rows that the scans of a plan read, those that they threw away included.
fn rows_of(plan: &[String]) -> f64 {
    let actual = Regex::new(r"actual rows=([0-9.]+) loops=([0-9]+)").unwrap();
    let removed = Regex::new(r"Rows Removed by (?:Filter|Index Recheck): ([0-9.]+)").unwrap();
    let number = |text: &str| text.parse::<f64>().unwrap();
    let (mut rows, mut loops) = (0.0, 1.0);
    for line in plan {
        if let Some(found) = actual.captures(line) {
            loops = number(&found[2]);
            if line.contains("Scan") {
                rows += number(&found[1]) * loops;
            }
        }
        if let Some(found) = removed.captures(line) {
            rows += number(&found[1]) * loops;
        }
    }
    rows
}

/// A plan that reads an index and then its rows counts both.
fn at_most(short: f64) -> f64 {
    short.mul_add(2.0, 20.0)
}

#[tokio::test]
async fn a_long_history_costs_the_desk_nothing() {
    for store in [Store::Sqlite, Store::Postgres] {
        let place = store.place(migrated).await;
        let database = Database::open(place.url()).await.unwrap();
        for team in [SHORT, LONG] {
            fill(&database, team).await;
        }
        execute(&database, "ANALYZE".to_owned()).await;
        let query = PageQuery::default();
        for (short, long) in desks(SHORT.0).into_iter().zip(desks(LONG.0)) {
            let (sql, keys) = short.items(&query);
            let short_read = read(&database, &sql, keys).await;
            let (sql, keys) = long.items(&query);
            let long_read = read(&database, &sql, keys).await;
            assert!(
                long_read <= at_most(short_read),
                "{long:?} reads {long_read}, a short one {short_read}: {sql}"
            );
        }
        let short = read(&database, &counts_sql(), params![SHORT.0, DOCTOR]).await;
        let long = read(&database, &counts_sql(), params![LONG.0, DOCTOR]).await;
        assert!(long <= at_most(short), "counts read {long}, {short}");
        database.close().await;
    }
}
