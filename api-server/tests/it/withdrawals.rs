//! Withdrawals, in their windows.

use database::params;
use ledger::{Commission, Fen, Month, Movement, Window};
use proto::UserId;
use serde_json::{Value, json};

use super::{
    apart::{self, set_clock},
    incomes::{self, PASSWORD, post},
    people::Person,
    scene::Scene,
};

pub const NUMBER: &str = "6222020200112233445";

/// A team with an income of November and a payee that has rested, at noon on 3 December.
pub async fn in_december(fen: i64) -> Scene {
    set_clock("2026-11-20T12:00:00+08:00");
    let scene = incomes::scene().await;
    let consult = scene.in_process().await;
    scene.set_payee(NUMBER).await.result();
    scene.earn("2026-11-20T12:01:00+08:00", consult, fen).await;
    set_clock("2026-12-03T12:00:00+08:00");
    scene
}

#[test]
fn withdrawals_in_their_windows() {
    apart::run(module_path!());
}

#[tokio::test]
#[ignore = "runs apart, at another time"]
async fn the_owner_withdraws_what_was_earned_in_the_months_before() {
    let scene = in_december(30_000).await;
    let asked = scene.ask_income(json!({"amount_fen": 12_000}), "k-1").await;
    let shown = asked.result();
    assert_eq!(
        shown,
        json!({
            "withdrawal_id": shown["withdrawal_id"], "team_id": scene.team.id, "month": "2026-12",
            "amount_fen": 12_000, "state": "asked", "asked_by": scene.team.owner.id, "asked_ms": shown["asked_ms"],
            "payee": {"kind": "bank", "holder": "王芳", "bank": "工商银行", "account_number": "****3445",
                      "created_ms": shown["payee"]["created_ms"], "usable_ms": shown["payee"]["usable_ms"]},
        })
    );
    // The same request again moves nothing; another body under its key is refused.
    let again = scene.ask_income(json!({"amount_fen": 12_000}), "k-1").await;
    assert_eq!(again.text, asked.text);
    scene
        .ask_income(json!({"amount_fen": 12_001}), "k-1")
        .await
        .refused(422, "idempotency.key_reused");
    let income = scene.of_team("income").await.result();
    assert_eq!(income["withdrawable_fen"], 18_000);
    assert_eq!(income["withdrawn_fen"], 12_000);
    // By default all of the rest; then there is nothing.
    let rest = scene.ask_income(json!({}), "k-2").await.result();
    assert_eq!(rest["amount_fen"], 18_000);
    scene
        .ask_income(json!({}), "k-3")
        .await
        .refused(409, "income.insufficient");
    assert_eq!(scene.income().await, 0);
    // During the window the work that it opened stays the same.
    let work = scene.of_team("income/withdrawable").await.result();
    assert_eq!(work["withdrawable_fen"], 0);
    assert_eq!(
        (&work["from_month"], &work["to_month"]),
        (&json!("2026-11"), &json!("2026-11"))
    );
    assert_eq!(work["earned_fen"], 30_000);
}

#[tokio::test]
#[ignore = "runs apart, at another time"]
async fn income_is_withdrawn_on_days_1_to_5_only() {
    let scene = in_december(30_000).await;
    for (at, time) in [
        "2026-11-30T23:59:58+08:00",
        "2026-12-06T00:00:00+08:00",
        "2026-12-31T23:59:58+08:00",
    ]
    .into_iter()
    .enumerate()
    {
        let now_ms = set_clock(time);
        let refused = scene.ask_income(json!({}), &format!("closed-{at}")).await;
        refused.refused(403, "withdrawal.window_closed");
        let next = Window::at(now_ms);
        assert_eq!(
            refused.json["window"],
            json!({"open": false, "from_ms": next.from_ms, "to_ms": next.to_ms})
        );
        let message = refused.json["message"].as_str().unwrap();
        let month = next.month;
        assert!(
            message.contains(&format!("{month}-01 00:00 至 {month}-05 24:00（北京时间）")),
            "{message}"
        );
        let path = format!("/team/{}/withdrawal", scene.team.id);
        let english = scene
            .team
            .owner
            .post(&scene.service, &path, json!({}))
            .key("english");
        let english = english.header("Accept-Language", "en").send().await;
        let message = english.json["message"].as_str().unwrap();
        assert!(
            message.contains(&format!(
                "from {month}-01 00:00 to {month}-05 24:00, Beijing time"
            )),
            "{message}"
        );
        assert_eq!(
            scene.of_team("income").await.result()["window"],
            refused.json["window"]
        );
    }
    // Seconds, not milliseconds, before its end: the request takes some.
    set_clock("2026-12-05T23:59:50+08:00");
    scene
        .ask_income(json!({"amount_fen": 1}), "open-1")
        .await
        .result();
    set_clock("2026-12-01T00:00:00+08:00");
    scene
        .ask_income(json!({"amount_fen": 1}), "open-2")
        .await
        .result();
    // The rest waits for the next window.
    set_clock("2027-01-01T00:00:00+08:00");
    let rest = scene.ask_income(json!({}), "open-3").await.result();
    assert_eq!(
        (&rest["month"], &rest["amount_fen"]),
        (&json!("2027-01"), &json!(29_998))
    );
}

#[tokio::test]
#[ignore = "runs apart, at another time"]
async fn income_at_the_boundary_belongs_to_one_month() {
    let scene = in_december(30_000).await;
    let member = UserId::from_database(scene.patient.id);
    let of_december = Month::new(202_612).unwrap().from_ms();
    for (vas, now_ms) in [(1, of_december - 1), (2, of_december)] {
        let price = Fen::new(100 * vas).unwrap();
        let movement = Movement::vas(1_000_000 + vas, scene.team.id, member, price, Commission::NONE);
        post(&scene.service, movement, now_ms).await.unwrap();
    }
    let income = scene.of_team("income").await.result();
    assert_eq!(income["withdrawable_fen"], 30_100);
    assert_eq!(income["this_month_fen"], 200);
    scene
        .ask_income(json!({"amount_fen": 30_101}), "k-1")
        .await
        .refused(409, "withdrawal.too_much")
        .field("amount_fen");
    scene
        .ask_income(json!({"amount_fen": 30_100}), "k-2")
        .await
        .result();
    assert_eq!(scene.income().await, 200);
}

#[tokio::test]
#[ignore = "runs apart, at another time"]
async fn bad_amounts_move_nothing() {
    let scene = in_december(30_000).await;
    for (at, bad) in [
        json!(0),
        json!(-1),
        json!(i64::MIN),
        json!(i64::MAX),
        json!(1_000_000_000_001_i64),
        json!(0.5),
        json!(1e300),
        json!("100"),
        json!("100元"),
        json!(true),
        json!([1]),
        json!({"fen": 1}),
        serde_json::from_str("9223372036854775808").unwrap(),
    ]
    .into_iter()
    .enumerate()
    {
        scene
            .ask_income(json!({"amount_fen": bad}), &format!("bad-{at}"))
            .await
            .refused(400, "request.invalid")
            .field("amount_fen");
    }
    for (at, much) in [30_001, 1_000_000_000_000_i64].into_iter().enumerate() {
        scene
            .ask_income(json!({"amount_fen": much}), &format!("much-{at}"))
            .await
            .refused(409, "withdrawal.too_much")
            .field("amount_fen");
    }
    let path = format!("/team/{}/withdrawal", scene.team.id);
    let keyless = scene.post(&scene.team.owner, path.clone(), json!({})).await;
    keyless
        .refused(400, "idempotency.key_required")
        .field("Idempotency-Key");
    for other in [&scene.team.assistant, &scene.doctor, &scene.patient] {
        let refused = scene.ask_income_by(&scene.service, other, json!({}), "k-1").await;
        refused.refused(403, "team.forbidden");
    }
    assert_eq!(scene.income().await, 30_000);
    assert_eq!(scene.of_team("income").await.result()["withdrawn_fen"], 0);
}

/// A bound on rows.
#[tokio::test]
#[ignore = "runs apart, at another time"]
async fn a_team_withdraws_a_limited_number_of_times_in_a_window() {
    let scene = in_december(30_000).await;
    let one = json!({"amount_fen": 1});
    for at in 0..20 {
        scene.ask_income(one.clone(), &format!("k-{at}")).await.result();
    }
    let full = scene.ask_income(one.clone(), "k-20").await;
    full.refused(409, "withdrawal.limit_reached");
    let message = full.json["message"].as_str().unwrap();
    assert!(message.contains(" 20 "), "{message}");
    // A repetition of one of them is none.
    scene.ask_income(one.clone(), "k-0").await.result();
    assert_eq!(scene.income().await, 29_980);
    // The next window has its own.
    set_clock("2027-01-01T00:00:00+08:00");
    scene.ask_income(one, "k-21").await.result();
    let held = scene.service.number("SELECT count(*) FROM withdrawal").await;
    assert_eq!(held, 21);
}

/// I6: two requests over two servers never withdraw more than there is.
#[tokio::test]
#[ignore = "runs apart, at another time"]
async fn racing_withdrawals_stay_within_the_sum() {
    let scene = in_december(30_000).await;
    let beside = scene.service.beside().await;
    let servers = [&scene.service, &beside];
    let calls = (0..12).map(|at| {
        let (server, key) = (servers[at % 2], format!("race-{at}"));
        let scene = &scene;
        async move {
            let body = json!({"amount_fen": 8_000});
            scene.ask_income_by(server, &scene.team.owner, body, &key).await
        }
    });
    let replies = futures_util::future::join_all(calls).await;
    let won = replies.iter().filter(|reply| reply.status == 200).count();
    assert_eq!(won, 3, "of 30,000 fen");
    for lost in replies.iter().filter(|reply| reply.status != 200) {
        lost.refused(409, "withdrawal.too_much");
    }
    assert_eq!(scene.income().await, 6_000);
    // All of it, at once and from both: one gets it.
    let calls = (0..6).map(|at| {
        let (server, key) = (servers[at % 2], format!("all-{at}"));
        let scene = &scene;
        async move {
            scene
                .ask_income_by(server, &scene.team.owner, json!({}), &key)
                .await
        }
    });
    let replies = futures_util::future::join_all(calls).await;
    let won = replies.iter().filter(|reply| reply.status == 200).count();
    assert_eq!((won, scene.income().await), (1, 0));
    for lost in replies.iter().filter(|reply| reply.status != 200) {
        lost.refused(409, "income.insufficient");
    }
}

/// I6: a refund takes income that a withdrawal wants, or comes too late.
#[tokio::test]
#[ignore = "runs apart, at another time"]
async fn a_withdrawal_races_a_refund_of_its_income() {
    let scene = in_december(1).await;
    let member = UserId::from_database(scene.patient.id);
    let earned_in = Month::new(202_611).unwrap();
    for round in 0..8 {
        let price = Fen::new(1_000).unwrap();
        let movement = Movement::vas(2_000_000 + round, scene.team.id, member, price, Commission::NONE);
        post(&scene.service, movement, earned_in.from_ms()).await.unwrap();
        let refund = Movement::refund(
            3_000_000 + round,
            scene.team.id,
            member,
            price,
            Fen::ZERO,
            earned_in,
        );
        let before = scene.income().await;
        let key = format!("refund-{round}");
        let (refunded, withdrawn) = tokio::join!(
            post(&scene.service, refund, earned_in.from_ms()),
            scene.ask_income(json!({"amount_fen": before}), &key),
        );
        match (refunded, withdrawn.status) {
            (Ok(_), 409) => assert_eq!(scene.income().await, before - 1_000),
            (Err(ledger::Error::Insufficient(_)), 200) => assert_eq!(scene.income().await, 0),
            (refunded, _) => panic!("{refunded:?} {}", withdrawn.text),
        }
    }
}

#[tokio::test]
#[ignore = "runs apart, at another time"]
async fn income_is_not_withdrawn_for_a_day_after_a_change_of_the_payee() {
    set_clock("2026-11-20T12:00:00+08:00");
    let scene = incomes::scene().await;
    let consult = scene.in_process().await;
    scene.earn("2026-11-20T12:01:00+08:00", consult, 30_000).await;
    set_clock("2026-12-02T12:00:00+08:00");
    scene
        .of_team("payee")
        .await
        .refused(409, "withdrawal.payee_missing");
    scene
        .ask_income(json!({}), "k-1")
        .await
        .refused(409, "withdrawal.payee_missing");
    // Also the first one rests.
    let set = scene.set_payee(NUMBER).await.result();
    assert_eq!(set["account_number"], "****3445");
    let (created_ms, usable_ms) = (
        set["created_ms"].as_i64().unwrap(),
        set["usable_ms"].as_i64().unwrap(),
    );
    assert_eq!(usable_ms - created_ms, 24 * 3_600_000);
    assert_eq!(scene.of_team("payee").await.result(), set);
    scene
        .ask_income(json!({}), "k-2")
        .await
        .refused(409, "withdrawal.payee_too_new");
    set_clock("2026-12-03T12:01:00+08:00");
    scene
        .ask_income(json!({"amount_fen": 1_000}), "k-3")
        .await
        .result();
    // A change right before a withdrawal.
    scene.set_payee("6222020200119999999").await.result();
    scene
        .ask_income(json!({}), "k-4")
        .await
        .refused(409, "withdrawal.payee_too_new");
    // A clock that jumps back does not bring the former one back, nor does it age the new one.
    set_clock("2026-12-02T09:00:00+08:00");
    assert_eq!(
        scene.of_team("payee").await.result()["account_number"],
        "****9999"
    );
    scene
        .ask_income(json!({}), "k-5")
        .await
        .refused(409, "withdrawal.payee_too_new");
    set_clock("2026-12-04T12:02:00+08:00");
    let asked = scene.ask_income(json!({}), "k-6").await.result();
    assert_eq!(asked["payee"]["account_number"], "****9999");
    assert_eq!(asked["amount_fen"], 29_000);
}

#[tokio::test]
#[ignore = "runs apart, at another time"]
async fn a_payee_needs_the_owners_password_or_code() {
    set_clock("2026-11-20T12:00:00+08:00");
    let scene = incomes::scene().await;
    let owner = &scene.team.owner;
    let path = format!("/team/{}/payee", scene.team.id);
    let put = async |change: &[(&str, Value)]| {
        let mut body =
            json!({"kind": "bank", "holder": "王芳", "bank": "工商银行", "account_number": NUMBER});
        for (field, value) in change {
            body[*field] = value.clone();
        }
        owner.put(&scene.service, &path, body).send().await
    };
    put(&[]).await.refused(400, "request.invalid").field("password");
    put(&[("password", json!("not the one"))])
        .await
        .refused(403, "withdrawal.password_refused")
        .field("password");
    put(&[("code", json!("000000"))])
        .await
        .refused(403, "withdrawal.password_refused")
        .field("code");
    let password = ("password", json!(PASSWORD));
    for (field, value) in [
        ("kind", json!("cash")),
        ("holder", json!("")),
        ("bank", Value::Null),
        ("account_number", json!("6222-0202")),
        ("account_number", json!("1234567")),
        ("account_number", json!("６２２２０２０２００")),
    ] {
        put(&[password.clone(), (field, value)])
            .await
            .refused(400, "request.invalid")
            .field(field);
    }
    for (kind, number, field) in [
        ("alipay", "a@example.com", "bank"),
        ("wechat", " wx-1", "account_number"),
    ] {
        let mut change = vec![
            password.clone(),
            ("kind", json!(kind)),
            ("account_number", json!(number)),
        ];
        if field != "bank" {
            change.push(("bank", Value::Null));
        }
        put(&change).await.refused(400, "request.invalid").field(field);
    }
    scene
        .of_team("payee")
        .await
        .refused(409, "withdrawal.payee_missing");
    // By code, once.
    scene.service.pass_the_minute(&owner.phone).await;
    let code = ("code", json!(scene.service.code(&owner.phone).await));
    let alipay = [
        code,
        ("kind", json!("alipay")),
        ("bank", Value::Null),
        ("account_number", json!("wang@example.com")),
    ];
    let set = put(&alipay).await.result();
    assert_eq!(
        (&set["kind"], &set["account_number"]),
        (&json!("alipay"), &json!("****.com"))
    );
    put(&alipay)
        .await
        .refused(403, "withdrawal.password_refused")
        .field("code");
    // Guesses are slow, as those of a password are.
    for _ in 0..10 {
        put(&[("password", json!("not the one"))]).await;
    }
    put(&[password]).await.refused(429, "account.too_many_attempts");
}

#[tokio::test]
#[ignore = "runs apart, at another time"]
async fn a_month_with_two_owners_shows_the_one_who_asked_last() {
    let scene = in_december(30_000).await;
    let service = &scene.service;
    let (former, owner) = (&scene.doctor, &scene.team.owner);
    assert!(former.id > owner.id);
    let body = |fen: i64| json!({"amount_fen": fen});
    let hand_to = async |owner: &Person| {
        let (team, to) = (scene.team.id, owner.id);
        let sql = "UPDATE team SET owner_id = $1 WHERE id = $2";
        let handed = service
            .database
            .transaction(move |tx| Box::pin(async move { tx.execute(sql, params![to, team]).await }));
        handed.await.unwrap();
    };
    let listed = async |owner: &Person| {
        let path = format!("/team/{}/withdrawal_list", scene.team.id);
        let list = owner.get(service, &path).send().await.result();
        assert_eq!(list.as_array().unwrap().len(), 1, "{list}");
        ["asked_by", "asked_by_name", "count"].map(|name| list[0][name].clone())
    };
    hand_to(former).await;
    let asked = scene.ask_income_by(service, former, body(12_000), "k-1").await;
    asked.result();
    let of_former = [json!(former.id), json!(former.name), json!(1)];
    assert_eq!(listed(former).await, of_former);
    hand_to(owner).await;
    set_clock("2026-12-03T13:00:00+08:00");
    scene.ask_income(body(1_000), "k-2").await.result();
    assert_eq!(
        listed(owner).await,
        [json!(owner.id), json!(owner.name), json!(2)]
    );
}
