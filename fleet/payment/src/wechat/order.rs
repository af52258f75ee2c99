//! Orders: made, asked for, closed.

use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    Wechat,
    answer::{Outcome, Transaction, unreadable},
    request::Request,
    sign::nonce,
};
use crate::{
    Failure, NewOrder, OrderState, Scene, Ticket,
    wire::{offset_text, words},
};

/// The longest description of an order.
const DESCRIPTION_MAX_CHARS: usize = 127;

/// The order that WeChat Pay has made: one of these, by the scene.
#[derive(Deserialize)]
struct Made {
    prepay_id: Option<String>,
    code_url: Option<String>,
    h5_url: Option<String>,
}

impl Wechat {
    pub(crate) async fn create(&self, order: NewOrder) -> Result<Ticket, Failure> {
        let app_id = self.app_ids.of(order.scene);
        let app_id = app_id.ok_or_else(|| refused("the scene has no app in the settings"))?;
        let body = self.order(&order, app_id)?;
        let path = format!("{}/{}", self.transactions(), order.scene.as_str());
        match self.call(Request::post(&path, body)).await? {
            Outcome::Good(body) => {
                let made: Made = serde_json::from_slice(&body).map_err(|_| unreadable())?;
                self.ticket(order.scene, app_id, made).ok_or_else(unreadable)
            }
            Outcome::Bad(status, refusal) => Err(refusal.failure(status)),
        }
    }

    fn order(&self, order: &NewOrder, app_id: &str) -> Result<Value, Failure> {
        let description: String = order.description.chars().take(DESCRIPTION_MAX_CHARS).collect();
        let mut body = json!({
            "description": description,
            "out_trade_no": order.out_trade_no,
            "time_expire": offset_text(order.expires_ms),
            "notify_url": self.notify_url.as_str(),
            "amount": { "total": order.amount.get(), "currency": "CNY" },
        });
        let mut merchant = self.merchant();
        let (merchant, openid_name) = match &self.partner {
            None => {
                merchant["appid"] = json!(app_id);
                (merchant, "openid")
            }
            Some(partner) => {
                merchant["sp_appid"] = json!(partner.sp_app_id);
                match partner.sub_app_id(app_id) {
                    None => (merchant, "sp_openid"),
                    Some(sub_app_id) => {
                        merchant["sub_appid"] = json!(sub_app_id);
                        (merchant, "sub_openid")
                    }
                }
            }
        };
        add(&mut body, merchant);
        match order.scene {
            Scene::Jsapi => {
                let payer = order.payer.as_deref();
                let openid = payer.ok_or_else(|| refused("the scene jsapi needs the payer's openid"))?;
                body["payer"] = json!({ openid_name: openid });
            }
            Scene::H5 => {
                let address = order.client_address.as_deref();
                let address = address.ok_or_else(|| refused("the scene h5 needs the payer's address"))?;
                body["scene_info"] = json!({ "payer_client_ip": address, "h5_info": { "type": "Wap" } });
            }
            Scene::App | Scene::Native => {}
        }
        Ok(body)
    }

    /// The values that the app hands to WeChat's SDK, or opens.
    fn ticket(&self, scene: Scene, app_id: &str, made: Made) -> Option<Ticket> {
        let time_s = (self.clock)().div_euclid(1000).to_string();
        let nonce = nonce();
        let ticket = match scene {
            Scene::App => {
                let prepay_id = made.prepay_id?;
                json!({
                    "appid": app_id,
                    "partnerid": self.signer.mch_id,
                    "package": "Sign=WXPay",
                    "sign": self.signer.sign(&[app_id, &time_s, &nonce, &prepay_id]),
                    "prepayid": prepay_id,
                    "noncestr": nonce,
                    "timestamp": time_s,
                })
            }
            Scene::Jsapi => {
                let package = format!("prepay_id={}", made.prepay_id?);
                json!({
                    "appId": app_id,
                    "signType": "RSA",
                    "paySign": self.signer.sign(&[app_id, &time_s, &nonce, &package]),
                    "package": package,
                    "nonceStr": nonce,
                    "timeStamp": time_s,
                })
            }
            Scene::Native => json!({ "code_url": made.code_url? }),
            Scene::H5 => json!({ "h5_url": made.h5_url? }),
        };
        Some(Ticket(ticket))
    }

    pub(crate) async fn query(&self, out_trade_no: &str) -> Result<OrderState, Failure> {
        let of = match &self.partner {
            None => format!("mchid={}", self.signer.mch_id),
            Some(partner) => format!("sp_mchid={}&sub_mchid={}", self.signer.mch_id, partner.sub_mch_id),
        };
        let path = format!("{}/out-trade-no/{out_trade_no}?{of}", self.transactions());
        match self.call(Request::get(&path)).await? {
            Outcome::Good(body) => {
                let transaction: Transaction = serde_json::from_slice(&body).map_err(|_| unreadable())?;
                let is_asked = transaction.out_trade_no == out_trade_no;
                if !is_asked || self.check(&transaction).is_err() {
                    return Err(Failure::Away("an answer about another order".to_owned()));
                }
                transaction.state().ok_or_else(unreadable)
            }
            Outcome::Bad(_, refusal) if refusal.is_unknown() => Ok(OrderState::Unknown),
            Outcome::Bad(status, refusal) => Err(refusal.failure(status)),
        }
    }

    pub(crate) async fn close(&self, out_trade_no: &str) -> Result<(), Failure> {
        let path = format!("{}/out-trade-no/{out_trade_no}/close", self.transactions());
        match self.call(Request::post(&path, self.merchant())).await? {
            Outcome::Good(_) => Ok(()),
            Outcome::Bad(_, refusal) if refusal.is_unknown() || refusal.code == "ORDER_CLOSED" => Ok(()),
            Outcome::Bad(status, refusal) => Err(refusal.failure(status)),
        }
    }
}

impl Wechat {
    /// Where orders are.
    fn transactions(&self) -> &'static str {
        match self.partner {
            None => "/v3/pay/transactions",
            Some(_) => "/v3/pay/partner/transactions",
        }
    }

    /// The merchant, as orders name it.
    fn merchant(&self) -> Value {
        match &self.partner {
            None => json!({ "mchid": self.signer.mch_id }),
            Some(partner) => json!({ "sp_mchid": self.signer.mch_id, "sub_mchid": partner.sub_mch_id }),
        }
    }
}

fn add(body: &mut Value, more: Value) {
    if let (Value::Object(body), Value::Object(more)) = (body, more) {
        body.extend(more);
    }
}

fn refused(why: &str) -> Failure {
    Failure::Refused(words("huizhen", why))
}
