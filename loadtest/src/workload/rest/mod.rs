//! rest: the calls of apps for records, in a closed loop; and what a long list costs beside a short one.

mod figures;
mod lists;
mod mix;

use anyhow::{Result, bail};

use super::fleet::Fleet;
use crate::arguments::{Mix, RestArguments, Transport};
use figures::Figures;

/// Runs the command; true when each check passed.
pub(super) async fn run(arguments: RestArguments) -> Result<bool> {
    match arguments.mix {
        Mix::Records => Box::pin(mix::run(arguments)).await,
        Mix::Lists => Box::pin(lists::run(arguments)).await,
        Mix::Money => bail!(
            "--mix money moves money through the ledger, which this fleet does not have yet: use --mix records"
        ),
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
