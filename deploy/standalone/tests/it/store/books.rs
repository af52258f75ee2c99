//! The books as an operator proves them: by the command, and by REST, whose alert watches a metric.

use std::path::Path;

use database::{Database, params};
use ledger::{Fen, Movement, SEQUENCE, Transfer, post};
use proto::UserId;
use serde_json::{Value, json};

use crate::process::{Running, ask, huizhen, run, text};

const NOW_MS: i64 = 1_796_000_000_000;

/// A credit of 100 fen with its row, and then `plant`.
async fn books(folder: &Path, plant: Option<&'static str>) {
    let file = folder.join("data/huizhen.db");
    std::fs::create_dir_all(folder.join("data")).unwrap();
    let database = Database::open(&format!("sqlite://{}", file.display()))
        .await
        .unwrap();
    let id = database.allocate_id(SEQUENCE).await.unwrap();
    let movement = Movement::credit(1, UserId::from_database(12), Fen::new(100).unwrap());
    let transfer = Transfer {
        id,
        movement,
        by: None,
        now_ms: NOW_MS,
    };
    let written: Result<(), ledger::Error> = database
        .transaction(move |tx| {
            Box::pin(async move {
                let sql = "INSERT INTO credit (id, user_id, amount_fen, reason, state, asked_by, asked_ms)
                    VALUES (1, 12, 100, '', 'approved', 1, 0) ON CONFLICT DO NOTHING";
                tx.execute(sql, params![]).await?;
                post(tx, transfer).await?;
                if let Some(plant) = plant {
                    tx.execute(plant, params![]).await?;
                }
                Ok(())
            })
        })
        .await;
    written.unwrap();
    database.close().await;
}

fn json_of(answer: &str) -> Value {
    let (_, body) = answer
        .split_once("\r\n\r\n")
        .unwrap_or_else(|| panic!("{answer}"));
    serde_json::from_str(body).unwrap_or_else(|_| panic!("{answer}"))
}

const PLANT: &str = "UPDATE ledger_account SET balance_fen = balance_fen + 1";

/// I6.
#[tokio::test]
async fn i6_the_command_proves_the_books_and_names_the_faulty_row() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let missing = run(huizhen(folder, &["reconcile"]), "");
    assert_eq!(missing.status.code(), Some(1));
    books(folder, None).await;
    let proved = run(huizhen(folder, &["reconcile"]), "");
    let lines = text(&proved.stdout);
    assert_eq!(proved.status.code(), Some(0), "{lines}{}", text(&proved.stderr));
    assert!(lines.contains("transfers               1\n"), "{lines}");
    assert!(lines.ends_with("balanced\n"), "{lines}");

    books(folder, Some(PLANT)).await;
    let proved = run(huizhen(folder, &["reconcile"]), "");
    let lines = text(&proved.stdout);
    assert_eq!(proved.status.code(), Some(1), "{lines}");
    assert!(
        lines.contains("\nwallet:12: its balance is not the sum of its postings\n"),
        "{lines}"
    );
    let proved = run(huizhen(folder, &["reconcile", "--json"]), "");
    assert_eq!(proved.status.code(), Some(1));
    let json: Value = serde_json::from_slice(&proved.stdout).unwrap();
    assert_eq!(json["faults"][0]["row"], "wallet:12", "{json}");
    assert_eq!(json["is_balanced"], false);

    let later = run(
        huizhen(folder, &["reconcile", "--since", "2030-01-01T00:00:00+08"]),
        "",
    );
    assert_eq!(later.status.code(), Some(0), "{}", text(&later.stdout));
    let unknown = run(huizhen(folder, &["reconcile", "--since", "4711"]), "");
    assert_eq!(unknown.status.code(), Some(1));
    let wrong = run(huizhen(folder, &["reconcile", "--since", "yesterday"]), "");
    assert_eq!(wrong.status.code(), Some(2));
}

/// The alert HuizhenLedgerImbalanced asks for this metric.
#[tokio::test]
async fn an_imbalance_raises_the_metric_of_its_alert() {
    const METRIC: &str = "huizhen_ledger_faults_total ";
    let alerts = crate::files::read("deploy/prometheus/alerts.yml");
    assert!(alerts.contains("expr: increase(huizhen_ledger_faults_total[25h]) > 0"));
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    books(folder, Some(PLANT)).await;
    let mut serve = Running::start(huizhen(folder, &["serve", "--ports-file", "ports.json"]));
    serve.wait_for("listening ws=");
    let added = text(&run(huizhen(folder, &["operator", "add", "张伟"]), "").stdout);
    let password = added
        .lines()
        .find_map(|line| line.strip_prefix("password "))
        .unwrap()
        .trim();
    let ports: Value = serde_json::from_slice(&std::fs::read(folder.join("ports.json")).unwrap()).unwrap();
    let at = |name: &str| ports[name].as_str().unwrap();
    let faults = || -> u64 {
        let shown = ask(at("admin"), "GET /metrics", "", "");
        let line = shown.lines().find_map(|line| line.strip_prefix(METRIC));
        line.unwrap_or_else(|| panic!("{shown}")).parse().unwrap()
    };
    // The job of the day may have proved already.
    let begun = faults();
    // The command proves beside the running server.
    assert_eq!(run(huizhen(folder, &["reconcile"]), "").status.code(), Some(1));
    let log_in = json!({"name": "张伟", "password": password, "device_id": "d", "platform": "web"});
    let answer = json_of(&ask(at("rest"), "POST /operator/login", "", &log_in.to_string()));
    let token = answer["result"]["access_token"]
        .as_str()
        .unwrap_or_else(|| panic!("{answer}"));
    let token = format!("X-AUTH-TOKEN: {token}\r\n");
    let proof = json_of(&ask(at("rest"), "GET /operator/reconcile", &token, ""));
    assert_eq!(proof["result"]["faults"][0]["row"], "wallet:12", "{proof}");
    let expected = proof["result"]["faulty"].as_u64().unwrap();
    assert!(faults() >= begun.max(expected), "{begun} {expected}");
    serve.signal("TERM");
    assert_eq!(serve.end(), Some(0));
}
