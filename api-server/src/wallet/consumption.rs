//! The record of a wallet: each charge, each refund, and what else changed its balance.

use axum::extract::State;
use ledger::Kind;
use serde::Serialize;
use utoipa::{
    ToSchema,
    openapi::{RefOr, Schema},
};

use super::{
    Caller,
    table::record::{self, Cause, Posting},
};
use crate::{
    app::App,
    http::{
        answer::{Answer, ListEnvelope, Page},
        docs::{PageParams, one_of},
        error::Error,
        input::{Cursor, PageQuery},
    },
};

/// A change of a member's wallet, or a charge that their membership fee paid.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Consumption {
    transfer_id: i64,
    #[schema(schema_with = kinds)]
    kind: &'static str,
    /// The change of the wallet's balance: below zero for a charge, 0 for one that the membership fee paid.
    amount_fen: i64,
    /// The change of the fee that was paid to the team in advance.
    fee_fen: i64,
    /// The change of the total consumed (已消费总数): above zero for a charge.
    consumed_fen: i64,
    /// The balance of the wallet afterwards.
    balance_fen: i64,
    created_ms: i64,
    #[serde(flatten)]
    cause: Cause,
    /// Of a reversal: the transfer that it takes back, whose cause is shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    reverses: Option<i64>,
}

/// `begin`, `cancel`: a consult. `vas`: a confirmed service. `refund`: of a consult or a service. `join`, `leave`: a
/// membership fee was paid in advance, its rest went back. `top_up`, `pay_back`, `pay_back_failed`: an order, and the way back.
/// `credit`: by hand. `reversal`: of a mistake.
fn kinds() -> RefOr<Schema> {
    one_of(
        [
            Kind::TopUp,
            Kind::Join,
            Kind::Begin,
            Kind::Cancel,
            Kind::Vas,
            Kind::Refund,
            Kind::Leave,
            Kind::PayBack,
            Kind::PayBackFailed,
            Kind::Credit,
            Kind::Reversal,
        ]
        .map(Kind::as_str),
    )
}

impl Consumption {
    fn of(posting: Posting, cause: Cause) -> Self {
        let consumed = posting.event().is_consumption();
        Self {
            transfer_id: posting.transfer,
            kind: posting.kind.as_str(),
            amount_fen: posting.amount_fen,
            fee_fen: posting.fee_fen,
            consumed_fen: if consumed {
                -posting.amount_fen - posting.fee_fen
            } else {
                0
            },
            balance_fen: posting.balance_fen,
            created_ms: posting.created_ms,
            cause,
            reverses: posting.reverses(),
        }
    }
}

/// One's charges and refunds
///
/// By the member: every charge and refund with its cause, and every other change of the wallet, so that balances follow
/// from each other. The newest first. `consumed_fen` of all items sums to `total_consumed_fen` of the wallet.
#[utoipa::path(
    operation_id = "listConsumption",
    get, path = "/member/consumption_list", tag = "wallet", params(PageParams),
    responses((status = 200, body = ListEnvelope<Consumption>), (status = 403, description = "`wallet.members_only`")),
    security(("access_token" = []), ("bearer" = []))
)]
pub(crate) async fn list(State(app): State<App>, user: Caller, page: PageQuery) -> Result<Answer, Error> {
    let total = if page.count {
        Some(record::count(&app.database, user.id).await?)
    } else {
        None
    };
    let postings = record::postings(&app.database, user.id, &page).await?;
    let postings = Page::cut(postings, total, &page, |last| Cursor {
        at: last.place,
        id: 0,
    });
    let causes = record::causes(&app.database, &postings.items).await?;
    let mut causes = causes.into_iter();
    let page = postings.map(|posting| Consumption::of(posting, causes.next().unwrap_or_default()));
    Answer::page(page)
}
