//! Kills while a provider's notices are posted.

use serde_json::Value;

use super::super::{money::wallet, notices, service::Service};
use super::survives;

/// More than all killed children get through.
const ORDERS: usize = 48;

/// State, transfer and notice of each order are all there, or none is.
const PARTS: [&str; 2] = [
    "SELECT count(*) FROM payment_order o WHERE (o.state = 'paid') <> EXISTS (
         SELECT 1 FROM transfer t WHERE t.kind = 'top_up' AND t.cause = 'order:' || CAST(o.id AS TEXT))",
    "SELECT count(*) FROM payment_order o WHERE (o.state = 'paid') <> EXISTS (
         SELECT 1 FROM payment_notice n WHERE n.order_id = o.id AND n.outcome = 'paid')",
];

const DONE: &str = "SELECT count(*) FROM payment_order WHERE state = 'paid'";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn i6_notices_survive_a_kill_at_any_sync() {
    let service = Service::charging().await;
    let mut members = Vec::new();
    let mut requests: Vec<Value> = Vec::new();
    for at in 0..ORDERS {
        // A member has twenty open orders at most.
        if at % 16 == 0 {
            members.push(service.member("Pat").await);
        }
        let member = members.last().unwrap();
        let order = service.order(member, 100, &at.to_string()).await;
        let notice = service.notice(&format!("n{at}"), notices::paid(&order)).await;
        requests.push(notice.request());
    }
    let place = service.end().await;
    survives(&place, &requests, &PARTS, DONE).await;
    let service = Service::restarted(&place).await;
    for member in &members {
        assert_eq!(service.balance(wallet(member)).await, 1_600);
    }
}
