//! Money that waits for a payment provider which the settings do not name any more.

use std::{fs::File, path::Path};

use database::{Database, params};

use crate::process::{Running, huizhen, run, text};

/// An open top-up and a pay-back on its way.
const WAITING: [&str; 2] = [
    "INSERT INTO payment_order (id, user_id, provider, scene, amount_fen, state, refunded_fen, created_ms, asked, ask_ms)
     VALUES (1, 1, $1, 'app', 100, 'open', 0, 1, 0, 1)",
    "INSERT INTO payment_refund (id, user_id, order_id, provider, amount_fen, state, created_ms, asked, ask_ms)
     VALUES (1, 1, 1, $1, 100, 'asked', 1, 0, 1)",
];

async fn plant(folder: &Path) {
    let url = format!("sqlite://{}", folder.join("data/huizhen.db").display());
    let database = Database::open(&url).await.unwrap();
    let planted = database.transaction::<_, database::Error, _>(|tx| {
        Box::pin(async move {
            for sql in WAITING {
                tx.execute(sql, params!["mockpay"]).await?;
            }
            Ok(())
        })
    });
    planted.await.unwrap();
    database.close().await;
}

/// The exit status of `check`, and its lines about payment.
fn check(folder: &Path, more: &[&str]) -> (bool, String) {
    let arguments = [&["check", "--max-sessions", "10"], more].concat();
    let checked = run(huizhen(folder, &arguments), "");
    let lines = text(&checked.stdout);
    let of_payment = lines.lines().filter(|line| line.contains(" payment "));
    (
        checked.status.success(),
        of_payment.collect::<Vec<_>>().join("\n"),
    )
}

/// Starts and stops a server; its log.
fn served(folder: &Path, more: &[&str]) -> String {
    let log = folder.join("log");
    let arguments = [&["serve", "--drain-s=1"], more].concat();
    let mut serve = Running::start_logging(huizhen(folder, &arguments), File::create(&log).unwrap());
    serve.wait_for("listening ws=");
    serve.signal("TERM");
    assert_eq!(serve.end(), Some(0));
    std::fs::read_to_string(log).unwrap()
}

#[tokio::test]
async fn a_start_and_a_check_name_a_provider_that_money_waits_for() {
    const NAMED: &[&str] = &["--payment-providers", "mockpay"];
    const WAITS: &str = "--payment-providers does not name";
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    assert!(run(huizhen(folder, &["migrate"]), "").status.success());
    let (is_fine, lines) = check(folder, &[]);
    assert!(is_fine && lines.is_empty(), "{lines}");
    assert!(!served(folder, &[]).contains(WAITS));
    plant(folder).await;
    let (is_fine, lines) = check(folder, &[]);
    let fault = "1 open orders and 1 pay-backs are mockpay's, which is not named";
    assert!(
        !is_fine && lines.contains("fail  payment") && lines.contains(fault),
        "{lines}"
    );
    let log = served(folder, &[]);
    let line = log.lines().find(|line| line.contains(WAITS)).unwrap_or(&log);
    assert!(
        line.contains("ERROR")
            && line.contains("mockpay")
            && line.contains("orders=1")
            && line.contains("pay_backs=1"),
        "{line}"
    );
    let (is_fine, lines) = check(folder, NAMED);
    assert!(is_fine && !lines.contains(fault), "{lines}");
    assert!(!served(folder, NAMED).contains(WAITS));
}
