//! Charges of consults and services, and their refunds.

use database::Row;
use proto::UserId;

use super::{Demand, Source};
use crate::{Commission, Error, Fen, Kind, Month, Movement, Split};

pub(super) const CONSULTS: Source = Source {
    word: "consult",
    kinds: &[Kind::Begin, Kind::Finish, Kind::Cancel],
    select: "SELECT c.consult_id, c.team_id, c.member_id, c.price_fen, c.commission_per_mille, c.fee_fen, c.wallet_fen,
       c.state, c.commission_fen, c.refunded_fen, c.month, (SELECT k.status FROM consult k WHERE k.id = c.consult_id),
       (SELECT CAST(coalesce(sum(r.amount_fen), 0) AS BIGINT) FROM refund r
        WHERE r.consult_id = c.consult_id AND r.vas_id IS NULL)
     FROM consult_charge c",
    id: "c.consult_id",
    changed: "coalesce(c.ended_ms, c.created_ms)",
    read: consult,
    count: |counts| &mut counts.consults,
};

pub(super) const SERVICES: Source = Source {
    word: "vas",
    kinds: &[Kind::Vas],
    select:
        "SELECT v.id, v.team_id, v.member_id, v.price_fen, v.commission_per_mille, v.state, v.commission_fen,
       v.refunded_fen, v.month,
       (SELECT CAST(coalesce(sum(r.amount_fen), 0) AS BIGINT) FROM refund r
        WHERE r.consult_id = v.consult_id AND r.vas_id = v.id)
     FROM vas v",
    id: "v.id",
    changed: "coalesce(v.decided_ms, v.created_ms)",
    read: service,
    count: |counts| &mut counts.services,
};

pub(super) const REFUNDS: Source = Source {
    word: "refund",
    kinds: &[Kind::Refund],
    select: "SELECT r.id, r.team_id, r.member_id, r.amount_fen, r.commission_fen,
       CASE WHEN r.vas_id IS NULL THEN (SELECT c.month FROM consult_charge c WHERE c.consult_id = r.consult_id)
            ELSE (SELECT v.month FROM vas v WHERE v.id = r.vas_id) END
     FROM refund r",
    id: "r.id",
    changed: "r.created_ms",
    read: refund,
    count: |counts| &mut counts.refunds,
};

const AMOUNT: &str = "its amount or its commission is impossible";
const COMMISSION: &str = "its commission is not that of its price";
const REFUNDED: &str = "its refunds do not sum to what it says";

fn consult(row: &Row) -> Result<Demand, Error> {
    let (id, team, member): (i64, i64, i64) = (row.get(0)?, row.get(1)?, row.get(2)?);
    let (Some(price), Some(commission), Some(fee), Some(wallet)) = (
        Fen::new(row.get(3)?),
        Commission::new(row.get(4)?),
        Fen::new(row.get(5)?),
        Fen::new(row.get(6)?),
    ) else {
        return Ok(Demand::faulty(AMOUNT));
    };
    let member = UserId::from_database(member);
    let (state, commission_fen): (String, i64) = (row.get(7)?, row.get(8)?);
    let (refunded, status, refunds): (i64, Option<String>, i64) = (row.get(9)?, row.get(11)?, row.get(12)?);
    let split = Split { fee, wallet };
    let mut movements = vec![Movement::begin(id, team, member, split)];
    match state.as_str() {
        "earned" => movements.push(Movement::finish(id, team, price, commission)),
        "returned" => {
            movements.push(Movement::cancel(id, team, member, split));
            // The fee of a membership that has ended is closed: all of it goes to the wallet.
            let (fee, wallet) = (Fen::ZERO, price);
            movements.push(Movement::cancel(id, team, member, Split { fee, wallet }));
        }
        _ => {}
    }
    let is_open = matches!(status.as_deref(), Some("waiting" | "in_process"));
    let earned = if state == "earned" {
        commission.of(price)
    } else {
        Fen::ZERO
    };
    let fault = if fee.checked_add(wallet) != Some(price) {
        Some("its parts do not sum to its price")
    } else if status.is_none() || is_open != (state == "held") {
        Some("its charge and its consult are not in one state")
    } else if earned.get() != commission_fen {
        Some(COMMISSION)
    } else if refunded != refunds {
        Some(REFUNDED)
    } else {
        None
    };
    let month: Option<i64> = row.get(10)?;
    Ok(Demand {
        movements,
        month: month.map(|month| (month, [Kind::Finish, Kind::Cancel].as_slice())),
        fault,
    })
}

fn service(row: &Row) -> Result<Demand, Error> {
    let per_mille: Option<i64> = row.get(4)?;
    let state: String = row.get(5)?;
    let Some(per_mille) = per_mille.filter(|_| state == "confirmed") else {
        return Ok(Demand::default());
    };
    let (id, team, member): (i64, i64, i64) = (row.get(0)?, row.get(1)?, row.get(2)?);
    let (Some(price), Some(commission)) = (Fen::new(row.get(3)?), Commission::new(per_mille)) else {
        return Ok(Demand::faulty(AMOUNT));
    };
    let (commission_fen, refunded, refunds): (i64, i64, i64) = (row.get(6)?, row.get(7)?, row.get(9)?);
    let fault = if commission.of(price).get() != commission_fen {
        Some(COMMISSION)
    } else if refunded != refunds || refunded > price.get() {
        Some(REFUNDED)
    } else {
        None
    };
    let month: Option<i64> = row.get(8)?;
    Ok(Demand {
        movements: vec![Movement::vas(
            id,
            team,
            UserId::from_database(member),
            price,
            commission,
        )],
        month: month.map(|month| (month, [Kind::Vas].as_slice())),
        fault,
    })
}

fn refund(row: &Row) -> Result<Demand, Error> {
    let (id, team, member): (i64, i64, i64) = (row.get(0)?, row.get(1)?, row.get(2)?);
    let (Some(amount), Some(commission)) = (Fen::new(row.get(3)?), Fen::new(row.get(4)?)) else {
        return Ok(Demand::faulty(AMOUNT));
    };
    let month: Option<i64> = row.get(5)?;
    let Some(earned_in) = month.and_then(Month::new) else {
        return Ok(Demand::faulty("its price was not earned"));
    };
    let member = UserId::from_database(member);
    Ok(Demand::of(vec![Movement::refund(
        id, team, member, amount, commission, earned_in,
    )]))
}
