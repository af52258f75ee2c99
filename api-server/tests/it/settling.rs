//! The background work of money, with mockpay as the provider.

use database::{Value, params};
use serde_json::{Value as Json, json};

use super::{
    background::job, money::wallet, operators::operator, people::Person, scene::eventually, service::Service,
};

/// Two services of one fleet, whose members can top up, and a member.
pub struct Fleet {
    pub service: Service,
    pub beside: Service,
    pub member: Person,
}

impl Fleet {
    pub async fn start() -> Self {
        let service = Service::charging().await;
        let beside = service.beside().await;
        let member = service.member("王芳").await;
        Self {
            service,
            beside,
            member,
        }
    }

    pub async fn set(&self, sql: &'static str, params: Vec<Value>) {
        let set = self
            .service
            .database
            .transaction(move |tx| Box::pin(async move { tx.execute(sql, params).await }));
        set.await.unwrap();
    }

    /// Lets a job run at its next look.
    pub async fn run(&self, job: &'static str) {
        self.set("UPDATE job SET due_ms = 0 WHERE name = $1", params![job])
            .await;
    }

    pub async fn top_up(&self, amount_fen: i64) -> Json {
        let before = self.service.number("SELECT count(*) FROM payment_order").await;
        let key = format!("top-up-{before}");
        self.service.order(&self.member, amount_fen, &key).await
    }

    async fn balance(&self) -> i64 {
        self.service.balance(wallet(&self.member)).await
    }

    /// Lets the provider be asked for an order now.
    pub async fn make_due(&self, order: &Json) {
        let sql = "UPDATE payment_order SET ask_ms = 0 WHERE id = $1 AND ask_ms >= 0";
        self.set(sql, params![order["order_id"].as_i64()]).await;
        self.run("orders_mockpay").await;
    }

    /// State, how often it was asked for, and after how long it is asked for next.
    pub async fn asked(&self, order: &Json) -> (String, i64, Option<i64>) {
        let sql = "SELECT state, asked, ask_ms - created_ms FROM payment_order WHERE id = $1";
        let id = params![order["order_id"].as_i64()];
        let row = self.service.database.query_first(sql, id).await;
        let row = row.unwrap().unwrap();
        (row.get(0).unwrap(), row.get(1).unwrap(), row.get(2).unwrap())
    }

    pub async fn asked_is(&self, order: &Json, state: &str, asked: i64, ask_ms: Option<i64>) {
        let expected = (state.to_owned(), asked, ask_ms);
        eventually(&format!("{expected:?}"), async || {
            self.asked(order).await == expected
        })
        .await;
    }

    pub async fn pay_back(&self, key: &str, amount_fen: i64) {
        let body = json!({"amount_fen": amount_fen});
        let asked = self.member.post(&self.service, "/wallet/refund", body).key(key);
        asked.send().await.result();
        self.run("pay_backs_mockpay").await;
    }

    pub async fn counted(&self, sql: &'static str, count: i64) {
        eventually(sql, async || self.service.number(sql).await == count).await;
    }
}

#[tokio::test]
async fn a_silent_order_is_asked_for_and_closed_at_last() {
    let fleet = Fleet::start().await;
    let order = fleet.top_up(8888).await;
    assert_eq!(fleet.asked(&order).await, ("open".to_owned(), 0, Some(60_000)));
    fleet.make_due(&order).await;
    fleet.asked_is(&order, "open", 1, Some(300_000)).await;
    fleet.make_due(&order).await;
    fleet.asked_is(&order, "open", 2, Some(1_800_000)).await;
    fleet.make_due(&order).await;
    fleet.asked_is(&order, "closed", 3, None).await;
    let closed = "SELECT count(*) FROM mockpay_order WHERE state = 'closed'";
    assert_eq!(fleet.service.number(closed).await, 1, "nobody pays it any more");
    assert_eq!(fleet.balance().await, 0);
}

#[tokio::test]
async fn i6_a_payment_without_a_notice_is_found_and_posted_once() {
    let fleet = Fleet::start().await;
    let order = fleet.top_up(8888).await;
    fleet.service.press(&order, "never").await;
    assert_eq!(fleet.balance().await, 0);
    fleet.make_due(&order).await;
    fleet.asked_is(&order, "paid", 0, None).await;
    assert_eq!(fleet.balance().await, 8888);

    // Notices come on both while the poller asks.
    let other = fleet.top_up(1000).await;
    fleet.service.press(&other, "never").await;
    tokio::join!(
        fleet.make_due(&other),
        fleet.service.press(&other, "twice"),
        fleet.beside.press(&other, "twice"),
    );
    fleet.asked_is(&other, "paid", 0, None).await;
    fleet.run("orders_mockpay").await;
    assert_eq!(fleet.balance().await, 9888);
    let posted = "SELECT count(*) FROM transfer WHERE kind = 'top_up'";
    assert_eq!(fleet.service.number(posted).await, 2);
    fleet.service.balances().await;
}

#[tokio::test]
async fn i6_a_payment_of_another_amount_moves_nothing() {
    let fleet = Fleet::start().await;
    let order = fleet.top_up(8888).await;
    fleet.service.press(&order, "wrong_amount").await;
    fleet.make_due(&order).await;
    fleet.asked_is(&order, "open", 1, None).await;
    assert_eq!(fleet.balance().await, 0);
    fleet.service.balances().await;
}

#[tokio::test]
async fn a_provider_that_is_away_fails_its_job_and_loses_no_turn() {
    let fleet = Fleet::start().await;
    let (operator, _) = operator(&fleet.service, "张伟").await;
    let order = fleet.top_up(8888).await;
    fleet.service.press(&order, "never").await;
    fleet
        .set("ALTER TABLE mockpay_order RENAME TO gone", vec![])
        .await;
    fleet.make_due(&order).await;
    eventually("a failure", async || {
        let job = job(&fleet.service, &operator, "orders_mockpay").await.unwrap();
        job["failures"].as_i64().unwrap() > 0 && job["failure"].as_str().unwrap().contains("provider")
    })
    .await;
    assert_eq!(fleet.asked(&order).await.1, 0);
    fleet
        .set("ALTER TABLE gone RENAME TO mockpay_order", vec![])
        .await;
    fleet.make_due(&order).await;
    fleet.asked_is(&order, "paid", 0, None).await;
    eventually("the success is recorded", async || {
        let job = job(&fleet.service, &operator, "orders_mockpay").await.unwrap();
        job["failures"] == 0 && job.get("failure").is_none()
    })
    .await;
}

/// One answer that cannot be read must not stop the others.
#[tokio::test]
async fn an_order_that_cannot_be_asked_for_delays_no_other() {
    let fleet = Fleet::start().await;
    let broken = fleet.top_up(100).await;
    let other = fleet.top_up(200).await;
    for order in [&broken, &other] {
        fleet.service.press(order, "never").await;
    }
    fleet
        .set(
            "UPDATE mockpay_order SET state = 'broken' WHERE amount_fen = 100",
            vec![],
        )
        .await;
    let both = "UPDATE payment_order SET ask_ms = 0 WHERE state = 'open'";
    fleet.set(both, vec![]).await;
    fleet.run("orders_mockpay").await;
    fleet.asked_is(&other, "paid", 0, None).await;
    eventually("the broken one is put later", async || {
        let (state, asked, ask_ms) = fleet.asked(&broken).await;
        (state.as_str(), asked) == ("open", 0) && ask_ms.is_some_and(|after| after > 0)
    })
    .await;
    assert_eq!(fleet.balance().await, 200);
}

#[tokio::test]
async fn i6_balance_goes_back_once_and_returns_when_the_provider_refuses() {
    let fleet = Fleet::start().await;
    let order = fleet.top_up(10_000).await;
    fleet.service.press(&order, "pay").await;
    fleet.pay_back("back-1", 4000).await;
    let done = "SELECT count(*) FROM payment_refund WHERE state = 'done' AND ask_ms IS NULL AND ended_ms > 0";
    fleet.counted(done, 1).await;
    fleet.run("pay_backs_mockpay").await;
    assert_eq!(fleet.balance().await, 6000);

    // Less is left there than we believe.
    fleet
        .set("UPDATE mockpay_order SET paid_fen = 5000", vec![])
        .await;
    fleet.pay_back("back-2", 3000).await;
    let failed =
        "SELECT count(*) FROM payment_refund WHERE state = 'failed' AND ask_ms IS NULL AND failure <> ''";
    fleet.counted(failed, 1).await;
    assert_eq!(fleet.balance().await, 6000);
    let refunded = "SELECT refunded_fen FROM payment_order";
    assert_eq!(fleet.service.number(refunded).await, 4000);
    let theirs = "SELECT count(*) FROM mockpay_refund";
    assert_eq!(fleet.service.number(theirs).await, 1);
    fleet.service.balances().await;
}

/// I6: the proof runs each day by itself.
#[tokio::test]
async fn i6_a_fault_of_the_ledger_is_found_by_the_daily_proof() {
    let fleet = Fleet::start().await;
    let (operator, _) = operator(&fleet.service, "张伟").await;
    let order = fleet.top_up(8888).await;
    fleet.service.press(&order, "pay").await;
    let waits_until = async |faults: &dyn Fn(i64) -> bool| {
        eventually("the proof", async || {
            let job = job(&fleet.service, &operator, "ledger_proof").await;
            let proved = job.filter(|job| job["due_ms"].as_i64().unwrap() > 0);
            proved.is_some_and(|job| faults(job["backlog"].as_i64().unwrap()))
        })
        .await;
    };
    let tomorrow = "UPDATE job SET cursor = '', due_ms = 0 WHERE name = 'ledger_proof'";
    waits_until(&|faults| faults == 0).await;
    for (fault, is_found) in [(1_i64, true), (-1, false)] {
        let sql = "UPDATE ledger_account SET balance_fen = balance_fen + $1";
        fleet.set(sql, params![fault]).await;
        fleet.set(tomorrow, vec![]).await;
        waits_until(&|faults| (faults > 0) == is_found).await;
    }
}
