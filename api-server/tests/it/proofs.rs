//! Operators prove the books.

use serde_json::json;

use super::{
    money::wallet,
    operators::{acts, operator},
    scene::Scene,
    vas::proposal,
};

/// I6.
#[tokio::test]
async fn an_operator_proves_what_was_charged() {
    let scene = Scene::charging().await;
    let service = &scene.service;
    let (operator, _) = operator(service, "张伟").await;
    scene.service.credit(&scene.patient, 20_000).await;
    let consult = scene.charged("a").await;
    let path = format!("/consult/{consult}/vas");
    let vas = scene.post(&scene.doctor, path, proposal()).await.result();
    let vas = vas["vas_id"].as_i64().unwrap();
    scene.step(&scene.patient, vas, "confirm").await.result();
    scene.end(&scene.doctor, consult, "finish").await.result();

    let proof = operator.get(service, "/operator/reconcile").send().await.result();
    assert_eq!(proof["faulty"], 0, "{proof}");
    let proved = &proof["proved"];
    assert_eq!(
        (&proved["transfers"], &proved["consults"]),
        (&json!(4), &json!(1))
    );
    assert_eq!((&proved["services"], &proved["entries"]), (&json!(1), &json!(1)));
    let sum = ["guarded_fen", "platform_fen", "outside_fen"].map(|name| proof[name].as_i64().unwrap());
    assert_eq!((sum.iter().sum::<i64>(), sum[2]), (0, -20_000));
    let log = acts(service, &operator).await;
    assert_eq!(log[0]["act"], "ledger_proved");

    let account = wallet(&scene.patient).to_string();
    let plant = "UPDATE ledger_account SET balance_fen = balance_fen + 1 WHERE account = $1";
    let planted = account.clone();
    let changed: Result<u64, database::Error> = service
        .database
        .transaction(move |tx| Box::pin(async move { tx.execute(plant, database::params![planted]).await }))
        .await;
    assert_eq!(changed.unwrap(), 1);
    let proof = operator.get(service, "/operator/reconcile").send().await.result();
    assert_eq!(proof["is_balanced"], false);
    let named = proof["faults"].as_array().unwrap();
    assert!(named.iter().any(|fault| fault["row"] == account), "{proof}");

    for other in [&scene.patient, &scene.doctor] {
        let refused = other.get(service, "/operator/reconcile").send().await;
        refused.refused(403, "operator.only");
    }
}

/// One runs at a time: of many at once some are refused, and none waits for another.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_proof_runs_at_a_time() {
    let scene = Scene::charging().await;
    let service = &scene.service;
    let (operator, _) = operator(service, "张伟").await;
    let mut refused = 0;
    for _ in 0..50 {
        let asked = (0..8).map(|_| operator.get(service, "/operator/reconcile").send());
        let answers = futures_util::future::join_all(asked).await;
        let running = answers.iter().filter(|answer| answer.status == 409);
        for answer in running {
            answer.refused(409, "operator.reconcile_running");
            refused += 1;
        }
        assert!(answers.iter().any(|answer| answer.status == 200));
        if refused > 0 {
            break;
        }
    }
    assert!(refused > 0, "no two proofs met");
    operator.get(service, "/operator/reconcile").send().await.result();
}
