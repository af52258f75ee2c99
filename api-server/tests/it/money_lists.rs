//! Walks through the lists of money: each row once, in the order of the whole list, also rows of the same time.

use database::{Value as Parameter, params};
use ledger::{Commission, Fen, Movement, Transfer};
use proto::UserId;
use serde_json::Value;

use super::{
    operators::operator,
    people::{Person, Team},
    service::Service,
};

/// Rows of each list.
const ROWS: i64 = 7;
/// The time of all of them: 2026-11-20 at noon.
const AT_MS: i64 = 1_795_147_200_000;

impl Service {
    async fn insert(&self, sql: &'static str, parameters: Vec<Parameter>) {
        let inserted = self
            .database
            .transaction(move |tx| Box::pin(async move { tx.execute(sql, parameters).await }));
        assert_eq!(inserted.await.unwrap(), 1, "{sql}");
    }

    /// Walks a list by pages of two; it equals the whole list, whose items stand at `items`.
    async fn walked(&self, who: &Person, path: &str, items: &str) {
        let page = async |query: String| {
            let reply = who.get(self, &format!("{path}{query}")).send().await;
            let next = reply.json["next_cursor"].as_str();
            let next = next.or_else(|| reply.json["result"]["next_cursor"].as_str());
            let next = next.map(str::to_owned);
            let rows = reply
                .json
                .pointer(items)
                .unwrap_or_else(|| panic!("{}", reply.text));
            (rows.as_array().unwrap().clone(), next)
        };
        let join = if path.contains('?') { '&' } else { '?' };
        let (whole, _) = page(format!("{join}limit=200")).await;
        assert_eq!(whole.len(), usize::try_from(ROWS).unwrap(), "{path}");
        let (mut walked, mut cursor) = (Vec::<Value>::new(), String::new());
        loop {
            let (rows, next) = page(format!("{join}limit=2{cursor}")).await;
            walked.extend(rows);
            match next {
                Some(next) => cursor = format!("&cursor={next}"),
                None => break,
            }
        }
        assert_eq!(walked, whole, "{path}");
    }
}

#[tokio::test]
async fn a_walk_through_a_members_money_meets_each_once() {
    let service = Service::charging().await;
    let member = service.member("李女士").await;
    for id in 1..=ROWS {
        service
            .insert(
                "INSERT INTO payment_order (id, user_id, provider, scene, amount_fen, state, refunded_fen, created_ms,
                                            paid_ms, asked, ask_ms)
                 VALUES ($1, $2, 'mockpay', 'app', 100, 'paid', 0, $3, $3, 0, NULL)",
                params![id, member.id, AT_MS],
            )
            .await;
        service
            .insert(
                "INSERT INTO payment_refund (id, user_id, order_id, provider, amount_fen, state, created_ms, ended_ms, asked)
                 VALUES ($1, $2, $1, 'mockpay', 1, 'done', $3, $3, 0)",
                params![id, member.id, AT_MS],
            )
            .await;
    }
    service.walked(&member, "/wallet/order_list", "/result").await;
    service.walked(&member, "/wallet/refund_list", "/result").await;
}

#[tokio::test]
async fn a_walk_through_operators_money_meets_each_once() {
    let service = Service::start().await;
    let team = service.team("儿科").await;
    let (operator, _) = operator(&service, "张伟").await;
    for id in 1..=ROWS {
        service
            .insert(
                "INSERT INTO credit (id, user_id, amount_fen, reason, state, asked_by, asked_ms)
                 VALUES ($1, $2, 100, 'a walk', 'asked', $2, $3)",
                params![id, operator.id, AT_MS],
            )
            .await;
        service
            .insert(
                "INSERT INTO reversal (id, transfer_id, kind, cause, user_id, amount_fen, reason, state, asked_by, asked_ms)
                 VALUES ($1, $1, 'credit', 'credit:1', $2, -100, 'a walk', 'asked', $2, $3)",
                params![id, operator.id, AT_MS],
            )
            .await;
        service
            .insert(
                "INSERT INTO bill_item (id, provider, day, kind, number, difference, listed_ms, created_ms)
                 VALUES ($1, 'mockpay', $1, 'order', 'T1X1', 'ours_alone', $2, $3)",
                params![id, i64::MAX, AT_MS],
            )
            .await;
        service
            .insert(
                "INSERT INTO commission (from_ms, per_mille, by_id, created_ms) VALUES ($1, 100, $2, $3)",
                params![id, operator.id, AT_MS],
            )
            .await;
        withdrawal(&service, &team, id, 202_611).await;
    }
    for path in [
        "/operator/credit_list",
        "/operator/reversal_list",
        "/operator/bill_item_list",
        "/operator/commission_list",
        "/operator/payout?state=asked&month=2026-11",
    ] {
        service.walked(&operator, path, "/result").await;
    }
}

#[tokio::test]
async fn a_walk_through_a_teams_money_meets_each_once() {
    let service = Service::start().await;
    let team = service.team("儿科").await;
    let patient = service.member("Pat").await;
    let consult = service.consult(&patient, &team).await;
    for id in 1..=ROWS {
        let member = service.member("Pat").await;
        service
            .insert(
                "INSERT INTO team_member (team_id, member_id, agreement_version, joined_ms) VALUES ($1, $2, 1, $3)",
                params![team.id, member.id, AT_MS],
            )
            .await;
        service
            .insert(
                "INSERT INTO refund (id, consult_id, team_id, member_id, amount_fen, commission_fen, reason, by_id, created_ms)
                 VALUES ($1, $2, $3, $4, 1, 0, 'a walk', $4, $5)",
                params![id, consult, team.id, patient.id, AT_MS],
            )
            .await;
        withdrawal(&service, &team, id, 202_600 + id).await;
        earn(&service, &team, &patient, id).await;
    }
    let of_team = |list: &str| format!("/team/{}/{list}", team.id);
    service
        .walked(&team.owner, &of_team("fee_balance_list"), "/result")
        .await;
    service
        .walked(&team.owner, &of_team("withdrawal_list"), "/result")
        .await;
    service
        .walked(&team.owner, &of_team("statement/2026-11"), "/result/postings")
        .await;
    let refunds = format!("/consult/{consult}/refund_list");
    service.walked(&patient, &refunds, "/result").await;
}

async fn withdrawal(service: &Service, team: &Team, id: i64, month: i64) {
    service
        .insert(
            "INSERT INTO payee (id, team_id, kind, holder, bank, account_number, by_id, created_ms)
             VALUES ($1, $2, 'bank', '王芳', '工商银行', '6222020000000001', $3, $4)",
            params![id, team.id, team.owner.id, AT_MS],
        )
        .await;
    service
        .insert(
            "INSERT INTO withdrawal (id, team_id, month, amount_fen, payee_id, state, asked_by, asked_ms)
             VALUES ($1, $2, $3, 100, $1, 'asked', $4, $5)",
            params![id, team.id, month, team.owner.id, AT_MS],
        )
        .await;
}

/// A posting of income.
async fn earn(service: &Service, team: &Team, patient: &Person, vas: i64) {
    service.credit(patient, 100).await;
    let id = service.database.allocate_id(ledger::SEQUENCE).await.unwrap();
    let (amount, member) = (Fen::new(100).unwrap(), UserId::from_database(patient.id));
    let transfer = Transfer {
        id,
        movement: Movement::vas(vas, team.id, member, amount, Commission::NONE),
        by: None,
        now_ms: AT_MS,
    };
    let posted = service
        .database
        .transaction(move |tx| Box::pin(async move { ledger::post(tx, transfer).await }));
    posted.await.unwrap();
}
