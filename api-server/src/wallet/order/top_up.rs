//! Topping up.
//!
//! The order is committed before the provider is asked: a notice that comes before the provider's answer finds its order, and
//! a repetition after a crash between the two finds the order without a ticket and asks for it again.

use axum::extract::State;
use ledger::{Fen, Outside};
use payment::{Driver, Failure, OrderState as AtProvider, Scene};
use serde::Deserialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::out_trade_no;
use crate::{
    account,
    app::{App, Written},
    http::{
        address::ClientAddress,
        answer::{Answer, Envelope},
        docs::DemandedKey,
        error::{Error, ErrorCode},
        input::{Ascii, Within, Write},
    },
    wallet::{
        Caller, notice,
        table::order::{self, NewOrder, Order, OrderState},
    },
};

/// The payer reads it at the provider.
const DESCRIPTION: &str = "会诊余额充值";
/// After which time an app tries again when the provider is away, seconds.
const RETRY_AFTER_S: u64 = 5;

/// A payment provider.
#[derive(Clone, Copy, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Provider {
    Mockpay,
    Wechat,
    Alipay,
}

impl Provider {
    const fn outside(self) -> Outside {
        match self {
            Self::Mockpay => Outside::Mockpay,
            Self::Wechat => Outside::Wechat,
            Self::Alipay => Outside::Alipay,
        }
    }
}

/// Where the member pays: in an app, in a mini-program, by a code that another device scans, in a phone's browser.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = PaymentScene)]
pub(crate) enum PayIn {
    App,
    Jsapi,
    Native,
    H5,
}

impl PayIn {
    const fn scene(self) -> Scene {
        match self {
            Self::App => Scene::App,
            Self::Jsapi => Scene::Jsapi,
            Self::Native => Scene::Native,
            Self::H5 => Scene::H5,
        }
    }
}

/// A top-up.
#[derive(Deserialize, ToSchema)]
#[schema(example = json!({"amount_fen": 10000, "provider": "mockpay", "scene": "app"}))]
pub(crate) struct NewTopUp {
    /// At most ten million yuan.
    amount_fen: Within<1, 1_000_000_000>,
    provider: Provider,
    scene: PayIn,
    /// The payer's id at the provider (openid): `jsapi` needs it.
    payer: Option<Ascii<1, 128>>,
}

/// Tops one's wallet up
///
/// By the member. The answer is an order, whose `ticket` the app hands to the provider's SDK or opens. The balance grows when
/// the provider has said that it was paid. A repetition with the same key is answered with the same order as it is then, and
/// asks the provider again where the first request did not come so far.
#[utoipa::path(
    operation_id = "topUpWallet",
    post, path = "/wallet/top_up", tag = "wallet", request_body = NewTopUp, params(DemandedKey),
    responses(
        (status = 200, body = Envelope<Order>),
        (status = 403, description = "`wallet.members_only`"),
        (status = 409, description = "`wallet.provider_off`, `wallet.order_limit_reached`, `wallet.provider_refused`"),
        (status = 503, description = "`wallet.provider_away`")
    ),
    security(("access_token" = []), ("bearer" = []))
)]
pub(crate) async fn top_up(
    State(app): State<App>,
    user: Caller,
    ClientAddress(address): ClientAddress,
    Write { body, once }: Write<NewTopUp>,
) -> Result<Answer, Error> {
    once.demand_key()?;
    let provider = body.provider.outside();
    if app.providers.get(provider).is_none() {
        return Err(Error::new(ErrorCode::ProviderOff).field("provider"));
    }
    if body.scene == PayIn::Jsapi && body.payer.is_none() {
        return Err(Error::invalid(
            "payer",
            "scene 为 jsapi 时必须提供",
            "must be given with the scene jsapi",
        ));
    }
    let new = NewOrder {
        id: app.database.allocate_id(order::SEQUENCE).await?,
        user: user.id,
        provider,
        scene: body.scene.scene(),
        amount_fen: body.amount_fen.get(),
    };
    let first = app
        .write(once, move |tx| {
            Box::pin(async move {
                account::lock(tx, new.user).await?;
                let now_ms = tx.now_ms().await?;
                if order::count_open(tx, new.user, now_ms).await? >= ErrorCode::WalletOrderLimit.limit() {
                    return Err(ErrorCode::WalletOrderLimit.into());
                }
                let order = order::insert(tx, &new, now_ms).await?;
                Ok(Written::new(Answer::one(&order)?))
            })
        })
        .await?;
    let payer = Payer {
        id: body.payer.map(Ascii::into_string),
        address: address.to_string(),
    };
    let (id, state) = (order_of(&first)?, app.clone());
    let order = app
        .to_the_end(async move { with_ticket(&state, id, payer).await })
        .await?;
    Ok(Answer::one(&order)?.replaying(&first))
}

/// The order that an answer shows: the first one, or its repetition.
fn order_of(answer: &Answer) -> Result<i64, Error> {
    let shown: Value = serde_json::from_slice(answer.body()).map_err(Error::internal)?;
    let order = shown["result"]["order_id"].as_i64();
    order.ok_or_else(|| Error::internal("an answer has no order"))
}

/// The payer, as the provider needs to know them.
struct Payer {
    id: Option<String>,
    address: String,
}

/// The order as it is; the provider is asked for a ticket where it can be paid and has none.
async fn with_ticket(app: &App, id: i64, payer: Payer) -> Result<Order, Error> {
    let order = read(app, id).await?;
    if order.ticket.is_some() || order.state() != OrderState::Open {
        return refused(order);
    }
    if app.database.now_ms().await? >= order.expires_ms {
        return refused(order);
    }
    let provider = order.provider();
    let driver = app.providers.get(provider).ok_or(ErrorCode::ProviderOff)?;
    let new = payment::NewOrder {
        out_trade_no: out_trade_no(id, order.created_ms),
        amount: Fen::new(order.amount_fen).ok_or_else(|| Error::internal("payment_order.amount_fen"))?,
        scene: order.scene(),
        description: DESCRIPTION.into(),
        payer: payer.id,
        client_address: Some(payer.address),
        expires_ms: order.expires_ms,
    };
    match driver.create(new).await {
        Ok(ticket) => {
            app.database
                .transaction(move |tx| Box::pin(async move { order::set_ticket(tx, id, &ticket).await }))
                .await?;
        }
        Err(Failure::Away(inner)) => return Err(away(inner)),
        Err(Failure::Refused(_)) => give_up(app, driver, &order).await?,
    }
    // Its notice may have come before the provider's answer.
    refused(read(app, id).await?)
}

/// The provider refused an order for good. It may have been paid, or another request with the same key may have its ticket;
/// otherwise it is closed.
async fn give_up(app: &App, driver: &Driver, order: &Order) -> Result<(), Error> {
    let id = order.order_id;
    match driver.query(&out_trade_no(id, order.created_ms)).await {
        Ok(AtProvider::Paid(payment)) => {
            notice::apply(app, order.provider(), payment::Event::Paid(payment)).await?;
            Ok(())
        }
        Ok(AtProvider::Open | AtProvider::Closed | AtProvider::Unknown) => {
            app.database
                .transaction(move |tx| Box::pin(async move { order::close_unmade(tx, id).await }))
                .await
        }
        Err(Failure::Away(inner) | Failure::Refused(inner)) => Err(away(inner)),
    }
}

/// The order stays, and the same key asks again.
fn away(inner: String) -> Error {
    Error::new(ErrorCode::ProviderAway)
        .retry_after(RETRY_AFTER_S)
        .because(inner)
}

/// An order that never had a ticket, and is closed, was refused by the provider or expired.
fn refused(order: Order) -> Result<Order, Error> {
    if order.state() == OrderState::Closed && order.ticket.is_none() {
        return Err(ErrorCode::ProviderRefused.into());
    }
    Ok(order)
}

async fn read(app: &App, order: i64) -> Result<Order, Error> {
    let order = order::find(&app.database, order).await?;
    order.ok_or_else(|| Error::internal("an order that was written is not there"))
}
