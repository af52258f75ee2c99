//! The page of mockpay, the provider for development: it plays what a payer and a provider can do to an order.
//!
//! It has no script, and loads nothing. Each button is a form; the notices that follow take the way of any other.

use std::fmt::Write as _;

use axum::{
    Router,
    extract::{RawPathParams, State},
    http::StatusCode,
    response::{Html, IntoResponse, Redirect, Response},
    routing::{get, post},
};
use ledger::Outside;
use payment::{
    Driver, Failure, Mockpay,
    mockpay::{BookOrder, BookState, Delivery, Trick},
};
use tokio::sync::Semaphore;

use super::notice;
use crate::{
    app::App,
    http::{
        answer::html::harden,
        error::{Error, ErrorCode},
    },
};

/// Whether the service offers it.
pub(super) fn is_on(app: &App) -> bool {
    driver(app).is_ok()
}

fn driver(app: &App) -> Result<&Mockpay, Error> {
    match app.providers.get(Outside::Mockpay) {
        Some(Driver::Mockpay(mockpay)) => Ok(mockpay),
        _ => Err(ErrorCode::NoRoute.into()),
    }
}

/// The routes of its page.
pub(crate) fn routes() -> Router<App> {
    Router::new()
        .route("/mockpay/{out_trade_no}", get(show))
        .route("/mockpay/{out_trade_no}/{trick}", post(play))
}

fn away(failure: Failure) -> Error {
    match failure {
        Failure::Away(inner) => Error::unavailable(inner),
        Failure::Refused(inner) => Error::internal(inner),
    }
}

fn parameter(parameters: &RawPathParams, name: &str) -> String {
    let found = parameters.iter().find(|(known, _)| *known == name);
    found.map_or_else(String::new, |(_, value)| value.to_owned())
}

async fn show(State(app): State<App>, parameters: RawPathParams) -> Result<Response, Error> {
    let number = parameter(&parameters, "out_trade_no");
    let order = driver(&app)?.find(&number).await.map_err(away)?;
    let order = order.ok_or(ErrorCode::WalletOrderNotFound)?;
    Ok(page(&order))
}

async fn play(State(app): State<App>, parameters: RawPathParams) -> Result<Response, Error> {
    let number = parameter(&parameters, "out_trade_no");
    let trick = Trick::from_word(&parameter(&parameters, "trick")).ok_or(ErrorCode::NoRoute)?;
    let deliveries = driver(&app)?.play(&number, trick).await.map_err(away)?;
    for delivery in deliveries.ok_or(ErrorCode::WalletOrderNotFound)? {
        deliver(&app, delivery).await;
    }
    tokio::time::sleep(trick.pause()).await;
    Ok((StatusCode::SEE_OTHER, Redirect::to(&format!("/mockpay/{number}"))).into_response())
}

/// Notices that are late at a time; more are lost, as those of a provider may be.
static LATE: Semaphore = Semaphore::const_new(100);

/// Delivers a notice at its time. A refusal is recorded where all are; the poller asks for orders whose notice is lost.
async fn deliver(app: &App, delivery: Delivery) {
    if delivery.after.is_zero() {
        let _ = notice::take(app, Outside::Mockpay, delivery.headers, delivery.body.into()).await;
        return;
    }
    let Ok(permit) = LATE.try_acquire() else {
        return;
    };
    let app = app.clone();
    // Ends with the service, or after the delay.
    tokio::spawn(async move {
        let _permit = permit;
        tokio::select! {
            () = app.shutdown.cancelled() => {}
            () = tokio::time::sleep(delivery.after) => {
                let _ = notice::take(&app, Outside::Mockpay, delivery.headers, delivery.body.into()).await;
            }
        }
    });
}

/// The effect of a button, in Chinese and in English.
const fn label(trick: Trick) -> (&'static str, &'static str) {
    match trick {
        Trick::Pay => ("支付", "Pay"),
        Trick::Refuse => ("拒绝支付", "Refuse"),
        Trick::Late => (
            "支付，10 秒后通知（订单已关闭也可支付）",
            "Pay late: the notice comes after 10 s, also for a closed order",
        ),
        Trick::Twice => ("支付，通知两次", "Pay; the notice comes twice"),
        Trick::OutOfOrder => (
            "支付，先通知成功再通知失败",
            "Pay; a notice of failure follows that of success",
        ),
        Trick::Never => ("支付，不通知", "Pay; no notice comes"),
        Trick::WrongAmount => ("支付其他金额", "Pay another amount"),
        Trick::Slow => ("支付，页面 5 秒后才响应", "Pay; this page answers after 5 s"),
    }
}

const fn state(state: BookState) -> (&'static str, &'static str) {
    match state {
        BookState::Open => ("待支付", "open"),
        BookState::Paid => ("已支付", "paid"),
        BookState::Refused => ("已拒绝", "refused"),
        BookState::Closed => ("已关闭", "closed"),
    }
}

const STYLE: &str = "body{font:16px/1.6 sans-serif;max-width:34rem;margin:2rem auto;padding:0 1rem;color:#222}\
    h1{font-size:1.3rem}.amount{font-size:2rem;font-weight:600}.note{color:#a40000}\
    form{margin:.5rem 0}button{width:100%;text-align:left;font:inherit;padding:.6rem .8rem;border:1px solid #888;\
    border-radius:.4rem;background:#f6f6f6}small{display:block;color:#555}";

/// An order with its buttons. All that is put in is our own: numbers, and letters and digits.
fn page(order: &BookOrder) -> Response {
    let nonce = hex::encode(rand::random::<[u8; 16]>());
    let (zh, en) = state(order.state);
    let mut buttons = String::new();
    for trick in Trick::ALL {
        let (zh, en) = label(trick);
        let (number, word) = (&order.out_trade_no, trick.as_str());
        // Writing to a string cannot fail.
        let _ = write!(
            buttons,
            "<form method=\"post\" action=\"/mockpay/{number}/{word}\"><button>{zh}<small lang=\"en\">{en}</small></button></form>"
        );
    }
    let html = format!(
        "<!doctype html><html lang=\"zh-CN\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width\"><title>mockpay</title>\
         <style nonce=\"{nonce}\">{STYLE}</style></head><body>\
         <h1>mockpay</h1><p class=\"note\">仅供开发与演示，不会扣款。<small lang=\"en\">For development and \
         demonstrations: no money moves.</small></p><p class=\"amount\">¥ {}</p>\
         <p>{zh} · <span lang=\"en\">{en}</span></p><p><code>{}</code></p>{buttons}</body></html>",
        order.amount.to_yuan(),
        order.out_trade_no,
    );
    let policy = format!(
        "default-src 'none'; style-src 'nonce-{nonce}'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    );
    let mut response = Html(html).into_response();
    harden(&mut response, &policy);
    response
}
