//! A team's past withdrawals, its statements, and its members' fees.

use ledger::{Commission, Fen, Movement};
use proto::UserId;
use serde_json::{Value, json};

use super::{
    apart::{self, set_clock},
    incomes::{self, post},
    operators::operator,
    scene::Scene,
    withdrawals::in_december,
};

#[test]
fn histories_of_incomes() {
    apart::run(module_path!());
}

/// 团队管理－－团队收入－－提现历史接口：返回不同月份提现记录列表
/// 团队管理－－团队收入－－提现历史－－具体月份记录接口：返回该月份下所有参与咨询的医生的咨询次数、医生添加增值服务金额数
#[tokio::test]
#[ignore = "runs apart, at another time"]
async fn withdrawals_are_listed_by_month_with_the_work_of_each_doctor() {
    let scene = in_december(30_000).await;
    let consult = scene.in_process().await;
    scene.earn("2026-12-20T12:00:00+08:00", consult, 8_000).await;
    set_clock("2026-12-03T12:00:00+08:00");
    let paid = scene
        .ask_income(json!({"amount_fen": 10_000}), "k-1")
        .await
        .result();
    let failed = scene
        .ask_income(json!({"amount_fen": 5_000}), "k-2")
        .await
        .result();
    let (first, _) = operator(&scene.service, "陈静").await;
    let (second, _) = operator(&scene.service, "张伟").await;
    for (withdrawal, outcome) in [(&paid, "paid"), (&failed, "failed")] {
        let path = format!("/operator/withdrawal/{}", withdrawal["withdrawal_id"]);
        let body = json!({"outcome": outcome, "reference": "ref"});
        scene.post(&first, format!("{path}/enter"), body).await.result();
        scene
            .post(&second, format!("{path}/approve"), json!({"outcome": outcome}))
            .await
            .result();
    }
    set_clock("2027-01-02T12:00:00+08:00");
    let asked = scene
        .ask_income(json!({"amount_fen": 21_000}), "k-3")
        .await
        .result();
    let row = |month: &str, asked: i64, paid: i64, failed: i64, count: i64| {
        json!({
            "month": month, "asked_fen": asked, "paid_fen": paid, "failed_fen": failed, "count": count,
            "asked_by": scene.team.owner.id, "asked_by_name": "Dr. Owner",
        })
    };
    let listed = scene.of_team("withdrawal_list?count=true").await;
    assert_eq!(listed.json["total"], 2);
    assert_eq!(
        listed.result(),
        json!([
            row("2027-01", 21_000, 0, 0, 1),
            row("2026-12", 15_000, 10_000, 5_000, 2)
        ])
    );
    let page = scene.of_team("withdrawal_list?limit=1").await;
    let next = page.json["next_cursor"].as_str().unwrap();
    let rest = scene
        .of_team(&format!("withdrawal_list?limit=1&cursor={next}"))
        .await;
    assert_eq!(rest.result()[0]["month"], "2026-12");
    assert_eq!(rest.json["has_more"], false);
    // December opened November; January December, and carried over what was left.
    let shown = |withdrawal: &Value, state: &str, ended: &Value| {
        let mut shown = withdrawal.clone();
        shown["state"] = state.into();
        shown["reference"] = "ref".into();
        shown["ended_ms"] = ended.clone();
        shown
    };
    let december = scene.of_team("withdrawal_list/2026-12").await.result();
    let ended = |at: usize| december["withdrawals"][at]["ended_ms"].clone();
    assert_eq!(
        december,
        json!({
            "team_id": scene.team.id, "month": "2026-12", "from_month": "2026-11", "to_month": "2026-11",
            "earned_fen": 30_000, "carried_over_fen": 0,
            "doctors": [{"doctor_id": scene.doctor.id, "doctor_name": "李医生", "consult_count": 0, "vas_count": 1,
                         "vas_amount_fen": 30_000}],
            "withdrawals": [shown(&failed, "failed", &ended(0)), shown(&paid, "paid", &ended(1))],
        })
    );
    let january = scene.of_team("withdrawal_list/2027-01").await.result();
    assert_eq!(
        january,
        json!({
            "team_id": scene.team.id, "month": "2027-01", "from_month": "2026-12", "to_month": "2026-12",
            "earned_fen": 8_000, "carried_over_fen": 20_000,
            "doctors": [{"doctor_id": scene.doctor.id, "doctor_name": "李医生", "consult_count": 0, "vas_count": 1,
                         "vas_amount_fen": 8_000}],
            "withdrawals": [asked],
        })
    );
    let nothing = scene.of_team("withdrawal_list/2026-10").await.result();
    assert_eq!(
        (&nothing["doctors"], &nothing["withdrawals"]),
        (&json!([]), &json!([]))
    );
    for bad in ["2026-13", "2026-1", "202612", "x"] {
        let refused = scene.of_team(&format!("withdrawal_list/{bad}")).await;
        refused.refused(400, "request.invalid").field("month");
    }
}

/// 团队管理－－团队收入－－剩余会费接口：所有会员会费余额列表
#[tokio::test]
#[ignore = "runs apart, at another time"]
async fn the_fees_that_are_not_used_up_are_listed_by_member() {
    set_clock("2026-11-20T12:00:00+08:00");
    let scene = incomes::scene().await;
    let second = scene.service.member("李女士").await;
    scene.service.credit(&second, 10_000).await;
    for (at, member) in [&scene.patient, &second].into_iter().enumerate() {
        set_clock(&format!("2026-11-20T12:0{}:00+08:00", at + 1));
        let body = json!({"team_id": scene.team.id, "agreement_version": 1});
        member
            .post(&scene.service, "/team/join", body)
            .send()
            .await
            .result();
    }
    // A consult is paid from the fee first.
    scene.consult().await;
    let listed = scene.of_team("fee_balance_list?count=true").await;
    assert_eq!(
        listed.json,
        json!({
            "success": true, "code": 200, "has_more": false, "total": 2, "sum_fen": 18_000,
            "result": [
                {"member_id": second.id, "name": "李女士", "balance_fen": 10_000},
                {"member_id": scene.patient.id, "name": "王芳", "balance_fen": 8_000},
            ],
        })
    );
    assert_eq!(
        scene.of_team("income").await.result()["remaining_fee_fen"],
        18_000
    );
    let page = scene.of_team("fee_balance_list?limit=1").await;
    assert_eq!(
        (&page.json["sum_fen"], &page.json["has_more"]),
        (&json!(18_000), &json!(true))
    );
    for other in [&scene.patient, &scene.doctor] {
        let path = format!("/team/{}/fee_balance_list", scene.team.id);
        scene.get(other, path).await.refused(403, "team.forbidden");
    }
}

/// Posts incomes of a team in a month, the n-th of n fen.
async fn earn_many(scene: &Scene, count: i64, now_ms: i64) {
    let member = UserId::from_database(scene.patient.id);
    for at in 1..=count {
        let price = Fen::new(at).unwrap();
        let movement = Movement::vas(5_000_000 + at, scene.team.id, member, price, Commission::NONE);
        post(&scene.service, movement, now_ms).await.unwrap();
    }
}

#[tokio::test]
#[ignore = "runs apart, at another time"]
async fn a_statement_leads_from_the_opening_to_the_closing_balance() {
    let scene = in_december(30_000).await;
    let asked = scene
        .ask_income(json!({"amount_fen": 12_000}), "k-1")
        .await
        .result();
    // The sum of 1 to 600 fen, in more than one batch.
    earn_many(&scene, 600, set_clock("2026-12-04T00:00:00+08:00")).await;
    let november = scene.of_team("statement/2026-11").await.result();
    assert_eq!(
        (&november["opening_fen"], &november["closing_fen"]),
        (&json!(0), &json!(30_000))
    );
    let line = &november["postings"][0];
    assert_eq!(
        *line,
        json!({
            "transfer_id": line["transfer_id"], "kind": "vas", "cause": line["cause"], "amount_fen": 30_000,
            "balance_fen": 30_000, "created_ms": line["created_ms"], "by_id": scene.patient.id,
        })
    );
    // Page by page: each balance is the one before and the amount.
    let (mut cursor, mut balance, mut lines) = (String::new(), 30_000, 0);
    let closing = 30_000 - 12_000 + 180_300;
    loop {
        let page = scene
            .of_team(&format!("statement/2026-12?limit=77{cursor}"))
            .await
            .result();
        assert_eq!(
            (&page["opening_fen"], &page["closing_fen"]),
            (&json!(30_000), &json!(closing))
        );
        for line in page["postings"].as_array().unwrap() {
            balance += line["amount_fen"].as_i64().unwrap();
            assert_eq!(line["balance_fen"], balance);
            if lines == 0 {
                assert_eq!(line["cause"], format!("withdrawal:{}", asked["withdrawal_id"]));
                assert_eq!(line["amount_fen"], -12_000);
            }
            lines += 1;
        }
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    assert_eq!((lines, balance), (601, closing));
    // The same as a table, and as a page.
    let table = scene.of_team("statement/2026-12?format=csv").await;
    assert_eq!(table.header("content-type"), "text/csv; charset=utf-8");
    let rows: Vec<&str> = table
        .text
        .strip_prefix('\u{feff}')
        .unwrap()
        .trim_end()
        .split("\r\n")
        .collect();
    assert_eq!(rows.len(), 2 + 1 + 601 + 1);
    assert_eq!(rows[0], "团队,儿科,月份,2026-12");
    assert_eq!(rows[2], ",,期初余额,,,,300.00,");
    assert!(
        rows[3].ends_with(&format!(",,120.00,180.00,{}", scene.team.owner.id)),
        "{}",
        rows[3]
    );
    assert!(rows[4].starts_with("2026-12-04 00:00:00,"), "{}", rows[4]);
    assert_eq!(rows.last(), Some(&",,期末余额,,,,1983.00,"));
    let path = format!("/team/{}/statement/2026-12?format=html", scene.team.id);
    let page = scene
        .team
        .owner
        .get(&scene.service, &path)
        .header("Accept-Language", "en");
    let page = page.send().await;
    assert!(
        page.header("content-security-policy")
            .starts_with("default-src 'none'; style-src 'sha256-")
    );
    assert_eq!(page.text.matches("<tr>").count(), 1 + 1 + 601 + 1);
    assert!(
        page.text
            .contains("<td class=\"n\">-120.00</td><td class=\"n\">180.00</td>")
    );
    assert!(
        page.text
            .contains("Closing balance</th><td class=\"n\">1983.00</td>")
    );
    let refused = scene.of_team("statement/2026-12?format=pdf").await;
    refused.refused(400, "request.invalid").field("format");
    // A clock that jumped back: the postings of both months lie among each other, each statement is right.
    set_clock("2026-11-25T12:00:00+08:00");
    let consult = scene.in_process().await;
    scene.earn("2026-11-25T12:00:00+08:00", consult, 700).await;
    let november = scene.of_team("statement/2026-11").await.result();
    assert_eq!(november["closing_fen"], 30_700);
    assert_eq!(november["postings"][1]["balance_fen"], 30_700);
    let december = scene.of_team("statement/2026-12?limit=1").await.result();
    assert_eq!(december["opening_fen"], 30_700);
    assert_eq!(december["postings"][0]["balance_fen"], 18_700);
}
