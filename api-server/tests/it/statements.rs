//! Every statement of the service is explained by the engine: none reads a table that grows from its beginning to its end,
//! and none that reads a page sorts. Statements that are assembled at run time are explained as they ran.

use std::{fs, path::Path, process::Command};

use database::{Engine, Value};
use serde_json::json;
use testkit::{citus, postgres::Postgres, store::Store};

use super::{
    STORE, examples, operators,
    people::new_phone,
    scene::{Scene, eventually},
    service::Service,
};
use crate::captured;

/// Tables that do not grow with use, which may be read whole.
const SMALL: [&str; 3] = ["commission", "secret", "operator"];

/// A statement in the sources: its parts between run-time insertions.
struct Written {
    place: String,
    parts: Vec<String>,
    /// As it is, when nothing is put in.
    whole: Option<String>,
}

fn plain(sql: &str) -> String {
    sql.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The literals in a file that are SQL, without its tests.
fn literals(text: &str) -> Vec<String> {
    let text = text.split("#[cfg(test)]").next().unwrap();
    let mut found = Vec::new();
    for start in ["SELECT ", "INSERT ", "UPDATE ", "DELETE "] {
        let start = format!("\"{start}");
        for (at, _) in text.match_indices(&start) {
            let literal = &text[at + 1..];
            found.push(literal[..literal.find('"').unwrap()].replace("\\\n", " "));
        }
    }
    found
}

fn written(folder: &Path, found: &mut Vec<Written>) {
    for entry in fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            written(&path, found);
        } else if path.extension().is_some_and(|end| end == "rs") && !path.ends_with("tests.rs") {
            let text = fs::read_to_string(&path).unwrap();
            found.extend(literals(&text).into_iter().map(|literal| {
                let parts = literal.split(['{', '}']).step_by(2).map(plain);
                Written {
                    place: path.display().to_string(),
                    parts: parts.filter(|part| !part.is_empty()).collect(),
                    whole: (!literal.contains('{')).then(|| literal.clone()),
                }
            }));
        }
    }
}

impl Written {
    fn is(&self, ran: &str) -> bool {
        let mut rest = ran;
        self.parts
            .iter()
            .all(|part| match rest.split_once(part.as_str()) {
                Some((_, after)) => {
                    rest = after;
                    true
                }
                None => false,
            })
    }
}

/// Statements that the requests of docs/http do not run.
async fn the_rest() {
    let scene = Scene::new().await;
    let service = &scene.service;
    let (operator, _) = operators::operator(service, "张伟").await;
    let consult = scene.in_process().await;
    desks(&scene).await;
    let reason = "投诉 2026-118";
    for (path, body) in [
        (
            "/operator/people/search",
            json!({"phone": scene.patient.phone, "reason": reason}),
        ),
        (
            "/operator/consults/search",
            json!({"user_id": scene.patient.id, "reason": reason}),
        ),
        (
            "/operator/consults/search",
            json!({"consultation_id": consult, "reason": reason}),
        ),
        (
            &format!("/operator/consult/{consult}/read"),
            json!({"reason": reason}),
        ),
        (
            &format!("/operator/account/{}/disable", scene.doctor.id),
            json!({"reason": reason}),
        ),
        (
            &format!("/operator/account/{}/enable", scene.doctor.id),
            json!({"reason": reason}),
        ),
    ] {
        let reply = operator.post(service, path, body).send().await;
        assert!(reply.status < 500, "{}", reply.text);
    }
    operator
        .get(service, "/operator/audit?count=true")
        .send()
        .await
        .result();
    let body = json!({"relation_type": "spouse", "phone": new_phone()});
    scene.patient.post(service, "/family", body).send().await.result();
    for (person, lists) in [
        (
            &scene.patient,
            &[
                "/consult/in_process_list",
                "/consult/history_list",
                "/vas",
                "/chat_list",
                "/family",
                "/family/invitation_list",
                "/family/sent_invitation_list",
                "/team/my_list",
            ][..],
        ),
        (
            &scene.team.owner,
            &[
                "/team/1/member_list",
                "/team/1/invitation_list",
                "/team/my_list",
                "/clinic/my_list",
                "/invitation_list",
                "/team/1/consult_list",
                "/team/1/my_consult_list",
                "/team/1/my_vas_list",
            ],
        ),
    ] {
        for list in lists {
            let list = list.replace("/team/1/", &format!("/team/{}/", scene.team.id));
            person
                .get(service, &format!("{list}?count=true"))
                .send()
                .await
                .result();
        }
    }
}

/// The lists of a desk: by state, with and without each filter.
async fn desks(scene: &Scene) {
    let (team, doctor) = (scene.team.id, scene.doctor.id);
    for state in ["waiting", "mine", "running", "ended"] {
        for doctor in [String::new(), format!("&doctor_id={doctor}")] {
            for text in ["", "&text=a", "&text=abcdefgh"] {
                let path = format!("/team/{team}/desk?count=true&state={state}{doctor}{text}");
                scene.get(&scene.team.owner, path).await.result();
            }
        }
    }
    scene
        .get(&scene.patient, "/consult/about_me_list?count=true".into())
        .await
        .result();
}

/// Statements of money that the requests of docs/http do not run.
async fn the_rest_of_money() {
    let scene = Scene::charging().await;
    let (service, patient) = (&scene.service, &scene.patient);
    service.credit(patient, 100_000).await;
    scene.join(patient, 1).await.result();
    let consult = scene.charged("a").await;
    let vas = scene.propose(consult).await;
    scene.step(patient, vas, "confirm").await.result();
    let because = json!({"reason": "服务未完成，协商退款"});
    let owner = &scene.team.owner;
    let refunded = scene.refund(owner, &format!("/vas/{vas}"), "b", because).await;
    refunded.result();
    service.paid_order(patient, 100, "c").await;
    service.pay_back(patient, 100, "d").await.result();
    eventually("the provider has paid back", async || {
        let list = patient
            .get(service, "/wallet/refund_list?count=true")
            .send()
            .await;
        list.result()[0]["state"] == "done"
    })
    .await;
    for list in [
        "/member/consumption_list?count=true",
        "/wallet/order_list?count=true",
    ] {
        patient.get(service, list).send().await.result();
    }
}

async fn run_all() {
    examples::run_all().await;
    the_rest().await;
    the_rest_of_money().await;
}

#[tokio::test]
#[ignore = "runs apart, behind a server that refuses what Citus refuses"]
async fn every_statement_runs() {
    run_all().await;
}

/// The plan of a statement, a line for each step.
async fn plan(service: &Service, sql: &str) -> Vec<String> {
    let parameters = (1..1000)
        .take_while(|number| sql.contains(&format!("${number}")))
        .count();
    match service.database.engine() {
        Engine::Sqlite(_) => {
            let explain = format!("EXPLAIN QUERY PLAN {sql}");
            let rows = service
                .database
                .query(explain, vec![Value::Null; parameters])
                .await
                .unwrap();
            rows.iter()
                .map(|row| {
                    let within: i64 = row.get(1).unwrap();
                    let step: String = row.get(3).unwrap();
                    format!("{}{step}", if within == 0 { "" } else { "  " })
                })
                .collect()
        }
        Engine::Postgres(_) => {
            // Tables of tests have few rows: a scan that is left has no index to walk.
            let nulls = vec!["NULL"; parameters].join(", ");
            let explain = format!(
                "SET enable_seqscan = off; SET enable_bitmapscan = off; SET enable_hashjoin = off;
                 SET enable_mergejoin = off; SET plan_cache_mode = force_generic_plan;
                 PREPARE explained AS {sql}; EXPLAIN EXECUTE explained({nulls})"
            );
            // EXECUTE takes no parentheses without parameters.
            let explain = explain.replace("explained()", "explained");
            let plan = Postgres::shared().psql(service.place.database(), &explain);
            let plan = plan.unwrap_or_else(|error| panic!("{sql}: {error:#}"));
            plan.lines().map(str::to_owned).collect()
        }
    }
}

/// The fault of a plan, if it has one.
fn fault(sql: &str, plan: &[String]) -> Option<String> {
    let is_page = sql.contains("ORDER BY") && sql.contains("LIMIT");
    for step in plan {
        let words: Vec<&str> = step.split_whitespace().collect();
        let scanned = match words[..] {
            // Its own rows, and those that a subquery gave.
            ["SCAN", "CONSTANT" | "counted" | "v" | "u" | "new_messages", ..]
            | ["SCAN", _, "CONSTANT", ..] => None,
            ["SCAN", rows, "VALUES", ..] if rows.ends_with("-ROW") => None,
            ["SCAN", table, ..] => Some(table),
            _ => step
                .split_once("Seq Scan on ")
                .map(|(_, table)| table.split(' ').next().unwrap()),
        };
        let is_small = SMALL
            .iter()
            .any(|small| format!("{sql} ").contains(&format!("FROM {small} ")));
        if let Some(table) = scanned
            && !is_small
        {
            return Some(format!("reads all of {table}"));
        }
        let within = step.starts_with("  ") && !step.trim_start().starts_with("->");
        if is_page && !within && (step.contains("TEMP B-TREE") || step.contains("Sort")) {
            return Some("sorts a page".to_owned());
        }
    }
    None
}

/// In a process of its own, apart from the statements of other tests.
#[test]
fn every_statement_walks_an_index() {
    let (_, module) = module_path!().split_once("::").unwrap();
    let output = Command::new(std::env::current_exe().unwrap())
        .args([
            "--ignored",
            "--exact",
            &format!("{module}::explain_every_statement"),
        ])
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && told.contains("1 passed"), "{told}");
}

/// The database's clock is read without a table, by each engine in its own words.
const CLOCKS: [&str; 2] = ["SELECT CAST(unixepoch(", "SELECT CAST(extract(epoch"];

#[tokio::test]
#[ignore = "run by the test above"]
async fn explain_every_statement() {
    captured::log();
    run_all().await;
    let service = Service::start().await;
    let mut written_ones = Vec::new();
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    written(&here.join("src"), &mut written_ones);
    assert!(written_ones.len() > 120, "only {} were found", written_ones.len());
    let ran: Vec<(String, String)> = captured::statements()
        .into_iter()
        // Those of this very test on the other engine.
        .filter(|sql| !sql.starts_with("EXPLAIN"))
        .map(|sql| (plain(&sql), sql))
        .collect();
    let mut wrong = Vec::new();
    let mut explained = std::collections::BTreeSet::new();
    let is_clock = |text: &String| CLOCKS.iter().any(|clock| text.starts_with(clock));
    for one in &written_ones {
        if one.whole.as_ref().is_some_and(is_clock) {
            continue;
        }
        // Those that are assembled run behind a server that refuses them.
        if let (Store::Postgres, Some(whole)) = (STORE, &one.whole) {
            let refusals = citus::refusals(whole, &[]);
            wrong.extend(
                refusals
                    .iter()
                    .map(|refusal| format!("{refusal}: {}", plain(whole))),
            );
        }
        let mut ran_as: Vec<&str> = ran
            .iter()
            .filter(|(plain, _)| one.is(plain))
            .map(|(_, sql)| sql.as_str())
            .collect();
        if ran_as.is_empty() {
            ran_as.extend(one.whole.as_deref());
        }
        if ran_as.is_empty() {
            wrong.push(format!("{}: never ran: {}", one.place, one.parts.join(" … ")));
        }
        for sql in ran_as {
            if !explained.insert(plain(sql)) {
                continue;
            }
            let plan = plan(&service, sql).await;
            if let Some(fault) = fault(sql, &plan) {
                wrong.push(format!(
                    "{}: {fault}: {}\n{}",
                    one.place,
                    plain(sql),
                    plan.join("\n")
                ));
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of {}:\n{}",
        wrong.len(),
        written_ones.len(),
        wrong.join("\n")
    );
}
