//! The prices of consults and value-added services, where the platform charges.

use serde_json::{Value, json};

use super::{
    money::{income, wallet},
    people::{Person, new_consult},
    scene::{Scene, story},
    service::Reply,
    vas::proposal,
};

impl Scene {
    /// Opens a consult under a key of its own.
    pub async fn begin(&self, who: &Person, key: &str) -> Reply {
        let body = new_consult(who, self.team.id);
        who.post(&self.service, "/consult", body).key(key).send().await
    }

    /// A charged consult with the doctor in it.
    pub async fn charged(&self, key: &str) -> i64 {
        let begun = self.begin(&self.patient, key).await.result();
        let consult = begun["consultation_id"].as_i64().unwrap();
        self.service.bring_in(&self.team, consult, &self.doctor).await;
        consult
    }

    pub async fn end(&self, who: &Person, consult: i64, how: &str) -> Reply {
        self.post(who, format!("/consult/{consult}/{how}"), json!({}))
            .await
    }

    pub async fn wallet(&self) -> i64 {
        self.service.balance(wallet(&self.patient)).await
    }

    pub async fn income(&self) -> i64 {
        self.service.balance(income(&self.team)).await
    }
}

/// Seed: 增值服务，病人端确认接口.
/// I6.
#[tokio::test]
async fn a_confirmed_service_is_paid_from_the_wallet_once() {
    let scene = Scene::charging().await;
    scene.service.commission(55).await;
    scene.service.credit(&scene.patient, 2_000 + 9_899).await;
    let consult = scene.charged("a").await;
    let path = format!("/consult/{consult}/vas");
    let proposed = scene.post(&scene.doctor, path, proposal()).await.result();
    assert_eq!(
        (&proposed["charged"], &proposed["refunded_fen"]),
        (&json!(true), &json!(0))
    );
    let vas = proposed["vas_id"].as_i64().unwrap();
    // A later share does not count: a service keeps that of its proposal.
    scene.service.commission(900).await;

    let refused = scene.step(&scene.patient, vas, "confirm").await;
    refused.refused(402, "wallet.insufficient");
    assert_eq!(scene.wallet().await, 9_899);
    let shown = scene.get(&scene.patient, format!("/vas/{vas}")).await.result();
    assert_eq!(shown["state"], "proposed");
    assert_eq!(
        story(&scene, consult).await.last().unwrap(),
        &format!("vas_proposed {vas}")
    );

    scene.service.credit(&scene.patient, 1).await;
    let confirmed = scene.step(&scene.patient, vas, "confirm").await;
    let shown = confirmed.result();
    let whole = json!({
        "success": true, "code": 200,
        "result": {
            "vas_id": vas, "consultation_id": consult, "team_id": scene.team.id, "team_name": "儿科",
            "doctor_id": scene.doctor.id, "doctor_name": "Dr. B", "member_id": scene.patient.id, "member_name": "王芳",
            "name": "视频复诊", "description": "一次 15 分钟的视频复诊", "price_fen": 9_900, "charged": true,
            "refunded_fen": 0, "state": "confirmed", "created_ms": proposed["created_ms"],
            "decided_ms": shown["decided_ms"],
        },
    });
    assert_eq!(confirmed.json, whole);
    assert!(shown["decided_ms"].as_i64() >= shown["created_ms"].as_i64());
    // 9900 × 55 ‰ = 544.5, rounded half up on the platform's side.
    assert_eq!((scene.wallet().await, scene.income().await), (0, 9_900 - 545));
    // Again, on any device: the same answer, and nothing moves.
    assert_eq!(scene.step(&scene.patient, vas, "confirm").await.json, whole);
    assert_eq!((scene.wallet().await, scene.income().await), (0, 9_900 - 545));
    let row = "SELECT commission_fen FROM vas WHERE month IS NOT NULL";
    assert_eq!(scene.service.number(row).await, 545);
    scene.service.balances().await;
}

/// Seed: 新增 - 团队咨询历史接口 返回：团队总所得、团队处理咨询总数、我所服务的次数、我的增值服务次数 团队收入 - 咨询历史.
#[tokio::test]
async fn a_teams_history_has_all_that_it_earned() {
    let scene = Scene::charging().await;
    scene.service.commission(100).await;
    scene.service.credit(&scene.patient, 11_900).await;
    let consult = scene.charged("a").await;
    let vas = scene.propose(consult).await;
    scene.step(&scene.patient, vas, "confirm").await.result();
    scene.end(&scene.doctor, consult, "finish").await.result();
    let path = format!("/team/{}/consult_history", scene.team.id);
    for (who, mine) in [(&scene.doctor, 1), (&scene.team.owner, 0)] {
        let history = scene.get(who, path.clone()).await;
        let whole = json!({
            "success": true, "code": 200,
            "result": {
                "team_id": scene.team.id, "total_income_fen": 1_800 + 8_910, "handled": 1, "served_by_me": mine,
                "vas_by_me": mine,
            },
        });
        assert_eq!(history.json, whole);
    }
    let outsider = scene.service.doctor("Dr. X").await;
    scene.get(&outsider, path).await.refused(403, "team.forbidden");
}

#[tokio::test]
async fn a_service_that_is_not_confirmed_costs_nothing() {
    let scene = Scene::charging().await;
    scene.service.credit(&scene.patient, 20_000).await;
    let consult = scene.charged("a").await;
    for step in ["decline", "withdraw"] {
        let vas = scene.propose(consult).await;
        let who = if step == "decline" {
            &scene.patient
        } else {
            &scene.doctor
        };
        scene.step(who, vas, step).await.result();
        scene.step(&scene.patient, vas, "confirm").await;
    }
    let free = json!({"name": "n", "description": "", "price_fen": 0});
    let path = format!("/consult/{consult}/vas");
    let free = scene.post(&scene.doctor, path, free).await.result();
    assert_eq!(free["charged"], false);
    let confirmed = scene
        .step(&scene.patient, free["vas_id"].as_i64().unwrap(), "confirm")
        .await;
    assert_eq!(confirmed.result()["state"], "confirmed");
    assert_eq!((scene.wallet().await, scene.income().await), (18_000, 0));
    scene.service.balances().await;
}

/// I6.
#[tokio::test]
async fn the_price_of_a_consult_is_held_and_settled_with_its_end() {
    let scene = Scene::charging().await;
    scene.service.commission(100).await;
    scene.service.credit(&scene.patient, 5_000).await;
    for (end, who, state, wallet, income) in [
        ("finish", &scene.doctor, "earned", 3_000, 1_800),
        ("cancel", &scene.patient, "returned", 3_000, 1_800),
    ] {
        let begun = scene.begin(&scene.patient, end).await;
        let consult = begun.result()["consultation_id"].as_i64().unwrap();
        assert_eq!(begun.result()["price_fen"], 2_000);
        assert_eq!(begun.result()["charge_state"], "held");
        // The same request again opens no other one.
        assert_eq!(scene.begin(&scene.patient, end).await.json, begun.json);
        let held = scene.service.balance(ledger::Account::Held(consult)).await;
        assert_eq!(held, 2_000);
        scene.service.bring_in(&scene.team, consult, &scene.doctor).await;
        // A change of price or share does not reach it.
        let price = json!({"consult_price_fen": if end == "finish" { 3_000 } else { 1 }});
        let team = format!("/team/{}", scene.team.id);
        scene
            .team
            .owner
            .put(&scene.service, &team, price)
            .send()
            .await
            .result();
        let ended = scene.end(who, consult, end).await.result();
        assert_eq!(
            (&ended["price_fen"], &ended["charge_state"]),
            (&json!(2_000), &json!(state))
        );
        assert_eq!((scene.wallet().await, scene.income().await), (wallet, income));
        scene.end(who, consult, end).await.refused(409, "consult.ended");
        let price = json!({"consult_price_fen": 2_000});
        scene
            .team
            .owner
            .put(&scene.service, &team, price)
            .send()
            .await
            .result();

        let list = scene
            .get(&scene.patient, "/consult/history_list".into())
            .await
            .result();
        assert_eq!(list[0]["charge_state"], state);
        let entries = scene
            .get(&scene.doctor, format!("/consult/{consult}/messages"))
            .await
            .result();
        let status = |at: usize| -> Value { entries[at]["status"].clone() };
        let word = if end == "finish" { "finished" } else { "cancelled" };
        assert_eq!(
            status(0),
            json!({"status": word, "open": false, "price_fen": 2_000, "charge_state": state})
        );
        assert_eq!(
            status(1),
            json!({"status": "in_process", "open": true, "price_fen": 2_000, "charge_state": "held"})
        );
        scene.service.balances().await;
    }
    let finished = scene
        .service
        .number("SELECT count(*) FROM consult WHERE month IS NOT NULL")
        .await;
    assert_eq!(finished, 1);
}

#[tokio::test]
async fn a_consult_that_cannot_be_paid_is_not_opened() {
    let scene = Scene::charging().await;
    scene.service.credit(&scene.patient, 1_999).await;
    scene
        .begin(&scene.patient, "a")
        .await
        .refused(402, "wallet.insufficient");
    assert!(scene.listed(&scene.patient, "in_process_list").await.is_empty());
    scene.service.credit(&scene.patient, 1).await;
    let mut body = new_consult(&scene.patient, scene.team.id);
    let keyless = scene.post(&scene.patient, "/consult".into(), body.clone()).await;
    keyless
        .refused(400, "idempotency.key_required")
        .field("Idempotency-Key");
    body["price_fen"] = 1_999.into();
    let call = scene.patient.post(&scene.service, "/consult", body.clone());
    call.key("b")
        .send()
        .await
        .refused(409, "team.price_changed")
        .field("price_fen");
    assert_eq!(scene.wallet().await, 2_000);
    // A refusal is not kept under its key: the first one succeeds now.
    scene.begin(&scene.patient, "a").await.result();
    assert_eq!(scene.wallet().await, 0);
    scene.service.balances().await;
}

#[tokio::test]
async fn without_a_provider_prices_are_shown_only() {
    let scene = Scene::new().await;
    let mut body = new_consult(&scene.patient, scene.team.id);
    body["price_fen"] = 2_000.into();
    let begun = scene.post(&scene.patient, "/consult".into(), body).await.result();
    assert_eq!(
        (&begun["price_fen"], &begun["charge_state"]),
        (&Value::Null, &Value::Null)
    );
    let consult = begun["consultation_id"].as_i64().unwrap();
    scene.service.bring_in(&scene.team, consult, &scene.doctor).await;
    let vas = scene.propose(consult).await;
    scene.step(&scene.patient, vas, "confirm").await.result();
    scene.end(&scene.doctor, consult, "finish").await.result();
    assert_eq!(scene.service.number("SELECT count(*) FROM transfer").await, 0);
    // The work of a team is counted by month all the same.
    let months = "SELECT count(*) FROM consult c JOIN vas v ON v.month = c.month";
    assert_eq!(scene.service.number(months).await, 1);
}
