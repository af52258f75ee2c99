//! Alipay's part of the talk.

use std::{collections::BTreeMap, sync::Arc};

use parking_lot::Mutex;
use payment::{Driver, SettingsError, alipay};
use serde_json::{Value, json};
use tempfile::TempDir;
use url::form_urlencoded;

use crate::{
    certificates::verifies,
    keys::{self, MERCHANT, PLATFORM, PLATFORM_PUBLIC},
    server::{self, Answer, Received, now_ms},
};

pub(super) const APP_ID: &str = "2019073166072302";
pub(super) const SELLER_ID: &str = "2088531891668739";

/// How the stand-in misbehaves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Mood {
    #[default]
    Honest,
    WrongSignature,
    Unsigned,
    /// The signature is of the bytes before slashes were escaped.
    EscapesSlashes,
    /// Its bytes are signed, and then written in another way.
    Reformats,
    OtherOrder,
    DoubledKeys,
    DoubledNode,
    AnotherNode,
    NotJson,
    Endless,
    Hangs,
    Fails,
    Busy,
    LosesTheAnswer,
    RefusesRepetitions,
    BillElsewhere,
    NoBill,
}

/// Its books.
#[derive(Default)]
pub(super) struct Books {
    pub(super) mood: Mood,
    /// Amount in yuan, and state.
    pub(super) orders: BTreeMap<String, (String, &'static str)>,
    /// Order, amount, and state.
    pub(super) refunds: BTreeMap<String, (String, String, Option<&'static str>)>,
    /// Methods with their contents.
    pub(super) calls: Vec<(String, Value)>,
    pub(super) bill: Vec<u8>,
    /// The parameters of the last request.
    pub(super) asked: BTreeMap<String, String>,
    /// In certificate mode: the certificate that answers name, and the key that signs them.
    pub(super) certificate: Option<(String, &'static str)>,
    /// Certificates that it sends, by number.
    pub(super) certificates: BTreeMap<String, String>,
}

/// The stand-in, and a driver that talks to it.
pub(super) struct StandIn {
    pub(super) driver: Driver,
    pub(super) books: Arc<Mutex<Books>>,
    _folder: TempDir,
}

impl StandIn {
    pub(super) async fn start() -> Self {
        Self::start_with(|folder, gateway| driver(folder, gateway, PLATFORM_PUBLIC)).await
    }

    /// With a driver of the test's own.
    pub(super) async fn start_with(driver: impl FnOnce(&TempDir, &str) -> Driver) -> Self {
        let books = Arc::new(Mutex::new(Books::default()));
        let played = Arc::clone(&books);
        let base = server::start(move |received| played.lock().play(&received)).await;
        let folder = tempfile::tempdir().unwrap();
        let driver = driver(&folder, &format!("{base}/gateway.do"));
        Self {
            driver,
            books,
            _folder: folder,
        }
    }

    pub(super) fn mood(&self, mood: Mood) {
        self.books.lock().mood = mood;
    }

    /// Puts an order into its books.
    pub(super) fn has(&self, number: &str, state: &'static str) {
        let order = ("88.88".to_owned(), state);
        self.books.lock().orders.insert(number.to_owned(), order);
    }
}

/// A driver for a gateway, whose answers are signed by the owner of a public key.
pub(super) fn driver(folder: &TempDir, gateway: &str, public_key: &str) -> Driver {
    keys::write(folder.path(), "alipay.pub", public_key);
    driver_with(folder, gateway, "alipay_public_key_file = \"alipay.pub\"").unwrap()
}

/// A driver by settings that name Alipay's keys.
pub(super) fn driver_with(folder: &TempDir, gateway: &str, lines: &str) -> Result<Driver, SettingsError> {
    let settings = format!(
        "app_id = \"{APP_ID}\"\nseller_id = \"{SELLER_ID}\"\nprivate_key_file = \"app.pem\"\n{lines}\n\
         base_url = \"{gateway}\"\nnotify_url = \"https://api.example.com/payment/alipay/notice\"\n\
         return_url = \"https://app.example.com/wallet\"\n"
    );
    // As Alipay's tools write it: without the lines of PEM.
    let bare: String = MERCHANT.lines().filter(|line| !line.starts_with('-')).collect();
    keys::write(folder.path(), "app.pem", &bare);
    keys::write(folder.path(), "alipay.toml", &settings);
    let settings = alipay::Settings::read(&folder.path().join("alipay.toml"))?;
    Ok(Driver::Alipay(Box::new(alipay::Alipay::new(&settings, now_ms)?)))
}

/// Parameters of a query or a form.
pub(super) fn params(text: &str) -> BTreeMap<String, String> {
    form_urlencoded::parse(text.as_bytes()).into_owned().collect()
}

/// Whether parameters carry the merchant's signature.
pub(super) fn is_signed(params: &BTreeMap<String, String>) -> bool {
    let pairs: Vec<String> = params
        .iter()
        .filter(|(name, _)| *name != "sign")
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    verifies(MERCHANT, &pairs.join("&"), &params["sign"])
}

impl Books {
    fn play(&mut self, received: &Received) -> Option<Answer> {
        match self.mood {
            Mood::Hangs => return None,
            Mood::Fails => return Some(Answer::new(503, "<html>")),
            Mood::Endless => return Some(Answer::new(200, vec![b' '; 1024 * 1024])),
            _ => {}
        }
        if received.path.starts_with("/bill") {
            return Some(Answer::new(200, self.bill.clone()));
        }
        let (path, query) = received.path.split_once('?').unwrap();
        assert_eq!((received.method.as_str(), path), ("POST", "/gateway.do"));
        let mut all = params(query);
        all.extend(params(&received.body));
        assert!(is_signed(&all), "{all:?}");
        assert_eq!(
            (all["app_id"].as_str(), all["sign_type"].as_str()),
            (APP_ID, "RSA2")
        );
        self.asked = all.clone();
        let method = all["method"].clone();
        let content: Value = serde_json::from_str(&all["biz_content"]).unwrap();
        let host = received.headers["host"].to_str().unwrap();
        let node = self.decide(&method, &content, host);
        self.calls.push((method.clone(), content));
        if self.mood == Mood::LosesTheAnswer {
            return None;
        }
        Some(Answer::new(
            200,
            self.sign(&format!("{}_response", method.replace('.', "_")), &node),
        ))
    }

    /// The node with its signature, as far as the mood allows.
    fn sign(&self, name: &str, node: &Value) -> String {
        let node = match self.mood {
            Mood::DoubledKeys => node.to_string().replacen('{', "{\"code\":\"10000\",", 1),
            _ => node.to_string(),
        };
        let (named, key) = match &self.certificate {
            None => (String::new(), PLATFORM),
            Some((sn, key)) => (format!(",\"alipay_cert_sn\":\"{sn}\""), *key),
        };
        let key = if self.mood == Mood::WrongSignature {
            MERCHANT
        } else {
            key
        };
        let sign = keys::sign(key, &node);
        match self.mood {
            Mood::Unsigned => format!("{{\"{name}\":{node}}}"),
            Mood::EscapesSlashes => {
                format!("{{\"{name}\":{},\"sign\":\"{sign}\"}}", node.replace('/', "\\/"))
            }
            Mood::Reformats => format!("{{\"{name}\":{},\"sign\":\"{sign}\"}}", node.replace(':', ": ")),
            Mood::AnotherNode => format!("{{\"alipay_other_response\":{node},\"sign\":\"{sign}\"}}"),
            Mood::DoubledNode => {
                format!("{{\"{name}\":{{\"code\":\"10000\"}},\"{name}\":{node},\"sign\":\"{sign}\"}}")
            }
            Mood::NotJson => format!("<xml>{node}</xml>"),
            _ => format!("{{\"{name}\":{node}{named},\"sign\":\"{sign}\"}}"),
        }
    }

    fn decide(&mut self, method: &str, content: &Value, host: &str) -> Value {
        if self.mood == Mood::Busy {
            return json!({ "code": "20000", "msg": "Service Currently Unavailable", "sub_code": "aop.unknow-error", "sub_msg": "系统繁忙" });
        }
        let order = content["out_trade_no"].as_str().unwrap_or_default();
        let told = if self.mood == Mood::OtherOrder {
            "T0"
        } else {
            order
        };
        match method {
            "alipay.trade.precreate" => {
                good(json!({ "out_trade_no": told, "qr_code": "https://qr.alipay.com/bax0" }))
            }
            "alipay.open.app.alipaycert.download" => {
                let sn = content["alipay_cert_sn"].as_str().unwrap();
                match self.certificates.get(sn) {
                    None => refusal("isv.cert-not-exist"),
                    Some(sent) => good(json!({ "alipay_cert_content": sent })),
                }
            }
            "alipay.trade.create" => good(json!({ "out_trade_no": told, "trade_no": "2026120122001" })),
            "alipay.trade.query" => match self.orders.get(order) {
                None => refusal("ACQ.TRADE_NOT_EXIST"),
                Some((amount, state)) => good(json!({
                    "out_trade_no": told,
                    "trade_no": "2026120122001",
                    "trade_status": state,
                    "total_amount": amount,
                    "send_pay_date": "2026-12-01 10:34:56",
                    "buyer_logon_id": "xud***@126.com/\"}",
                })),
            },
            "alipay.trade.close" => match self.orders.get_mut(order) {
                None => refusal("ACQ.TRADE_NOT_EXIST"),
                Some((_, state)) if *state == "WAIT_BUYER_PAY" => {
                    *state = "TRADE_CLOSED";
                    good(json!({ "out_trade_no": told, "trade_no": "2026120122001" }))
                }
                Some(_) => refusal("ACQ.TRADE_STATUS_ERROR"),
            },
            "alipay.trade.refund" => self.refund(content, told),
            "alipay.trade.fastpay.refund.query" => {
                let number = content["out_request_no"].as_str().unwrap();
                match self.refunds.get(number) {
                    // Alipay answers a refund that it does not know with nothing.
                    None => good(json!({})),
                    Some((_, amount, state)) => {
                        let mut node = good(
                            json!({ "out_trade_no": told, "out_request_no": number, "refund_amount": amount }),
                        );
                        if let Some(state) = state {
                            node["refund_status"] = json!(state);
                        }
                        node
                    }
                }
            }
            "alipay.data.dataservice.bill.downloadurl.query" => {
                assert_eq!(
                    content,
                    &json!({ "bill_type": "trade", "bill_date": "2026-12-01" })
                );
                match self.mood {
                    Mood::NoBill => refusal("isp.bill_not_exist"),
                    Mood::BillElsewhere => {
                        good(json!({ "bill_download_url": "http://alipay.com.example.com/bill" }))
                    }
                    _ => good(json!({ "bill_download_url": format!("http://{host}/bill?fileId=1") })),
                }
            }
            other => panic!("{other}"),
        }
    }

    fn refund(&mut self, content: &Value, told: &str) -> Value {
        let text = |name: &str| content[name].as_str().unwrap().to_owned();
        let (order, number, amount) = (
            text("out_trade_no"),
            text("out_request_no"),
            text("refund_amount"),
        );
        let is_known = self.refunds.contains_key(&number);
        if is_known && self.mood == Mood::RefusesRepetitions {
            return refusal("ACQ.REFUND_AMT_NOT_EQUAL_TOTAL");
        }
        match self.orders.get(&order) {
            None => return refusal("ACQ.TRADE_NOT_EXIST"),
            Some((_, "TRADE_SUCCESS")) => {}
            Some(_) => return refusal("ACQ.TRADE_STATUS_ERROR"),
        }
        self.refunds
            .insert(number, (order, amount.clone(), Some("REFUND_SUCCESS")));
        good(
            json!({ "out_trade_no": told, "fund_change": if is_known { "N" } else { "Y" }, "refund_fee": amount }),
        )
    }
}

fn good(mut node: Value) -> Value {
    node["code"] = json!("10000");
    node["msg"] = json!("Success");
    node
}

fn refusal(sub_code: &str) -> Value {
    json!({ "code": "40004", "msg": "Business Failed", "sub_code": sub_code, "sub_msg": "说明" })
}
