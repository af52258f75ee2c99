//! Operators list differences between bills and our orders, and close each with a word.

use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::table::difference;
use crate::{
    app::{App, Written},
    caller::Operator,
    clock::now_ms,
    http::{
        answer::{Answer, Empty, Envelope, ListEnvelope},
        docs::{IdempotencyKey, PageParams},
        error::Error,
        input::{PageQuery, PathId, Text, Write},
    },
    operator::audit::{Act, Row, write},
};

/// A difference between a provider's bill and our orders.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct BillItem {
    pub(super) bill_item_id: i64,
    /// `mockpay`, `wechat` or `alipay`.
    pub(super) provider: String,
    /// The day of the bill in Asia/Shanghai, as `2026-12-31`.
    pub(super) day: String,
    /// `order` or `refund`.
    pub(super) kind: String,
    /// Our number of the order or the refund, as the provider has it.
    pub(super) number: String,
    /// `ours_alone`, `theirs_alone` or `amount_differs`.
    pub(super) difference: String,
    /// Absent where we have none that was paid.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) our_fen: Option<i64>,
    /// Absent where the bill has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) their_fen: Option<i64>,
    /// Why it was closed; absent while it is open.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) word: Option<String>,
    /// The operator who closed it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) closed_by: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) closed_ms: Option<i64>,
    pub(super) created_ms: i64,
    #[serde(skip)]
    pub(super) listed_ms: i64,
}

/// The word that closes a difference.
#[derive(Deserialize, ToSchema)]
#[schema(example = json!({"word": "渠道次日补记，已核对"}))]
pub(crate) struct CloseBillItem {
    /// How it was settled.
    word: Text<4, 500>,
}

/// Differences of bills
///
/// Each day's bill of each provider is compared with our orders and refunds. The open differences come first, then those
/// that were closed last.
#[utoipa::path(
    operation_id = "listBillItems",
    get, path = "/operator/bill_item_list", tag = "operator", params(PageParams),
    responses((status = 200, body = ListEnvelope<BillItem>), (status = 403, description = "`operator.only`")),
    security(("access_token" = []), ("bearer" = []))
)]
pub(crate) async fn list(State(app): State<App>, _: Operator, page: PageQuery) -> Result<Answer, Error> {
    Answer::page(difference::items().page(&app.database, &page).await?)
}

/// Closes a difference of a bill
///
/// With a word on how it was settled; nothing else closes it. The audit log has the operator and the word.
#[utoipa::path(
    operation_id = "closeBillItem",
    post, path = "/operator/bill_item/{id}/close", tag = "operator", request_body = CloseBillItem,
    params(("id" = i64, Path, minimum = 1), IdempotencyKey),
    responses(
        (status = 200, body = Envelope<Empty>),
        (status = 403, description = "`operator.only`"),
        (status = 404, description = "`bill_item.not_found`"),
        (status = 409, description = "`bill_item.closed`")
    ),
    security(("access_token" = []), ("bearer" = []))
)]
pub(crate) async fn close(
    State(app): State<App>,
    operator: Operator,
    PathId(id): PathId,
    Write { body, once }: Write<CloseBillItem>,
) -> Result<Answer, Error> {
    app.write(once, move |tx| {
        Box::pin(async move {
            let now_ms = now_ms();
            let word = body.word.into_string();
            difference::close(tx, id.get(), operator.id, &word, now_ms).await?;
            let row = Row::by(operator.id, Act::BillItemClosed).about(format!("bill_item:{}", id.get()));
            write(tx, row.because(word), now_ms).await?;
            Ok(Written::new(Answer::one(&Empty {})?))
        })
    })
    .await
}
