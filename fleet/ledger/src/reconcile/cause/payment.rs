//! Orders of members, and balances that went back to where they came from.

use database::Row;
use proto::UserId;

use super::{Demand, Source};
use crate::{Error, Fen, Kind, Movement, Outside};

pub(super) const ORDERS: Source = Source {
    word: "order",
    kinds: &[Kind::TopUp],
    select: "SELECT o.id, o.user_id, o.provider, o.amount_fen, o.state FROM payment_order o",
    id: "o.id",
    changed: "coalesce(o.paid_ms, o.created_ms)",
    read: order,
    count: |counts| &mut counts.orders,
};

pub(super) const PAY_BACKS: Source = Source {
    word: "pay_back",
    kinds: &[Kind::PayBack, Kind::PayBackFailed],
    select: "SELECT o.id, o.user_id, o.provider, o.amount_fen, o.state FROM payment_refund o",
    id: "o.id",
    changed: "coalesce(o.ended_ms, o.created_ms)",
    read: pay_back,
    count: |counts| &mut counts.pay_backs,
};

struct Payment {
    id: i64,
    member: UserId,
    provider: Outside,
    amount: Fen,
    state: String,
}

impl Payment {
    fn read(row: &Row) -> Result<Option<Self>, Error> {
        let (provider, amount) = (Outside::from_word(&row.get::<String>(2)?), Fen::new(row.get(3)?));
        let (id, member): (i64, i64) = (row.get(0)?, row.get(1)?);
        let state = row.get(4)?;
        Ok(provider.zip(amount).map(|(provider, amount)| Self {
            id,
            member: UserId::from_database(member),
            provider,
            amount,
            state,
        }))
    }
}

/// Why a payment demands nothing that could be proved.
const UNREADABLE: &str = "its provider or its amount is impossible";

fn order(row: &Row) -> Result<Demand, Error> {
    let Some(order) = Payment::read(row)? else {
        return Ok(Demand::faulty(UNREADABLE));
    };
    let top_up = Movement::top_up(order.id, order.provider, order.member, order.amount);
    Ok(Demand::of(match order.state.as_str() {
        "paid" => vec![top_up],
        _ => Vec::new(),
    }))
}

fn pay_back(row: &Row) -> Result<Demand, Error> {
    let Some(back) = Payment::read(row)? else {
        return Ok(Demand::faulty(UNREADABLE));
    };
    let mut movements = vec![Movement::pay_back(
        back.id,
        back.provider,
        back.member,
        back.amount,
    )];
    if back.state == "failed" {
        movements.push(Movement::pay_back_failed(
            back.id,
            back.provider,
            back.member,
            back.amount,
        ));
    }
    Ok(Demand::of(movements))
}
