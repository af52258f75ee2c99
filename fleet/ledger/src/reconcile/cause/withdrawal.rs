//! Withdrawals of teams.

use database::Row;

use super::{Demand, Source};
use crate::{Error, Fen, Kind, Movement};

pub(super) const WITHDRAWALS: Source = Source {
    word: "withdrawal",
    kinds: &[Kind::Withdrawal, Kind::Paid, Kind::Failed],
    select: "SELECT w.id, w.team_id, w.amount_fen, w.state FROM withdrawal w",
    id: "w.id",
    changed: "coalesce(w.ended_ms, w.asked_ms)",
    read,
    count: |counts| &mut counts.withdrawals,
};

fn read(row: &Row) -> Result<Demand, Error> {
    let (id, team): (i64, i64) = (row.get(0)?, row.get(1)?);
    let Some(amount) = Fen::new(row.get(2)?) else {
        return Ok(Demand::faulty("its amount is impossible"));
    };
    let state: String = row.get(3)?;
    let mut movements = vec![Movement::withdraw(id, team, amount)];
    match state.as_str() {
        "paid" => movements.push(Movement::paid(id, team, amount)),
        "failed" => movements.push(Movement::failed(id, team, amount)),
        _ => {}
    }
    Ok(Demand::of(movements))
}
