//! Reading one's orders.

use std::time::Duration;

use axum::extract::State;
use payment::{Event, OrderState as AtProvider};

use super::out_trade_no;
use crate::{
    app::App,
    http::{
        answer::{Answer, Envelope, ListEnvelope},
        docs::PageParams,
        error::{Error, ErrorCode},
        input::{PageQuery, PathId},
    },
    wallet::{
        Caller, notice,
        table::order::{self, Order, OrderState},
    },
};

/// How long an app waits for the provider.
const LOOK_TIMEOUT: Duration = Duration::from_secs(3);

/// One of one's orders
///
/// By the member. While it is open, the provider is asked whether it was paid, for each order at most once in five seconds: an
/// app that comes back from paying needs not wait for the provider's notice.
#[utoipa::path(
    operation_id = "getTopUpOrder",
    get, path = "/wallet/order/{id}", tag = "wallet", params(("id" = i64, Path, minimum = 1)),
    responses(
        (status = 200, body = Envelope<Order>),
        (status = 403, description = "`wallet.members_only`"),
        (status = 404, description = "`wallet.order_not_found`")
    ),
    security(("access_token" = []), ("bearer" = []))
)]
pub(crate) async fn show(State(app): State<App>, user: Caller, PathId(id): PathId) -> Result<Answer, Error> {
    let own = async || {
        let order = order::find(&app.database, id.get()).await?;
        let own = order.filter(|order| order.user == user.id);
        own.ok_or_else(|| Error::new(ErrorCode::WalletOrderNotFound))
    };
    let order = own().await?;
    if order.state() != OrderState::Open || order.ticket.is_none() || !app.limits.take_look(id.get()) {
        return Answer::one(&order);
    }
    let state = app.clone();
    let look = app.to_the_end(async move { look(&state, &order).await });
    // Late or away, the provider's word comes by its notice, or the poller asks again.
    if let Ok(Err(error)) = tokio::time::timeout(LOOK_TIMEOUT, look).await {
        return Err(error);
    }
    Answer::one(&own().await?)
}

/// Asks the provider for an order.
async fn look(app: &App, order: &Order) -> Result<(), Error> {
    let Some(driver) = app.providers.get(order.provider()) else {
        return Ok(());
    };
    let number = out_trade_no(order.order_id, order.created_ms);
    let event = match driver.query(&number).await {
        Ok(AtProvider::Paid(payment)) => Event::Paid(payment),
        Ok(AtProvider::Closed) => Event::Closed { out_trade_no: number },
        _ => return Ok(()),
    };
    notice::apply(app, order.provider(), event).await?;
    Ok(())
}

/// One's orders
///
/// By the member.
#[utoipa::path(
    operation_id = "listTopUpOrders",
    get, path = "/wallet/order_list", tag = "wallet", params(PageParams),
    responses((status = 200, body = ListEnvelope<Order>), (status = 403, description = "`wallet.members_only`")),
    security(("access_token" = []), ("bearer" = []))
)]
pub(crate) async fn list(State(app): State<App>, user: Caller, page: PageQuery) -> Result<Answer, Error> {
    Answer::page(order::list(user.id).page(&app.database, &page).await?)
}
