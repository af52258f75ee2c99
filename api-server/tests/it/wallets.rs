//! A member's view of their money: the lines of the seed document.

use ledger::{Fen, Movement, Split, Transfer};
use proto::UserId;
use serde_json::{Value, json};

use super::{scene::Scene, service::Service};

/// Seed: 修改 - 个人信息返回：余额、已消费总数、怀孕次数、产几、月经周期、初潮年龄、家庭成员数组（relation_user_id、relation_type、name、
/// photo_id）.
/// I6.
#[tokio::test]
async fn a_members_record_has_the_balance_and_all_that_was_consumed() {
    let scene = Scene::charging().await;
    let (service, member) = (&scene.service, &scene.patient);
    let whole = |balance_fen: i64, consumed_fen: i64| {
        json!({
            "success": true, "code": 200,
            "result": {
                "member_id": member.id, "name": "王芳", "photo_id": null, "gender": null, "birth_date": null,
                "pregnancies": null, "births": null, "menstrual_cycle_days": null, "menarche_age": null,
                "balance_fen": balance_fen, "total_consumed_fen": consumed_fen, "family": [],
            },
        })
    };
    let check = async |balance_fen: i64, consumed_fen: i64| {
        let shown = member.get(service, "/member/detail").send().await;
        assert_eq!(shown.json, whole(balance_fen, consumed_fen));
        let changed = member.put(service, "/member/detail", json!({})).send().await;
        assert_eq!(changed.json, whole(balance_fen, consumed_fen));
        let wallet = member.get(service, "/wallet").send().await.result();
        let expected = json!({"balance_fen": balance_fen, "total_consumed_fen": consumed_fen});
        assert_eq!(wallet, expected);
    };
    check(0, 0).await;
    // A top-up and a credit by hand are not consumed.
    service.paid_order(member, 20_000, "a").await;
    service.credit(member, 1_000).await;
    check(21_000, 0).await;
    let first = scene.charged("b").await;
    check(19_000, 2_000).await;
    let second = scene.charged("c").await;
    check(17_000, 4_000).await;
    let vas = scene.propose(first).await;
    check(17_000, 4_000).await;
    scene.step(member, vas, "confirm").await.result();
    check(7_100, 13_900).await;
    scene.end(member, second, "cancel").await.result();
    check(9_100, 11_900).await;
    scene.end(&scene.doctor, first, "finish").await.result();
    check(9_100, 11_900).await;
    service.pay_back(member, 100, "d").await.result();
    check(9_000, 11_900).await;
    // A doctor has no wallet, and none is shown on their page.
    for path in [
        "/wallet",
        "/member/consumption_list",
        "/wallet/order_list",
        "/wallet/refund_list",
    ] {
        let refused = scene.doctor.get(service, path).send().await;
        refused.refused(403, "wallet.members_only");
    }
    let page = scene.get(member, format!("/doctor/{}", scene.doctor.id)).await;
    assert!(!page.text.contains("balance") && !page.text.contains("consumed"));
    service.balances().await;
}

/// Seed: 拉取消费详细记录接口.
#[tokio::test]
async fn the_record_has_each_charge_and_each_refund_with_its_cause() {
    let scene = Scene::charging().await;
    let (service, member) = (&scene.service, &scene.patient);
    let order = service.paid_order(member, 20_000, "a").await;
    let consult = scene.charged("b").await;
    let cancelled = scene.charged("c").await;
    let vas = scene.propose(consult).await;
    scene.step(member, vas, "confirm").await.result();
    scene.end(member, cancelled, "cancel").await.result();
    let refund = service.pay_back(member, 100, "d").await.result();
    let list = member
        .get(service, "/member/consumption_list?count=true")
        .send()
        .await;
    let items = list.result();
    let team = json!({"team_id": scene.team.id, "team_name": "儿科"});
    let of_consult = |consult: i64| {
        let mut cause = team.clone();
        cause["consultation_id"] = consult.into();
        cause
    };
    let mut of_vas = of_consult(consult);
    of_vas["vas_id"] = vas.into();
    of_vas["vas_name"] = "视频复诊".into();
    let of_refund = json!({"order_id": order["order_id"], "refund_id": refund["refunds"][0]["refund_id"]});
    let rows = [
        ("pay_back", -100, 0, 8_000, of_refund),
        ("cancel", 2_000, -2_000, 8_100, of_consult(cancelled)),
        ("vas", -9_900, 9_900, 6_100, of_vas),
        ("begin", -2_000, 2_000, 16_000, of_consult(cancelled)),
        ("begin", -2_000, 2_000, 18_000, of_consult(consult)),
        (
            "top_up",
            20_000,
            0,
            20_000,
            json!({"order_id": order["order_id"]}),
        ),
    ];
    let expected: Vec<Value> = rows
        .into_iter()
        .enumerate()
        .map(|(at, (kind, amount_fen, consumed_fen, balance_fen, cause))| {
            let mut item = json!({
                "transfer_id": items[at]["transfer_id"], "kind": kind, "amount_fen": amount_fen, "fee_fen": 0,
                "consumed_fen": consumed_fen, "balance_fen": balance_fen, "created_ms": items[at]["created_ms"],
            });
            for (name, value) in cause.as_object().unwrap() {
                item[name] = value.clone();
            }
            item
        })
        .collect();
    let whole = json!({"success": true, "code": 200, "result": expected, "has_more": false, "total": 6});
    assert_eq!(list.json, whole);
    assert!(items[0]["created_ms"].as_i64().unwrap() > 1_700_000_000_000);

    // Page by page it is the same, and another member sees none of it.
    let mut walked = Vec::new();
    let mut path = "/member/consumption_list?limit=4".to_owned();
    loop {
        let page = member.get(service, &path).send().await;
        walked.extend(page.result().as_array().unwrap().clone());
        let Some(cursor) = page.json["next_cursor"].as_str() else {
            break;
        };
        path = format!("/member/consumption_list?limit=4&cursor={cursor}");
    }
    assert_eq!(walked, expected);
    let stranger = service.member("Sam").await;
    let theirs = stranger
        .get(service, "/member/consumption_list?count=true")
        .send()
        .await;
    assert_eq!(
        theirs.json,
        json!({"success": true, "code": 200, "result": [], "has_more": false, "total": 0})
    );
}

/// Members pay a fee in advance when they join; consults that it pays are in the record, too, and balances stay.
#[tokio::test]
async fn the_record_has_what_the_fee_paid() {
    let service = Service::charging().await;
    let team = service.team("儿科").await.id;
    let member = service.member("Pat").await;
    let user = UserId::from_database(member.id);
    let fen = |fen: i64| Fen::new(fen).unwrap();
    let split = |fee: i64, wallet: i64| Split {
        fee: fen(fee),
        wallet: fen(wallet),
    };
    let mut credit = 0;
    for movement in [
        Movement::credit(1, user, fen(1_300)),
        Movement::join(team, user, 1, fen(300)),
        Movement::begin(7, team, user, split(300, 0)),
        Movement::cancel(7, team, user, split(300, 0)),
        Movement::begin(8, team, user, split(200, 100)),
        Movement::leave(team, user, 1, fen(100)),
        Movement::credit(2, user, fen(30)),
    ] {
        credit = post(&service, Some(movement), 0).await;
    }
    post(&service, None, credit).await;
    let list = member
        .get(&service, "/member/consumption_list")
        .send()
        .await
        .result();
    let short: Vec<Value> = list
        .as_array()
        .unwrap()
        .iter()
        .map(|item| {
            json!([
                item["kind"],
                item["amount_fen"],
                item["fee_fen"],
                item["consumed_fen"],
                item["balance_fen"]
            ])
        })
        .collect();
    let expected = json!([
        ["reversal", -30, 0, 0, 1_000],
        ["credit", 30, 0, 0, 1_030],
        ["leave", 100, -100, 0, 1_000],
        ["begin", -100, -200, 300, 900],
        ["cancel", 0, 300, -300, 1_000],
        ["begin", 0, -300, 300, 1_000],
        ["join", -300, 300, 0, 1_000],
        ["credit", 1_300, 0, 0, 1_300],
    ]);
    assert_eq!(json!(short), expected);
    assert_eq!(
        (&list[0]["reverses"], &list[2]["team_name"]),
        (&json!(credit), &json!("儿科"))
    );
    let wallet = member.get(&service, "/wallet").send().await.result();
    assert_eq!(wallet, json!({"balance_fen": 1_000, "total_consumed_fen": 300}));
}

/// Posts a movement, or the reversal of a transfer; returns its id.
async fn post(service: &Service, movement: Option<Movement>, reverses: i64) -> i64 {
    let id = service.database.allocate_id(ledger::SEQUENCE).await.unwrap();
    let posted = service.database.transaction(move |tx| {
        Box::pin(async move {
            let movement = match movement {
                Some(movement) => movement,
                None => Movement::reversal(tx, reverses).await?.unwrap(),
            };
            let transfer = Transfer {
                id,
                movement,
                by: None,
                now_ms: 1_796_000_000_000,
            };
            ledger::post(tx, transfer).await
        })
    });
    assert_eq!(posted.await.unwrap(), ledger::Posted::Now);
    id
}
