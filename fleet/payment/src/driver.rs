//! One enum over all providers: a method here is one call to whichever is meant.

use ledger::Outside;

use crate::{
    BillRow, Day, Decided, Failure, NewOrder, NewRefund, Notice, NoticeError, OrderState, RefundState, Reply,
    SettingsError, Ticket, alipay::Alipay, mockpay::Mockpay, wechat::Wechat, wire::is_number,
};

/// A number that no order has, for a question that changes nothing.
const NO_ORDER: &str = "huizhencheck00000000";

/// A provider, ready to be asked.
#[derive(Debug)]
pub enum Driver {
    /// WeChat Pay.
    Wechat(Box<Wechat>),
    /// Alipay.
    Alipay(Box<Alipay>),
    /// The provider for development.
    Mockpay(Mockpay),
}

impl Driver {
    /// The way of its money, whose word is in the database and on REST.
    pub fn outside(&self) -> Outside {
        match self {
            Self::Wechat(_) => Outside::Wechat,
            Self::Alipay(_) => Outside::Alipay,
            Self::Mockpay(_) => Outside::Mockpay,
        }
    }

    /// Makes an order. A repetition with the same order is answered as the first one, while it can be paid.
    ///
    /// # Errors
    /// See [`Failure`].
    pub async fn create(&self, order: NewOrder) -> Result<Ticket, Failure> {
        plain(&order.out_trade_no)?;
        match self {
            Self::Wechat(wechat) => wechat.create(order).await,
            Self::Alipay(alipay) => alipay.create(order).await,
            Self::Mockpay(mockpay) => mockpay.create(order).await,
        }
    }

    /// Asks for the state of an order.
    ///
    /// # Errors
    /// See [`Failure`].
    pub async fn query(&self, out_trade_no: &str) -> Result<OrderState, Failure> {
        plain(out_trade_no)?;
        match self {
            Self::Wechat(wechat) => wechat.query(out_trade_no).await,
            Self::Alipay(alipay) => alipay.query(out_trade_no).await,
            Self::Mockpay(mockpay) => mockpay.query(out_trade_no).await,
        }
    }

    /// Closes an order that is open. One that the provider does not know, or has closed, counts as closed.
    ///
    /// # Errors
    /// See [`Failure`]; [`Failure::Refused`] when it was paid.
    pub async fn close(&self, out_trade_no: &str) -> Result<(), Failure> {
        plain(out_trade_no)?;
        match self {
            Self::Wechat(wechat) => wechat.close(out_trade_no).await,
            Self::Alipay(alipay) => alipay.close(out_trade_no).await,
            Self::Mockpay(mockpay) => mockpay.close(out_trade_no).await,
        }
    }

    /// Refunds. A repetition with the same number refunds once.
    ///
    /// # Errors
    /// See [`Failure`]. After [`Failure::Refused`] the provider has no such refund: nothing went back.
    pub async fn refund(&self, refund: NewRefund) -> Result<RefundState, Failure> {
        plain(&refund.out_trade_no)?;
        plain(&refund.out_refund_no)?;
        let (out_refund_no, out_trade_no) = (refund.out_refund_no.clone(), refund.out_trade_no.clone());
        let refused = match self.refund_once(refund).await {
            Err(Failure::Refused(words)) => words,
            decided => return decided,
        };
        // An earlier request, whose answer was lost, may have succeeded: only a question decides.
        match self.query_refund(&out_refund_no, &out_trade_no).await? {
            RefundState::Unknown => Err(Failure::Refused(refused)),
            known => Ok(known),
        }
    }

    async fn refund_once(&self, refund: NewRefund) -> Result<RefundState, Failure> {
        match self {
            Self::Wechat(wechat) => wechat.refund(refund).await,
            Self::Alipay(alipay) => alipay.refund(refund).await,
            Self::Mockpay(mockpay) => mockpay.refund(refund).await,
        }
    }

    /// Asks for the state of a refund.
    ///
    /// # Errors
    /// See [`Failure`].
    pub async fn query_refund(
        &self,
        out_refund_no: &str,
        out_trade_no: &str,
    ) -> Result<RefundState, Failure> {
        plain(out_trade_no)?;
        plain(out_refund_no)?;
        match self {
            Self::Wechat(wechat) => wechat.query_refund(out_refund_no, out_trade_no).await,
            Self::Alipay(alipay) => alipay.query_refund(out_refund_no, out_trade_no).await,
            Self::Mockpay(mockpay) => mockpay.query_refund(out_refund_no, out_trade_no).await,
        }
    }

    /// The paid orders and refunds of a day. Providers make it by 10:00 of the day after, Beijing time.
    ///
    /// # Errors
    /// See [`Failure`].
    pub async fn bill(&self, day: Day) -> Result<Vec<BillRow>, Failure> {
        match self {
            Self::Wechat(wechat) => wechat.bill(day).await,
            Self::Alipay(alipay) => alipay.bill(day).await,
            Self::Mockpay(mockpay) => mockpay.bill(day).await,
        }
    }

    /// Decides about a notice, by the keys that are known now. Pure.
    ///
    /// # Errors
    /// See [`NoticeError`].
    pub fn notice(&self, notice: Notice<'_>) -> Result<Decided, NoticeError> {
        match self {
            Self::Wechat(wechat) => wechat.notice(notice),
            Self::Alipay(alipay) => alipay.notice(notice),
            Self::Mockpay(mockpay) => mockpay.notice(notice),
        }
    }

    /// Decides about a notice, after a look for new keys where its own is unknown.
    ///
    /// # Errors
    /// See [`NoticeError`].
    pub async fn receive(&self, notice: Notice<'_>) -> Result<Decided, NoticeError> {
        let decided = self.notice(notice);
        if !matches!(decided, Err(NoticeError::UnknownSerial)) {
            return decided;
        }
        match self {
            Self::Wechat(wechat) => wechat.look_for_notice().await,
            Self::Alipay(alipay) => alipay.look_for_notice(notice.body).await,
            Self::Mockpay(_) => return decided,
        }
        self.notice(notice)
    }

    /// The answer to a notice: taken, or to be repeated.
    pub fn reply(&self, ok: bool) -> Reply {
        match self {
            Self::Wechat(_) => Wechat::reply(ok),
            Self::Alipay(_) => Alipay::reply(ok),
            Self::Mockpay(_) => Mockpay::reply(ok),
        }
    }

    /// Whether the certificates of the settings are in force. The service starts without: its orders of before can still be
    /// asked for, once they are replaced.
    ///
    /// # Errors
    /// The sentence that names one which is not.
    pub fn in_force(&self) -> Result<(), SettingsError> {
        match self {
            Self::Alipay(alipay) => alipay.in_force(),
            Self::Wechat(_) | Self::Mockpay(_) => Ok(()),
        }
    }

    /// Asks a question that changes nothing, to prove keys and way.
    ///
    /// # Errors
    /// See [`Failure`].
    pub async fn probe(&self) -> Result<(), Failure> {
        self.query(NO_ORDER).await.map(drop)
    }
}

/// Refuses a number that could change the path of a request.
fn plain(number: &str) -> Result<(), Failure> {
    if is_number(number) {
        Ok(())
    } else {
        Err(Failure::Refused(
            "a number of other than letters and digits".to_owned(),
        ))
    }
}

/// The providers of this service.
#[derive(Debug, Default)]
pub struct Drivers(Vec<Driver>);

impl Drivers {
    /// At most one of each provider.
    pub fn new(drivers: Vec<Driver>) -> Self {
        Self(drivers)
    }

    /// With one more provider.
    #[must_use]
    pub fn with(mut self, driver: Driver) -> Self {
        self.0.push(driver);
        self
    }

    /// The provider of a way; `None` where the platform does not offer it.
    pub fn get(&self, outside: Outside) -> Option<&Driver> {
        self.iter().find(|driver| driver.outside() == outside)
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Driver> {
        self.0.iter()
    }
}
