//! The daily comparison of a provider's bill with our orders and refunds.

use database::params;
use payment::Day;
use serde_json::{Value, json};

use super::{
    background::job,
    operators::{acts, operator},
    people::Person,
    scene::eventually,
    service::Service,
    settling::Fleet,
};

const DAY_MS: i64 = 24 * 3600 * 1000;

/// Number, difference, ours, theirs.
type Shape = (String, String, Option<i64>, Option<i64>);

impl Fleet {
    /// Pauses the job, and forgets which bills were compared: the first turn of a service compares yesterday's.
    pub async fn before_bills(&self, operator: &Person) {
        let path = "/operator/job/bills_mockpay/pause";
        eventually("the job is known", async || {
            let paused = operator.post(&self.service, path, json!({})).send().await;
            paused.status == 200
        })
        .await;
        self.set("DELETE FROM bill", vec![]).await;
    }

    async fn compare(&self, operator: &Person) {
        let path = "/operator/job/bills_mockpay/resume";
        operator
            .post(&self.service, path, json!({}))
            .send()
            .await
            .result();
        self.counted("SELECT count(*) FROM bill WHERE orders > 0", 1)
            .await;
    }

    /// Orders and refunds of the day before yesterday, whose bill is made at any time of today: one that fits, one that we
    /// have alone, one of another amount, one that they have alone, and a refund that we have alone.
    async fn differing_books(&self) -> Vec<Shape> {
        let mut numbers = Vec::new();
        for _ in 0..3 {
            let order = self.top_up(1000).await;
            self.service.press(&order, "pay").await;
            numbers.push(format!("T{}X{}", order["created_ms"], order["order_id"]));
        }
        self.pay_back("back-1", 100).await;
        self.pay_back("back-2", 200).await;
        self.counted("SELECT count(*) FROM payment_refund WHERE state = 'done'", 2)
            .await;
        for (sql, days) in [
            ("UPDATE payment_order SET paid_ms = paid_ms - $1", 2),
            ("UPDATE mockpay_order SET paid_ms = paid_ms - $1", 2),
            ("UPDATE mockpay_refund SET created_ms = created_ms - $1", 2),
            ("UPDATE payment_refund SET ended_ms = ended_ms - $1", 3),
        ] {
            self.set(sql, params![days * DAY_MS]).await;
        }
        let [fits, ours, differs] = [0, 1, 2].map(|at: usize| numbers[at].as_str());
        let theirs = "INSERT INTO mockpay_order (out_trade_no, amount_fen, state, transaction_id, paid_fen, created_ms, paid_ms)
             SELECT 'another', 7, 'paid', 'x', 7, created_ms, paid_ms FROM mockpay_order WHERE out_trade_no = $1";
        self.set(theirs, params![fits]).await;
        let lost = "DELETE FROM mockpay_order WHERE out_trade_no = $1";
        self.set(lost, params![ours]).await;
        let more = "UPDATE mockpay_order SET paid_fen = 1001 WHERE out_trade_no = $1";
        self.set(more, params![differs]).await;
        self.set("DELETE FROM mockpay_refund WHERE amount_fen = 200", vec![])
            .await;

        let created = "SELECT created_ms FROM payment_refund WHERE amount_fen = 200";
        let id = "SELECT id FROM payment_refund WHERE amount_fen = 200";
        let refund = format!(
            "R{}X{}",
            self.service.number(created).await,
            self.service.number(id).await
        );
        let mut expected = vec![
            (ours.to_owned(), "ours_alone".to_owned(), Some(1000), None),
            (
                differs.to_owned(),
                "amount_differs".to_owned(),
                Some(1000),
                Some(1001),
            ),
            ("another".to_owned(), "theirs_alone".to_owned(), None, Some(7)),
            (refund, "ours_alone".to_owned(), Some(200), None),
        ];
        expected.sort();
        expected
    }
}

async fn items(service: &Service, operator: &Person) -> Vec<Value> {
    let path = "/operator/bill_item_list?count=true";
    let list = operator.get(service, path).send().await;
    let items = list.result().as_array().unwrap().clone();
    assert_eq!(list.json["total"], items.len());
    items
}

fn shapes(items: &[Value]) -> Vec<Shape> {
    let shape = |item: &Value| {
        let text = |name: &str| item[name].as_str().unwrap().to_owned();
        let fen = |name: &str| item[name].as_i64();
        (
            text("number"),
            text("difference"),
            fen("our_fen"),
            fen("their_fen"),
        )
    };
    let mut shapes: Vec<_> = items.iter().map(shape).collect();
    shapes.sort();
    shapes
}

#[tokio::test]
async fn each_difference_of_a_bill_is_an_item_until_an_operator_closes_it() {
    let fleet = Fleet::start().await;
    let (service, beside) = (&fleet.service, &fleet.beside);
    let (operator, _) = operator(service, "张伟").await;
    fleet.before_bills(&operator).await;
    let expected = fleet.differing_books().await;
    fleet.compare(&operator).await;
    let found = items(beside, &operator).await;
    assert_eq!(shapes(&found), expected);
    let is_open = |item: &Value| item.get("word").is_none() && item.get("closed_ms").is_none();
    assert!(
        found
            .iter()
            .all(|item| item["provider"] == "mockpay" && is_open(item))
    );
    eventually("they are the backlog", async || {
        let job = job(service, &operator, "bills_mockpay").await.unwrap();
        job["backlog"] == 4
    })
    .await;

    let first = found[0]["bill_item_id"].as_i64().unwrap();
    let path = format!("/operator/bill_item/{first}/close");
    let close = async |service: &Service, word: &str| {
        let body = json!({"word": word});
        operator.post(service, &path, body).send().await
    };
    for word in ["", "短", "  \n  "] {
        let refused = close(service, word).await;
        refused.refused(400, "request.invalid").field("word");
    }
    let word = "渠道次日补记，已核对";
    close(service, word).await.result();
    close(beside, "另一个说法").await.refused(409, "bill_item.closed");

    // The same bill once more, as after a crash before its end.
    fleet.before_bills(&operator).await;
    fleet.compare(&operator).await;
    let later = items(service, &operator).await;
    assert_eq!(shapes(&later), expected, "each stands there once");
    let closed = later.last().unwrap();
    let of_first = (&closed["bill_item_id"], &closed["word"], &closed["closed_by"]);
    assert_eq!(of_first, (&json!(first), &json!(word), &json!(operator.id)));
    assert!(closed["closed_ms"].as_i64().is_some());
    assert!(later[..3].iter().all(is_open));

    let acts = acts(service, &operator).await;
    let of_it: Vec<_> = acts
        .iter()
        .filter(|act| act["subject"] == format!("bill_item:{first}"))
        .map(|act| (act["act"].clone(), act["reason"].clone()))
        .collect();
    assert_eq!(of_it, [(json!("bill_item_closed"), json!(word))]);
}

/// As a clock left them that was ahead once.
#[tokio::test]
async fn bills_of_days_that_are_not_over_hide_no_other() {
    let fleet = Fleet::start().await;
    let (operator, _) = operator(&fleet.service, "张伟").await;
    fleet.before_bills(&operator).await;
    let order = fleet.top_up(1000).await;
    fleet.service.press(&order, "pay").await;
    for sql in [
        "UPDATE payment_order SET paid_ms = paid_ms - $1",
        "UPDATE mockpay_order SET paid_ms = paid_ms - $1",
    ] {
        fleet.set(sql, params![2 * DAY_MS]).await;
    }
    let now_ms = fleet.service.database.now_ms().await.unwrap();
    let over = Day::at(now_ms - 2 * DAY_MS);
    for days in [-1, 0, 1, 400] {
        let sql = "INSERT INTO bill (provider, day, orders, amount_fen, compared_ms) VALUES ('mockpay', $1, 0, 0, $2)";
        let at_ms = now_ms + days * DAY_MS;
        fleet
            .set(sql, params![Day::at(at_ms).get(), at_ms + 2 * DAY_MS])
            .await;
    }
    fleet.compare(&operator).await;
    let days = fleet
        .service
        .database
        .query("SELECT day FROM bill ORDER BY day LIMIT 5", vec![]);
    let days: Vec<i64> = days
        .await
        .unwrap()
        .iter()
        .map(|row| row.get(0).unwrap())
        .collect();
    assert_eq!(days[0], over.get());
    let today = Day::at(fleet.service.database.now_ms().await.unwrap());
    assert!(days.iter().all(|day| *day < today.get()), "{days:?}");
}
