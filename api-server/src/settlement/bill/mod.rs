//! The bill of a provider's day, compared with our orders and refunds. A difference becomes an open item. The day is over by
//! the database's clock.

mod match_up;
mod schedule;

use jobs::{Failure, Next, Turn};
use ledger::Outside;
use payment::Day;
use telemetry::events::payment::Event;

use self::{match_up::Theirs, schedule::Due};
use super::{
    driver,
    table::bill::{self, Compared},
};
use crate::{app::App, http::error::Error};

pub(super) use self::match_up::{Item, Kind};

/// The sequence of items' ids.
const SEQUENCE: &str = "bill_item";

/// Orders of a page, and rows of a transaction.
const PAGE: usize = 200;

/// Compares the next bill that is due.
pub(super) async fn compare(app: App, provider: Outside, turn: Turn) -> Result<Next, Failure> {
    let now_ms = turn.database().now_ms().await?;
    forget_early(&turn, provider, now_ms).await?;
    let last = bill::last_day(turn.database(), provider).await?;
    let first_paid_ms = match last {
        Some(_) => None,
        None => bill::first_paid_ms(turn.database(), provider).await?,
    };
    let next = match schedule::next(last, first_paid_ms, now_ms) {
        Due::Now(day) => compare_day(&app, provider, &turn, day, now_ms).await?,
        Due::Later => Next::Usual,
    };
    turn.set_backlog(bill::open_items(turn.database(), provider).await?);
    Ok(next)
}

/// A day that is not over, or that was compared later than now, was compared by a clock that was ahead. It is compared again
/// when it is over, and so are those behind it.
async fn forget_early(turn: &Turn, provider: Outside, now_ms: i64) -> Result<(), Failure> {
    if !bill::has_early(turn.database(), provider, now_ms).await? {
        return Ok(());
    }
    let forgotten = turn.transaction::<_, Error, _>(move |tx| {
        Box::pin(async move { bill::forget_early(tx, provider, now_ms).await })
    });
    Ok(forgotten.await?)
}

async fn compare_day(
    app: &App,
    provider: Outside,
    turn: &Turn,
    day: Day,
    now_ms: i64,
) -> Result<Next, Failure> {
    let rows = driver(app, provider)?.bill(day).await.map_err(Failure::work)?;
    let mut theirs = Theirs::of(rows);
    let compared = theirs.compared();
    let mut items = orders(turn, provider, day, &mut theirs).await?;
    if compared.orders == 0 && !items.is_empty() && !schedule::is_late(day, now_ms) {
        // It is empty because it is not made yet.
        return Ok(Next::Usual);
    }
    items.extend(refunds(turn, provider, day, &mut theirs).await?);
    let found = items.len();
    write(app, turn, provider, day, items).await?;
    finish(turn, provider, day, compared).await?;
    if found > 0 {
        let (provider, day) = (provider.as_str(), day.get());
        Event::BillDiffers { provider, day, found }.emit();
    }
    Ok(Next::AtOnce)
}

/// The differences of orders.
async fn orders(turn: &Turn, provider: Outside, day: Day, theirs: &mut Theirs) -> Result<Vec<Item>, Failure> {
    let mut items = Vec::new();
    let mut after = (day.from_ms(), i64::MIN);
    loop {
        let page = bill::paid_orders(turn.database(), provider, after, day.next().from_ms(), PAGE).await?;
        let Some(last) = page.last() else { break };
        after = (last.paid_ms, last.id);
        for order in page {
            items.extend(theirs.order(&order.number, order.amount_fen));
        }
    }
    for (number, their_fen) in theirs.other_orders() {
        // Paid on another day by our books, or not at all.
        let ours = bill::paid_order(turn.database(), provider, &number).await?;
        items.extend(match_up::known(Kind::Order, number, ours, their_fen));
    }
    Ok(items)
}

/// The differences of refunds. One is on the bill of the day on which it arrived, which may be before the day on which we
/// learned it. So ours counts as missing only when the bill of the day after has not got it either.
async fn refunds(
    turn: &Turn,
    provider: Outside,
    day: Day,
    theirs: &mut Theirs,
) -> Result<Vec<Item>, Failure> {
    let mut items = Vec::new();
    let mut billed = Vec::new();
    for (number, their_fen) in theirs.refunds() {
        let ours = bill::refund(turn.database(), provider, &number).await?;
        billed.extend(ours.map(|refund| refund.id));
        let our_fen = ours.map(|refund| refund.amount_fen);
        items.extend(match_up::known(Kind::Refund, number, our_fen, their_fen));
    }
    for ids in billed.chunks(PAGE) {
        let ids = ids.to_vec();
        let marked = turn.transaction::<_, Error, _>(move |tx| {
            Box::pin(async move {
                for id in ids {
                    bill::set_billed(tx, id, day).await?;
                }
                Ok(())
            })
        });
        marked.await?;
    }
    let from_ms = day.previous().from_ms();
    let mut after = (from_ms, i64::MIN);
    loop {
        let page = bill::ended_refunds(turn.database(), provider, after, day.from_ms(), PAGE).await?;
        let Some(last) = page.last() else { break };
        after = (last.ended_ms, last.id);
        let missing = page.into_iter().filter(|refund| !refund.is_billed);
        items.extend(missing.map(|refund| Item::ours_alone(Kind::Refund, refund.number, refund.amount_fen)));
    }
    Ok(items)
}

async fn write(app: &App, turn: &Turn, provider: Outside, day: Day, items: Vec<Item>) -> Result<(), Failure> {
    let mut items = items.into_iter();
    loop {
        let mut some = Vec::new();
        for item in items.by_ref().take(PAGE) {
            some.push((app.database.allocate_id(SEQUENCE).await?, item));
        }
        if some.is_empty() {
            return Ok(());
        }
        let written = turn.transaction::<_, Error, _>(move |tx| {
            Box::pin(async move {
                let now_ms = tx.now_ms().await?;
                for (id, item) in some {
                    bill::insert_item(tx, id, provider, day, item, now_ms).await?;
                }
                Ok(())
            })
        });
        written.await?;
    }
}

async fn finish(turn: &Turn, provider: Outside, day: Day, compared: Compared) -> Result<(), Failure> {
    let finished = turn.transaction::<_, Error, _>(move |tx| {
        Box::pin(async move {
            let now_ms = tx.now_ms().await?;
            bill::insert_bill(tx, provider, day, compared, now_ms).await
        })
    });
    Ok(finished.await?)
}
