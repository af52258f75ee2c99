//! The background work of money: silent orders are asked for, balance goes back, providers' bills are compared.
//!
//! Each provider has jobs of its own, so that one which is away delays no other. [`crate::wallet`] decides what a payment
//! or a refund means; this domain asks for it.

mod bill;
pub(crate) mod difference;
mod order;
mod pay_back;
mod table;
pub(crate) mod unnamed;

use std::time::Duration;

use jobs::{Failure, Job, Next, Turn};
use ledger::Outside;
use payment::Driver;

use crate::app::App;

/// Between two looks for orders and refunds that are due.
const ASK_EVERY: Duration = Duration::from_secs(5);
/// Orders or refunds of a turn. Each may take as long as a provider's timeout.
const ASK_BOUND: i64 = 20;
/// Calls to a provider at once.
const AT_ONCE: usize = 4;

/// Between two looks for a bill.
const BILL_EVERY: Duration = Duration::from_secs(10 * 60);
/// Bills of a turn.
const BILL_BOUND: i64 = 1;
/// A bill may have many rows.
const LONGEST_BILL: Duration = Duration::from_secs(30 * 60);

/// The names of a provider's jobs: orders, pay backs, bills.
const NAMES: [(Outside, [&str; 3]); 3] = [
    (
        Outside::Mockpay,
        ["orders_mockpay", "pay_backs_mockpay", "bills_mockpay"],
    ),
    (
        Outside::Wechat,
        ["orders_wechat", "pay_backs_wechat", "bills_wechat"],
    ),
    (
        Outside::Alipay,
        ["orders_alipay", "pay_backs_alipay", "bills_alipay"],
    ),
];

/// The jobs for the providers of this service.
pub(crate) fn jobs(app: &App) -> Vec<Job> {
    let offered = app.providers.iter().map(Driver::outside);
    offered.flat_map(|provider| of(app, provider)).collect()
}

fn of(app: &App, provider: Outside) -> Vec<Job> {
    let Some((_, [orders, pay_backs, bills])) = NAMES.into_iter().find(|(of, _)| *of == provider) else {
        return Vec::new();
    };
    let asking = app.clone();
    let paying_back = app.clone();
    let comparing = app.clone();
    vec![
        Job::new(orders, ASK_EVERY, ASK_BOUND, move |turn| {
            order::ask(asking.clone(), provider, turn)
        }),
        Job::new(pay_backs, ASK_EVERY, ASK_BOUND, move |turn| {
            pay_back::hand_over(paying_back.clone(), provider, turn)
        }),
        Job::new(bills, BILL_EVERY, BILL_BOUND, move |turn| {
            bill::compare(comparing.clone(), provider, turn)
        })
        .at_longest(LONGEST_BILL),
    ]
}

/// The driver of a provider that had one when the service started.
fn driver(app: &App, provider: Outside) -> Result<&Driver, Failure> {
    let missing = || Failure::Work(format!("{} is not offered", provider.as_str()));
    app.providers.get(provider).ok_or_else(missing)
}

/// The end of a turn that asked for orders or refunds. It fails when all of them did: the provider is away. One that fails
/// alone was put later, so that it delays no other.
fn ended(turn: &Turn, waiting: usize, outcomes: Vec<Result<(), Failure>>) -> Result<Next, Failure> {
    let waiting = i64::try_from(waiting).unwrap_or(i64::MAX);
    turn.set_backlog(waiting);
    if !outcomes.is_empty() && outcomes.iter().all(Result::is_err) {
        outcomes.into_iter().collect::<Result<(), Failure>>()?;
    }
    Ok(if waiting < turn.bound() {
        Next::Usual
    } else {
        Next::AtOnce
    })
}
