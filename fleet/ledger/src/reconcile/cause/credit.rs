//! Credits by hand.

use database::Row;
use proto::UserId;

use super::{Demand, Source};
use crate::{Error, Fen, Kind, Movement};

pub(super) const CREDITS: Source = Source {
    word: "credit",
    kinds: &[Kind::Credit],
    select: "SELECT c.id, c.user_id, c.amount_fen, c.state FROM credit c",
    id: "c.id",
    changed: "coalesce(c.ended_ms, c.asked_ms)",
    read,
    count: |counts| &mut counts.credits,
};

fn read(row: &Row) -> Result<Demand, Error> {
    let (id, member): (i64, i64) = (row.get(0)?, row.get(1)?);
    let Some(amount) = Fen::new(row.get(2)?) else {
        return Ok(Demand::faulty("its amount is impossible"));
    };
    let state: String = row.get(3)?;
    let credit = Movement::credit(id, UserId::from_database(member), amount);
    let movements = if state == "approved" {
        vec![credit]
    } else {
        Vec::new()
    };
    Ok(Demand::of(movements))
}
