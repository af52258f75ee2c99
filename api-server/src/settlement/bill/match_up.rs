//! A bill's rows against our orders and refunds, without a database.

use std::collections::BTreeMap;

use payment::BillRow;

use crate::settlement::table::bill::Compared;

/// An order, or a refund.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Order,
    Refund,
}

impl Kind {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Order => "order",
            Self::Refund => "refund",
        }
    }
}

/// How a bill and our books differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Difference {
    OursAlone,
    TheirsAlone,
    AmountDiffers,
}

impl Difference {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::OursAlone => "ours_alone",
            Self::TheirsAlone => "theirs_alone",
            Self::AmountDiffers => "amount_differs",
        }
    }
}

/// A difference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Item {
    pub(crate) kind: Kind,
    pub(crate) number: String,
    pub(crate) difference: Difference,
    pub(crate) our_fen: Option<i64>,
    pub(crate) their_fen: Option<i64>,
}

impl Item {
    pub(super) fn ours_alone(kind: Kind, number: String, our_fen: i64) -> Self {
        Self {
            kind,
            number,
            difference: Difference::OursAlone,
            our_fen: Some(our_fen),
            their_fen: None,
        }
    }
}

/// The difference of a row of the bill from ours, which may be missing.
pub(super) fn known(kind: Kind, number: String, our_fen: Option<i64>, their_fen: i64) -> Option<Item> {
    let difference = match our_fen {
        None => Difference::TheirsAlone,
        Some(our_fen) if our_fen != their_fen => Difference::AmountDiffers,
        Some(_) => return None,
    };
    Some(Item {
        kind,
        number,
        difference,
        our_fen,
        their_fen: Some(their_fen),
    })
}

/// The rows of a bill by our numbers. One that stands there twice counts twice, so that its amount differs.
#[derive(Debug, Default)]
pub(super) struct Theirs {
    orders: BTreeMap<String, i64>,
    refunds: BTreeMap<String, i64>,
}

impl Theirs {
    pub(super) fn of(rows: Vec<BillRow>) -> Self {
        let mut theirs = Self::default();
        for row in rows {
            let sum = match row.out_refund_no {
                Some(number) => theirs.refunds.entry(number).or_default(),
                None => theirs.orders.entry(row.out_trade_no).or_default(),
            };
            *sum = sum.saturating_add(row.amount.get());
        }
        theirs
    }

    pub(super) fn compared(&self) -> Compared {
        Compared {
            orders: i64::try_from(self.orders.len()).unwrap_or(i64::MAX),
            amount_fen: self.orders.values().fold(0, |sum, fen| sum.saturating_add(*fen)),
        }
    }

    /// The difference of an order of ours that was paid on the day.
    pub(super) fn order(&mut self, number: &str, our_fen: i64) -> Option<Item> {
        match self.orders.remove(number) {
            Some(their_fen) => known(Kind::Order, number.to_owned(), Some(our_fen), their_fen),
            None => Some(Item::ours_alone(Kind::Order, number.to_owned(), our_fen)),
        }
    }

    /// The orders that ours of the day did not match.
    pub(super) fn other_orders(&mut self) -> BTreeMap<String, i64> {
        std::mem::take(&mut self.orders)
    }

    pub(super) fn refunds(&mut self) -> BTreeMap<String, i64> {
        std::mem::take(&mut self.refunds)
    }
}

#[cfg(test)]
mod tests {
    use ledger::Fen;

    use super::*;

    fn row(number: &str, refund: Option<&str>, fen: i64) -> BillRow {
        BillRow {
            out_trade_no: number.to_owned(),
            out_refund_no: refund.map(str::to_owned),
            amount: Fen::new(fen).unwrap(),
        }
    }

    #[test]
    fn each_row_is_matched_once() {
        let mut theirs = Theirs::of(vec![
            row("same", None, 100),
            row("more", None, 101),
            row("twice", None, 50),
            row("twice", None, 50),
            row("theirs", None, 7),
            row("same", Some("back"), 30),
        ]);
        let compared = theirs.compared();
        assert_eq!((compared.orders, compared.amount_fen), (4, 308));
        assert_eq!(theirs.order("same", 100), None);
        let differs = |item: Option<Item>| item.map(|item| (item.difference, item.our_fen, item.their_fen));
        for (number, ours, item) in [
            ("more", 100, (Difference::AmountDiffers, Some(100), Some(101))),
            ("twice", 50, (Difference::AmountDiffers, Some(50), Some(100))),
            ("ours", 9, (Difference::OursAlone, Some(9), None)),
        ] {
            assert_eq!(differs(theirs.order(number, ours)), Some(item), "{number}");
        }
        let others: Vec<_> = theirs.other_orders().into_iter().collect();
        assert_eq!(others, [("theirs".to_owned(), 7)]);
        let refunds: Vec<_> = theirs.refunds().into_iter().collect();
        assert_eq!(refunds, [("back".to_owned(), 30)]);
        let theirs_alone = known(Kind::Order, "theirs".to_owned(), None, 7);
        assert_eq!(
            differs(theirs_alone),
            Some((Difference::TheirsAlone, None, Some(7)))
        );
        assert_eq!(known(Kind::Refund, "back".to_owned(), Some(30), 30), None);
    }
}
