//! Orders: made, asked for, closed.

use ledger::Fen;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    Alipay,
    answer::{Outcome, parse, unreadable},
};
use crate::{
    Failure, NewOrder, OrderState, Payment, Scene, Ticket,
    wire::{local, parse_local, words},
};

/// The longest description of an order.
const SUBJECT_MAX_CHARS: usize = 128;
/// The refusal of an order that does not exist: Alipay makes it when its payer opens it.
const UNKNOWN: &str = "ACQ.TRADE_NOT_EXIST";

#[derive(Deserialize)]
struct Precreated {
    out_trade_no: String,
    qr_code: String,
}

#[derive(Deserialize)]
struct Created {
    out_trade_no: String,
    trade_no: String,
}

/// An order, in an answer.
#[derive(Deserialize)]
struct Trade {
    out_trade_no: String,
    trade_no: String,
    trade_status: String,
    total_amount: String,
    send_pay_date: Option<String>,
}

impl Alipay {
    pub(crate) async fn create(&self, order: NewOrder) -> Result<Ticket, Failure> {
        let notify = [("notify_url", self.notify_url.as_str())];
        let ticket = match order.scene {
            Scene::App => {
                let content = content(&order, "QUICK_MSECURITY_PAY");
                let params = self.signed("alipay.trade.app.pay", &content, &notify);
                json!({ "order_string": params.encoded() })
            }
            Scene::H5 => {
                let content = content(&order, "QUICK_WAP_WAY");
                let back = self.return_url.as_ref().map_or("", |url| url.as_str());
                let more = [notify[0], ("return_url", back)];
                let mut url = self.client.base().clone();
                url.set_query(Some(
                    &self.signed("alipay.trade.wap.pay", &content, &more).encoded(),
                ));
                json!({ "h5_url": url.as_str() })
            }
            Scene::Native => {
                let content = content(&order, "");
                let node = self.make("alipay.trade.precreate", &content, &notify).await?;
                let made: Precreated = parse(&node)?;
                same(&made.out_trade_no, &order.out_trade_no)?;
                json!({ "code_url": made.qr_code })
            }
            Scene::Jsapi => {
                let payer = order.payer.as_deref();
                let payer = payer.ok_or_else(|| {
                    Failure::Refused(words("huizhen", "the scene jsapi needs the payer's id"))
                })?;
                let mut content = content(&order, "JSAPI_PAY");
                content["op_app_id"] = json!(self.app_id);
                // Older apps know users by number, newer ones by an id of their own.
                let is_number = payer.len() == 16 && payer.starts_with("2088");
                content[if is_number { "buyer_id" } else { "buyer_open_id" }] = json!(payer);
                let node = self.make("alipay.trade.create", &content, &notify).await?;
                let made: Created = parse(&node)?;
                same(&made.out_trade_no, &order.out_trade_no)?;
                json!({ "trade_no": made.trade_no })
            }
        };
        Ok(Ticket(ticket))
    }

    async fn make(&self, method: &str, content: &Value, more: &[(&str, &str)]) -> Result<String, Failure> {
        match self.call(method, content, more).await? {
            Outcome::Good(node) => Ok(node),
            Outcome::Bad(refusal) => Err(refusal.failure()),
        }
    }

    pub(crate) async fn query(&self, out_trade_no: &str) -> Result<OrderState, Failure> {
        let content = json!({ "out_trade_no": out_trade_no });
        match self.call("alipay.trade.query", &content, &[]).await? {
            Outcome::Good(node) => {
                let trade: Trade = parse(&node)?;
                same(&trade.out_trade_no, out_trade_no)?;
                trade.state((self.clock)()).ok_or_else(unreadable)
            }
            Outcome::Bad(refusal) if refusal.sub_code() == UNKNOWN => Ok(OrderState::Unknown),
            Outcome::Bad(refusal) => Err(refusal.failure()),
        }
    }

    pub(crate) async fn close(&self, out_trade_no: &str) -> Result<(), Failure> {
        let content = json!({ "out_trade_no": out_trade_no });
        match self.call("alipay.trade.close", &content, &[]).await? {
            Outcome::Good(_) => Ok(()),
            Outcome::Bad(refusal) if refusal.sub_code() == UNKNOWN => Ok(()),
            // It was paid, or closed before: a question decides which.
            Outcome::Bad(refusal) => match self.query(out_trade_no).await? {
                OrderState::Closed | OrderState::Unknown => Ok(()),
                OrderState::Open | OrderState::Paid(_) => Err(refusal.failure()),
            },
        }
    }
}

fn content(order: &NewOrder, product: &str) -> Value {
    let subject: String = order.description.chars().take(SUBJECT_MAX_CHARS).collect();
    let mut content = json!({
        "out_trade_no": order.out_trade_no,
        "total_amount": order.amount.to_yuan(),
        "subject": subject,
        "time_expire": local(order.expires_ms),
    });
    if !product.is_empty() {
        content["product_code"] = json!(product);
    }
    content
}

/// Refuses a signed answer about another order.
pub(super) fn same(answered: &str, asked: &str) -> Result<(), Failure> {
    if answered == asked {
        Ok(())
    } else {
        Err(Failure::Away("an answer about another order".to_owned()))
    }
}

impl Trade {
    fn state(self, now_ms: i64) -> Option<OrderState> {
        match self.trade_status.as_str() {
            "WAIT_BUYER_PAY" => Some(OrderState::Open),
            "TRADE_SUCCESS" | "TRADE_FINISHED" => {
                let paid_ms = self
                    .send_pay_date
                    .map_or(Some(now_ms), |text| parse_local(&text))?;
                Some(OrderState::Paid(Payment {
                    out_trade_no: self.out_trade_no,
                    transaction_id: self.trade_no,
                    amount_fen: Fen::from_yuan(&self.total_amount)?.get(),
                    currency: "CNY".to_owned(),
                    paid_ms,
                }))
            }
            "TRADE_CLOSED" => Some(OrderState::Closed),
            _ => None,
        }
    }
}
