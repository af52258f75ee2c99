//! A provider for development and demonstrations, with books of its own and a page that plays its tricks.
//!
//! It is asked, and sends notices, as any other. Its books are two tables that nothing else reads. Its notices carry an
//! HMAC by a secret of the fleet.

mod book;
mod notice;
mod trick;

use database::Database;
use ring::hmac;

pub use self::{
    book::{BookOrder, BookState},
    trick::{Delivery, Trick},
};
use crate::{
    BillRow, Day, Decided, Failure, NewOrder, NewRefund, Notice, NoticeError, OrderState, Payment,
    RefundState, Reply, Ticket,
};

/// The provider, ready to be asked.
pub struct Mockpay {
    database: Database,
    key: hmac::Key,
    /// Epoch milliseconds.
    clock: fn() -> i64,
}

/// Without its key.
impl std::fmt::Debug for Mockpay {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Mockpay")
    }
}

impl Mockpay {
    /// With its books in this database, and the secret that signs its notices.
    pub fn new(database: Database, secret: &[u8], clock: fn() -> i64) -> Self {
        Self {
            database,
            key: hmac::Key::new(hmac::HMAC_SHA256, secret),
            clock,
        }
    }

    pub(crate) async fn create(&self, order: NewOrder) -> Result<Ticket, Failure> {
        let book = book::create(&self.database, &order, (self.clock)()).await?;
        if book.amount != order.amount {
            return Err(Failure::Refused("the order has another amount".into()));
        }
        if book.state != BookState::Open {
            return Err(Failure::Refused("the order was paid or closed".into()));
        }
        let page = format!("/mockpay/{}", order.out_trade_no);
        Ok(Ticket(serde_json::json!({ "page": page })))
    }

    pub(crate) async fn query(&self, out_trade_no: &str) -> Result<OrderState, Failure> {
        let order = self.find(out_trade_no).await?;
        Ok(match order {
            None => OrderState::Unknown,
            Some(order) => match (order.state, order.payment()) {
                (_, Some(payment)) => OrderState::Paid(payment),
                (BookState::Open, None) => OrderState::Open,
                (_, None) => OrderState::Closed,
            },
        })
    }

    pub(crate) async fn close(&self, out_trade_no: &str) -> Result<(), Failure> {
        match book::close(&self.database, out_trade_no, BookState::Closed).await? {
            Some(BookState::Paid) => Err(Failure::Refused("the order was paid".into())),
            _ => Ok(()),
        }
    }

    pub(crate) async fn refund(&self, refund: NewRefund) -> Result<RefundState, Failure> {
        if book::refund(&self.database, refund, (self.clock)()).await? {
            Ok(RefundState::Done)
        } else {
            Err(Failure::Refused(
                "more would go back than was paid, or the number was used for another refund".into(),
            ))
        }
    }

    pub(crate) async fn query_refund(
        &self,
        out_refund_no: &str,
        out_trade_no: &str,
    ) -> Result<RefundState, Failure> {
        let order = book::order_of_refund(&self.database, out_refund_no).await?;
        Ok(if order.as_deref() == Some(out_trade_no) {
            RefundState::Done
        } else {
            RefundState::Unknown
        })
    }

    pub(crate) async fn bill(&self, day: Day) -> Result<Vec<BillRow>, Failure> {
        Ok(book::bill(&self.database, day.from_ms(), day.next().from_ms()).await?)
    }

    pub(crate) fn notice(&self, notice: Notice<'_>) -> Result<Decided, NoticeError> {
        notice::decide(&self.key, notice)
    }

    pub(crate) const fn reply(ok: bool) -> Reply {
        let (status, body) = if ok {
            (200, r#"{"code":"SUCCESS"}"#)
        } else {
            (500, r#"{"code":"FAIL"}"#)
        };
        Reply {
            status,
            content_type: "application/json",
            body,
        }
    }

    /// An order of its books.
    ///
    /// # Errors
    /// See [`Failure`].
    pub async fn find(&self, out_trade_no: &str) -> Result<Option<BookOrder>, Failure> {
        Ok(book::find(&self.database, out_trade_no).await?)
    }

    /// Plays a trick of its page on an order: books it, and says which notices follow. `None` when it has no such order.
    ///
    /// # Errors
    /// See [`Failure`].
    pub async fn play(&self, out_trade_no: &str, trick: Trick) -> Result<Option<Vec<Delivery>>, Failure> {
        let now_ms = (self.clock)();
        let order = match trick {
            Trick::Refuse => {
                book::close(&self.database, out_trade_no, BookState::Refused).await?;
                self.find(out_trade_no).await?
            }
            _ => book::pay(&self.database, out_trade_no, trick, now_ms).await?,
        };
        let Some(order) = order else { return Ok(None) };
        Ok(Some(trick.deliveries(&self.key, &order, now_ms)))
    }
}

impl From<database::Error> for Failure {
    fn from(error: database::Error) -> Self {
        Self::Away(error.to_string())
    }
}

impl BookOrder {
    /// Its payment, once it is paid.
    fn payment(&self) -> Option<Payment> {
        let (transaction_id, amount_fen, paid_ms) =
            (self.transaction_id.clone()?, self.paid_fen?, self.paid_ms?);
        Some(Payment {
            out_trade_no: self.out_trade_no.clone(),
            transaction_id,
            amount_fen,
            currency: "CNY".into(),
            paid_ms,
        })
    }
}
