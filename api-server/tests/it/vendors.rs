//! Notices of WeChat Pay and Alipay, as these sign and seal them, at the real service.

use std::{
    collections::BTreeMap,
    time::{SystemTime, UNIX_EPOCH},
};

use api_server::{PaymentProvider, Settings};
use serde_json::{Value, json};
use tempfile::TempDir;
use url::form_urlencoded;

use super::{
    money::wallet,
    people::Person,
    service::{Reply, Service, roomy},
};
use crate::vendor_keys::{MERCHANT, PLATFORM, PLATFORM_PUBLIC, private, seal, sign, write};

const APP_ID: &str = "2019073166072302";
const SELLER_ID: &str = "2088531891668739";
const MCH_ID: &str = "1900000109";
const API_V3_KEY: &str = "a7cde1ZJB1kG2e7VfTs3jQzaWizur8Gb";
const PUBLIC_KEY_ID: &str = "PUB_KEY_ID_0114232134912410000000000000";

/// A service with both vendors, neither of which can be reached.
async fn start() -> (Service, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    write(path, "key.pem", &private(MERCHANT));
    write(path, "vendor.pub", PLATFORM_PUBLIC);
    write(path, "api_v3_key", API_V3_KEY);
    let wechat = format!(
        "mch_id = \"{MCH_ID}\"\nserial = \"1D\"\nprivate_key_file = \"key.pem\"\napi_v3_key_file = \"api_v3_key\"\n\
         notify_url = \"https://api.example.com/payment/wechat/notice\"\nbase_url = \"http://127.0.0.1:1\"\n\
         app_ids = {{ app = \"wx1\" }}\npublic_key = {{ id = \"{PUBLIC_KEY_ID}\", file = \"vendor.pub\" }}\n"
    );
    let alipay = format!(
        "app_id = \"{APP_ID}\"\nseller_id = \"{SELLER_ID}\"\nprivate_key_file = \"key.pem\"\n\
         alipay_public_key_file = \"vendor.pub\"\nbase_url = \"http://127.0.0.1:1/gateway.do\"\n\
         notify_url = \"https://api.example.com/payment/alipay/notice\"\n"
    );
    write(path, "wechat.toml", &wechat);
    write(path, "alipay.toml", &alipay);
    let settings = Settings {
        payment_providers: vec![PaymentProvider::Wechat, PaymentProvider::Alipay],
        wechat_pay_config: Some(path.join("wechat.toml")),
        alipay_config: Some(path.join("alipay.toml")),
        ..roomy()
    };
    (Service::start_with(settings).await, folder)
}

/// Tops up, and gives the number that the vendor knows.
async fn order(service: &Service, who: &Person, provider: &str) -> (Reply, String) {
    let body = json!({"amount_fen": 8_888, "provider": provider, "scene": "app"});
    let made = who.post(service, "/wallet/top_up", body).key("a").send().await;
    let sql = "SELECT created_ms, id FROM payment_order";
    let row = service.database.query_first(sql, vec![]).await.unwrap().unwrap();
    let (created_ms, id): (i64, i64) = (row.get(0).unwrap(), row.get(1).unwrap());
    (made, format!("T{created_ms}X{id}"))
}

/// A notice of Alipay, with some fields changed.
fn alipay(number: &str, changes: &[(&str, &str)]) -> String {
    let mut fields: BTreeMap<&str, &str> = [
        ("app_id", APP_ID),
        ("seller_id", SELLER_ID),
        ("notify_id", "n1"),
        ("notify_type", "trade_status_sync"),
        ("trade_status", "TRADE_SUCCESS"),
        ("out_trade_no", number),
        ("trade_no", "2019081522001468450512505578"),
        ("total_amount", "88.88"),
        ("gmt_payment", "2026-12-01 10:34:56"),
    ]
    .into();
    fields.extend(changes.iter().copied());
    let pairs: Vec<String> = fields
        .iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    let mut form = form_urlencoded::Serializer::new(String::new());
    form.extend_pairs(&fields);
    form.append_pair("sign", &sign(PLATFORM, &pairs.join("&")));
    form.append_pair("sign_type", "RSA2");
    form.finish()
}

async fn send(service: &Service, provider: &str, body: String, headers: &[(&str, String)]) -> Reply {
    let mut call = service.post(&format!("/payment/{provider}/notice"));
    for (name, value) in headers {
        call = call.header(name, value);
    }
    call.body(body).send().await
}

async fn alipay_hears(service: &Service, body: String, word: &str) {
    let reply = send(service, "alipay", body, &[]).await;
    assert_eq!((reply.status, reply.text.as_str()), (200, word));
}

/// I6.
#[tokio::test]
async fn a_payment_by_alipay_fills_the_wallet_once() {
    let (service, _folder) = start().await;
    let member = service.member("李女士").await;
    let (made, number) = order(&service, &member, "alipay").await;
    let ticket = made.result()["ticket"]["order_string"]
        .as_str()
        .unwrap()
        .to_owned();
    let content = form_urlencoded::parse(ticket.as_bytes()).find(|(name, _)| name == "biz_content");
    let content: Value = serde_json::from_str(&content.unwrap().1).unwrap();
    assert_eq!(
        (content["out_trade_no"].as_str(), content["total_amount"].as_str()),
        (Some(number.as_str()), Some("88.88"))
    );

    let good = alipay(&number, &[]);
    for forged in [
        good.replace("88.88", "888.8"),
        alipay(&number, &[("app_id", "1")]),
        alipay(&number, &[("seller_id", "1")]),
        alipay(&number, &[("total_amount", "88.888")]),
        format!("{good}&total_amount=88.88"),
        String::new(),
    ] {
        let reply = send(&service, "alipay", forged, &[]).await;
        reply.refused(400, "payment.notice_refused");
    }
    for (changes, what) in [
        ([("total_amount", "88.87"), ("notify_id", "n2")], "another amount"),
        ([("out_trade_no", "T1X1"), ("notify_id", "n3")], "another order"),
    ] {
        let reply = send(&service, "alipay", alipay(&number, &changes), &[]).await;
        assert_eq!((reply.status, reply.text.as_str()), (200, "fail"), "{what}");
    }
    assert_eq!(service.balance(wallet(&member)).await, 0);

    let calls = (0..20).map(|_| alipay_hears(&service, good.clone(), "success"));
    futures_util::future::join_all(calls).await;
    assert_eq!(service.balance(wallet(&member)).await, 8_888);
    // Other notices of the same order, and its end after it was paid, move nothing.
    for changes in [
        [("trade_status", "TRADE_FINISHED"), ("notify_id", "n4")],
        [("trade_status", "TRADE_CLOSED"), ("notify_id", "n5")],
        [("refund_fee", "88.88"), ("notify_id", "n6")],
    ] {
        alipay_hears(&service, alipay(&number, &changes), "success").await;
    }
    assert_eq!(service.balance(wallet(&member)).await, 8_888);
    assert_eq!(service.number("SELECT count(*) FROM transfer").await, 1);
    service.balances().await;
}

fn now_s() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

/// A notice of WeChat Pay, sent at a time.
async fn wechat(service: &Service, transaction: &Value, time_s: u64) -> Reply {
    let sealed = seal(
        API_V3_KEY,
        "fdasflkja484",
        "transaction",
        &transaction.to_string(),
    );
    let body = json!({
        "id": "EV-1",
        "event_type": "TRANSACTION.SUCCESS",
        "resource": {
            "algorithm": "AEAD_AES_256_GCM", "ciphertext": sealed,
            "associated_data": "transaction", "nonce": "fdasflkja484",
        },
    })
    .to_string();
    let headers = [
        ("Wechatpay-Serial", PUBLIC_KEY_ID.to_owned()),
        ("Wechatpay-Timestamp", time_s.to_string()),
        ("Wechatpay-Nonce", "n".to_owned()),
        (
            "Wechatpay-Signature",
            sign(PLATFORM, &format!("{time_s}\nn\n{body}\n")),
        ),
    ];
    send(service, "wechat", body, &headers).await
}

/// I6. The answer to the order was lost, and yet it was paid.
#[tokio::test]
async fn a_payment_by_wechat_fills_the_wallet_though_the_order_seemed_to_fail() {
    let (service, _folder) = start().await;
    let member = service.member("李女士").await;
    let (made, number) = order(&service, &member, "wechat").await;
    made.refused(503, "wallet.provider_away");
    let good = json!({
        "appid": "wx1", "mchid": MCH_ID, "out_trade_no": number, "trade_state": "SUCCESS",
        "transaction_id": "1217752501201407033233368018", "success_time": "2026-12-01T10:34:56+08:00",
        "amount": {"total": 8_888, "payer_total": 8_888, "currency": "CNY"},
    });
    let with = |name: &str, value: Value| {
        let mut changed = good.clone();
        changed[name] = value;
        changed
    };
    for time_s in [now_s() - 310, now_s() + 310] {
        let reply = wechat(&service, &good, time_s).await;
        reply.refused(400, "payment.notice_refused");
    }
    for changed in [with("mchid", json!("1")), with("appid", json!("wx2"))] {
        let reply = wechat(&service, &changed, now_s()).await;
        reply.refused(400, "payment.notice_refused");
    }
    for changed in [
        with("amount", json!({"total": 8_887, "currency": "CNY"})),
        with("amount", json!({"total": 8_888, "currency": "USD"})),
        with("out_trade_no", json!("T1X1")),
    ] {
        let reply = wechat(&service, &changed, now_s()).await;
        assert_eq!((reply.status, reply.json["code"].as_str()), (500, Some("FAIL")));
    }
    assert_eq!(service.balance(wallet(&member)).await, 0);
    for _ in 0..2 {
        let reply = wechat(&service, &good, now_s()).await;
        assert_eq!((reply.status, reply.text.as_str()), (204, ""));
    }
    assert_eq!(service.balance(wallet(&member)).await, 8_888);
    assert_eq!(service.number("SELECT count(*) FROM transfer").await, 1);
    service.balances().await;
}
