//! rest: the calls of apps for records or for money, in a closed loop; and what a long list costs beside a short one.

pub(super) mod figures;
mod lists;
mod mix;
mod money;

use anyhow::Result;

use super::fleet::Fleet;
use crate::arguments::{Mix, RestArguments, Transport};
use figures::Figures;

/// Runs the command; true when each check passed.
pub(super) async fn run(arguments: RestArguments) -> Result<bool> {
    match arguments.mix {
        Mix::Records => Box::pin(mix::run(arguments)).await,
        Mix::Lists => Box::pin(lists::run(arguments)).await,
        Mix::Money => Box::pin(money::run(arguments)).await,
    }
}

/// A fleet that takes no connections but REST's.
async fn open(arguments: &RestArguments) -> Result<Fleet> {
    Box::pin(Fleet::open(
        arguments.target.clone(),
        arguments.output.seed,
        arguments.workers as usize,
        0,
        Transport::Tcp,
    ))
    .await
}
