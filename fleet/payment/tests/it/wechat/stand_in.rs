//! WeChat Pay's part of the talk.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use parking_lot::Mutex;
use payment::{Driver, wechat};
use ring::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    certificates::{
        PLATFORM_CERTIFICATE, PLATFORM_SERIAL, ROTATED, ROTATED_CERTIFICATE, ROTATED_SERIAL, verifies,
    },
    keys::{self, MERCHANT, PLATFORM, PLATFORM_PUBLIC},
    server::{self, Answer, Received, now_ms},
};

pub(super) const MCH_ID: &str = "1900000109";
pub(super) const APP_ID: &str = "wxd678efh567hg6787";
pub(super) const API_V3_KEY: &str = "a7cde1ZJB1kG2e7VfTs3jQzaWizur8Gb";
pub(super) const PUBLIC_KEY_ID: &str = "PUB_KEY_ID_0114232134912410000000000000";

/// The merchant of a partner, and the partner's own app.
pub(super) const SUB_MCH_ID: &str = "1900000119";
pub(super) const SP_APP_ID: &str = "wx8888888888888888";

/// How the stand-in misbehaves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Mood {
    #[default]
    Honest,
    WrongSignature,
    Unsigned,
    UnknownSerial,
    OldTime,
    FutureTime,
    OtherMerchant,
    OtherApp,
    OtherOrder,
    DoubledKeys,
    NotJson,
    Endless,
    Hangs,
    Redirects,
    Fails,
    /// It does as asked, and its answer is lost.
    LosesTheAnswer,
    /// A repetition of a refund is refused as a mistake of the merchant.
    RefusesRepetitions,
    /// Its certificates are sealed by another key.
    SealedByAnother,
    BillElsewhere,
    BillChanged,
    NoBill,
    NoBillYet,
}

/// The keys that it signs by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Signs {
    #[default]
    Certificate,
    Rotated,
    PublicKey,
}

/// Its books.
#[derive(Default)]
pub(super) struct Books {
    pub(super) mood: Mood,
    pub(super) signs: Signs,
    /// Amount, and when it was paid.
    pub(super) orders: BTreeMap<String, (i64, &'static str)>,
    /// Order and amount.
    pub(super) refunds: BTreeMap<String, (String, i64)>,
    pub(super) refund_state: Option<&'static str>,
    /// Bodies of orders, as they came in.
    pub(super) bodies: Vec<Value>,
    /// The caller is a partner: it names both merchants, and gets the answers of a partner.
    pub(super) is_partner: bool,
}

/// The stand-in, and a driver that talks to it.
pub(super) struct StandIn {
    pub(super) driver: Driver,
    pub(super) books: Arc<Mutex<Books>>,
    /// Looks for certificates.
    pub(super) looks: Arc<AtomicUsize>,
    _folder: TempDir,
}

impl StandIn {
    /// In the mode of platform certificates.
    pub(super) async fn start() -> Self {
        Self::with("").await
    }

    /// In public-key mode, and `more` in the settings.
    pub(super) async fn by_public_key(more: &str) -> Self {
        let started = Self::with(&format!(
            "{more}\n[public_key]\nid = \"{PUBLIC_KEY_ID}\"\nfile = \"platform.pub\"\n"
        ))
        .await;
        started.books.lock().signs = Signs::PublicKey;
        started
    }

    /// In partner mode.
    pub(super) async fn of_partner() -> Self {
        let started = Self::by_public_key(&format!(
            "partner = {{ sp_app_id = \"{SP_APP_ID}\", sub_mch_id = \"{SUB_MCH_ID}\" }}"
        ))
        .await;
        started.books.lock().is_partner = true;
        started
    }

    async fn with(more: &str) -> Self {
        let books = Arc::new(Mutex::new(Books::default()));
        let looks = Arc::new(AtomicUsize::new(0));
        let (played, counted) = (Arc::clone(&books), Arc::clone(&looks));
        let base = server::start(move |received| {
            if received.path.starts_with("/v3/certificates") {
                counted.fetch_add(1, Ordering::Relaxed);
            }
            played.lock().play(received)
        })
        .await;
        let folder = tempfile::tempdir().unwrap();
        let driver = driver(&folder, &base, more);
        Self {
            driver,
            books,
            looks,
            _folder: folder,
        }
    }

    pub(super) fn mood(&self, mood: Mood) {
        self.books.lock().mood = mood;
    }
}

/// A driver for a base URL.
pub(super) fn driver(folder: &TempDir, base: &str, more: &str) -> Driver {
    let settings = format!(
        "mch_id = \"{MCH_ID}\"\nserial = \"1DDE55AD98ED71D6EDD4A4A16996DE7B47773A8C\"\n\
         private_key_file = \"merchant.pem\"\napi_v3_key_file = \"api_v3_key\"\n\
         notify_url = \"https://api.example.com/payment/wechat/notice\"\nbase_url = \"{base}\"\n\
         app_ids = {{ app = \"{APP_ID}\", jsapi = \"{APP_ID}\", native = \"{APP_ID}\", h5 = \"{APP_ID}\" }}\n{more}"
    );
    keys::write(folder.path(), "merchant.pem", &keys::private(MERCHANT));
    keys::write(folder.path(), "api_v3_key", &format!("{API_V3_KEY}\n"));
    keys::write(folder.path(), "platform.pub", PLATFORM_PUBLIC);
    keys::write(folder.path(), "wechat.toml", &settings);
    let settings = wechat::Settings::read(&folder.path().join("wechat.toml")).unwrap();
    Driver::Wechat(Box::new(wechat::Wechat::new(&settings, now_ms).unwrap()))
}

impl Books {
    fn play(&mut self, received: Received) -> Option<Answer> {
        match self.mood {
            Mood::Hangs => return None,
            Mood::Fails => return Some(Answer::new(502, "<html>bad gateway</html>")),
            Mood::Endless => return Some(Answer::new(200, vec![b' '; 1024 * 1024])),
            Mood::Redirects => {
                let mut answer = Answer::new(302, "");
                answer
                    .headers
                    .push(("location", "http://127.0.0.1:1/".to_owned()));
                return Some(answer);
            }
            _ => {}
        }
        if !is_signed_by_the_merchant(&received) {
            return Some(refusal(401, "SIGN_ERROR"));
        }
        let answer = self.decide(&received);
        if self.mood == Mood::LosesTheAnswer {
            return None;
        }
        Some(self.signed(answer))
    }

    fn decide(&mut self, received: &Received) -> Answer {
        let (path, query) = received.path.split_once('?').unwrap_or((&received.path, ""));
        if path.starts_with("/v3/pay/") {
            assert_eq!(path.starts_with("/v3/pay/partner/"), self.is_partner);
        }
        let path = path.replacen("/partner", "", 1);
        let path = path.as_str();
        let last = path.rsplit('/').next().unwrap();
        match (received.method.as_str(), path) {
            ("GET", "/v3/certificates") => Answer::new(200, self.certificates()),
            ("GET", "/v3/bill/tradebill") => self.place(received),
            ("GET", "/v3/billdownload/file") => Answer::new(200, self.bill()),
            ("POST", "/v3/refund/domestic/refunds") => self.refund(&received.body),
            ("GET", path) if path.starts_with("/v3/refund/domestic/refunds/") => {
                assert_eq!(query, self.of_merchant());
                match self.refunds.get(last) {
                    Some((order, amount)) => self.refund_answer(last, order, *amount),
                    None => refusal(404, "RESOURCE_NOT_EXISTS"),
                }
            }
            ("POST", path) if path.ends_with("/close") => {
                let number = path.split('/').nth(5).unwrap();
                let merchant: Value = serde_json::from_str(&received.body).unwrap();
                let expected = match self.is_partner {
                    false => json!({ "mchid": MCH_ID }),
                    true => json!({ "sp_mchid": MCH_ID, "sub_mchid": SUB_MCH_ID }),
                };
                assert_eq!(merchant, expected);
                match self.orders.get_mut(number) {
                    None => refusal(404, "ORDER_NOT_EXIST"),
                    Some((_, "SUCCESS")) => refusal(400, "ORDERPAID"),
                    Some((_, state)) => {
                        *state = "CLOSED";
                        Answer::new(204, "")
                    }
                }
            }
            ("GET", path) if path.starts_with("/v3/pay/transactions/out-trade-no/") => {
                let expected = match self.is_partner {
                    false => format!("mchid={MCH_ID}"),
                    true => format!("sp_mchid={MCH_ID}&sub_mchid={SUB_MCH_ID}"),
                };
                assert_eq!(query, expected);
                match self.orders.get(last) {
                    Some((amount, state)) => Answer::new(200, self.transaction(last, *amount, state)),
                    None => refusal(404, "ORDER_NOT_EXIST"),
                }
            }
            ("POST", _) => self.create(last, &received.body),
            _ => refusal(404, "NOT_FOUND"),
        }
    }

    /// The part of a query that names the merchant of a partner.
    fn of_merchant(&self) -> String {
        match self.is_partner {
            false => String::new(),
            true => format!("sub_mchid={SUB_MCH_ID}"),
        }
    }

    fn create(&mut self, scene: &str, body: &str) -> Answer {
        let body: Value = serde_json::from_str(body).unwrap();
        let number = body["out_trade_no"].as_str().unwrap().to_owned();
        self.orders
            .insert(number, (body["amount"]["total"].as_i64().unwrap(), "NOTPAY"));
        self.bodies.push(body);
        let made = match scene {
            "app" | "jsapi" => json!({ "prepay_id": "wx26112221580621e9b071c00d9e093b0000" }),
            "native" => json!({ "code_url": "weixin://wxpay/bizpayurl?pr=p4lpSuKzz" }),
            "h5" => json!({ "h5_url": "https://wx.tenpay.com/x?prepay_id=1" }),
            other => panic!("{other}"),
        };
        Answer::new(200, made.to_string())
    }

    /// The resource of an order, also of a notice.
    pub(super) fn transaction(&self, number: &str, amount: i64, state: &str) -> String {
        let of = |mood, lie: &'static str, truth| if self.mood == mood { lie } else { truth };
        let mut body = json!({
            "appid": of(Mood::OtherApp, "wx0", APP_ID),
            "mchid": of(Mood::OtherMerchant, "1900000110", MCH_ID),
            "out_trade_no": if self.mood == Mood::OtherOrder { "T0" } else { number },
            "trade_state": state,
            "trade_state_desc": "支付成功",
            "promotion_detail": [],
        });
        if self.is_partner {
            let body = body.as_object_mut().unwrap();
            let (app, merchant) = (body.remove("appid"), body.remove("mchid"));
            body.insert("sub_appid".to_owned(), app.unwrap());
            body.insert("sp_appid".to_owned(), json!(SP_APP_ID));
            body.insert("sp_mchid".to_owned(), merchant.unwrap());
            body.insert("sub_mchid".to_owned(), json!(SUB_MCH_ID));
        }
        if ["SUCCESS", "REFUND"].contains(&state) {
            body["transaction_id"] = json!("1217752501201407033233368018");
            body["success_time"] = json!("2026-12-01T10:34:56+08:00");
            body["amount"] = json!({ "total": amount, "payer_total": amount, "currency": "CNY" });
        }
        match self.mood {
            Mood::DoubledKeys => body.to_string().replacen('{', "{\"mchid\":\"1900000109\",", 1),
            Mood::NotJson => {
                "<xml><!DOCTYPE x [<!ENTITY e \"1900000109\">]><mchid>&e;</mchid></xml>".to_owned()
            }
            _ => body.to_string(),
        }
    }

    fn refund(&mut self, body: &str) -> Answer {
        let body: Value = serde_json::from_str(body).unwrap();
        let text = |name: &str| body[name].as_str().unwrap().to_owned();
        assert_eq!(body["sub_mchid"] == SUB_MCH_ID, self.is_partner);
        let (number, order) = (text("out_refund_no"), text("out_trade_no"));
        if self.mood == Mood::RefusesRepetitions && self.refunds.contains_key(&number) {
            return refusal(400, "INVALID_REQUEST");
        }
        match self.orders.get(&order) {
            Some((_, "SUCCESS")) => {}
            Some(_) => return refusal(400, "INVALID_REQUEST"),
            None => return refusal(404, "RESOURCE_NOT_EXISTS"),
        }
        let amount = body["amount"]["refund"].as_i64().unwrap();
        self.refunds.insert(number.clone(), (order.clone(), amount));
        self.refund_answer(&number, &order, amount)
    }

    fn refund_answer(&self, number: &str, order: &str, amount: i64) -> Answer {
        let amount = if self.mood == Mood::OtherOrder {
            amount + 1
        } else {
            amount
        };
        let body = json!({
            "refund_id": "50000000382019052709732678859",
            "out_refund_no": number,
            "out_trade_no": if self.mood == Mood::OtherOrder { "T0" } else { order },
            "status": self.refund_state.unwrap_or("PROCESSING"),
            "amount": { "total": amount, "refund": amount, "currency": "CNY" },
        });
        Answer::new(200, body.to_string())
    }

    fn certificates(&self) -> String {
        let key = if self.mood == Mood::SealedByAnother {
            "b7cde1ZJB1kG2e7VfTs3jQzaWizur8Gb"
        } else {
            API_V3_KEY
        };
        let of = |serial: &str, pem: &str| {
            json!({
                "serial_no": serial,
                "effective_time": "2021-04-27T16:55:23+08:00",
                "expire_time": "2031-04-25T16:55:23+08:00",
                "encrypt_certificate": {
                    "algorithm": "AEAD_AES_256_GCM",
                    "nonce": "3a584b49ed9b",
                    "associated_data": "certificate",
                    "ciphertext": keys::seal(key, "3a584b49ed9b", "certificate", pem),
                },
            })
        };
        let mut data = vec![of(PLATFORM_SERIAL, PLATFORM_CERTIFICATE)];
        if self.signs == Signs::Rotated {
            data.push(of(ROTATED_SERIAL, ROTATED_CERTIFICATE));
        }
        json!({ "data": data }).to_string()
    }

    fn place(&self, received: &Received) -> Answer {
        match self.mood {
            Mood::NoBill => return refusal(400, "NO_STATEMENT_EXIST"),
            Mood::NoBillYet => return refusal(400, "STATEMENT_CREATING"),
            _ => {}
        }
        let of = match self.of_merchant().as_str() {
            "" => String::new(),
            of => format!("&{of}"),
        };
        let asked = format!("?bill_date=2026-12-01&bill_type=ALL{of}");
        assert!(received.path.ends_with(&asked));
        let host = received.headers["host"].to_str().unwrap();
        let place = if self.mood == Mood::BillElsewhere {
            "http://127.0.0.1:1".to_owned()
        } else {
            format!("http://{host}")
        };
        let hash = hex(digest(&SHA1_FOR_LEGACY_USE_ONLY, self.bill().as_bytes()).as_ref());
        let hash = if self.mood == Mood::BillChanged {
            hash.replace(['a', '1'], "0")
        } else {
            hash
        };
        let body = json!({
            "hash_type": "SHA1",
            "hash_value": hash,
            "download_url": format!("{place}/v3/billdownload/file?token=xx%2By"),
        });
        Answer::new(200, body.to_string())
    }

    /// The bill, with the merchant in the column of a partner's.
    fn bill(&self) -> String {
        match (self.is_partner, self.mood) {
            (false, _) => BILL.to_owned(),
            (true, Mood::OtherMerchant) => BILL.replacen("`0,`,`42", "`1900000120,`,`42", 1),
            (true, _) => BILL.replace("`0,`,`42", &format!("`{SUB_MCH_ID},`,`42")),
        }
    }

    /// An answer with the headers of a signature.
    fn signed(&self, mut answer: Answer) -> Answer {
        let body = String::from_utf8(answer.body.clone()).unwrap();
        if self.mood != Mood::Unsigned {
            answer.headers = self.headers(&body, now_ms());
        }
        answer
    }

    /// The headers of a signature, also of a notice.
    pub(super) fn headers(&self, body: &str, now_ms: i64) -> Vec<(&'static str, String)> {
        let (key, serial) = match self.signs {
            Signs::Certificate => (PLATFORM, PLATFORM_SERIAL),
            Signs::Rotated => (ROTATED, ROTATED_SERIAL),
            Signs::PublicKey => (PLATFORM, PUBLIC_KEY_ID),
        };
        let key = if self.mood == Mood::WrongSignature {
            MERCHANT
        } else {
            key
        };
        let serial = if self.mood == Mood::UnknownSerial {
            "00"
        } else {
            serial
        };
        let time_s = now_ms / 1000
            + match self.mood {
                Mood::OldTime => -310,
                Mood::FutureTime => 310,
                _ => 0,
            };
        let nonce = "EcZ9Cmy4Xyx1i6RlJQzLcCyEqDa26NBz";
        vec![
            ("wechatpay-serial", serial.to_owned()),
            ("wechatpay-timestamp", time_s.to_string()),
            ("wechatpay-nonce", nonce.to_owned()),
            (
                "wechatpay-signature",
                keys::sign(key, &format!("{time_s}\n{nonce}\n{body}\n")),
            ),
        ]
    }
}

const BILL: &str = "\u{feff}交易时间,公众账号ID,商户号,特约商户号,设备号,微信订单号,商户订单号,用户标识,交易类型,交易状态,付款银行,货币种类,应结订单金额,代金券金额,微信退款单号,商户退款单号,退款金额,充值券退款金额,退款类型,退款状态,商品名称,商户数据包,手续费,费率,订单金额,申请退款金额,费率备注\r\n`2026-12-01 10:00:00,`wx1,`19,`0,`,`42,`T1,`o1,`APP,`SUCCESS,`OTHERS,`CNY,`88.88,`0.00,`0,`0,`0.00,`0.00,`,`,`充值,`,`0.53,`0.60%,`88.88,`0.00,`\r\n`2026-12-01 11:00:00,`wx1,`19,`0,`,`42,`T1,`o1,`APP,`REFUND,`OTHERS,`CNY,`0.00,`0.00,`50,`R1,`0.10,`0.00,`ORIGINAL,`SUCCESS,`充值,`,`0.00,`0.60%,`0.00,`0.10,`\r\n总交易单数,应结订单总金额,退款总金额,充值券退款总金额,手续费总金额,订单总金额,申请退款总金额\r\n`2,`88.88,`0.10,`0.00,`0.53,`88.88,`0.10\r\n";

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn refusal(status: u16, code: &str) -> Answer {
    Answer::new(status, json!({ "code": code, "message": "说明" }).to_string())
}

/// Verifies the Authorization header as WeChat Pay does.
fn is_signed_by_the_merchant(received: &Received) -> bool {
    let header = received.headers["authorization"].to_str().unwrap();
    let fields = header.strip_prefix("WECHATPAY2-SHA256-RSA2048 ").unwrap();
    let fields: BTreeMap<&str, &str> = fields
        .split(',')
        .map(|field| {
            let (name, value) = field.split_once('=').unwrap();
            (name, value.trim_matches('"'))
        })
        .collect();
    let message = format!(
        "{}\n{}\n{}\n{}\n{}\n",
        received.method, received.path, fields["timestamp"], fields["nonce_str"], received.body
    );
    let age_s = now_ms() / 1000 - fields["timestamp"].parse::<i64>().unwrap();
    fields["mchid"] == MCH_ID
        && fields["serial_no"] == "1DDE55AD98ED71D6EDD4A4A16996DE7B47773A8C"
        && (0..300).contains(&age_s)
        && verifies(MERCHANT, &message, fields["signature"])
}
